"""Metrics: pure functions on labels, scores and confusion matrices; numpy only.

`targets` are positions (N,) in the list of emotions; `truth` and `prediction` are the emotions themselves. ValueError,
with what was found and what was expected, where inputs do not fit.
"""

from bimodal.arrays import softmax
from bimodal.evaluation.metrics.bootstrap import Difference, Interval, Metric, bootstrap_interval, paired_bootstrap
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
from bimodal.evaluation.metrics.confusion import (
    accuracy,
    cluster_confusions,
    confusion_mass,
    confusion_matrix,
    count_confusions,
    macro_f1,
    recall_per_class,
    target_positions,
    unweighted_average_recall,
    weighted_f1,
)
from bimodal.evaluation.metrics.dimensions import concordance_correlation

__all__ = [
    "Difference",
    "Interval",
    "Metric",
    "ReliabilityBins",
    "RiskCoverage",
    "accuracy",
    "bootstrap_interval",
    "brier_score",
    "cluster_confusions",
    "concordance_correlation",
    "confusion_mass",
    "confusion_matrix",
    "count_confusions",
    "expected_calibration_error",
    "fit_temperature",
    "macro_f1",
    "negative_log_likelihood",
    "paired_bootstrap",
    "recall_per_class",
    "reliability_bins",
    "risk_coverage",
    "softmax",
    "target_positions",
    "unweighted_average_recall",
    "weighted_f1",
]
