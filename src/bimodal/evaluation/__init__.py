"""Evaluation: metrics, protocols and reports with confidence intervals. Without torch."""
