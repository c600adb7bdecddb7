"""Architectures: one table, one builder."""

from medxai_helpers.models.attention import EncoderBlock, SelfAttention
from medxai_helpers.models.build import Cost, architecture_of, attention_of, build_model, model_cost, rebuild
from medxai_helpers.models.spec import Architecture, AttentionLayout, ModelSpec
from medxai_helpers.models.stages import freeze, train_mode
from medxai_helpers.models.table import MODELS, spec_of
from medxai_helpers.models.weights import load_weights, read_weights

__all__ = [
    "MODELS",
    "Architecture",
    "AttentionLayout",
    "Cost",
    "EncoderBlock",
    "ModelSpec",
    "SelfAttention",
    "architecture_of",
    "attention_of",
    "build_model",
    "freeze",
    "load_weights",
    "model_cost",
    "read_weights",
    "rebuild",
    "spec_of",
    "train_mode",
]
