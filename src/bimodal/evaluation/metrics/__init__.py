"""Metrics: pure functions on labels, scores and confusion matrices; numpy only.

`targets` are positions (N,) in the list of emotions; `truth` and `prediction` are the emotions themselves. ValueError,
with what was found and what was expected, where inputs do not fit. `METRICS` lists those of a report.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import ArrayLike

from bimodal.arrays import softmax
from bimodal.evaluation.metrics.bootstrap import (
    Difference,
    Interval,
    Metric,
    bootstrap_interval,
    interval_ends,
    paired_bootstrap,
    ratio_interval,
)
from bimodal.evaluation.metrics.calibration import (
    ReliabilityBins,
    RiskCoverage,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_bins,
    risk_coverage,
)
from bimodal.evaluation.metrics.conformal import cluster_quantiles, coverage_per_class, label_sets
from bimodal.evaluation.metrics.confusion import (
    accuracy,
    cluster_confusions,
    confusion_mass,
    confusion_matrix,
    count_confusions,
    macro_f1,
    matthews_correlation,
    recall_per_class,
    target_positions,
    unweighted_average_recall,
    weighted_f1,
)
from bimodal.evaluation.metrics.dimensions import concordance_correlation
from bimodal.evaluation.metrics.turns import TimelineErrors, changes, timeline_errors
from bimodal.evaluation.metrics.weighted import (
    BINS,
    SCORE_REPLICATES,
    WeightedMetric,
    score_interval,
    weighted_adaptive_ece,
    weighted_aurc,
    weighted_auroc,
    weighted_brier,
    weighted_ece,
    weighted_nll,
)

__all__ = [
    "BINS",
    "METRICS",
    "SCORE_REPLICATES",
    "Difference",
    "Interval",
    "Metric",
    "MetricInfo",
    "ReliabilityBins",
    "RiskCoverage",
    "TimelineErrors",
    "WeightedMetric",
    "accuracy",
    "bootstrap_interval",
    "brier_score",
    "changes",
    "cluster_confusions",
    "cluster_quantiles",
    "concordance_correlation",
    "confusion_mass",
    "confusion_matrix",
    "count_confusions",
    "coverage_per_class",
    "expected_calibration_error",
    "fit_temperature",
    "interval_ends",
    "label_sets",
    "macro_f1",
    "matthews_correlation",
    "negative_log_likelihood",
    "paired_bootstrap",
    "ratio_interval",
    "recall_per_class",
    "reliability_bins",
    "risk_coverage",
    "score_interval",
    "softmax",
    "target_positions",
    "timeline_errors",
    "unweighted_average_recall",
    "weighted_adaptive_ece",
    "weighted_aurc",
    "weighted_auroc",
    "weighted_brier",
    "weighted_ece",
    "weighted_f1",
    "weighted_nll",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricInfo:
    """A metric of the report. It has one of three functions.

    Attributes:
        title: Name in tables; those of a share, from 0 to 1, are shown in percent.
        range: Least and greatest value.
        of_confusions: Takes confusion matrices (..., C, C), rows truth; gets an interval by bootstrap.
        of_weighted: Takes scores (N, C), targets (N,) and weights (R, N); gets an interval by bootstrap.
        of_scores: Takes scores (N, C) and targets (N,); has no interval.
        explained: A sentence for the reader of a table, such as how a calibration error bins; empty for the usual.
    """

    title: str
    range: tuple[float, float]
    of_confusions: Metric | None = None
    of_weighted: WeightedMetric | None = None
    of_scores: Callable[[ArrayLike, ArrayLike], float] | None = None
    explained: str = ""

    def __post_init__(self) -> None:
        """Refuse an entry with several functions, or with none."""
        if sum(one is not None for one in (self.of_confusions, self.of_weighted, self.of_scores)) != 1:
            raise ValueError(f"metric '{self.title}': expected one of of_confusions, of_weighted and of_scores")

    @property
    def is_share(self) -> bool:
        """Whether it lies between 0 and 1."""
        return self.range == (0.0, 1.0)


METRICS: dict[str, MetricInfo] = {
    "uar": MetricInfo(title="UAR", range=(0.0, 1.0), of_confusions=unweighted_average_recall),
    "accuracy": MetricInfo(title="WA", range=(0.0, 1.0), of_confusions=accuracy),
    "macro_f1": MetricInfo(title="macro F1", range=(0.0, 1.0), of_confusions=macro_f1),
    "weighted_f1": MetricInfo(title="weighted F1", range=(0.0, 1.0), of_confusions=weighted_f1),
    "mcc": MetricInfo(title="MCC", range=(-1.0, 1.0), of_confusions=matthews_correlation),
    "auroc": MetricInfo(
        title="AUROC",
        range=(0.0, 1.0),
        of_weighted=weighted_auroc,
        explained="AUROC is the mean over emotions, each against the rest; 50 % is chance",
    ),
    "nll": MetricInfo(title="NLL", range=(0.0, math.inf), of_weighted=weighted_nll),
    "brier": MetricInfo(title="Brier", range=(0.0, 2.0), of_weighted=weighted_brier),
    "ece": MetricInfo(
        title="ECE",
        range=(0.0, 1.0),
        of_weighted=weighted_ece,
        explained=f"ECE takes {BINS} bins of confidence of equal width",
    ),
    "adaptive_ece": MetricInfo(
        title="adaptive ECE",
        range=(0.0, 1.0),
        of_weighted=weighted_adaptive_ece,
        explained=f"adaptive ECE takes {BINS} bins of about as many utterances each; resampling makes both larger, so "
        "their intervals lie high",
    ),
    "aurc": MetricInfo(
        title="AURC",
        range=(0.0, 1.0),
        of_weighted=weighted_aurc,
        explained="AURC is the mean error among the most confident answers, over all coverages; lower is better",
    ),
}
"""The metrics of a report, in the order of its columns; the keys are the fields of report.json."""
