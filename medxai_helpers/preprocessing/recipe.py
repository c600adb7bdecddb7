"""A named, hashable recipe of the functions of this room."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from medxai_helpers.preprocessing.contrast import check_clahe, clahe
from medxai_helpers.preprocessing.denoising import check_denoise, denoise
from medxai_helpers.preprocessing.geometry import Mask, find_view, resize, resize_mask
from medxai_helpers.preprocessing.images import Pixels, check_image
from medxai_helpers.preprocessing.intensity import check_percentiles, normalise


class ModelInput(Protocol):
    """What a row of the model table says about a model's images."""

    @property
    def size(self) -> int:
        """Side in pixels."""
        ...


@dataclass(frozen=True)
class Preprocessing:
    """A named, hashable recipe, applied once when the pixel store is built. Introduced in chapter 05.

    The steps come in the order of the parameters, whatever is left out: field of view, resizing, normalisation,
    denoising, CLAHE. Everything after resizing works at the final size, so that a clip limit or a strength means the
    same for every original.

    Parameters
    ----------
    size : int
        Side of the square image in pixels.
    field_of_view : bool
        Crop endoscopic images to what is lit, and blacken the surround.
    keep_aspect : bool
        Fill with black instead of stretching to a square.
    percentiles : tuple of two floats, optional
        Normalise the intensity between these, for example ``(1, 99)``.
    denoise : float, optional
        Strength of non-local means in grey levels.
    clahe : float, optional
        Clip limit; grey images are equalised directly, colour images on the L channel of LAB.
    tiles : int
        Regions per side for CLAHE.
    name : str
        For tables and records; equal recipes under different names share a store.

    Raises
    ------
    ValueError
        If a setting is out of range.

    Examples
    --------
    >>> recipe = Preprocessing(size=64, clahe=2.0)
    >>> recipe(np.zeros((576, 720, 3), np.uint8)).shape
    (64, 64, 3)
    >>> print(recipe)
    64 px, CLAHE (clip limit 2, 8 x 8 tiles)
    """

    size: int
    field_of_view: bool = False
    keep_aspect: bool = False
    percentiles: tuple[float, float] | None = None
    denoise: float | None = None
    clahe: float | None = None
    tiles: int = 8
    name: str = ""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"Expected a size of at least 1 pixel, but got {self.size}.")
        if self.percentiles is not None:
            check_percentiles(*self.percentiles)
        if self.denoise is not None:
            check_denoise(self.denoise)
        if self.clahe is not None:
            check_clahe(self.clahe, self.tiles)
            if self.tiles > self.size:
                raise ValueError(
                    f"Expected at most one tile a pixel, but got {self.tiles} tiles on {self.size} pixels."
                )

    @classmethod
    def for_model(cls, model: ModelInput, **steps: Any) -> Preprocessing:
        """Return a recipe at the size of a model: ``Preprocessing.for_model(mx.MODELS["compact-cnn"], clahe=2.0)``."""
        return cls(**({"size": model.size} | steps))

    def __call__(self, image: Pixels) -> Pixels:
        """Apply the recipe to one uint8 image, (H, W) or (H, W, 3)."""
        check_image(image)
        if image.dtype != np.uint8:
            raise TypeError(f"Expected a uint8 image, but got {image.dtype}: a store keeps bytes.")
        if self.field_of_view:
            image = find_view(image).crop(image)
        image = resize(image, self.size, keep_aspect=self.keep_aspect)
        if self.percentiles is not None:
            image = normalise(image, *self.percentiles)
        if self.denoise is not None:
            image = denoise(image, self.denoise)
        return image if self.clahe is None else clahe(image, self.clahe, self.tiles)

    def mask(self, mask: Mask, image: Pixels) -> Mask:
        """Take a mask through the geometry that its image goes through. Introduced in chapter 03.

        Parameters
        ----------
        mask : array
            bool, (H, W), in the frame of the image.
        image : array
            The image before preprocessing: where the field of view lies depends on it.
        """
        if mask.shape != image.shape[:2]:
            raise ValueError(f"Expected a mask in the frame of its image, but got {mask.shape} and {image.shape}.")
        if self.field_of_view:
            mask = find_view(image).crop(mask)
        return resize_mask(mask, self.size, keep_aspect=self.keep_aspect)

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values, for keys and run records."""
        return asdict(self)

    def __str__(self) -> str:
        steps = ["field of view"] if self.field_of_view else []
        steps += [f"{self.size} px" + (", aspect kept" if self.keep_aspect else "")]
        steps += ["percentiles {:g} to {:g}".format(*self.percentiles)] if self.percentiles else []
        steps += [f"non-local means ({self.denoise:g})"] if self.denoise else []
        steps += [f"CLAHE (clip limit {self.clahe:g}, {self.tiles} x {self.tiles} tiles)"] if self.clahe else []
        return ", ".join(steps)


RECIPES: dict[str, dict[str, Any]] = {
    "sandoval2024": {},
    "aragon2025": {"clahe": 2.0},
    "abarna": {"percentiles": (1.0, 99.0), "denoise": 5.0},
    "verma2023": {"percentiles": (1.0, 99.0), "denoise": 5.0, "clahe": 2.0},
}
"""The steps that each paper names; none states its parameters, so these are ours."""


def named_recipe(name: str, size: int) -> Preprocessing:
    """Return a paper's recipe at a size. Introduced in chapter 03.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> print(named_recipe("aragon2025", size=224))
    224 px, CLAHE (clip limit 2, 8 x 8 tiles)
    """
    if name not in RECIPES:
        raise ValueError(f"Expected a recipe among {tuple(RECIPES)}, but got {name!r}.")
    return Preprocessing(size=size, **RECIPES[name], name=name)
