"""From ray sums to a finished radiograph: tubes and leads, beam, scatter, noise, film curve, collimator, marker."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medxai_helpers.phantoms.kit import Field, Generator, as_field, blur, grain, resize, sigmoid, to_uint8
from medxai_helpers.phantoms.rendering import Pixels

WATER_PER_MM = 0.021
"""Attenuation of water at about 70 keV, 1/mm."""
REFERENCE_PX = 128
MARKERS = ("L", "L", "R", "R", "AP", "PA L", "R AP", "PORTABLE", "ERECT")
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_PLAIN)
_OVERSAMPLING = 4
_TILES = 4


@dataclass(frozen=True)
class Film:
    """Everything about one exposure that is not the patient; drawn once, so that an image and its twin share it."""

    hardware: Field
    beam: float
    scatter: float
    veil: float
    blur_px: float
    noise: Field
    heel: Field
    top_percentile: float
    black_margin: float
    edge_boost: float
    steepness: float
    midpoint: float
    gamma: float
    black: float
    white: float
    clahe: float


def draw_film(rng: Generator, size: int) -> Film:
    """Draw the exposure of one chest radiograph of ``size`` pixels; nothing in it depends on the class."""
    quantum = grain(rng, (size, size))
    ramp = np.linspace(-1, 1, size)
    return Film(
        hardware=_hardware(rng, size) * np.float32(rng.uniform(0.5, 1)),
        beam=WATER_PER_MM * rng.uniform(0.92, 1.08),
        scatter=rng.uniform(0.08, 0.5),
        veil=rng.uniform(0.001, 0.008),
        blur_px=rng.uniform(0.25, 0.75) * size / REFERENCE_PX,
        noise=as_field(rng.uniform(0.004, 0.022) * (quantum + 0.6 * blur(quantum, 1))),
        heel=as_field(rng.normal(0, 0.08) * ramp[None] + rng.normal(0, 0.06) * ramp[:, None]),
        top_percentile=rng.uniform(88, 99),
        black_margin=rng.uniform(0.12, 0.45),
        edge_boost=rng.uniform(0.1, 0.9),
        steepness=rng.uniform(0.7, 2.7),
        midpoint=rng.uniform(0.4, 0.6),
        gamma=rng.uniform(0.7, 1.25),
        black=rng.uniform(0, 0.08),
        white=rng.uniform(0.82, 0.94),
        clahe=rng.uniform(0.8, 1.8) if rng.random() < 0.4 else 0.0,
    )


def expose(water_mm: Field, film: Film) -> Field:
    """Return the optical density behind (H, W) ray sums in mm of water, before any look-up table."""
    size = len(water_mm)
    intensity = np.exp(-film.beam * (water_mm + film.hardware))
    # Scatter is a wide blur of what got through, added before the logarithm: mediastinum and belly turn soft.
    pad = size // 8
    wide = cv2.copyMakeBorder(intensity, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    intensity = intensity + film.scatter * blur(wide, 0.07 * size)[pad:-pad, pad:-pad] + film.veil
    intensity = blur(intensity, film.blur_px)
    quantum = film.noise * np.clip(0.12 / np.sqrt(intensity), 0.3, 1.2)
    return as_field(-np.log(intensity) + quantum + film.heel)


def automatic_levels(density: Field, film: Film) -> tuple[float, float]:
    """Return the density shown black and the one shown white: lungs come out grey, room air black."""
    edge = len(density) // 8
    low, high = np.percentile(density[edge:-edge, edge:-edge], [5, film.top_percentile])
    return float(low - film.black_margin * (high - low)), float(high)


def develop(density: Field, film: Film, levels: tuple[float, float]) -> Pixels:
    """Return the film before any local contrast: window, vendor's edge boost, film curve."""
    low, high = levels
    grey = np.clip((density - low) / (high - low), -0.1, 1.15)
    grey = grey + film.edge_boost * (grey - blur(grey, 0.04 * len(grey)))
    bottom, top = sigmoid(np.array([-0.55, 0.55]) * film.steepness)
    curve = (sigmoid(film.steepness * (grey - film.midpoint)) - bottom) / (top - bottom)
    return to_uint8(film.black + film.white * np.clip(curve, 0, 1) ** film.gamma)


def local_curves(image: Pixels, film: Film) -> Field:
    """Return the grey-level curve (256 values) of each of 4 x 4 tiles: those of CLAHE, or straight lines without it.

    They are taken from the healthy film and laid over the diseased one too: CLAHE of each by itself would spread a
    lesion's effect over the whole picture.

    Source: Zuiderveld, Contrast limited adaptive histogram equalization, 1994. Introduced in chapter 08.
    """
    if not film.clahe:
        return np.broadcast_to(np.arange(256, dtype=np.float32), (_TILES, _TILES, 256))
    edges = np.linspace(0, len(image), _TILES + 1).astype(int)
    spans = [slice(*pair) for pair in itertools.pairwise(edges)]
    return np.stack([[_tile_curve(image[rows, columns], film.clahe) for columns in spans] for rows in spans])


def _tile_curve(tile: Pixels, clip: float) -> Field:
    counts = np.bincount(tile.ravel(), minlength=256).astype(np.float32)
    limit = clip * tile.size / 256
    counts = np.minimum(counts, limit) + np.clip(counts - limit, 0, None).sum() / 256
    return as_field(np.cumsum(counts) * 255 / tile.size)


def apply_curves(image: Pixels, curves: Field) -> Pixels:
    """Return the image with the curves of its tiles, bilinear in between."""
    position = np.clip((np.arange(len(image)) + 0.5) * _TILES / len(image) - 0.5, 0, _TILES - 1)
    first = np.minimum(position.astype(int), _TILES - 2)
    share = as_field(position - first)
    total = np.zeros(image.shape, np.float32)
    for down in (0, 1):
        for across in (0, 1):
            rows, columns = (first + down)[:, None], (first + across)[None]
            weight = abs(1 - down - share)[:, None] * abs(1 - across - share)[None]
            total += weight * curves[rows, columns, image]
    return np.asarray(np.round(total), np.uint8)


# ---------------------------------------------------------------------------------------------- tubes, leads, implants
def _curve(canvas: Field, rng: Generator, points: Any, width: float, water_mm: float) -> None:
    """Draw a smooth line through points given as fractions of the picture."""
    knots = np.array(points, float) + rng.normal(0, 0.012, (len(points), 2))
    position = np.linspace(0, len(knots) - 1, 60)
    axes = [ndimage.map_coordinates(knots[:, axis], [position], order=3, mode="nearest") for axis in (0, 1)]
    line = np.zeros(canvas.shape, np.uint8)
    path = np.round(np.stack(axes, axis=1) * len(canvas)).astype(np.int32)
    cv2.polylines(line, [path], False, (1,), max(1, int(width * len(canvas))))
    np.maximum(canvas, line * np.float32(water_mm), out=canvas)


def _leads(canvas: Field, rng: Generator) -> None:
    for _ in range(int(rng.integers(1, 4))):
        start = rng.uniform([0.1, 0.25], [0.9, 0.85])
        exit_point = [rng.uniform(0, 1), float(rng.integers(2))]
        between = [start + rng.normal(0, 0.12, 2), start + rng.normal(0, 0.25, 2) - [0, 0.1]]
        _curve(canvas, rng, [start, *between, exit_point], 0.006, 9)
        x, y = (int(value * len(canvas)) for value in start)
        cv2.circle(canvas, (x, y), int(0.014 * len(canvas)), (16.0,), -1)


def _tracheal_tube(canvas: Field, rng: Generator) -> None:
    _curve(canvas, rng, [[0.5, -0.02], [0.5, 0.1], [0.495, 0.2], [0.49, rng.uniform(0.26, 0.32)]], 0.012, 6)


def _central_line(canvas: Field, rng: Generator) -> None:
    side = 2 * int(rng.integers(2)) - 1
    _curve(canvas, rng, [[0.5 + side * 0.12, -0.02], [0.5 + side * 0.1, 0.1], [0.47, 0.22], [0.47, 0.4]], 0.006, 8)


def _pacemaker(canvas: Field, rng: Generator) -> None:
    x, y = (0.24, 0.76)[rng.integers(2)], 0.22
    size = len(canvas)
    axes = (int(0.05 * size), int(0.042 * size))
    cv2.ellipse(canvas, (int(x * size), int(y * size)), axes, 20, 0, 360, (60.0,), -1)
    _curve(canvas, rng, [[x, y], [x, y - 0.08], [0.47, 0.25], [0.5, 0.5], [0.58, 0.62]], 0.006, 12)


def _hardware(rng: Generator, size: int) -> Field:
    """Monitor leads, lines and implants as mm of water; each with its own odds, never depending on the class."""
    canvas = np.zeros((size * _OVERSAMPLING, size * _OVERSAMPLING), np.float32)
    for odds, draw in ((0.22, _leads), (0.14, _tracheal_tube), (0.16, _central_line), (0.04, _pacemaker)):
        if rng.random() < odds:
            draw(canvas, rng)
    return resize(canvas, size, size)


# ---------------------------------------------------------------------------------- marks on every kind of radiograph
@dataclass(frozen=True)
class Marks:
    """Collimator and side marker of one radiograph, ready to be laid over any image of the same size."""

    open_field: NDArray[np.uint8]
    shutter: int
    ink: Field
    marker: str

    def over(self, image: Pixels) -> Pixels:
        """Return the image with shutter and marker."""
        framed = np.where(self.open_field > 0, image, self.shutter)
        return (framed * (1 - self.ink) + 245 * self.ink).astype(np.uint8)


def draw_marks(rng: Generator, size: int) -> Marks:
    """Draw collimator and side marker from the same odds for every radiograph, whatever it shows."""
    open_field = np.ones((size, size), np.uint8)
    shutter = int((0, 0, 0, 18, 235)[rng.integers(5)])
    if rng.random() < 0.35:
        top, bottom, left, right = (rng.uniform(0, 0.05, 4) * size).astype(int)
        open_field[:] = 0
        open_field[top : size - bottom, left : size - right] = 1
    marker = str(rng.choice(MARKERS)) if rng.random() < 0.75 else ""
    return Marks(open_field, shutter, _ink(rng, size, marker), marker)


def _ink(rng: Generator, size: int, marker: str) -> Field:
    """Opacity of the marker's letters: L belongs to the patient's left, which is the right of the picture."""
    wide = size * _OVERSAMPLING
    scale = rng.uniform(0.5, 1.0) * wide / 512 * (0.7 if len(marker) > 2 else 1.2)
    font, thickness = _FONTS[rng.integers(3)], max(1, int(rng.uniform(1, 4) * wide / 512))
    length = cv2.getTextSize(marker, font, scale, thickness)[0][0] if marker else 0
    margin, y = rng.uniform(0.02, 0.06) * wide, rng.uniform(0.06, 0.16) * wide
    x = wide - margin - length if marker in ("L", "PA L") else margin
    canvas = np.zeros((wide, wide), np.uint8)
    if marker:
        cv2.putText(canvas, marker, (int(x), int(y)), font, scale, (255,), thickness, cv2.LINE_AA)
    return resize(canvas, size, size) * np.float32(rng.uniform(0.6, 1) / 255)
