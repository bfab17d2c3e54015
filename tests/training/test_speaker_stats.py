"""Baselines in training: a clip never stands on itself or on another speaker, nor on more clips than asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimodal.data.batches import array_examples
from bimodal.errors import TrainingError
from bimodal.records import Utterance
from bimodal.training.speaker_stats import draw_earlier, group_by_column, order_earlier, with_speaker_stats

GROUPS = st.lists(st.sampled_from(["ann", "bob", "eve", None]), min_size=1, max_size=30)


@given(GROUPS, st.integers(0, 8), st.integers(0, 3))
def test_what_is_drawn_is_of_the_same_speaker_and_never_the_clip_itself(groups, amount, seed):
    for row, drawn in enumerate(draw_earlier(groups, amount, seed)):
        others = [other for other, group in enumerate(groups) if group and group == groups[row] and other != row]
        assert set(drawn) <= set(others)
        assert len(set(drawn)) == len(drawn) == min(amount, len(others))


@given(GROUPS, st.integers(0, 3))
def test_an_order_is_causal(groups, seed):
    earlier = order_earlier(groups, seed)
    for name in {group for group in groups if group}:
        members = [row for row, group in enumerate(groups) if group == name]
        assert sorted(len(earlier[row]) for row in members) == list(range(len(members)))
        for row in members:
            assert all(row not in earlier[other] for other in earlier[row])
    assert all(not earlier[row] for row, group in enumerate(groups) if group is None)


def test_only_the_last_ones_may_be_kept():
    assert max(map(len, order_earlier(["ann"] * 9, seed=0, most=3))) == 3


def test_examples_tell_the_statistics_of_what_came_earlier():
    rng = np.random.default_rng(0)
    statistics = rng.normal(size=(4, 2, 3, 5)).astype(np.float32)
    examples = array_examples({"statistics": statistics}, np.zeros(4, np.int64))
    batch = with_speaker_stats(examples, [[], [0], [0, 1], [0, 1, 2]]).read([2, 0])
    assert batch["clip_count"].tolist() == [2, 0]
    assert batch["own_mean"][0] == pytest.approx(statistics[:2].mean(axis=0), abs=1e-2)
    assert batch["own_std"][0] == pytest.approx(statistics[:2].std(axis=0), abs=1e-2)
    assert np.array_equal(batch["statistics"], statistics[[2, 0]])


def test_a_column_that_nobody_fills_is_refused():
    rows = [Utterance(id="a", speaker="ann", extra={"corpus": "x"}), Utterance(id="b", extra={"corpus": ""})]
    assert group_by_column(rows, "speaker") == ["ann", None]
    assert group_by_column(rows, "corpus") == ["x", None]
    with pytest.raises(TrainingError, match="no utterance has a 'call'"):
        group_by_column(rows, "call")
