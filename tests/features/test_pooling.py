"""Statistics over time: those of numpy, of the frames with speech where asked for, whatever way they are held."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimodal.features.pooling import (
    STATISTICS,
    Pooling,
    SpeechFrames,
    frame_levels,
    join_frames,
    pool,
    pool_all,
    select,
)

RNG = np.random.default_rng(0)


def heard(frames: int, level: np.ndarray | None = None) -> SpeechFrames:
    states = RNG.normal(1, 2, (frames, 3, 4)).astype(np.float32)
    return SpeechFrames(states=states, level=np.zeros(frames, np.float32) if level is None else level)


@pytest.mark.parametrize("frames", [1, 2, 10, 257])
def test_each_statistic_is_that_of_numpy(frames):
    given = heard(frames)
    found = pool(given, Pooling(statistics=STATISTICS))
    expected = [given.states.mean(0), given.states.std(0), *np.percentile(given.states, [10, 50, 90], axis=0)]
    assert found == pytest.approx(np.stack(expected), abs=1e-5)


def test_pauses_are_left_out_where_asked_for():
    level = np.array([-90.0] * 5 + [-20.0] * 10 + [-56.0, -54.0], np.float32)
    given = heard(17, level)
    loud = SpeechFrames(states=given.states[[*range(5, 15), 16]], level=level[[*range(5, 15), 16]])
    wanted = Pooling(statistics=("p90", "mean"), speech_only=True)
    assert np.array_equal(pool(given, wanted), pool(loud, Pooling(statistics=("p90", "mean"))))


@given(st.permutations(STATISTICS), st.booleans())
def test_what_is_held_gives_any_statistics_in_any_order(names, only):
    given, wanted = heard(30, RNG.uniform(-80, 0, 30).astype(np.float32)), Pooling(statistics=names, speech_only=only)
    assert np.array_equal(select(pool_all(given), wanted), pool(given, wanted))


def test_joined_parts_are_the_whole():
    whole = heard(40)
    again = join_frames([whole.slice(0, 13), whole.slice(13, 40)])
    assert np.array_equal(again.states, whole.states) and np.array_equal(again.level, whole.level)


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (319, 1), (320, 1), (1000, 4), (3200, 10)])
def test_every_frame_has_its_level_and_scraps_that_of_what_is_there(samples, frames):
    signal = np.full(samples, 0.01, np.float32)
    assert frame_levels(signal, frames) == pytest.approx(np.full(frames, -40.0), abs=0.1)
    signal[: samples // 2] = 0.1
    assert frame_levels(signal, frames)[0] > -40
