"""Judging: how good the predictions are, and how sure that is."""

from medxai_helpers.evaluation.curves import (
    at_thresholds,
    choose_thresholds,
    precision_recall_curves,
    predictive_values,
    roc_curves,
)
from medxai_helpers.evaluation.intervals import (
    Estimate,
    bootstrap_interval,
    bootstrap_table,
    mean_interval,
    ranking_report,
    wilson_interval,
)
from medxai_helpers.evaluation.metrics import METRICS, Metric, top_k
from medxai_helpers.evaluation.report import (
    confusion_matrix,
    label_counts,
    most_confused,
    per_class_report,
    summary,
    top_losses,
)

__all__ = [
    "METRICS",
    "Estimate",
    "Metric",
    "at_thresholds",
    "bootstrap_interval",
    "bootstrap_table",
    "choose_thresholds",
    "confusion_matrix",
    "label_counts",
    "mean_interval",
    "most_confused",
    "per_class_report",
    "precision_recall_curves",
    "predictive_values",
    "ranking_report",
    "roc_curves",
    "summary",
    "top_k",
    "top_losses",
    "wilson_interval",
]
