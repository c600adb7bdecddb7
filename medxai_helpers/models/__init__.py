"""Architectures: one table, one builder."""

from medxai_helpers.models.table import MODELS, ModelSpec, build_model

__all__ = ["MODELS", "ModelSpec", "build_model"]
