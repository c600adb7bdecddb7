"""Judging: how good the predictions are, and how sure that is."""

from medxai_helpers.evaluation.calibration import (
    Scaling,
    calibration_error,
    calibration_floor,
    fit_temperature,
    fit_vector_scaling,
    reliability,
)
from medxai_helpers.evaluation.comparison import (
    AcrossSeeds,
    Comparison,
    DeLong,
    McNemar,
    across_seeds,
    compare,
    compare_metrics,
    compare_models,
    delong,
    mcnemar,
    sample_size,
)
from medxai_helpers.evaluation.corruption import corrupt, corruption_curve
from medxai_helpers.evaluation.curves import (
    at_thresholds,
    choose_thresholds,
    precision_recall_curves,
    predictive_values,
    roc_curves,
)
from medxai_helpers.evaluation.evaluate import EvaluationReport, evaluate, per_class_intervals
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
from medxai_helpers.evaluation.selection import ConformalSets, area_under_risk, conformal, risk_coverage
from medxai_helpers.evaluation.subgroups import subgroup_table

__all__ = [
    "METRICS",
    "AcrossSeeds",
    "Comparison",
    "ConformalSets",
    "DeLong",
    "Estimate",
    "EvaluationReport",
    "McNemar",
    "Metric",
    "Scaling",
    "across_seeds",
    "area_under_risk",
    "at_thresholds",
    "bootstrap_interval",
    "bootstrap_table",
    "calibration_error",
    "calibration_floor",
    "choose_thresholds",
    "compare",
    "compare_metrics",
    "compare_models",
    "conformal",
    "confusion_matrix",
    "corrupt",
    "corruption_curve",
    "delong",
    "evaluate",
    "fit_temperature",
    "fit_vector_scaling",
    "label_counts",
    "mcnemar",
    "mean_interval",
    "most_confused",
    "per_class_intervals",
    "per_class_report",
    "precision_recall_curves",
    "predictive_values",
    "ranking_report",
    "reliability",
    "risk_coverage",
    "roc_curves",
    "sample_size",
    "subgroup_table",
    "summary",
    "top_k",
    "top_losses",
    "wilson_interval",
]
