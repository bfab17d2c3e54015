"""Intervals and paired differences by a bootstrap over clusters (speakers, dialogues)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bimodal.arrays import Doubles

Metric = Callable[[Doubles], Doubles]  # (..., C, C) to (...), such as unweighted_average_recall

REPLICATES_AT_ONCE = 250  # bounds memory: replicates x clusters counts are held at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A figure and the interval around it.

    Attributes:
        value: The figure on all data.
        low: Lower end; NaN if there is no interval.
        high: Upper end; NaN likewise.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """By how much one system beats another, over the same clusters.

    Attributes:
        value: First system minus second, on all data.
        low: Lower end of its interval; NaN if there is no interval.
        high: Upper end; NaN likewise.
        p: Two-sided bootstrap p of "no difference", above 0 and at most 1; NaN likewise.
    """

    value: float
    low: float
    high: float
    p: float


def _check_clusters(confusions: ArrayLike, replicates: int, confidence: float) -> Doubles:
    matrices = np.asarray(confusions, dtype=np.float64)
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or not matrices.size:
        msg = f"confusions have shape {matrices.shape}, expected (G, C, C) with at least one cluster"
        raise ValueError(msg)
    if replicates < 1 or not 0 < confidence < 1:
        msg = f"replicates is {replicates} and confidence {confidence}, expected at least 1 and between 0 and 1"
        raise ValueError(msg)
    return matrices


def _replicates(systems: Sequence[Doubles], metric: Metric, replicates: int, seed: int) -> Doubles:
    """The metric of each system (rows) on each replicate (columns), every system on the same resampled clusters.

    Clusters that look alike in every system are drawn as one kind: the same distribution, and quick where each
    utterance is a cluster.
    """
    rng = np.random.default_rng(seed)
    clusters = len(systems[0])
    kinds, sizes = np.unique(np.stack(systems, axis=1), axis=0, return_counts=True)  # (K, systems, C, C)
    parts = []
    for start in range(0, replicates, REPLICATES_AT_ONCE):
        size = min(REPLICATES_AT_ONCE, replicates - start)
        counts = rng.multinomial(clusters, sizes / clusters, size=size).astype(np.float64)
        sums = (counts @ kinds.reshape(len(kinds), -1)).reshape(size, *kinds.shape[1:])
        parts.append(metric(sums).T)
    return np.concatenate(parts, axis=1)


def interval_ends(values: Doubles, confidence: float) -> tuple[float, float]:
    """Ends of the percentile interval of replicates, those in which the metric is undefined left out.

    Example:
        >>> interval_ends(np.array([0.0, 1.0, np.nan]), 0.5)
        (0.25, 0.75)
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def bootstrap_interval(
    confusions: ArrayLike, metric: Metric, *, replicates: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """A metric with its percentile interval, clusters resampled with replacement (Efron 1979).

    Utterances of one speaker are alike; resampling utterances would pretend to more evidence than there is, so whole
    clusters are drawn. With few of them (below about 20) the interval is still too narrow. A replicate in which the
    metric is undefined is left out. One cluster tells nothing about another: its ends are NaN.

    Args:
        confusions: (G, C, C), from `cluster_confusions`.
        metric: Of `bimodal.evaluation.metrics.confusion`, or any function of (..., C, C).
        replicates: How many resamples.
        confidence: Of the interval, between 0 and 1.
        seed: Of the resampling; the same seed gives the same interval.

    Raises:
        ValueError: If shapes or numbers do not fit.

    Example:
        >>> from bimodal.evaluation.metrics import unweighted_average_recall
        >>> speakers = [[[9, 1], [2, 8]], [[5, 5], [1, 9]], [[7, 3], [4, 6]]]
        >>> found = bootstrap_interval(speakers, unweighted_average_recall)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (0.733, 0.65, 0.85)
    """
    matrices = _check_clusters(confusions, replicates, confidence)
    value = float(metric(matrices.sum(axis=0)))
    if len(matrices) < 2:
        return Interval(value=value, low=math.nan, high=math.nan)
    low, high = interval_ends(_replicates([matrices], metric, replicates, seed)[0], confidence)
    return Interval(value=value, low=low, high=high)


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    metric: Metric,
    *,
    replicates: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Metric of system a minus that of b, with interval and p, both evaluated on the same resampled clusters.

    p is twice the smaller share of replicates on either side of 0 (0 itself on both), with one added to counts and
    replicates so that it is never 0, and at most 1.

    Args:
        a: (G, C, C), from `cluster_confusions`.
        b: (G, C, C) of the other system, on the same utterances in the same order of clusters.
        metric: Of `bimodal.evaluation.metrics.confusion`, or any function of (..., C, C).
        replicates: How many resamples.
        confidence: Of the interval, between 0 and 1.
        seed: Of the resampling.

    Raises:
        ValueError: If shapes or numbers do not fit, or the true emotions of a cluster differ between a and b.

    Example:
        >>> from bimodal.evaluation.metrics import unweighted_average_recall
        >>> a = [[[9, 1], [2, 8]], [[8, 2], [1, 9]], [[9, 1], [4, 6]]]
        >>> b = [[[8, 2], [2, 8]], [[5, 5], [2, 8]], [[8, 2], [5, 5]]]
        >>> found = paired_bootstrap(a, b, unweighted_average_recall)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3), found.p < 0.01
        (0.117, 0.05, 0.2, True)
    """
    first, second = (_check_clusters(system, replicates, confidence) for system in (a, b))
    if first.shape != second.shape or not np.array_equal(first.sum(axis=2), second.sum(axis=2)):
        msg = f"systems of shape {first.shape} and {second.shape} do not share clusters with the same true emotions"
        raise ValueError(msg)
    value = float(metric(first.sum(axis=0))) - float(metric(second.sum(axis=0)))
    if len(first) < 2:
        return Difference(value=value, low=math.nan, high=math.nan, p=math.nan)
    scores = _replicates([first, second], metric, replicates, seed)
    differences = scores[0] - scores[1]
    low, high = interval_ends(differences, confidence)
    known = differences[~np.isnan(differences)]
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return Difference(value=value, low=low, high=high, p=min(1.0, 2.0 * (1 + smaller) / (1 + known.size)))


def ratio_interval(
    parts: ArrayLike, wholes: ArrayLike, *, replicates: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """The ratio of two sums over clusters with its percentile interval, as `bootstrap_interval`.

    Args:
        parts: (G,) numerators of the clusters, such as seconds that are wrong.
        wholes: (G,) denominators, such as seconds of speech.
        replicates: How many resamples.
        confidence: Of the interval, between 0 and 1.
        seed: Of the resampling.

    Returns:
        NaN as value where the denominators sum to 0, and as ends for a single cluster.

    Raises:
        ValueError: If shapes or numbers do not fit.

    Example:
        >>> ratio_interval([1.0, 2.0], [4.0, 4.0]).value
        0.375
    """
    pairs = np.stack([np.asarray(parts, np.float64), np.asarray(wholes, np.float64)], axis=-1)
    if pairs.ndim != 2 or not len(pairs) or replicates < 1 or not 0 < confidence < 1:
        msg = f"{pairs.shape[:-1]} clusters, {replicates} replicates, confidence {confidence}: expected (G,), 1, 0 to 1"
        raise ValueError(msg)
    counts = np.random.default_rng(seed).multinomial(len(pairs), [1 / len(pairs)] * len(pairs), size=replicates)
    parts_drawn, wholes_drawn = np.concatenate([pairs.sum(axis=0)[None], counts @ pairs]).T
    known = wholes_drawn != 0
    value, *drawn = np.divide(parts_drawn, wholes_drawn, out=np.full(len(known), math.nan), where=known)
    low, high = interval_ends(np.array(drawn), confidence) if len(pairs) > 1 else (math.nan, math.nan)
    return Interval(value=float(value), low=low, high=high)
