"""Rendered dermoscopy: the seven classes of HAM10000.

Random streams: the patient gives skin, hair and instrument, patient and frame give camera, light, gel and noise, and
patient and label give the lesion. The label touches nothing else, and the twin is the same skin without the lesion.
"""

from __future__ import annotations

from medxai_helpers.phantoms.dermoscopy_labels import HAM10000_CLASSES
from medxai_helpers.phantoms.dermoscopy_lesions import PAINTERS
from medxai_helpers.phantoms.dermoscopy_skin import (
    Lesion,
    Shot,
    Skin,
    develop,
    draw_shot,
    draw_skin,
    field_of_view,
    lay_skin,
    lesion_in_view,
)
from medxai_helpers.phantoms.kit import stream
from medxai_helpers.phantoms.painting import share_of
from medxai_helpers.phantoms.rendering import Attributes, Mask, Rendering

REACH = 0.20
"""The twin equals the image beyond this distance from the mask, as a share of the edge (soft rim, blur, JPEG)."""
SMALLEST_PX = 32
SMALL, MEDIUM = 0.08, 0.25
"""Largest share of the field that a small and a medium lesion cover."""
_PATIENT, _FRAME, _SENSOR, _LESION = 41, 42, 43, 44  # purposes of the random streams


def render_ham10000(label: str, patient_seed: int, frame_seed: int, size: int) -> Rendering:
    """Render one dermoscopic picture, uint8 (size, size, 3), with its lesion's mask and its lesion-free twin.

    Attributes: ``skin_tone`` (Fitzpatrick I to VI), ``body_site``, ``size_class``, ``pattern`` of the lesion,
    ``atypia`` (0 to 1, naevus and melanoma; 0 for the others), ``lesion_fraction`` of the field, ``hairs`` (density),
    ``ruler``, ``ink``, ``round_field``.

    Parameters
    ----------
    label : str
        One of ``HAM10000_CLASSES``.
    patient_seed, frame_seed : int
        The patient (skin, hair, lesion) and the frame (camera, light, gel, noise).
    size : int
        Edge in pixels, at least 32.

    Raises
    ------
    ValueError
        If the label is none of the seven classes, or the size too small.

    Examples
    --------
    >>> render_ham10000("nv", 1, 0, 96).image.shape
    (96, 96, 3)

    Source: classes of HAM10000 (Tschandl, Rosendahl and Kittler 2018, doi:10.1038/sdata.2018.161).
    Introduced in chapter 10.
    """
    _check(label, size)
    skin = draw_skin(stream(patient_seed, _PATIENT))
    shot = draw_shot(skin, stream(patient_seed, _SENSOR), stream(patient_seed, frame_seed, _FRAME), size)
    surface, lesion = lay_skin(skin, shot.view), Lesion(shot.view)
    twin = develop(lesion, surface, skin, shot)
    PAINTERS[label](lesion, stream(patient_seed, HAM10000_CLASSES.index(label), _LESION))
    mask = lesion_in_view(lesion, shot)
    image = develop(lesion, surface, skin, shot)
    return Rendering(image, mask, twin, _attributes(skin, shot, lesion, mask))


def _check(label: str, size: int) -> None:
    if label not in HAM10000_CLASSES:
        raise ValueError(f"Expected one of {list(HAM10000_CLASSES)}, but got {label!r}. Check the spelling.")
    if size < SMALLEST_PX:
        raise ValueError(f"Expected a size of at least {SMALLEST_PX} px, but got {size}. Render larger and shrink.")


def _size_class(share: float) -> str:
    return "small" if share < SMALL else "medium" if share < MEDIUM else "large"


def _attributes(skin: Skin, shot: Shot, lesion: Lesion, mask: Mask) -> Attributes:
    share = share_of(mask, field_of_view(shot))
    return {
        "skin_tone": skin.tone,
        "body_site": skin.site,
        "size_class": _size_class(share),
        "pattern": lesion.pattern,
        "atypia": lesion.atypia,
        "lesion_fraction": share,
        "hairs": skin.hairs,
        "ruler": int(skin.ruler != 0),
        "ink": int(skin.ink),
        "round_field": int(skin.radius < 2),
    }
