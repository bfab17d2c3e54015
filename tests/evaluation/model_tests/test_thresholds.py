"""Thresholds from the sizes: they hold fair models at the stated rate, and agree with an analytic case."""

import numpy as np
import pytest
from scipy import stats

from bimodal.evaluation.model_tests.thresholds import (
    agreement_of_random,
    chance_uar,
    deviations,
    fair_thresholds,
    simulate,
)


def sizes(groups: int, emotions: int, each: int, hits: float) -> np.ndarray:
    """Confusions of groups that answer alike."""
    rest = (1 - hits) / (emotions - 1)
    rows = np.where(np.eye(emotions, dtype=bool), hits, rest) * each
    return np.stack([rows.round().astype(np.int64)] * groups)


def test_the_threshold_of_recall_is_the_analytic_one_of_two_equal_groups():
    clips, hits, level = 400, 0.6, 0.99
    found = fair_thresholds(sizes(2, 3, clips, hits), runs=20_000, seed=0, level=level).recall
    # a group deviates from the mean of two by half their difference, whose variance is that of one share halved
    expected = stats.norm.ppf((1 + level) / 2) * np.sqrt(hits * (1 - hits) / (2 * clips))
    assert found == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("figure", ["uar", "recall", "precision", "share"])
def test_fair_models_pass_at_the_stated_rate(figure):
    confusions = np.concatenate([sizes(2, 4, 60, 0.5), sizes(1, 4, 20, 0.5)])  # one group is small
    limits = getattr(fair_thresholds(confusions, runs=4000, seed=0, level=0.95), figure)
    others = getattr(deviations(simulate(confusions, 4000, np.random.default_rng(1))), figure)
    assert (np.abs(others) <= limits).mean(axis=0) == pytest.approx(0.95, abs=0.02)


def test_small_groups_have_wide_thresholds():
    limits = fair_thresholds(np.concatenate([sizes(1, 3, 300, 0.6), sizes(1, 3, 12, 0.6)]), runs=2000, seed=0)
    assert (limits.recall[1] > 3 * limits.recall[0]).all()


def test_a_group_with_other_emotions_does_not_deviate_for_that():
    much, little = np.array([[80, 20], [5, 5]]), np.array([[8, 2], [50, 50]])
    found = deviations(np.stack([much, little]))
    for values in (found.uar, found.recall, found.precision, found.share):
        assert values == pytest.approx(0.0, abs=1e-12)


def test_an_emotion_that_a_group_lacks_is_left_out_of_it():
    found = deviations(np.array([[[9, 1], [4, 6]], [[3, 7], [0, 0]]]))
    assert np.isnan(found.recall[1, 1])
    assert found.uar[1] == pytest.approx(3 / 10 - 12 / 20)


def test_simulated_models_keep_the_sizes():
    confusions = np.array([[[5, 2], [1, 3]], [[0, 0], [4, 4]]])
    drawn = simulate(confusions, 50, np.random.default_rng(0))
    assert (drawn.sum(axis=-1) == confusions.sum(axis=-1)).all()


def test_the_seed_decides():
    confusions = sizes(2, 3, 30, 0.5)
    first, same, other = (fair_thresholds(confusions, runs=500, seed=seed).uar for seed in (0, 0, 1))
    assert (first == same).all()
    assert (first != other).any()


def test_chance_is_the_analytic_one_of_two_emotions():
    found = chance_uar(np.array([500, 500]), np.array([0.5, 0.5]), runs=20_000, seed=0, level=0.99)
    assert found == pytest.approx(0.5 + stats.norm.ppf(0.99) * np.sqrt(0.25 / 1000), abs=0.003)


def test_agreement_of_a_random_model_is_the_chance_that_two_draws_are_equal():
    targets, shares = np.zeros(200, np.int64), np.array([[0.7, 0.3], [0.5, 0.5]])
    pairs = np.arange(200).reshape(100, 2)
    median = agreement_of_random(targets, shares, pairs, runs=800, seed=0, level=0.5)
    assert median == pytest.approx(0.7**2 + 0.3**2, abs=0.02)
