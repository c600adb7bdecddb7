"""What may be drawn: one frozen policy, and those of the papers."""

from __future__ import annotations

from dataclasses import dataclass

SMOOTHNESS = 0.1
"""How far an elastic distortion reaches, as a share of the side: the standard deviation of its smoothing."""


@dataclass(frozen=True)
class AugmentationPolicy:
    """Changes drawn anew for every image, in the order of the parameters. Introduced in chapter 05.

    What comes in from outside the image repeats its border; brightness is cut off at black and white.

    Parameters
    ----------
    name : str
        Goes into the run record.
    rotation : float
        Largest angle in degrees, either way; uniform.
    zoom : float
        Largest relative change of scale, either way: 0.1 draws from 0.9 to 1.1; uniform.
    horizontal_flip, vertical_flip : float
        Probability of each flip.
    translation : float
        Largest shift along each axis, as a share of the side; uniform.
    elastic : float
        Standard deviation of a smooth random displacement, as a share of the side; normal.
    saturation : float
        Largest relative change of colourfulness, either way; uniform. Grey images keep theirs.
    tint : float
        Largest shift of each colour channel, as a share of the whole scale; uniform. Grey images keep theirs.
    contrast : float
        The pixels are multiplied by a number between 1 - contrast and 1 + contrast; uniform.
    brightness : float
        Largest amount added then, as a share of the whole scale, either way; uniform.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    name: str
    rotation: float = 0.0
    zoom: float = 0.0
    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    translation: float = 0.0
    elastic: float = 0.0
    saturation: float = 0.0
    tint: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.rotation <= 180 and 0 <= self.zoom < 1):
            raise ValueError(f"Expected 0 <= rotation <= 180 and 0 <= zoom < 1, but got {self.rotation}, {self.zoom}.")
        if not (0 <= self.horizontal_flip <= 1 and 0 <= self.vertical_flip <= 1):
            raise ValueError(
                f"Expected flip probabilities in [0, 1], but got {self.horizontal_flip}, {self.vertical_flip}."
            )
        for name in ("translation", "elastic", "saturation", "tint", "contrast", "brightness"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"Expected {name} to be a share from 0 to below 1, but got {getattr(self, name)}.")

    @property
    def bends(self) -> bool:
        """Whether pixels move other than by flips, so that images are sampled anew."""
        return bool(self.rotation or self.zoom or self.translation or self.elastic)

    @property
    def recolours(self) -> bool:
        """Whether grey levels or colours change."""
        return bool(self.saturation or self.tint or self.contrast or self.brightness)


NO_CHANGE = AugmentationPolicy("none")
"""Nothing: for comparison."""

ARAGON2025 = AugmentationPolicy("aragon2025", horizontal_flip=0.5, contrast=0.2, brightness=0.2)
"""Horizontal flip, brightness and contrast (aragon2025); ranges not stated, so these are ours."""

SANDOVAL2024 = AugmentationPolicy("sandoval2024", rotation=10.0, zoom=0.1, horizontal_flip=0.5, vertical_flip=0.5)
"""Zoom, rotation and flips (sandoval2024); the paper does not state the ranges, so these are ours."""

ABARNA = AugmentationPolicy("abarna", rotation=15.0, zoom=0.1, horizontal_flip=0.5)
"""Rotation, flip, scaling (abarna); neither which flip nor a range is stated, so these are ours."""

VERMA2023 = AugmentationPolicy(
    "verma2023",
    rotation=10.0,
    zoom=0.1,
    horizontal_flip=0.5,
    translation=0.05,
    elastic=0.01,
    saturation=0.1,
    tint=0.02,
)
"""Safe rotations, translations, flips, zoom, elastic distortion, light colour jitter (verma2023); ranges are ours."""

POLICIES = {policy.name: policy for policy in (NO_CHANGE, ARAGON2025, SANDOVAL2024, ABARNA, VERMA2023)}
"""Every named policy."""
