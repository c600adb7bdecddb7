"""The scanner's part in a slice of the head: what tissue shines how, coil, noise, levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medxai_helpers.phantoms.brain_anatomy import VESSEL
from medxai_helpers.phantoms.kit import Field, Generator, as_field, blur, grain, sigmoid, smooth_noise, to_uint8
from medxai_helpers.phantoms.rendering import Pixels

_LEVELS = (0.0, 0.28, 0.60, 0.86, 1.0, VESSEL)
"""T1 levels of the template at which the signal of tissue is given."""
_REFERENCE_PX = 128
_TEXTURE_KNOTS = 56
_STRIPPED_SIGNAL = 0.02
"""No tissue is darker: what is was stripped."""


@dataclass(frozen=True)
class Scan:
    """The scanner's part in one image; an image and its twin share it. Introduced in chapter 12.

    Parameters
    ----------
    tissue : pair of float32 arrays
        T1 levels of the template and the signal of each.
    fat : float
        Brightness of everything outside the brain.
    texture, bias : float32, (H, W)
        Unevenness of tissue, added; unevenness of the coil, a factor.
    blur_px : float
        Point spread.
    noise : pair of float32 arrays, (H, W)
        Noise of the two channels.
    percentile, headroom : float
        The signal at this percentile, times the headroom, becomes white.
    gamma, white : float
        Display curve and the brightest grey.
    stripped : bool
        Whether all but the brain was removed.
    """

    tissue: tuple[Field, Field]
    fat: float
    texture: Field
    bias: Field
    blur_px: float
    noise: tuple[Field, Field]
    percentile: float
    headroom: float
    gamma: float
    white: float
    stripped: bool


def draw_t1(rng: Generator, size: int) -> Scan:
    """Draw a T1-weighted scan after contrast: fluid dark, white matter brighter than grey. Introduced in chapter 12."""
    grey_white = rng.uniform(0.05, 0.14)
    signal = (0.08, 0.12, 0.40 - grey_white / 2, 0.40 + grey_white / 2, 0.43 + grey_white / 2, rng.uniform(0.5, 0.75))
    return _draw_scan(rng, size, signal, stripped=False)


def draw_flair(rng: Generator, size: int) -> Scan:
    """Draw a FLAIR scan, skull stripped: fluid dark, grey matter brighter than white. Introduced in chapter 12."""
    grey_white = rng.uniform(0.04, 0.12)
    signal = (0.04, 0.13, 0.46 + grey_white / 2, 0.46 - grey_white / 2, 0.44 - grey_white / 2, 0.2)
    return _draw_scan(rng, size, signal, stripped=True)


def _draw_scan(rng: Generator, size: int, signal: tuple[float, ...], *, stripped: bool) -> Scan:
    noise_sd = rng.uniform(0.006, 0.024)
    return Scan(
        tissue=(as_field(_LEVELS), as_field(signal)),
        fat=rng.uniform(0.62, 0.95),
        texture=0.012 * smooth_noise(rng, _TEXTURE_KNOTS, size),
        bias=as_field(np.exp(rng.uniform(0.02, 0.08) * smooth_noise(rng, 3, size))),
        blur_px=rng.uniform(0.35, 0.7) * size / _REFERENCE_PX,
        noise=(noise_sd * grain(rng, (size, size)), noise_sd * grain(rng, (size, size))),
        percentile=rng.uniform(98.4, 99.7),
        headroom=rng.uniform(1.15, 1.6) if stripped else 1.0,
        gamma=rng.uniform(0.85, 1.25),
        white=rng.uniform(0.85, 1),
        stripped=stripped,
    )


def _tissue(scan: Scan, t1: Field) -> Field:
    return as_field(np.interp(t1, *scan.tissue))


def _brain_share(distance: Field, t1: Field) -> Field:
    """How much of a point is brain or its fluid, 0 to 1."""
    return np.maximum(sigmoid(-(distance + 0.2) / 0.4), sigmoid((t1 - 0.25) / 0.04))


def received(signal: Field, scan: Scan) -> Field:
    """Return the signal (H, W) that the coil receives, without noise. Introduced in chapter 12."""
    return blur(signal * scan.bias, scan.blur_px)


def picture(signal: Field, white: float, scan: Scan) -> Pixels:
    """Return the picture: noise on both channels, level, gamma; what was stripped stays black.

    Introduced in chapter 12.
    """
    magnitude = np.hypot(signal + scan.noise[0], scan.noise[1])
    if scan.stripped:
        magnitude = magnitude * (signal > _STRIPPED_SIGNAL)
    return to_uint8(scan.white * np.clip(magnitude / white, 0, 1) ** scan.gamma)


def healthy_signal(scan: Scan, t1: Field, distance: Field, head: Field, texture: Field) -> Field:
    """Signal of healthy tissue: in the brain by its T1 level, elsewhere as the head was drawn, or none if stripped.

    Introduced in chapter 12.
    """
    share = _brain_share(distance, t1)
    around = np.zeros_like(head) if scan.stripped else head * np.float32(scan.fat)
    return as_field((_tissue(scan, t1) + texture) * share + around * (1 - share))
