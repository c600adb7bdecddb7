"""medxai: the small package behind an executable book on medical image classification and its explanation.

Importing it is light: every name below is loaded from its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medxai_helpers.augmentation import AugmentationPolicy, ImageAugmenter, augment_batch, augment_with_masks
    from medxai_helpers.cohorts import (
        Cohort,
        DatasetCard,
        LeakageReport,
        Split,
        check_leakage,
        make_split,
        merge_groups,
        official_split,
    )
    from medxai_helpers.datasets import CATALOGUE, cohort_from_csv, cohort_from_folder, load_dataset
    from medxai_helpers.evaluation import (
        METRICS,
        Estimate,
        Metric,
        at_thresholds,
        bootstrap_interval,
        bootstrap_table,
        choose_thresholds,
        confusion_matrix,
        label_counts,
        mean_interval,
        most_confused,
        per_class_report,
        precision_recall_curves,
        predictive_values,
        roc_curves,
        summary,
        top_k,
        top_losses,
        wilson_interval,
    )
    from medxai_helpers.explanation import (
        METHODS,
        Heatmaps,
        WatchedAttention,
        attention_relevance,
        attention_rollout,
        contrast,
        grad_cam,
    )
    from medxai_helpers.explanation.explain import explain
    from medxai_helpers.models import MODELS, attention_of, build_model, freeze, model_cost, spec_of
    from medxai_helpers.pixels import PixelStore, build_store, stream
    from medxai_helpers.predictions import Predictions, predict
    from medxai_helpers.preprocessing import Preprocessing
    from medxai_helpers.records import RunRecord, make_record
    from medxai_helpers.runtime import Runtime, current, seeded
    from medxai_helpers.training import TrainingRun, TrainingSettings, fit

__version__ = "0.1.0"

_HOMES = {
    "augmentation": ("AugmentationPolicy", "ImageAugmenter", "augment_batch", "augment_with_masks"),
    "cohorts": (
        "Cohort",
        "DatasetCard",
        "LeakageReport",
        "Split",
        "check_leakage",
        "make_split",
        "merge_groups",
        "official_split",
    ),
    "datasets": ("CATALOGUE", "cohort_from_csv", "cohort_from_folder", "load_dataset"),
    "evaluation": (
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
        "roc_curves",
        "summary",
        "top_k",
        "top_losses",
        "wilson_interval",
    ),
    "explanation": (
        "METHODS",
        "Heatmaps",
        "WatchedAttention",
        "attention_relevance",
        "attention_rollout",
        "contrast",
        "explain",
        "grad_cam",
    ),
    "models": ("MODELS", "attention_of", "build_model", "freeze", "model_cost", "spec_of"),
    "pixels": ("PixelStore", "build_store", "stream"),
    "predictions": ("Predictions", "predict"),
    "preprocessing": ("Preprocessing",),
    "records": ("RunRecord", "make_record"),
    "runtime": ("Runtime", "current", "seeded"),
    "training": ("TrainingRun", "TrainingSettings", "fit"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = [
    "CATALOGUE",
    "METHODS",
    "METRICS",
    "MODELS",
    "AugmentationPolicy",
    "Cohort",
    "DatasetCard",
    "Estimate",
    "Heatmaps",
    "ImageAugmenter",
    "LeakageReport",
    "Metric",
    "PixelStore",
    "Predictions",
    "Preprocessing",
    "RunRecord",
    "Runtime",
    "Split",
    "TrainingRun",
    "TrainingSettings",
    "WatchedAttention",
    "at_thresholds",
    "attention_of",
    "attention_relevance",
    "attention_rollout",
    "augment_batch",
    "augment_with_masks",
    "bootstrap_interval",
    "bootstrap_table",
    "build_model",
    "build_store",
    "check_leakage",
    "choose_thresholds",
    "cohort_from_csv",
    "cohort_from_folder",
    "confusion_matrix",
    "contrast",
    "current",
    "explain",
    "fit",
    "freeze",
    "grad_cam",
    "label_counts",
    "load_dataset",
    "make_record",
    "make_split",
    "mean_interval",
    "merge_groups",
    "model_cost",
    "most_confused",
    "official_split",
    "per_class_report",
    "precision_recall_curves",
    "predict",
    "predictive_values",
    "roc_curves",
    "seeded",
    "spec_of",
    "stream",
    "summary",
    "top_k",
    "top_losses",
    "wilson_interval",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
