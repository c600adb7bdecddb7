"""Explaining: which parts of an image a model's score rests on, and how far to believe the answer."""

from medxai_helpers.explanation.attention import WatchedAttention, attention_relevance, attention_rollout
from medxai_helpers.explanation.cam import grad_cam
from medxai_helpers.explanation.causal import change_in_mask, lesion_effect, rank_agreement, region_effects
from medxai_helpers.explanation.controls import CONTROLS, control_maps
from medxai_helpers.explanation.faithfulness import (
    Curves,
    deletion_insertion,
    infidelity,
    max_sensitivity,
    road,
    stability,
)
from medxai_helpers.explanation.grading import Grades, cluster_mean, grade
from medxai_helpers.explanation.heatmaps import Heatmaps
from medxai_helpers.explanation.localisation import (
    average_precision,
    choose_map_threshold,
    energy_in_mask,
    overlap,
    pointing_game,
)
from medxai_helpers.explanation.methods import METHODS, Method, explain
from medxai_helpers.explanation.sanity import Cascade, cascade, randomise, similarity
from medxai_helpers.explanation.targets import contrast

__all__ = [
    "CONTROLS",
    "METHODS",
    "Cascade",
    "Curves",
    "Grades",
    "Heatmaps",
    "Method",
    "WatchedAttention",
    "attention_relevance",
    "attention_rollout",
    "average_precision",
    "cascade",
    "change_in_mask",
    "choose_map_threshold",
    "cluster_mean",
    "contrast",
    "control_maps",
    "deletion_insertion",
    "energy_in_mask",
    "explain",
    "grad_cam",
    "grade",
    "infidelity",
    "lesion_effect",
    "max_sensitivity",
    "overlap",
    "pointing_game",
    "randomise",
    "rank_agreement",
    "region_effects",
    "road",
    "similarity",
    "stability",
]
