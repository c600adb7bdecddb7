"""Explaining: which parts of an image a model's score rests on, and how far to believe the answer."""

from medxai_helpers.explanation.attention import WatchedAttention, attention_relevance, attention_rollout
from medxai_helpers.explanation.cam import grad_cam
from medxai_helpers.explanation.explain import METHODS, Method, explain
from medxai_helpers.explanation.heatmaps import Heatmaps
from medxai_helpers.explanation.targets import contrast

__all__ = [
    "METHODS",
    "Heatmaps",
    "Method",
    "WatchedAttention",
    "attention_relevance",
    "attention_rollout",
    "contrast",
    "explain",
    "grad_cam",
]
