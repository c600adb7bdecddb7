"""Explaining: which parts of an image a model's score rests on."""

from medxai_helpers.explanation.cam import Heatmaps, grad_cam

__all__ = ["Heatmaps", "grad_cam"]
