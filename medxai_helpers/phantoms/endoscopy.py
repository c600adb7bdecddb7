"""Rendered endoscopy: the eight classes of Kvasir v2, and polyps with masks as in Kvasir-SEG.

Random streams: the patient gives mucosa and scope, patient and place give the gut, patient and frame give camera,
light, dirt and overlays, patient and label give the lesion. The label therefore touches the lesion (and which place
is seen), never the frame. The twin is the same place without the lesion: for esophagitis the intact z-line, for a
dyed polyp or a resection the colon without dye, cushion, polyp and wound, for ulcerative colitis healthy colon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from medxai_helpers.phantoms import endoscopy_lesions as lesions
from medxai_helpers.phantoms import endoscopy_sites as sites
from medxai_helpers.phantoms.endoscopy_scene import Scene
from medxai_helpers.phantoms.endoscopy_scope import (
    Scope,
    Shot,
    develop,
    draw_scope,
    draw_shot,
    exposure,
    lesion_in_view,
    light_up,
)
from medxai_helpers.phantoms.kit import Generator, stream
from medxai_helpers.phantoms.painting import View, share_of
from medxai_helpers.phantoms.rendering import Attributes, Mask, Rendering, without_lesion

KVASIR_V2_CLASSES = (
    "dyed-lifted-polyps",
    "dyed-resection-margins",
    "esophagitis",
    "normal-cecum",
    "normal-pylorus",
    "normal-z-line",
    "polyps",
    "ulcerative-colitis",
)
KVASIR_SEG_CLASSES = ("background", "polyp")
REACH = 0.28
"""The twin equals the image beyond this distance from the mask, as a share of the edge (shadow, dye, blur, JPEG)."""
SMALLEST_PX = 32
_PATIENT, _FRAME, _SENSOR, _SITE, _LESION = 31, 32, 33, 34, 35  # purposes of the random streams

PaintSite = Callable[[View, Generator, sites.Mucosa], Scene]
PaintLesion = Callable[[Scene, Generator], None]


@dataclass(frozen=True)
class Finding:
    """What a label stands for: the place that is seen, and the lesion on it, if any."""

    site: str
    number: int
    paint: PaintLesion | None = None


SITES: Mapping[str, tuple[int, PaintSite]] = MappingProxyType(
    {
        "colon": (0, sites.paint_colon),
        "cecum": (1, sites.paint_cecum),
        "pylorus": (2, sites.paint_pylorus),
        "z-line": (3, sites.paint_z_line),
    }
)
"""Number of the random stream and painter of each place."""
FINDINGS: Mapping[str, Finding] = MappingProxyType(
    {
        "dyed-lifted-polyps": Finding("colon", 0, lesions.paint_dyed_lifted),
        "dyed-resection-margins": Finding("colon", 1, lesions.paint_dyed_resection),
        "esophagitis": Finding("z-line", 2, lesions.paint_esophagitis),
        "normal-cecum": Finding("cecum", 3),
        "normal-pylorus": Finding("pylorus", 4),
        "normal-z-line": Finding("z-line", 5),
        "polyps": Finding("colon", 6, lesions.paint_polyp),
        "ulcerative-colitis": Finding("colon", 7, lesions.paint_colitis),
        "background": Finding("colon", 8),
    }
)
"""What each label of Kvasir v2 shows; "background" is a colon without a lesion."""


def render_kvasir_v2(
    label: str, patient_seed: int, frame_seed: int, size: int, *, position_box: bool | None = None
) -> Rendering:
    """Render one endoscopic picture, uint8 (size, size, 3), with its lesion's mask and its lesion-free twin.

    Parameters
    ----------
    label : str
        One of ``KVASIR_V2_CLASSES``.
    patient_seed, frame_seed : int
        The patient (mucosa, scope, lesion) and the frame (camera, light, dirt, noise).
    size : int
        Edge in pixels, at least 32.
    position_box : bool, optional
        Draw the window with the scope's position or not, to build a shortcut on purpose; by default by chance,
        whatever the label.

    Raises
    ------
    ValueError
        If the label is none of the eight classes, or the size too small.

    Examples
    --------
    >>> render_kvasir_v2("polyps", 1, 0, 96).image.shape
    (96, 96, 3)

    Source: classes of Kvasir v2, https://datasets.simula.no/kvasir/. Introduced in chapter 06.
    """
    _check(label, KVASIR_V2_CLASSES, size)
    return _render(FINDINGS[label], patient_seed, frame_seed, size, position_box)


def render_kvasir_seg(label: str, patient_seed: int, frame_seed: int, size: int) -> Rendering:
    """Render a colon with a polyp, its mask and its polyp-free twin, or ("background") a colon without.

    Raises
    ------
    ValueError
        If the label is neither "background" nor "polyp", or the size too small.

    Examples
    --------
    >>> render_kvasir_seg("background", 1, 0, 96).mask.any()
    np.False_

    Source: Kvasir-SEG, https://datasets.simula.no/kvasir-seg/. Introduced in chapter 06.
    """
    _check(label, KVASIR_SEG_CLASSES, size)
    finding = FINDINGS["polyps" if label == "polyp" else label]
    return _render(finding, patient_seed, frame_seed, size, None)


def _check(label: str, classes: tuple[str, ...], size: int) -> None:
    if label not in classes:
        raise ValueError(f"Expected one of {list(classes)}, but got {label!r}. Check the spelling.")
    if size < SMALLEST_PX:
        raise ValueError(f"Expected a size of at least {SMALLEST_PX} px, but got {size}. Render larger and shrink.")


def _draw(patient_seed: int, frame_seed: int, size: int, box: bool | None) -> tuple[Scope, sites.Mucosa, Shot]:
    """Everything that the label has no say in."""
    patient, frame = stream(patient_seed, _PATIENT), stream(patient_seed, frame_seed, _FRAME)
    scope, mucosa = draw_scope(patient), sites.draw_mucosa(patient)
    return scope, mucosa, draw_shot(scope, stream(patient_seed, _SENSOR), frame, size, box)


def _render(finding: Finding, patient_seed: int, frame_seed: int, size: int, box: bool | None) -> Rendering:
    scope, mucosa, shot = _draw(patient_seed, frame_seed, size, box)
    site_number, paint_site = SITES[finding.site]
    scene = paint_site(shot.view, stream(patient_seed, site_number, _SITE), mucosa)
    light = light_up(scene, shot)
    gain = exposure(light)  # chosen without the lesion, so that the twin keeps it
    twin = develop(scene, scope, shot, light, gain)
    if finding.paint is None:
        return without_lesion(twin, _attributes(finding, scope, shot, scene, lesion_in_view(scene.mask, shot)))
    finding.paint(scene, stream(patient_seed, finding.number, _LESION))
    mask = lesion_in_view(scene.mask, shot)
    image = develop(scene, scope, shot, light_up(scene, shot), gain)
    return Rendering(image, mask, twin, _attributes(finding, scope, shot, scene, mask))


def _attributes(finding: Finding, scope: Scope, shot: Shot, scene: Scene, mask: Mask) -> Attributes:
    return {
        "site": finding.site,
        "lesion_kind": scene.kind,
        "lesion_fraction": share_of(mask, shot.visible()),
        "frame_shape": scope.shape.name,
        "position_box": int(shot.box),
        "text_lines": scope.text_lines,
        "stool": int(bool(shot.stool.any())),
        "instrument": int(bool(shot.instrument.any())),
    }
