"""Judging: how good the predictions are, and how sure that is."""

from medxai_helpers.evaluation.intervals import Estimate, bootstrap_interval, mean_interval, wilson_interval
from medxai_helpers.evaluation.report import confusion_matrix, most_confused, per_class_report, summary

__all__ = [
    "Estimate",
    "bootstrap_interval",
    "confusion_matrix",
    "mean_interval",
    "most_confused",
    "per_class_report",
    "summary",
    "wilson_interval",
]
