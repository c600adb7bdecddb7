"""Draw a policy for one image at a time, with Albumentations."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.augmentation.batch import elastic_alpha
from medxai_helpers.augmentation.policy import AugmentationPolicy

Pixels = NDArray[np.uint8]


class ImageAugmenter:
    """Change one image after another; the same seed gives the same sequence. Introduced in chapter 04.

    It draws what :func:`augment_batch` draws, from a random stream of its own; Albumentations rounds shifts to whole
    pixels.

    Parameters
    ----------
    policy : AugmentationPolicy
        What may be drawn.
    size : int
        Side of the images in pixels; an elastic distortion is scaled to it.
    seed : int
        Decides the draws.

    Raises
    ------
    ImportError
        If Albumentations is not installed; the message names the extra.

    Examples
    --------
    >>> from medxai_helpers.augmentation import AugmentationPolicy
    >>> flip = ImageAugmenter(AugmentationPolicy("flip", horizontal_flip=1.0), size=2, seed=0)
    >>> flip(np.array([[1, 2], [3, 4]], np.uint8)).tolist()
    [[2, 1], [4, 3]]
    """

    def __init__(self, policy: AugmentationPolicy, size: int, seed: int) -> None:
        self.policy, self.size, self.seed = policy, size, seed
        self._pipeline = _pipeline(policy, size, seed)

    def __call__(self, image: Pixels) -> Pixels:
        """Return a changed copy of a uint8 image, (H, W) or (H, W, 3)."""
        return np.asarray(self._pipeline(image=image)["image"], dtype=np.uint8)

    def with_mask(self, image: Pixels, mask: NDArray[np.bool_]) -> tuple[Pixels, NDArray[np.bool_]]:
        """Return changed copies of an image and of its mask, bool (H, W)."""
        changed = self._pipeline(image=image, mask=mask.astype(np.uint8))
        return np.asarray(changed["image"], dtype=np.uint8), np.asarray(changed["mask"]) > 0

    def __repr__(self) -> str:
        return f"ImageAugmenter({self.policy!r}, size={self.size}, seed={self.seed})"


def _albumentations() -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks a server for its newest version otherwise
    try:
        import albumentations
    except ImportError as error:
        raise ImportError(
            "Augmenting image by image needs Albumentations: pip install 'medxai-helpers[augment]'."
        ) from error
    return albumentations


def _pipeline(policy: AugmentationPolicy, size: int, seed: int) -> Any:
    album = _albumentations()
    steps = [*_moves(album, policy, size), *_colours(album, policy)]
    return album.Compose(steps, seed=seed)


def _moves(album: Any, policy: AugmentationPolicy, size: int) -> list[Any]:
    import cv2

    steps: list[Any] = []
    if policy.rotation or policy.zoom or policy.translation:
        shift = (-policy.translation, policy.translation)
        turn, scale = (-policy.rotation, policy.rotation), (1 - policy.zoom, 1 + policy.zoom)
        where = {"translate_percent": {"x": shift, "y": shift}, "border_mode": cv2.BORDER_REPLICATE}
        steps.append(album.Affine(scale=scale, rotate=turn, keep_ratio=True, p=1, **where))
    steps += [album.HorizontalFlip(p=policy.horizontal_flip)] if policy.horizontal_flip else []
    steps += [album.VerticalFlip(p=policy.vertical_flip)] if policy.vertical_flip else []
    if policy.elastic:
        alpha, sigma = elastic_alpha(policy, size)
        how = {"noise_distribution": "uniform", "border_mode": cv2.BORDER_REPLICATE}
        steps.append(album.ElasticTransform(alpha=alpha, sigma=sigma, p=1, **how))
    return steps


def _colours(album: Any, policy: AugmentationPolicy) -> list[Any]:
    steps: list[Any] = []
    if policy.saturation:
        factor, same = (1 - policy.saturation, 1 + policy.saturation), (1.0, 1.0)
        steps.append(album.ColorJitter(brightness=same, contrast=same, saturation=factor, hue=(0.0, 0.0), p=1))
    if policy.tint:
        limit = (-255 * policy.tint, 255 * policy.tint)
        steps.append(album.RGBShift(r_shift_limit=limit, g_shift_limit=limit, b_shift_limit=limit, p=1))
    if policy.contrast or policy.brightness:
        limits = {"brightness_limit": policy.brightness, "contrast_limit": policy.contrast}
        steps.append(album.RandomBrightnessContrast(p=1, **limits))
    return steps
