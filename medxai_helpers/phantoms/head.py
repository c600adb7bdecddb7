"""A head round the skull-stripped ICBM152 brain, prepared once as Hounsfield units on a 2 mm grid.

The bones and spaces of the skull base are a table of ellipsoids and rods in template millimetres (to the right of the
table's x: the patient's left; y to the front; z up), painted in its order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medxai_helpers.phantoms.anatomy import prepared
from medxai_helpers.phantoms.kit import Bools, Field, as_field, sigmoid, stream
from medxai_helpers.phantoms.store import Arrays
from medxai_helpers.phantoms.volumes import load_icbm152

STEP_MM = 2
ORIGIN = np.array([98.0, 134.0, 122.0])
"""Index, in 1 mm voxels of the padded template, of the point (0, 0, 0) mm."""
PAD_BELOW_MM = 50
AIR, FAT, FLUID, MUSCLE, BONE = -1000.0, -90.0, 8.0, 55.0, 850.0

Point = tuple[float, float, float]
Axes = tuple[Field, Field, Field]


@dataclass(frozen=True)
class Ellipsoid:
    """A structure of one density; ``paired`` ones are mirrored to the other side."""

    centre: Point
    radii: Point
    hounsfield: float
    paired: bool = True

    def covers(self, axes: Axes) -> Bools:
        """Where the structure is."""
        x = abs(axes[0]) if self.paired else axes[0]
        parts = ((a - c) / r for a, c, r in zip((x, *axes[1:]), self.centre, self.radii, strict=True))
        return np.asarray(sum(part**2 for part in parts) < 1, np.bool_)


@dataclass(frozen=True)
class Rod:
    """A paired round rod from ``start`` to ``end``."""

    start: Point
    end: Point
    radius: float
    hounsfield: float

    def covers(self, axes: Axes) -> Bools:
        """Where the structure is."""
        direction = np.subtract(self.end, self.start)
        offset = [a - s for a, s in zip((abs(axes[0]), *axes[1:]), self.start, strict=True)]
        along = sum(o * d for o, d in zip(offset, direction, strict=True)) / float(direction @ direction)
        along = np.clip(along, 0, 1)
        return np.asarray(sum((o - along * d) ** 2 for o, d in zip(offset, direction, strict=True)) < self.radius**2)


OUTSIDE_BRAIN: tuple[Ellipsoid | Rod, ...] = (
    Ellipsoid((24, 44, -58), (14, 17, 16), 700),  # walls of the maxillary sinuses ...
    Ellipsoid((24, 44, -58), (12, 15, 14), AIR),  # ... and their air
    Ellipsoid((0, 48, -50), (13, 28, 17), 500, paired=False),  # walls of nose and ethmoid
    Ellipsoid((5, 50, -50), (4, 26, 16), AIR),
    Ellipsoid((0, 24, -40), (16, 13, 11), 700, paired=False),  # sphenoid and its sinus
    Ellipsoid((6, 25, -40), (5, 10, 8), AIR),
    Ellipsoid((31, 48, -36), (21, 27, 20), 600),  # orbit: wall, fat, optic nerve, globe, lens
    Ellipsoid((31, 50, -36), (18, 26, 17), FAT),
    Rod((12, 22, -35), (31, 52, -36), 3, 35),
    Ellipsoid((32, 62, -36), (12, 12, 12), 60),
    Ellipsoid((32, 62, -36), (10, 10, 10), FLUID),
    Ellipsoid((32, 71, -36), (4.5, 2.2, 4.5), 90),
    Rod((52, 44, -44), (66, 0, -48), 3, BONE),  # zygomatic arch
    Rod((40, 12, -26), (52, 30, -30), 4, BONE),  # greater wing of the sphenoid
    Rod((11, 10, -30), (40, 14, -26), 3, BONE),  # lesser wing
    Ellipsoid((0, -8, -42), (10, 9, 16), 550, paired=False),  # clivus
    Rod((13, -14, -40), (50, -30, -40), 7.5, BONE),  # petrous ridge
    Ellipsoid((50, -34, -44), (12, 13, 15), BONE),  # mastoid ...
    Ellipsoid((53, -36, -44), (8, 9, 10), -300),  # ... and its cells
    Rod((52, -20, -44), (74, -20, -44), 3.2, AIR),  # ear canal
    Rod((48, 4, -56), (44, 18, -90), 4.5, BONE),  # jaw
    Ellipsoid((0, 0, -78), (9, 9, 26), AIR, paired=False),  # throat
    Ellipsoid((0, 42, -84), (30, 30, 6), 800, paired=False),  # palate and teeth
    Ellipsoid((0, -34, -84), (22, 19, 24), 500, paired=False),  # first vertebrae ...
    Ellipsoid((0, -42, -84), (10, 9, 34), 35, paired=False),  # ... and their canal
)


@dataclass(frozen=True)
class Head:
    """The prepared head: ``hounsfield`` int16, 2 mm voxels, air outside. Introduced in chapter 05."""

    hounsfield: NDArray[np.int16]

    def indices(self, points_mm: NDArray[np.float32]) -> Field:
        """Turn template points (3, ...) in mm into fractional indices of ``hounsfield``."""
        origin = ORIGIN.reshape(3, *[1] * (points_mm.ndim - 1))
        return as_field((points_mm + origin + 0.5) / STEP_MM - 0.5)


def head_template() -> Field:
    """T1 template with room below for the face, averaged to 2 mm."""
    padded = np.pad(load_icbm152("t1"), ((0, 1), (0, 1), (PAD_BELOW_MM, 1)))
    nx, ny, nz = (length // STEP_MM for length in padded.shape)
    return as_field(padded.reshape(nx, STEP_MM, ny, STEP_MM, nz, STEP_MM).mean((1, 3, 5)))


def head_axes(shape: tuple[int, ...]) -> Axes:
    """Template coordinates in mm of the 2 mm voxels, ready to broadcast."""
    x, y, z = (
        as_field((np.arange(length) + 0.5) * STEP_MM - 0.5 - origin)
        for length, origin in zip(shape, ORIGIN, strict=True)
    )
    return x[:, None, None], y[None, :, None], z[None, None, :]


def inner_table(template: Field, axes: Axes) -> Bools:
    """The space inside the skull: the brain with its folds closed by 8 mm, convex above the skull base."""
    room = np.pad(template > 0.2, 8)
    near = ndimage.distance_transform_edt(~room, sampling=STEP_MM) < 8
    closed = (ndimage.distance_transform_edt(near, sampling=STEP_MM) > 8)[8:-8, 8:-8, 8:-8]
    inside = np.asarray(closed | (template > 0.1), np.bool_)
    for index in np.flatnonzero(axes[2].ravel() > -14):
        points = np.argwhere(inside[:, :, index])[:, ::-1].astype(np.int32)
        if len(points) > 20:
            outline = np.zeros(inside.shape[:2], np.uint8)
            cv2.fillConvexPoly(outline, cv2.convexHull(points), (1,))
            inside[:, :, index] |= outline > 0
    return inside


def signed_distance(inside: Bools) -> Field:
    """Distance from the inner table in mm, negative within."""
    out = ndimage.distance_transform_edt(~inside, sampling=STEP_MM)
    into = ndimage.distance_transform_edt(inside, sampling=STEP_MM)
    return as_field(ndimage.gaussian_filter(out - into, 1.0))


def skin_depth(distance: Field, axes: Axes) -> Field:
    """Depth under the skin in mm (negative in the body): vault, face, neck and nose joined."""
    x, y, z = axes

    def ellipsoid(centre: Point, radii: Point) -> NDArray[np.float32]:
        return as_field(np.sqrt(sum(((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radii, strict=True))))

    face = 60 * (ellipsoid((0, 20, -58), (57, 58, 70)) - 1)
    neck = 60 * (np.sqrt((x / 56) ** 2 + ((y + 38) / 58) ** 2) - 1) + 60 * (z > -40)
    nose = 14 * (ellipsoid((0, 76, -52), (12, 17, 22)) - 1)
    return as_field(np.minimum(np.minimum(distance - 13.5, face), np.minimum(neck, nose)))


def muscle_texture(shape: tuple[int, ...], sigma_mm: float) -> Field:
    """Smooth noise of unit variance: fat planes between muscles (fixed stream: there is one head)."""
    coarse = ndimage.gaussian_filter(stream(0).normal(size=[n // 2 + 1 for n in shape]), sigma_mm / STEP_MM / 2)
    fine = ndimage.zoom(coarse, 2, order=1)[tuple(slice(n) for n in shape)]
    return as_field(fine / fine.std())


def _skull(distance: Field) -> Field:
    """Fluid, two dense tables with marrow between them, scalp; as Hounsfield units by distance in mm."""
    bone = 1250 - 650 * np.exp(-(((distance - 5.2) / 1.3) ** 2))
    vault = sigmoid((distance - 2.2) / 0.35) * sigmoid((8.6 - distance) / 0.35)
    scalp = np.where(distance > 8, -30.0, FLUID)
    return as_field(vault * bone + (1 - vault) * scalp)


def _flesh(shape: tuple[int, ...]) -> Field:
    return as_field(MUSCLE + (FAT - MUSCLE) * sigmoid((muscle_texture(shape, 3.5) - 1.0) / 0.2))


def _outside_brain(distance: Field, axes: Axes) -> Field:
    """Everything in the head but the brain."""
    x, y, z = axes
    surface = skin_depth(distance, axes)
    in_front = sigmoid((-z - 28 - 0.25 * np.clip(y, -60, 60)) / 4)
    # The vault ends at the skull base in front, but goes on round the cerebellum behind the ears.
    face = in_front * sigmoid((y + 30) / 4 + np.clip(-z - 62, 0, None))
    hounsfield = _skull(distance) * (1 - face) + _flesh(distance.shape) * face
    hounsfield = np.where(surface > -4, FAT, hounsfield)
    hounsfield = np.where(surface > -1.5, 40.0, hounsfield)
    outer = distance > 0.8
    for structure in OUTSIDE_BRAIN:
        hounsfield = np.where(structure.covers(axes) & outer, structure.hounsfield, hounsfield)
    floor = (distance > 0.5) & (distance < 4) & (face > 0.5)
    hounsfield = np.where(floor & (abs(x) < 62), np.maximum(hounsfield, 700.0), hounsfield)
    sinus = (abs(x) < 11) & (distance > 2.5) & (distance < 7) & (y > 52) & (z > -24) & (z < 4)  # frontal sinus
    return as_field(np.where(surface < 0, np.where(sinus, AIR, hounsfield), AIR))


def _brain_hounsfield(template: Field) -> Field:
    """Fluid, grey and white matter by their T1 signal; grey is the denser of the two."""
    return as_field(np.interp(template, [0, 0.3, 0.6, 0.86, 1], [0, 4, 39, 27, 26]))


def _prepare() -> Arrays:
    template = head_template()
    axes = head_axes(template.shape)
    inside = inner_table(template, axes)
    distance = signed_distance(inside)
    brain = inside & (template > 0.12)
    share = ndimage.gaussian_filter(as_field(brain), 0.35)
    around = np.where(inside & (distance < 0), FLUID, _outside_brain(distance, axes))
    around = ndimage.gaussian_filter(around, 0.4)
    hounsfield = _brain_hounsfield(template) * share + around * (1 - share)
    return {"hounsfield": np.round(hounsfield).astype(np.int16)}


@lru_cache(maxsize=1)
def head() -> Head:
    """Return the prepared head: from the cache, else computed in about two seconds. Introduced in chapter 05."""
    return Head(prepared("head", _prepare)["hounsfield"])
