"""What happens to an image once, before any training: small pure functions, and a recipe of them.

Every function takes grey (H, W) or RGB (H, W, 3) images, either uint8 or float in [0, 1], and returns the same kind.
"""

from medxai_helpers.preprocessing.contrast import clahe
from medxai_helpers.preprocessing.denoising import denoise
from medxai_helpers.preprocessing.geometry import FieldOfView, crop_to_view, find_view, resize, resize_mask
from medxai_helpers.preprocessing.intensity import CT_WINDOWS, ct_window, normalise, standardise
from medxai_helpers.preprocessing.recipe import RECIPES, ModelInput, Preprocessing, named_recipe

__all__ = [
    "CT_WINDOWS",
    "RECIPES",
    "FieldOfView",
    "ModelInput",
    "Preprocessing",
    "clahe",
    "crop_to_view",
    "ct_window",
    "denoise",
    "find_view",
    "named_recipe",
    "normalise",
    "resize",
    "resize_mask",
    "standardise",
]
