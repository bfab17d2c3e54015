"""Metrics of scores: how likely, how calibrated, what abstaining buys; and the temperature that calibrates them."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bimodal.arrays import Doubles, Integers, ratio, softmax

COLDEST, HOTTEST = 0.05, 20.0  # bounds of a fitted temperature


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBins:
    """What a reliability plot shows, per bin of confidence (M bins of equal width).

    Attributes:
        edges: (M + 1,), from 0 to 1; a bin holds its upper edge.
        confidence: (M,) mean score of the predicted emotion; NaN if empty.
        accuracy: (M,) share of right predictions; NaN if empty.
        count: (M,) utterances.
    """

    edges: Doubles
    confidence: Doubles
    accuracy: Doubles
    count: Integers


@dataclass(frozen=True, kw_only=True, slots=True)
class RiskCoverage:
    """What abstaining buys: the error among those answered, from answering few to all.

    Attributes:
        threshold: (K,) distinct confidences, falling; an utterance is answered from its threshold up.
        coverage: (K,) share answered, rising to 1.
        risk: (K,) share of wrong predictions among those answered.
        area: Area under risk over coverage (AURC), 0 to 1, lower is better.
    """

    threshold: Doubles
    coverage: Doubles
    risk: Doubles
    area: float


def _check_targets(rows: ArrayLike, targets: ArrayLike) -> tuple[Doubles, Integers]:
    """Rows (N, C) and targets (N,) as arrays, refused where they do not fit."""
    values, truth = np.asarray(rows, dtype=np.float64), np.asarray(targets)
    if values.ndim != 2 or truth.shape != values.shape[:1] or not values.size:
        msg = f"shapes are {values.shape} and {truth.shape}, expected (N, C) and (N,) with N and C of at least 1"
        raise ValueError(msg)
    if truth.dtype.kind not in "iu" or truth.min() < 0 or truth.max() >= values.shape[1]:
        msg = f"targets are {truth.dtype} {truth.min()} to {truth.max()}, expected integers 0 to {values.shape[1] - 1}"
        raise ValueError(msg)
    if not np.isfinite(values).all():
        msg = f"row {int(np.argmin(np.isfinite(values).all(axis=1)))} holds a number that is not finite"
        raise ValueError(msg)
    return values, truth.astype(np.int64)


def _check_scores(scores: ArrayLike, targets: ArrayLike) -> tuple[Doubles, Integers]:
    """The same for scores, whose rows must be probabilities."""
    values, truth = _check_targets(scores, targets)
    sums = values.sum(axis=1)
    wrong = (values < 0).any(axis=1) | (np.abs(sums - 1.0) > 1e-3)
    if wrong.any():
        row = int(np.argmax(wrong))
        msg = f"row {row} is {values[row].tolist()}, expected probabilities that sum to 1; see `softmax`"
        raise ValueError(msg)
    return values, truth


def _true_logits(logits: ArrayLike, targets: NDArray[Any]) -> tuple[Doubles, Doubles]:
    """Logits (N, C), and the true one of each row (N,): the expected one where the truth is a distribution."""
    if targets.ndim == 2:
        shares, truth = _check_scores(targets, targets.argmax(axis=1))
        values, _ = _check_targets(logits, truth)
        return values, (shares * values).sum(axis=1)
    values, truth = _check_targets(logits, targets)
    return values, values[np.arange(len(truth)), truth]


def negative_log_likelihood(scores: ArrayLike, targets: ArrayLike) -> float:
    """Mean -ln of the true emotion's score, in nats, at least 0; a score of 0 counts as 2e-16, as in scikit-learn.

    Args:
        scores: (N, C), rows sum to 1.
        targets: (N,) positions.

    Raises:
        ValueError: If shapes, targets or scores do not fit.

    Example:
        >>> round(negative_log_likelihood([[0.5, 0.5], [0.25, 0.75]], [0, 1]), 4)
        0.4904
    """
    values, truth = _check_scores(scores, targets)
    true_scores = values[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(true_scores, np.finfo(np.float64).eps, 1.0)).mean())


def brier_score(scores: ArrayLike, targets: ArrayLike) -> float:
    """Mean squared distance of the scores from the truth, summed over the emotions, 0 to 2 (Brier 1950).

    Args:
        scores: As in `negative_log_likelihood`.
        targets: As in `negative_log_likelihood`.

    Raises:
        ValueError: As in `negative_log_likelihood`.

    Example:
        >>> brier_score([[0.5, 0.5], [0.25, 0.75]], [0, 1])  # (0.5 + 0.125) / 2
        0.3125
    """
    values, truth = _check_scores(scores, targets)
    return float(np.square(values - np.eye(values.shape[1])[truth]).sum(axis=1).mean())


def reliability_bins(scores: ArrayLike, targets: ArrayLike, bins: int = 15) -> ReliabilityBins:
    """Confidence and accuracy per bin of confidence, for a reliability plot.

    Args:
        scores: As in `negative_log_likelihood`.
        targets: Positions (N,).
        bins: M, of equal width over 0 to 1.

    Raises:
        ValueError: If shapes, targets or scores do not fit, or there is no bin.

    Example:
        >>> found = reliability_bins([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1], bins=2)
        >>> found.count.tolist(), found.accuracy.round(2).tolist()
        ([0, 3], [nan, 0.67])
    """
    values, truth = _check_scores(scores, targets)
    if bins < 1:
        msg = f"bins is {bins}, expected at least 1"
        raise ValueError(msg)
    edges = np.linspace(0.0, 1.0, bins + 1)
    top = values.max(axis=1)
    where = np.clip(np.searchsorted(edges, top, side="left") - 1, 0, bins - 1)
    count = np.bincount(where, minlength=bins)
    right = np.bincount(where, weights=values.argmax(axis=1) == truth, minlength=bins)
    sure = np.bincount(where, weights=top, minlength=bins)
    return ReliabilityBins(edges=edges, confidence=ratio(sure, count), accuracy=ratio(right, count), count=count)


def expected_calibration_error(scores: ArrayLike, targets: ArrayLike, bins: int = 15) -> float:
    """ECE: mean gap between confidence and accuracy over bins, weighted by count, 0 to 1 (Guo 2017, arXiv 1706.04599).

    Biased upwards on few utterances: read it beside the reliability plot and the count.

    Args:
        scores: As in `negative_log_likelihood`.
        targets: As in `negative_log_likelihood`.
        bins: Of equal width over 0 to 1; a bin holds its upper edge.

    Raises:
        ValueError: As in `negative_log_likelihood`, or there is no bin.

    Example:
        >>> round(expected_calibration_error([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1], bins=2), 4)  # 2.3/3 - 2/3
        0.1
    """
    found = reliability_bins(scores, targets, bins)
    gaps = np.abs(np.nan_to_num(found.accuracy - found.confidence))
    return float((gaps * found.count).sum() / found.count.sum())


def risk_coverage(scores: ArrayLike, targets: ArrayLike) -> RiskCoverage:
    """Error among the answered as the confidence asked for falls (Geifman and El-Yaniv 2017, arXiv 1705.08500).

    Confidence is the top score. Utterances of equal confidence are answered together, so their order never matters.

    Args:
        scores: As in `negative_log_likelihood`.
        targets: Positions (N,).

    Raises:
        ValueError: If shapes, targets or scores do not fit.

    Example:
        >>> curve = risk_coverage([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1])
        >>> curve.threshold.tolist(), curve.coverage.round(2).tolist(), curve.risk.round(2).tolist()
        ([0.9, 0.8, 0.6], [0.33, 0.67, 1.0], [0.0, 0.5, 0.33])
    """
    values, truth = _check_scores(scores, targets)
    rising, group = np.unique(values.max(axis=1), return_inverse=True)
    size = np.bincount(group)[::-1]
    wrong = np.bincount(group, weights=values.argmax(axis=1) != truth)[::-1]
    risk = wrong.cumsum() / size.cumsum()
    share = size / len(truth)
    return RiskCoverage(
        threshold=rising[::-1], coverage=size.cumsum() / len(truth), risk=risk, area=float((risk * share).sum())
    )


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> float:
    """The temperature that makes the scores most likely, 0.05 to 20 (Guo 2017, arXiv 1706.04599).

    The NLL is convex in 1 / T, so the sign of its slope, the mean of (expected logit - true logit), is bisected over
    log T until T is known to about 1e-12. Fit it on data that neither trained the model nor is reported. Logits that
    are right everywhere want T = 0 and get the lower bound, logits worse than chance the upper; logits that do not
    differ within any row carry nothing to scale, and T is 1.

    Args:
        logits: (N, C), finite.
        targets: (N,) positions, or (N, C) distributions, whose cross-entropy is then made least.

    Raises:
        ValueError: If shapes or targets do not fit or a logit is not finite.

    Example:
        >>> logits = np.log([[0.9, 0.1]] * 4)  # 90 % sure, but right in 3 of 4
        >>> temperature = fit_temperature(logits, [0, 0, 0, 1])
        >>> softmax(logits, temperature)[0].round(4).tolist()
        [0.75, 0.25]
    """
    values, true_logits = _true_logits(logits, np.asarray(targets))
    if not np.ptp(values, axis=1).any():
        return 1.0

    def too_sure(log_temperature: float) -> bool:
        expected = (softmax(values, math.exp(log_temperature)) * values).sum(axis=1)
        return bool((expected - true_logits).mean() > 0)

    low, high = math.log(COLDEST), math.log(HOTTEST)
    if not too_sure(low):
        return COLDEST
    if too_sure(high):
        return HOTTEST
    for _ in range(42):  # 6 / 2**42
        middle = (low + high) / 2
        low, high = (middle, high) if too_sure(middle) else (low, middle)
    return math.exp((low + high) / 2)
