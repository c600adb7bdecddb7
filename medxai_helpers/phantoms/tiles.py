"""Periodic textures for the painted scenes: drawn once, then looked up through an affine map for every image."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from medxai_helpers.phantoms.anatomy import prepared
from medxai_helpers.phantoms.kit import Bools, Field, Generator, as_field, stream
from medxai_helpers.phantoms.store import Arrays

SIDE_PX = 512
"""Edge of every tile."""
MOSAIC_CELLS = 26
"""Cells along the edge of a mosaic."""
CLOUDS, ROUGH, GRAINS, MOSAICS, TREES = 3, 3, 2, 4, 3
"""How many tiles there are of each kind."""
_NOISE, _MOSAIC, _VESSELS = 1, 2, 3  # purposes of the random streams
_SUPERSAMPLING = 2
_FRACTION_BITS = 3  # OpenCV draws polylines with coordinates in eighths of a pixel
_STEP_PX = 15.0
_THINNEST_FORK_PX = 0.75

Frequencies = NDArray[np.float64]
Point = NDArray[np.float64]


def _gain(kind: str, frequency: Frequencies) -> Frequencies:
    """Spectrum of a noise; frequencies in periods per tile."""
    if kind == "grain":
        return np.exp(-(((frequency - 60) / 30) ** 2))
    positive = np.maximum(frequency, 1)
    if kind == "cloud":
        return (frequency > 0) * positive**-2.3
    return (frequency > 1) * positive**-1.6 * np.exp(-((frequency / 40) ** 2))


def _noise(kind: str, seed: int) -> Field:
    """Noise of zero mean and unit spread: ``cloud`` (smooth), ``rough`` (fractal, band-limited) or ``grain``."""
    rows, columns = np.fft.fftfreq(SIDE_PX) * SIDE_PX, np.fft.rfftfreq(SIDE_PX) * SIDE_PX
    gain = _gain(kind, np.hypot(rows[:, None], columns[None]))
    white = stream(_NOISE, seed).standard_normal((SIDE_PX, SIDE_PX))
    values = np.fft.irfft2(np.fft.rfft2(white) * gain)
    return as_field((values - values.mean()) / values.std())


def _mosaic_centres(rng: Generator, jitter: float) -> NDArray[np.float64]:
    """Cell centres: bricks (nearer to a honeycomb than to a grid), then jittered."""
    lattice = np.stack(np.meshgrid(*[np.arange(MOSAIC_CELLS, dtype=float)] * 2, indexing="ij"), -1).reshape(-1, 2)
    lattice[:, 1] += 0.5 * (lattice[:, 0] % 2)
    return np.asarray((lattice + jitter * (rng.random(lattice.shape) - 0.5)) % MOSAIC_CELLS)


def _mosaic(seed: int, bend: Field, jitter: float) -> Arrays:
    """Voronoi mosaic: distance to the centre and to the wall in cell widths, and a rank in [0, 1) per cell."""
    from scipy.spatial import cKDTree

    rng = stream(_MOSAIC, seed)
    centres = _mosaic_centres(rng, jitter)
    pixels = np.stack(np.meshgrid(*[np.arange(SIDE_PX)] * 2, indexing="ij"), -1) * (MOSAIC_CELLS / SIDE_PX)
    points = (pixels + bend).reshape(-1, 2) % MOSAIC_CELLS
    distance, nearest = cKDTree(centres, boxsize=MOSAIC_CELLS).query(points, k=2)
    shape = (SIDE_PX, SIDE_PX)
    return {
        f"mosaic{seed}-centre": distance[:, 0].reshape(shape),
        f"mosaic{seed}-wall": (distance[:, 1] - distance[:, 0]).reshape(shape) / 2,
        f"mosaic{seed}-rank": rng.random(len(centres))[nearest[:, 0]].reshape(shape),
    }


def _walk(rng: Generator, start: Point, heading: float, width: float, bend: float) -> Point:
    """Points of one vessel: it wanders round its heading without curling up."""
    turns, turn = [], 0.0
    for _ in range(int(rng.uniform(6, 14) * (0.5 + width / 3))):
        turn = 0.75 * turn + rng.normal(0, bend)
        turns.append(heading + turn)
    steps = _STEP_PX * np.stack([np.cos(turns), np.sin(turns)], -1)
    return np.concatenate([start[None], start + np.cumsum(steps, axis=0)])


def _forks(rng: Generator, path: Point, heading: float, width: float) -> Iterator[tuple[Point, float, float]]:
    """Yield the vessels that a vessel ends in, and sometimes one from its middle."""
    for side in (-1, 1):
        yield path[-1], heading + side * rng.uniform(0.25, 0.7), width * rng.uniform(0.6, 0.82)
    if rng.random() < 0.5:
        yield path[len(path) // 2], heading + rng.choice([-1, 1]) * rng.uniform(0.6, 1.2), width * 0.55


def _draw_wrapped(canvas: NDArray[np.uint8], path: Point, width: float) -> None:
    """Draw a path and its eight copies one tile away, so that the tile is periodic."""
    edge, scale = canvas.shape[0], 1 << _FRACTION_BITS
    grey, thickness = int(90 + 50 * min(width, 3.3)), max(1, round(width * 1.3))
    shifts = [(right, down) for right in (-edge, 0, edge) for down in (-edge, 0, edge)]
    for shift in shifts:
        points = np.round((path + shift) * scale).astype(np.int32)
        cv2.polylines(canvas, [points], False, (grey,), thickness, cv2.LINE_AA, _FRACTION_BITS)


def _vessels(seed: int, trees: int, bend: float = 0.28, width: float = 3.2) -> Field:
    """Branching vessels, 0 to 1."""
    rng, edge = stream(_VESSELS, seed), SIDE_PX * _SUPERSAMPLING
    canvas = np.zeros((edge, edge), np.uint8)
    todo = [(rng.random(2) * edge, rng.random() * 2 * np.pi, width * rng.uniform(0.7, 1.3)) for _ in range(trees)]
    while todo:
        start, heading, thickness = todo.pop()
        path = _walk(rng, start, heading, thickness, bend)
        _draw_wrapped(canvas, path, thickness)
        if thickness > _THINNEST_FORK_PX:
            todo.extend(_forks(rng, path, heading, thickness))
    smooth = cv2.GaussianBlur(canvas, (0, 0), 1.0)
    return as_field(cv2.resize(smooth, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) / 255)


def _prepare() -> Arrays:
    kinds = (("cloud", CLOUDS), ("rough", ROUGH), ("grain", GRAINS))
    tiles: Arrays = {f"{kind}{seed}": _noise(kind, seed) for kind, count in kinds for seed in range(count)}
    # Cells are bent a little, so that no wall is straight.
    bend = np.stack([0.22 * _noise("rough", seed) + 0.03 * _noise("grain", seed) for seed in (8, 9)], -1)
    for seed in range(MOSAICS):
        tiles |= _mosaic(seed, as_field(bend), jitter=0.8 + 0.1 * seed)
    tiles |= {f"vessels{seed}": _vessels(seed, trees=9) for seed in range(TREES)}
    tiles |= {"capillaries": _vessels(5, trees=22), "fibres": _vessels(6, trees=30)}
    return {name: tile.astype(np.float16) for name, tile in tiles.items()}


@lru_cache(maxsize=1)
def tiles() -> dict[str, Field]:
    """Return every tile by its name: from the cache, else drawn in about two seconds. Introduced in chapter 06."""
    return {name: as_field(tile) for name, tile in prepared("tiles", _prepare).items()}


def is_dot(rank: Field, share: float) -> Bools:
    """Cells of a mosaic that are among the given share of them."""
    return np.asarray(rank < share, np.bool_)
