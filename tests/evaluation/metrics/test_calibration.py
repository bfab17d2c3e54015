import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from bimodal.evaluation.metrics import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_bins,
    risk_coverage,
    softmax,
)


def random_scores(rows, emotions=4, seed=0):
    rng = np.random.default_rng(seed)
    return softmax(rng.normal(size=(rows, emotions)) * 2), rng.integers(emotions, size=rows)


def test_likelihood_and_brier_score_agree_with_scikit_learn():
    scores, targets = random_scores(200)
    assert negative_log_likelihood(scores, targets) == pytest.approx(oracle.log_loss(targets, scores))
    expected = oracle.brier_score_loss(targets, scores, labels=range(4), scale_by_half=False)
    assert brier_score(scores, targets) == pytest.approx(expected)


def test_likelihood_and_brier_score_at_their_ends():
    assert negative_log_likelihood([[1.0, 0.0]], [0]) == 0.0
    assert negative_log_likelihood([[1.0, 0.0]], [1]) == pytest.approx(-math.log(np.finfo(float).eps))
    assert brier_score([[1.0, 0.0]], [0]) == 0.0
    assert brier_score([[1.0, 0.0]], [1]) == 2.0


def test_calibration_error_worked_by_hand():
    # Bins of width 0.5 hold tops 0.5 (upper edge; wrong), and 0.9, 0.7 (one right).
    scores = [[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]]
    found = reliability_bins(scores, [1, 0, 0], bins=2)
    assert found.count.tolist() == [1, 2]
    assert found.confidence == pytest.approx([0.5, 0.8])
    assert found.accuracy == pytest.approx([0.0, 0.5])
    assert expected_calibration_error(scores, [1, 0, 0], bins=2) == pytest.approx((0.5 + 2 * 0.3) / 3)


def test_calibration_error_agrees_with_a_loop_over_bins():
    scores, targets = random_scores(500)
    top, right = scores.max(axis=1), scores.argmax(axis=1) == targets
    expected = 0.0
    for low, high in zip(np.arange(15) / 15, np.arange(1, 16) / 15, strict=True):
        inside = (top > low) & (top <= high)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    assert expected_calibration_error(scores, targets) == pytest.approx(expected)
    assert reliability_bins(scores, targets).count.sum() == 500


def test_scores_drawn_from_themselves_are_calibrated_and_sure_mistakes_are_not():
    rng = np.random.default_rng(2)
    scores = softmax(rng.normal(size=(20_000, 3)))
    targets = (rng.random((20_000, 1)) > scores.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    assert expected_calibration_error(scores, targets) < 0.02
    assert expected_calibration_error([[1.0, 0.0]] * 3, [1, 1, 1]) == 1.0


def test_scores_that_are_no_probabilities_and_targets_that_do_not_fit_are_refused():
    good = [[0.5, 0.5]]
    for scores, targets, message in [
        ([[0.5, 0.6]], [0], "row 0 is .* sum to 1"),
        ([[0.5, 0.5], [1.5, -0.5]], [0, 0], "row 1 is"),
        ([[math.nan, 1.0]], [0], "row 0 holds a number that is not finite"),
        (good, [2], "int64 2 to 2, expected integers 0 to 1"),
        (good, [-1], "expected integers 0 to 1"),
        (good, [0.5], "float64"),
        (good, [0, 1], r"\(1, 2\) and \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0, dtype=int), "at least 1"),
    ]:
        for metric in (negative_log_likelihood, brier_score, expected_calibration_error, risk_coverage):
            with pytest.raises(ValueError, match=message):
                metric(scores, targets)
    with pytest.raises(ValueError, match="bins is 0"):
        reliability_bins(good, [0], bins=0)


def test_risk_and_coverage_worked_by_hand():
    # Confidences 0.9 right, 0.8 wrong, 0.8 right, 0.6 wrong.
    curve = risk_coverage([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1, 1])
    assert curve.threshold == pytest.approx([0.9, 0.8, 0.6])
    assert curve.coverage == pytest.approx([0.25, 0.75, 1.0])
    assert curve.risk == pytest.approx([0.0, 1 / 3, 0.5])
    assert curve.area == pytest.approx(0.5 / 3 + 0.5 / 4)


def test_risk_at_full_coverage_is_the_error_and_order_never_matters():
    scores, targets = random_scores(100)
    scores = scores.round(1)
    scores /= scores.sum(axis=1, keepdims=True)
    curve = risk_coverage(scores, targets)
    order = np.random.default_rng(3).permutation(100)
    again = risk_coverage(scores[order], targets[order])
    assert curve.coverage[-1] == 1.0
    assert curve.risk[-1] == pytest.approx((scores.argmax(axis=1) != targets).mean())
    np.testing.assert_array_equal(curve.risk, again.risk)
    assert 0 <= curve.area <= 1
    answered = scores.max(axis=1) >= curve.threshold[3]
    assert curve.coverage[3] == pytest.approx(answered.mean())


def test_softmax_survives_huge_logits_and_refuses_a_temperature_of_0():
    assert softmax([[1e5, 0.0], [-1e5, -1e5]]).tolist() == [[1.0, 0.0], [0.5, 0.5]]
    assert softmax([0.0, 2.0], 2.0) == pytest.approx(softmax([0.0, 1.0]))
    with pytest.raises(ValueError, match="temperature is 0"):
        softmax([0.0], 0)


def test_the_temperature_that_sharpened_logits_is_found_again():
    rng = np.random.default_rng(6)
    logits = rng.normal(size=(4000, 4)) * 2
    targets = (rng.random((4000, 1)) > softmax(logits).cumsum(axis=1)).sum(axis=1).clip(0, 3)
    assert fit_temperature(logits, targets) == pytest.approx(1.0, abs=0.07)
    assert fit_temperature(logits * 3, targets) == pytest.approx(3 * fit_temperature(logits, targets), rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.1, 8.0))
def test_no_temperature_in_the_neighbourhood_is_better(seed, scale):
    rng = np.random.default_rng(seed)
    logits, targets = rng.normal(size=(30, 3)) * scale, rng.integers(3, size=30)
    logits[np.arange(20), targets[:20]] += scale
    best = fit_temperature(logits, targets)
    assert 0.05 <= best <= 20
    least = negative_log_likelihood(softmax(logits, best), targets)
    for other in (0.05, best * 0.9, best * 1.1, 20.0):
        if 0.05 <= other <= 20:
            assert least <= negative_log_likelihood(softmax(logits, other), targets) + 1e-12


def test_temperatures_at_the_bounds():
    assert fit_temperature([[5.0, 0.0], [0.0, 5.0]], [0, 1]) == 0.05
    assert fit_temperature([[5.0, 0.0], [0.0, 5.0]], [1, 0]) == 20.0
    assert fit_temperature([[5.0, 5.0], [1.0, 1.0]], [1, 0]) == 1.0
    with pytest.raises(ValueError, match="not finite"):
        fit_temperature([[math.inf, 0.0]], [0])


def test_a_temperature_fits_distributions_as_their_repetition_would():
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(200, 3))
    shares = rng.multinomial(4, [0.5, 0.3, 0.2], size=200) / 4
    repeated = [target for row in shares for target, share in enumerate(row) for _ in range(round(4 * share))]
    expected = fit_temperature(np.repeat(logits, 4, axis=0), repeated)
    assert fit_temperature(logits, shares) == pytest.approx(expected, rel=1e-6)
    hard = rng.integers(3, size=200)
    assert fit_temperature(logits, np.eye(3)[hard]) == pytest.approx(fit_temperature(logits, hard), rel=1e-9)
    with pytest.raises(ValueError, match="sum to 1"):
        fit_temperature(logits, shares * 2)
