"""Train a classifier from a finished pixel store, on a laptop or on many GPUs, and find finished runs again."""

from medxai_helpers.training.inputs import (
    FeatureStore,
    batches,
    cache_features,
    logits_of,
    to_input,
    to_training_input,
)
from medxai_helpers.training.loop import fit
from medxai_helpers.training.optimization import make_optimizer, rate_factor
from medxai_helpers.training.reuse import load_or_train
from medxai_helpers.training.runs import TrainingRun
from medxai_helpers.training.settings import TrainingSettings, autocast, best_precision, resolved

__all__ = [
    "FeatureStore",
    "TrainingRun",
    "TrainingSettings",
    "autocast",
    "batches",
    "best_precision",
    "cache_features",
    "fit",
    "load_or_train",
    "logits_of",
    "make_optimizer",
    "rate_factor",
    "resolved",
    "to_input",
    "to_training_input",
]
