"""The learning curve: figures on the same test clips, a modest extrapolation, advice."""

import numpy as np
import pytest

from bimodal.evaluation.metrics.bootstrap import Interval
from bimodal.labelling.curve import FEWEST_TESTS, advise, extrapolate, learning_curve, majority


def curve_of(rights, tests=80, seed=0):
    """A curve of predictions that are right as often as given."""
    rng = np.random.default_rng(seed)
    truth = np.arange(tests) % 2
    order = rng.permutation(tests)
    predicted = {}
    for number, share in enumerate(rights):
        wrong = order[: round((1 - share) * tests)]
        predicted[20 * number] = np.where(np.isin(np.arange(tests), wrong), 1 - truth, truth)
    return learning_curve(predicted, truth, 2)


def test_the_curve_has_the_figures_of_scikit_learn():
    from sklearn.metrics import balanced_accuracy_score

    truth, guess = np.array([0] * 10 + [1] * 20), np.array([0] * 7 + [1] * 20 + [0] * 3)
    point = learning_curve({0: guess}, truth, 2).points[0]
    assert point.uar.value == pytest.approx(balanced_accuracy_score(truth, guess))
    assert point.uar.low < point.uar.value < point.uar.high


def test_a_growing_curve_says_go_on_and_a_flat_one_stop():
    growing, flat = curve_of([0.5, 0.6, 0.7, 0.78, 0.85]), curve_of([0.9] * 12)
    assert growing.gain.low > 0 and not growing.may_stop and growing.advice.startswith("Go on")
    assert flat.gain.value < 1e-9 and flat.may_stop and flat.advice.startswith("You may stop")


def test_a_perfect_head_has_nothing_to_gain():
    gain = curve_of([0.5, 0.7, 0.9, 1.0]).gain
    assert (gain.value, gain.high) == (0.0, 0.0)


def test_the_interval_of_the_gain_holds_what_twenty_labels_bring():
    """Over curves that grow with the logarithm of the labels, with the luck of 80 test clips."""
    sizes = [0, 20, 40, 60, 80, 100]
    hits = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        expected = 0.5 + 0.12 * np.log((np.array([*sizes, 120]) + 20) / 20)
        values = rng.binomial(80, expected[:-1]) / 80
        replicates = rng.binomial(80, values, (500, 6)) / 80
        gain = extrapolate(sizes, values, replicates)
        hits += gain.low <= expected[-1] - expected[-2] <= gain.high
    assert hits >= 16


def test_too_few_tests_give_no_figure():
    few = curve_of([0.5, 0.9], tests=FEWEST_TESTS - 1)
    assert few.points == () and few.gain is None and not few.may_stop
    assert "19 test clips are labelled, a figure needs 20" in few.advice
    one = learning_curve({0: np.zeros(30, int)}, np.zeros(30, int), 2)
    assert one.points == () and "hold 1 emotion" in one.advice


def test_a_short_curve_is_not_extrapolated():
    assert curve_of([0.5, 0.6, 0.7]).gain is None
    assert advise(None, 50, 40)[0].startswith("Go on")


def test_few_test_clips_never_say_stop():
    assert not advise(Interval(value=0.0, low=0.0, high=0.0), 30, 100)[1]


def test_ties_have_no_majority():
    assert majority(np.array([[2, 1], [1, 1], [0, 3]])).tolist() == [0, -1, 1]
