"""Metrics of scores under weights of the rows, so that a bootstrap over clusters is one call on many replicates.

Each function takes scores (N, C) whose rows sum to 1, targets (N,) and weights (R, N) of at least 0, such as how often
each row was drawn. It gives one value for each replicate, (R,); NaN where the metric is undefined.
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from bimodal.arrays import Doubles, Integers, mean_of_known, ratio
from bimodal.evaluation.metrics.bootstrap import REPLICATES_AT_ONCE, Interval, interval_ends

BINS = 15  # of both calibration errors
SCORE_REPLICATES = 500  # of metrics of scores, which take longer than those of confusions

WeightedMetric = Callable[[Doubles, Integers, Doubles], Doubles]


def weighted_nll(scores: Doubles, targets: Integers, weights: Doubles) -> Doubles:
    """Negative log-likelihood, see `negative_log_likelihood`.

    Example:
        >>> weighted_nll(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1]), np.array([[1, 1], [1, 0]])).round(3)
        array([0.49 , 0.693])
    """
    true = scores[np.arange(len(targets)), targets]
    return _mean(-np.log(np.clip(true, np.finfo(np.float64).eps, 1.0)), weights)


def weighted_brier(scores: Doubles, targets: Integers, weights: Doubles) -> Doubles:
    """Brier score, see `brier_score`.

    Example:
        >>> weighted_brier(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1]), np.array([[1, 1], [1, 0]]))
        array([0.3125, 0.5   ])
    """
    return _mean(np.square(scores - np.eye(scores.shape[1])[targets]).sum(axis=1), weights)


def weighted_ece(scores: Doubles, targets: Integers, weights: Doubles) -> Doubles:
    """Expected calibration error over 15 bins of equal width, see `expected_calibration_error`.

    Example:
        >>> weighted_ece(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]), np.array([[1, 1], [1, 0]])).round(2)
        array([0.35, 0.1 ])
    """
    return _gaps(scores, targets, weights, np.linspace(0.0, 1.0, BINS + 1)[1:-1])


def weighted_adaptive_ece(scores: Doubles, targets: Integers, weights: Doubles) -> Doubles:
    """Calibration error over 15 bins of confidence that hold about as many rows each (Nguyen and O'Connor 2015).

    The bins are those of all rows, as in scikit-learn's `calibration_curve(strategy="quantile")`; the weights do not
    move them.

    Example:
        >>> weighted_adaptive_ece(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]), np.ones((1, 2))).round(2)
        array([0.35])
    """
    edges = np.quantile(scores.max(axis=1), np.linspace(0.0, 1.0, BINS + 1))[1:-1]
    return _gaps(scores, targets, weights, edges)


def weighted_auroc(scores: Doubles, targets: Integers, weights: Doubles) -> Doubles:
    """Macro AUROC, one emotion against the rest: the mean over those with rows of both kinds; equal scores count half.

    Equal to scikit-learn's `roc_auc_score(multi_class="ovr", average="macro")` where all emotions occur.

    Example:
        >>> weighted_auroc(np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4]]), np.array([0, 1, 1]), np.ones((1, 3)))
        array([1.])
    """
    each = [_auroc(scores[:, one], targets == one, weights) for one in range(scores.shape[1])]
    return np.atleast_1d(mean_of_known(np.stack(each, axis=-1)))


def weighted_aurc(scores: Doubles, targets: Integers, weights: Doubles) -> Doubles:
    """Area under risk over coverage, see `risk_coverage`.

    Example:
        >>> scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
        >>> weighted_aurc(scores, np.array([0, 1, 1]), np.ones((1, 3))).round(4)
        array([0.2778])
    """
    confidence = scores.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    ends = _group_ends(confidence[order])
    drawn = weights[:, order]
    total = drawn.cumsum(axis=1)[:, ends]
    wrong = (drawn * (scores.argmax(axis=1) != targets)[order]).cumsum(axis=1)[:, ends]
    risk = np.nan_to_num(ratio(wrong, total))  # nothing is answered yet: its share of the rows is 0, too
    share = np.diff(total, axis=1, prepend=0.0)
    return ratio((risk * share).sum(axis=1), total[:, -1])


def score_interval(
    scores: ArrayLike,
    targets: ArrayLike,
    clusters: Sequence[Hashable],
    metric: WeightedMetric,
    *,
    replicates: int = SCORE_REPLICATES,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A metric of scores with its percentile interval, clusters resampled with replacement, as `bootstrap_interval`.

    Args:
        scores: (N, C), rows sum to 1.
        targets: (N,) positions.
        clusters: (N,) speaker or dialogue of each row. With one alone the ends are NaN.
        metric: A function of this module.
        replicates: How many resamples.
        confidence: Of the interval, between 0 and 1.
        seed: Of the resampling; the same seed gives the same interval.

    Example:
        >>> scores, targets = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], [0, 1, 1, 1]
        >>> found = score_interval(scores, targets, ["Ann", "Ann", "Bob", "Bob"], weighted_nll, replicates=100)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (0.4, 0.164, 0.636)
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(targets, np.int64)
    whole = float(metric(values, truth, np.ones((1, len(truth))))[0])
    first: dict[Hashable, int] = {}
    place = np.array([first.setdefault(cluster, len(first)) for cluster in clusters], np.int64)
    if len(first) < 2:
        return Interval(value=whole, low=np.nan, high=np.nan)
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, replicates, REPLICATES_AT_ONCE):
        size = min(REPLICATES_AT_ONCE, replicates - start)
        drawn = rng.multinomial(len(first), np.full(len(first), 1 / len(first)), size=size)
        parts.append(metric(values, truth, drawn[:, place].astype(np.float64)))
    low, high = interval_ends(np.concatenate(parts), confidence)
    return Interval(value=whole, low=low, high=high)


def _mean(each: Doubles, weights: Doubles) -> Doubles:
    return ratio(weights @ each, weights.sum(axis=1))


def _gaps(scores: Doubles, targets: Integers, weights: Doubles, inner: Doubles) -> Doubles:
    """Mean distance of confidence and accuracy over bins; a bin holds its upper edge.

    Args:
        scores: (N, C).
        targets: (N,).
        weights: (R, N).
        inner: Edges between the bins, rising.
    """
    top = scores.max(axis=1)
    inside = np.eye(len(inner) + 1)[np.searchsorted(inner, top, side="left")]
    over = (scores.argmax(axis=1) == targets) - top
    return ratio(np.abs(weights @ (inside * over[:, None])).sum(axis=1), weights.sum(axis=1))


def _group_ends(ordered: Doubles) -> Integers:
    """Position of the last of each run of equal values."""
    return np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1).astype(np.int64)


def _auroc(score: Doubles, positive: ArrayLike, weights: Doubles) -> Doubles:
    """Share of the pairs of a positive and a negative row that the score orders rightly, (R,)."""
    order = np.argsort(score, kind="stable")
    ends = _group_ends(score[order])
    drawn, here = weights[:, order], np.asarray(positive)[order]
    hits = (drawn * here).cumsum(axis=1)[:, ends]
    misses = (drawn * ~here).cumsum(axis=1)[:, ends]
    each = np.diff(hits, axis=1, prepend=0.0)
    below = misses - np.diff(misses, axis=1, prepend=0.0) / 2
    return ratio((each * below).sum(axis=1), hits[:, -1] * misses[:, -1])
