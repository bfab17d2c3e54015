"""Metrics of scores agree with scikit-learn and torchmetrics, with and without weights."""

import time

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import multiclass_auroc, multiclass_calibration_error

from bimodal.evaluation.metrics import (
    METRICS,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    risk_coverage,
    score_interval,
    softmax,
    weighted_adaptive_ece,
    weighted_aurc,
    weighted_auroc,
    weighted_brier,
    weighted_ece,
    weighted_nll,
)

WEIGHTED = [info.of_weighted for info in METRICS.values() if info.of_weighted is not None]


def made_up(rows=400, emotions=4, seed=0, decimals=2):
    """Scores with ties, as rounding makes them."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(emotions, size=rows)
    scores = softmax(rng.normal(size=(rows, emotions)) + 1.5 * np.eye(emotions)[targets]).round(decimals)
    return scores / scores.sum(axis=1, keepdims=True), targets


def test_with_weights_of_one_they_are_the_usual_metrics():
    scores, targets = made_up()
    ones = np.ones((1, len(targets)))
    assert weighted_nll(scores, targets, ones)[0] == pytest.approx(negative_log_likelihood(scores, targets))
    assert weighted_brier(scores, targets, ones)[0] == pytest.approx(brier_score(scores, targets))
    assert weighted_ece(scores, targets, ones)[0] == pytest.approx(expected_calibration_error(scores, targets))
    assert weighted_aurc(scores, targets, ones)[0] == pytest.approx(risk_coverage(scores, targets).area)


def test_auroc_agrees_with_scikit_learn_and_torchmetrics_also_with_ties_and_weights():
    scores, targets = made_up()
    found = weighted_auroc(scores, targets, np.ones((1, len(targets))))[0]
    assert found == pytest.approx(oracle.roc_auc_score(targets, scores, multi_class="ovr", average="macro"))
    theirs = multiclass_auroc(torch.tensor(scores), torch.tensor(targets), 4, average="macro")
    assert found == pytest.approx(float(theirs), abs=1e-6)
    weights = np.random.default_rng(1).integers(3, size=(2, len(targets))).astype(float)
    for row, value in zip(weights, weighted_auroc(scores, targets, weights), strict=True):
        each = [oracle.roc_auc_score(targets == one, scores[:, one], sample_weight=row) for one in range(4)]
        assert value == pytest.approx(np.mean(each))


def test_an_emotion_without_rows_is_left_out_of_auroc():
    scores, targets = made_up(emotions=3)
    wide = np.pad(scores, ((0, 0), (0, 1)))
    ones = np.ones((1, len(targets)))
    assert weighted_auroc(wide, targets, ones)[0] == pytest.approx(weighted_auroc(scores, targets, ones)[0])
    assert np.isnan(weighted_auroc(scores[:1], targets[:1], ones[:, :1])[0])


def test_calibration_error_agrees_with_torchmetrics():
    scores, targets = made_up(decimals=6)
    theirs = multiclass_calibration_error(torch.tensor(scores), torch.tensor(targets), 4, n_bins=15, norm="l1")
    assert weighted_ece(scores, targets, np.ones((1, len(targets))))[0] == pytest.approx(float(theirs), abs=1e-6)


def test_adaptive_calibration_error_takes_the_bins_of_scikit_learn():
    scores, targets = made_up(rows=402, decimals=6)  # no edge falls on a row, where rounding would decide
    top, right = scores.max(axis=1), scores.argmax(axis=1) == targets
    accuracy, confidence = calibration_curve(right, top, n_bins=15, strategy="quantile")
    edges = np.quantile(top, np.linspace(0, 1, 16))
    counts = np.bincount(np.searchsorted(edges[1:-1], top), minlength=15)
    expected = (np.abs(accuracy - confidence) * counts).sum() / counts.sum()
    assert weighted_adaptive_ece(scores, targets, np.ones((1, len(targets))))[0] == pytest.approx(expected)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("metric", WEIGHTED)
def test_a_weight_of_two_is_the_row_twice_and_one_of_zero_is_no_row(metric):
    scores, targets = made_up(rows=60)
    weights = np.random.default_rng(2).integers(3, size=60)
    found = metric(scores, targets, weights[None].astype(float))[0]
    if metric is not weighted_adaptive_ece:  # its bins stay
        again = np.repeat(np.arange(60), weights)
        assert found == pytest.approx(metric(scores[again], targets[again], np.ones((1, len(again))))[0])
    assert np.isnan(metric(scores, targets, np.zeros((1, 60)))[0])


def test_intervals_over_clusters_are_wider_than_over_rows_and_one_cluster_has_none():
    rng = np.random.default_rng(0)
    targets = rng.integers(3, size=600)
    ease = np.repeat(rng.normal(size=20) * 2, 30)[:, None]
    scores = softmax(rng.normal(size=(600, 3)) + (1 + ease) * np.eye(3)[targets])
    speakers = np.repeat(np.arange(20), 30).tolist()
    clustered = score_interval(scores, targets, speakers, weighted_nll)
    alone = score_interval(scores, targets, list(range(600)), weighted_nll)
    assert clustered.low < clustered.value < clustered.high
    assert clustered.high - clustered.low > 1.5 * (alone.high - alone.low)
    assert clustered == score_interval(scores, targets, speakers, weighted_nll)
    assert np.isnan(score_interval(scores, targets, [0] * 600, weighted_nll).low)


def test_the_interval_of_likelihood_is_near_that_of_the_normal_distribution():
    scores, targets = made_up(rows=900, decimals=6)
    each = -np.log(scores[np.arange(900), targets])
    found = score_interval(scores, targets, list(range(900)), weighted_nll)
    half = 1.96 * each.std() / 30
    assert found.low == pytest.approx(each.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(each.mean() + half, abs=0.15 * half)


def test_all_intervals_of_a_large_test_set_take_seconds():
    scores, targets = made_up(rows=2600, emotions=7)
    begin = time.process_time()
    for metric in WEIGHTED:
        score_interval(scores, targets, (np.arange(2600) % 200).tolist(), metric)
    assert time.process_time() - begin < 30
