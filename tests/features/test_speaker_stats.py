"""Baselines: clip by clip is all at once, saved is loaded, damaged is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from bimodal.errors import ModelFolderError
from bimodal.features.speaker_stats import (
    SpeakerStatsStore,
    empty_stats,
    load_speaker_stats,
    measure_speaker_stats,
    measure_stats,
    merge_stats,
    save_speaker_stats,
    speaker_stats_inputs,
)

SHAPE = (2, 3, 4)
CLIPS = np.random.default_rng(0).normal(5, 3, (12, *SHAPE)).astype(np.float32)


def test_clip_by_clip_is_all_at_once():
    heard = measure_speaker_stats(("ann", clip) for clip in CLIPS).of("ann", SHAPE)
    assert heard.count == 12
    assert heard.mean == pytest.approx(CLIPS.mean(axis=0), abs=1e-5)
    assert heard.std == pytest.approx(CLIPS.std(axis=0), abs=1e-5)


@given(st.integers(0, 12))
def test_two_baselines_merge_into_that_of_all_their_clips(cut):
    merged = merge_stats(measure_stats(CLIPS[:cut]), measure_stats(CLIPS[cut:]))
    whole = measure_stats(CLIPS)
    assert merged.count == whole.count
    assert merged.mean == pytest.approx(whole.mean, abs=1e-9)
    assert merged.squares == pytest.approx(whole.squares, abs=1e-7)


def test_speakers_do_not_mix_and_nobody_is_forgotten():
    heard = measure_speaker_stats([("ann", CLIPS[0]), ("bob", CLIPS[1]), (None, CLIPS[2]), ("ann", CLIPS[3])])
    assert heard.speakers == ("ann", "bob")
    assert heard.of("ann", SHAPE).mean == pytest.approx(CLIPS[[0, 3]].mean(axis=0), abs=1e-5)
    assert heard.of(None, SHAPE).count == heard.of("eve", SHAPE).count == 0


def test_the_network_is_told_count_mean_and_deviation():
    told = speaker_stats_inputs([measure_stats(CLIPS), empty_stats(SHAPE)])
    assert told["clip_count"].tolist() == [12, 0]
    assert told["own_std"][0] == pytest.approx(CLIPS.std(axis=0), abs=1e-4)
    assert not told["own_mean"][1].any() and not told["own_std"][1].any()


def test_saved_is_loaded_and_grows_on_alike(tmp_path):
    names = ["ann", "bob", "ann", "x/y"] * 3
    whole = measure_speaker_stats(zip(names, CLIPS, strict=True))
    save_speaker_stats(tmp_path / "kept.safetensors", measure_speaker_stats(zip(names[:5], CLIPS[:5], strict=True)))
    kept = load_speaker_stats(tmp_path / "kept.safetensors")
    for name, clip in zip(names[5:], CLIPS[5:], strict=True):
        kept.add(name, clip)
    assert kept.speakers == whole.speakers == ("ann", "bob", "x/y")
    for name in whole.speakers:
        assert np.array_equal(kept.of(name, SHAPE).mean, whole.of(name, SHAPE).mean)
        assert np.array_equal(kept.of(name, SHAPE).squares, whole.of(name, SHAPE).squares)


def test_no_baselines_at_all_can_be_kept(tmp_path):
    save_speaker_stats(tmp_path / "kept.safetensors", SpeakerStatsStore())
    assert len(load_speaker_stats(tmp_path / "kept.safetensors")) == 0


def test_missing_strange_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(ModelFolderError, match="no speaker statistics can be read"):
        load_speaker_stats(tmp_path / "none.safetensors")
    save_file({"count/ann": np.array(1)}, tmp_path / "part.safetensors")
    with pytest.raises(ModelFolderError, match="expected count, mean and squares"):
        load_speaker_stats(tmp_path / "part.safetensors")
    parts = {"count/ann": np.array(1), "mean/ann": np.full(SHAPE, np.nan), "squares/ann": np.zeros(SHAPE)}
    save_file(parts, tmp_path / "nan.safetensors")
    with pytest.raises(ModelFolderError, match="'ann' are damaged"):
        load_speaker_stats(tmp_path / "nan.safetensors")
