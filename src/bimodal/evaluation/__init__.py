"""How good is a model, and how sure are we: all systems side by side, with intervals; without torch."""

from bimodal.evaluation.describe import comparison_sentences, describe, describe_markdown
from bimodal.evaluation.plots import plot_report
from bimodal.evaluation.predictions import (
    SYSTEMS,
    Predictions,
    concatenate,
    late_fusion,
    read_predictions,
    write_predictions,
)
from bimodal.evaluation.report import Comparison, Estimate, Gain, Report, SystemReport, evaluate
from bimodal.evaluation.writing import encode_report, read_report, write_report

__all__ = [
    "SYSTEMS", "Comparison", "Estimate", "Gain", "Predictions", "Report", "SystemReport", "comparison_sentences",
    "concatenate", "describe", "describe_markdown", "encode_report", "evaluate", "late_fusion", "plot_report",
    "read_predictions", "read_report", "write_predictions", "write_report",
]  # fmt: skip
