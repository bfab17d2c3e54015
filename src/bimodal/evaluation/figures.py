"""Figures with their intervals, as all parts of a report have them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bimodal.arrays import Doubles, Integers, ratio
from bimodal.evaluation import metrics
from bimodal.evaluation.predictions import Predictions

CONFIDENCE = 0.95

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A metric with its interval.

    Attributes:
        value: On all utterances; None if the metric is undefined.
        low: Lower end of the interval; None if there is no interval.
        high: Upper end of the interval; None if undefined.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    def shown(self, factor: float = 100, decimals: int = 1) -> str:
        """The value times a factor, with its interval where it has one.

        Example:
            >>> Estimate(value=0.675, low=0.61, high=0.732).shown(), Estimate(value=1.2345).shown(1, 3)
            ('67.5 [61.0, 73.2]', '1.234')
        """
        if self.value is None:
            return "-"
        value = f"{factor * self.value:.{decimals}f}"
        if self.low is None or self.high is None:
            return value
        return f"{value} [{factor * self.low:.{decimals}f}, {factor * self.high:.{decimals}f}]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """Difference between two systems.

    Attributes:
        value: First minus second, -1 to 1.
        low: Lower end of the interval; None if undefined.
        high: Upper end of the interval; None if undefined.
        p: Two-sided bootstrap p of "no difference"; None if undefined.
    """

    value: float | None
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Resampling:
    """How clusters are resampled.

    Attributes:
        replicates: How often; metrics of scores take at most `SCORE_REPLICATES`.
        seed: The same seed gives the same intervals.
    """

    replicates: int = 2000
    seed: int = 0

    @property
    def score_replicates(self) -> int:
        """How often for metrics of scores."""
        return min(self.replicates, metrics.SCORE_REPLICATES)


def known(value: float) -> float | None:
    """None for NaN, which JSON does not know.

    Example:
        >>> known(math.nan), known(0.5)
        (None, 0.5)
    """
    return None if math.isnan(value) else float(value)


def confusions_of(predictions: Predictions, system: str, rows: Mask) -> Integers:
    """One confusion matrix per cluster, (G, C, C), over chosen rows (N,)."""
    chosen, names = np.flatnonzero(rows).tolist(), predictions.emotions
    guesses = predictions.scores[system][rows].argmax(axis=1)
    return metrics.cluster_confusions(
        [names[predictions.targets[row]] for row in chosen],
        [names[guess] for guess in guesses],
        [predictions.clusters[row] for row in chosen],
        names,
    )


def estimate(confusions: Integers, metric: metrics.Metric, resampling: Resampling) -> Estimate:
    """A metric of confusion matrices (G, C, C) with its interval over clusters."""
    return as_estimate(metrics.bootstrap_interval(confusions, metric, **_options(resampling)))


def gain(first: Integers, second: Integers, metric: metrics.Metric, resampling: Resampling) -> Gain:
    """First minus second system in a metric of confusion matrices (G, C, C), over the same clusters."""
    found = metrics.paired_bootstrap(first, second, metric, **_options(resampling))
    return Gain(value=known(found.value), low=known(found.low), high=known(found.high), p=known(found.p))


def measure(metric: metrics.MetricInfo, predictions: Predictions, system: str, resampling: Resampling) -> Estimate:
    """A metric of the report over the rows that a system answered; one of scores is undefined for labels alone."""
    rows = predictions.answered(system)
    if metric.of_confusions is not None:
        return estimate(confusions_of(predictions, system, rows), metric.of_confusions, resampling)
    if predictions.labels_only(system):
        return Estimate(value=None)
    scores, targets = predictions.scores[system][rows], predictions.targets[rows]
    if metric.of_weighted is None:
        return Estimate(value=None if metric.of_scores is None else known(metric.of_scores(scores, targets)))
    clusters = [predictions.clusters[row] for row in np.flatnonzero(rows)]
    options = _options(resampling) | {"replicates": resampling.score_replicates}
    return as_estimate(metrics.score_interval(scores, targets, clusters, metric.of_weighted, **options))


def mean_estimate(values: Doubles, clusters: Sequence[str], resampling: Resampling) -> Estimate:
    """The mean of a value per row, (N,), with its interval over clusters.

    Example:
        >>> found = mean_estimate(np.array([0.0, 1.0, 1.0]), ["Ann", "Bob", "Cid"], Resampling(replicates=100))
        >>> round(found.value, 3), found.low, found.high
        (0.667, 0.0, 1.0)
    """
    return ratio_estimate(values, np.ones(len(values)), clusters, resampling)


def ratio_estimate(part: Doubles, whole: Doubles, clusters: Sequence[str], resampling: Resampling) -> Estimate:
    """The quotient of two sums over rows, both (N,), with its interval over clusters.

    Example:
        >>> ratio_estimate(np.array([1.0, 0.0]), np.array([1.0, 1.0]), ["Ann", "Ann"], Resampling(replicates=10))
        Estimate(value=0.5, low=None, high=None)
    """

    def quotient(scores: Doubles, targets: Integers, weights: Doubles) -> Doubles:
        return ratio(weights @ part, weights @ whole)

    nothing = np.zeros((len(part), 1))
    options = _options(resampling)
    return as_estimate(metrics.score_interval(nothing, np.zeros(len(part), np.int64), clusters, quotient, **options))


def as_estimate(found: metrics.Interval) -> Estimate:
    """An interval with None in place of NaN."""
    return Estimate(value=known(found.value), low=known(found.low), high=known(found.high))


def _options(resampling: Resampling) -> dict[str, Any]:
    return {"replicates": resampling.replicates, "confidence": CONFIDENCE, "seed": resampling.seed}
