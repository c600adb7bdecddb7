"""Random changes to training images that keep the label: named policies, two ways to draw them, and what is safe where.

A policy says what may be drawn. `augment_batch` draws it for a whole batch on the device, `ImageAugmenter` for one
image with Albumentations; both draw the same distribution. Validation and test images are never augmented.
"""

from medxai_helpers.augmentation.batch import augment_batch, augment_with_masks, prepare_batch
from medxai_helpers.augmentation.per_image import ImageAugmenter
from medxai_helpers.augmentation.policy import (
    ABARNA,
    ARAGON2025,
    NO_CHANGE,
    POLICIES,
    SANDOVAL2024,
    VERMA2023,
    AugmentationPolicy,
)
from medxai_helpers.augmentation.safety import FIELDS, MODALITIES, SAFETY, Verdict, doubts, safety_table

__all__ = [
    "ABARNA",
    "ARAGON2025",
    "FIELDS",
    "MODALITIES",
    "NO_CHANGE",
    "POLICIES",
    "SAFETY",
    "SANDOVAL2024",
    "VERMA2023",
    "AugmentationPolicy",
    "ImageAugmenter",
    "Verdict",
    "augment_batch",
    "augment_with_masks",
    "doubts",
    "prepare_batch",
    "safety_table",
]
