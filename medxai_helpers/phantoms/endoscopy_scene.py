"""What an endoscope looks at: a wall at some depth, its relief and stains, and the gut that gives the depth.

The gut is a tube along the view whose radius changes with angle and depth. A ray leaves the lens at some distance from
the middle of the picture and stops at the first wall it meets; all rays of one angle are solved at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from medxai_helpers.phantoms.kit import Bools, Field, Generator, as_field, bell
from medxai_helpers.phantoms.painting import Point, View, around, ring, soften, step
from medxai_helpers.phantoms.tiles import SIDE_PX, tiles

ANGLES, DEPTHS = 360, 150
NEAREST, FARTHEST = 0.35, 14.0
"""Range of depths that is solved, in radii of the gut."""
WIDEST_VIEW = 2.6
"""Largest distance of a pixel from the middle of the lumen, in scene units."""
_FRONT_PERCENTILE = 45  # a body stands about as far away as the nearer half of the wall behind it
_SMALLEST_RADIUS = 0.04  # where the log-polar texture stops getting finer


@dataclass
class Scene:
    """Layers of one picture, all (edge, edge); painters add to them.

    ``log_depth`` is the logarithm of the wall's distance; ``relief`` is height above it as a share of the distance.
    ``blood`` stains; ``dye``, ``pus``, ``scar`` and ``char`` lie over the mucosa; ``gloss`` is 1 on healthy mucosa.
    """

    view: View
    lumen: Point
    radius: Field
    angle: Field
    log_depth: Field
    relief: Field = field(init=False)
    blood: Field = field(init=False)
    dye: Field = field(init=False)
    pus: Field = field(init=False)
    scar: Field = field(init=False)
    char: Field = field(init=False)
    gloss: Field = field(init=False)
    mask: Bools = field(init=False)
    stretch: float = 1.0
    tilt: float = 0.0
    kind: str = ""
    beyond: Field | None = None
    """Signed distance from the line where the gullet ends, negative in the stomach; only at the z-line."""
    line: Field | None = None
    """Distance of that line from the lumen by angle, a ring."""

    def __post_init__(self) -> None:
        for layer in ("relief", "blood", "dye", "pus", "scar", "char", "gloss"):
            setattr(self, layer, self.view.zeros())
        self.gloss += 1
        self.mask = np.zeros(self.log_depth.shape, np.bool_)

    def wall_texture(self, name: str, scale: float, rng: Generator) -> Field:
        """Look a tile up along and round the tube, so that it shrinks with the distance."""
        around_tube = max(1, round(2 * scale))  # a whole number, so that no seam shows
        per_radian = around_tube * SIDE_PX / (2 * math.pi)
        right, down = rng.random(2) * SIDE_PX
        columns = self.angle * per_radian + right
        rows = np.log(np.maximum(self.radius, _SMALLEST_RADIUS)) * -per_radian + down
        where = (as_field(columns), as_field(rows))
        return as_field(cv2.remap(tiles()[name], *where, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))

    def distance_from_middle(self, angle: Field, radius: Field) -> Field:
        """How far points, given by angle and distance about the lumen, lie from the middle of the scene."""
        along, across = self.stretch * radius * np.cos(angle), radius * np.sin(angle)
        cosine, sine = math.cos(self.tilt), math.sin(self.tilt)
        x = self.lumen[0] + cosine * along - sine * across
        return as_field(np.hypot(x, self.lumen[1] + sine * along + cosine * across))

    def cover(self, inside: Field) -> None:
        """Hide folds, vessels and the lumen where an opaque body lies in front of them."""
        if not (inside > 0.5).any():
            return
        front = float(np.percentile(self.log_depth[inside > 0.5], _FRONT_PERCENTILE))
        for layer in (self.log_depth, self.relief, self.blood):
            smooth = soften(layer, 0.10 * self.view.edge_px)
            if layer is self.log_depth:
                smooth = as_field(0.7 * np.minimum(smooth, front) + 0.3 * np.minimum(smooth, front + 0.5))
            layer += inside * (smooth - layer)


# --------------------------------------------------------------------------------------------------------------- guts
@dataclass(frozen=True)
class Gut:
    """Radius of a gut by angle and depth: ``angle`` (angles, 1), ``depth`` (1, depths), ``radius`` (angles, depths)."""

    angle: Field
    depth: Field
    radius: Field


def straight_gut(rng: Generator, wobble: float) -> Gut:
    """A tube of radius 1 whose cross-section is not quite round."""
    angle = as_field(np.linspace(0, 2 * math.pi, ANGLES, endpoint=False))[:, None]
    depth = as_field(np.geomspace(NEAREST, FARTHEST, DEPTHS))[None]
    radius = 1 + wobble * around(ring(rng, range(2, 6), 1.5), angle)
    return Gut(angle, depth, as_field(radius + 0 * depth))


def add_folds(gut: Gut, rng: Generator, first: float, spacing: float, height: float, triangular: float) -> None:
    """Ring folds, each over part of the circumference and thickest at three bands as in the colon."""
    at, turn = first, rng.random() * 2 * math.pi
    while at < 0.5 * FARTHEST:
        lobes = triangular * np.cos(3 * gut.angle + turn)
        arc = np.cos(gut.angle * rng.integers(1, 3) + rng.random() * 2 * math.pi)
        uneven = 0.12 * around(ring(rng, range(2, 8), 1.0), gut.angle)
        rise = np.clip(rng.uniform(0.3, 0.8) + 0.7 * arc + uneven, 0, 1.2) * height * rng.uniform(0.6, 1.1) + lobes
        gut.radius[:] -= np.clip(rise, 0, 0.7) * bell((gut.depth - at) / rng.uniform(0.07, 0.16))
        at += spacing * rng.uniform(0.7, 1.3)
        turn += rng.normal(0.3, 0.4)


def bend_gut(gut: Gut, rng: Generator, strength: float) -> None:
    """Curve the tube, so that its far part hides behind a wall."""
    offset = strength * np.maximum(gut.depth - 1, 0) ** 2
    gut.radius[:] += offset * np.cos(gut.angle - rng.random() * 2 * math.pi)


def close_gut(gut: Gut, start: float, length: float, opening: float = 0.0) -> None:
    """Narrow the tube to an opening within ``length``, like the end of a capsule."""
    share = np.clip((gut.depth - start) / length, 0, 1)
    narrow = np.sqrt(1 - share**2)
    gut.radius[:] = opening + (gut.radius - opening) * narrow


def first_walls(gut: Gut, columns: int) -> Field:
    """Log depth of the first wall, (angles, columns), for rays at 0 to ``WIDEST_VIEW`` from the middle.

    A wall of radius r at depth z appears at r / z; what lies behind is seen only further inwards.
    """
    horizon = np.minimum.accumulate(gut.radius / gut.depth, axis=1)
    rays, log_depth = np.linspace(0, WIDEST_VIEW, columns), np.log(gut.depth[0])
    return as_field([np.interp(-rays, -row, log_depth) for row in horizon])


def look_into(gut: Gut, view: View, lumen: Point, stretch: float, tilt: float) -> Scene:
    """Project a gut: the lumen lies at ``lumen``, the tube is ``stretch`` times wider along ``tilt`` (radians)."""
    radius, angle = view.polar(lumen, stretch, tilt)
    table = first_walls(gut, columns=view.edge_px)
    columns = as_field(np.minimum(radius, WIDEST_VIEW) * ((view.edge_px - 1) / WIDEST_VIEW))
    rows = as_field(angle * (ANGLES / (2 * math.pi)))
    wrapped = np.concatenate([table, table[:1]])
    log_depth = cv2.remap(wrapped, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Scene(view, lumen, radius, angle, as_field(log_depth), stretch, tilt)


def blob(
    view: View, rng: Generator, at: Point, size: float, stretch: float = 1.0, lumps: float = 0.06, rough: float = 0.0
) -> Field:
    """Distance field of a lumpy disc: below 1 inside."""
    radius, angle = view.polar(at, stretch, rng.random() * math.pi)
    outline = 1 + lumps * around(ring(rng, range(2, 7), 1.4), angle)
    distance = radius * math.sqrt(stretch) / (size * outline)
    if rough:
        distance = distance + rough * view.texture("rough1", 1.1, rng)
    return as_field(distance)


def dome(distance: Field, edge_px: int) -> Field:
    """Height of a smooth body over its outline, 0 to about 0.7."""
    smooth = soften(distance, 0.012 * edge_px)
    return as_field(np.maximum(np.sqrt(np.clip(1.12 - smooth**2, 0, 2)) - 0.33, 0))


def spots(view: View, rng: Generator, scale: float, share: float) -> Field:
    """Sparse round spots."""
    mosaic = view.mosaic(2, scale, rng)
    return step(mosaic.centre, 0.42, 0.2) * (mosaic.rank < share)
