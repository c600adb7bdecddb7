"""Reader of BraTS: axial slices out of NIfTI volumes, labelled by the segmentation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.cohort import Cohort
from medxai_helpers.cohorts.decoding import Pixels
from medxai_helpers.cohorts.sources import fingerprint_files
from medxai_helpers.datasets.readers import scanning
from medxai_helpers.datasets.readers.scanning import OnError, Refusals

if TYPE_CHECKING:
    import pandas as pd

Modality = Literal["flair", "t1", "t1ce", "t2"]
SUFFIXES = (".nii.gz", ".nii")
BRIGHTEST = 99.5
"""Percentile of the brain's voxels in a volume that becomes white."""

SMALLEST_BRAIN = 0.02
"""Share of a slice that must be brain for the slice to count as inside the brain."""

MISNAMED_SEGMENTATION = "W39_1998.09.19_Segm"
"""The segmentation of BraTS20_Training_355 carries this name in the archive of 2020."""

GRADES = "name_mapping.csv"


@dataclass(frozen=True)
class VolumeSlices:
    """Axial slices of NIfTI volumes, read when asked for.

    Parameters
    ----------
    root : Path
        The folder that the paths start from.
    paths : tuple of str
        The volumes.
    volume, index : array
        For each row the number of its volume and the slice in it, int64, (n,).
    white : array
        For each row the intensity that becomes white, float64, (n,); 0 marks a segmentation: every label above 0
        becomes white.
    """

    root: Path
    paths: tuple[str, ...]
    volume: NDArray[np.int64]
    index: NDArray[np.int64]
    white: NDArray[np.float64]

    def read(self, row: int) -> Pixels:
        """Return slice ``row``: uint8, (rows, columns), the front of the head up and its right side on the left."""
        image = _open(self.root / self.paths[self.volume[row]])
        try:
            values = np.asarray(image.dataobj[..., int(self.index[row])]).T
        except Exception as error:  # zlib, EOF, struct and nibabel's own
            raise _damaged(self.root / self.paths[self.volume[row]], error) from error
        white = self.white[row]
        shown = values / white if white > 0 else values > 0
        return np.asarray(np.rint(255 * np.clip(shown, 0, 1)), dtype=np.uint8)

    def take(self, rows: NDArray[np.int64]) -> VolumeSlices:
        """Return the pixels of the named rows."""
        return replace(self, volume=self.volume[rows], index=self.index[rows], white=self.white[rows])

    def fingerprint(self) -> str:
        """SHA-256 over the volumes' names, sizes and times, and the rows."""
        content = fingerprint_files(self.root, self.paths).encode()
        rows = self.volume.tobytes() + self.index.tobytes() + self.white.tobytes()
        return hashlib.sha256(content + rows).hexdigest()


def read_brats(
    folder: Path,
    card: DatasetCard,
    *,
    on_error: OnError = "raise",
    modality: Modality = "flair",
    every: int = 4,
    min_tumour_pixels: int = 20,
) -> Cohort:
    """Read ``CASE/CASE_{flair,t1,t1ce,t2,seg}.nii[.gz]`` (2020, 2021) as axial slices. Introduced in chapter 12.

    The label is the card's second class where the segmentation marks at least ``min_tumour_pixels``, its first where it
    marks none; slices in between are listed in ``Cohort.skipped``. ``group`` is the patient. Every segmentation is read
    once to find the labels (about half a second a patient), images when they are asked for.

    Parameters
    ----------
    folder : Path
        The unpacked training set; the validation set has no segmentations and is of no use here.
    card : DatasetCard
        The set.
    on_error : {"raise", "skip"}
        What to do with a patient whose volumes are missing or damaged.
    modality : {"flair", "t1", "t1ce", "t2"}
        Which of the four volumes to show.
    every : int
        Take every so-many-th axial slice of those inside the brain.
    min_tumour_pixels : int
        Fewest tumour pixels of a slice with tumour.

    Raises
    ------
    ValueError
        If a setting is out of range, no patient is found, or a volume is missing or damaged.

    Source: https://www.med.upenn.edu/cbica/brats2020/data.html (labels 1, 2 and 4 are necrotic core, oedema and
    enhancing tumour; volumes of 240 x 240 x 155 voxels of 1 mm, skull-stripped) and Baid et al., arXiv:2107.02314.
    """
    _check_settings(modality, every, min_tumour_pixels)
    refusals = Refusals(on_error)
    root = scanning.find_layout(folder, lambda place: bool(_cases(place)), "folders CASE with CASE_seg.nii[.gz]")
    cases = _cases(root)
    read = {case: found for case in cases if (found := _read_case(root, case, modality, every, refusals)) is not None}
    table = _table(root, read, card, min_tumour_pixels, refusals)
    kept = table.drop(columns=["seg_path", "white", "volume"])
    white = np.asarray(table["white"], dtype=np.float64)
    volume, index = (np.asarray(table[name], dtype=np.int64) for name in ("volume", "slice"))
    paths = tuple(facts["path"] for facts in read.values())
    segments = tuple(facts["seg_path"] for facts in read.values())
    return scanning.finish(
        card,
        kept,
        VolumeSlices(root, paths, volume, index, white),
        refusals,
        folder=root,
        origin=f"real slices, {modality}, every {every}th, {len(read)} patients",
        masks=VolumeSlices(root, segments, volume, index, np.zeros(len(table))),
    )


def _check_settings(modality: str, every: int, min_tumour_pixels: int) -> None:
    if modality not in get_args(Modality):
        raise ValueError(f"Expected modality to be one of {get_args(Modality)}, but got {modality!r}.")
    if every < 1 or min_tumour_pixels < 1:
        raise ValueError(
            f"Expected every and min_tumour_pixels of at least 1, but got {every} and {min_tumour_pixels}."
        )


def _cases(root: Path) -> list[str]:
    """Names of the folders that look like a patient: they hold a volume that carries their name."""
    return [name for name in scanning.subfolders(root) if any(_volumes(root / name, name))]


def _volumes(folder: Path, name: str) -> Iterator[str]:
    return (e.name for e in scanning.entries(folder) if e.name.startswith(f"{name}_") and e.name.endswith(SUFFIXES))


def _find(root: Path, case: str, kind: str) -> str | None:
    names = [f"{case}_{kind}", *([MISNAMED_SEGMENTATION] if kind == "seg" else [])]
    paths = (f"{case}/{name}{suffix}" for name in names for suffix in SUFFIXES)
    return next((path for path in paths if (root / path).is_file()), None)


def _read_case(root: Path, case: str, modality: str, every: int, refusals: Refusals) -> dict[str, Any] | None:
    """Return the slices of one patient that lie inside the brain, with their tumour pixels."""
    path, segments = _find(root, case, modality), _find(root, case, "seg")
    if path is None or segments is None:
        kinds = [kind for kind, found in ((modality, path), ("seg", segments)) if found is None]
        refusals.refuse(root / case, f"has no volume {kinds}", expected=f"{case}_KIND.nii or .nii.gz")
        return None
    try:
        volume, labels = _values(root / path), _values(root / segments)
        if volume.shape != labels.shape or volume.ndim != 3:
            raise ValueError(f"Expected volumes of one shape in {root / case}, but got {volume.shape}, {labels.shape}.")
    except ValueError as error:
        refusals.refuse(root / case, f"cannot be read: {error}", expected="complete NIfTI volumes")
        return None
    brain = volume > 0
    inside = np.flatnonzero(brain.mean(axis=(0, 1)) >= SMALLEST_BRAIN)[::every]
    white = float(np.percentile(volume[brain], BRIGHTEST)) if len(inside) else 1.0
    tumour = (labels[..., inside] > 0).sum(axis=(0, 1))
    return {"path": path, "seg_path": segments, "slice": inside, "tumour_pixels": tumour, "white": white}


def _table(
    root: Path, read: dict[str, dict[str, Any]], card: DatasetCard, fewest: int, refusals: Refusals
) -> pd.DataFrame:
    """One row per slice; slices with a trace of tumour are listed as skipped."""
    import pandas as pd

    columns = ["path", "seg_path", "slice", "tumour_pixels", "white", "group", "volume"]
    parts = [
        pd.DataFrame(facts | {"group": case, "volume": number}) for number, (case, facts) in enumerate(read.items())
    ]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    table["image_id"] = table["group"].astype(str) + "/" + table["slice"].astype(str).str.zfill(3)
    present = table["tumour_pixels"] >= fewest
    table["label"] = np.where(present, card.classes[1], card.classes[0])
    traces = (table["tumour_pixels"] > 0) & ~present
    for name, count in zip(table["image_id"][traces], table["tumour_pixels"][traces], strict=True):
        refusals.exclude(root / name, f"shows {count} tumour pixels, fewer than {fewest}")
    table = table[~traces].reset_index(drop=True)
    grades = _grades(root)
    return table if grades is None else table.assign(grade=scanning.look_up(table["group"], grades))


def _grades(root: Path) -> dict[str, str] | None:
    """Read the grades (HGG, LGG) of 2020's ``name_mapping.csv`` if it lies there."""
    if not (root / GRADES).is_file():
        return None
    table = scanning.read_csv(root / GRADES, ["Grade"])
    ids = [name for name in table.columns if name.startswith("BraTS_2020")]
    return dict(zip(table[ids[0]], table["Grade"], strict=True)) if ids else None


def _open(path: Path) -> Any:
    try:
        import nibabel
    except ImportError as error:
        raise ImportError("Reading NIfTI needs nibabel: pip install 'medxai-helpers[formats]'.") from error
    try:
        return nibabel.load(path)
    except Exception as error:  # damaged headers raise almost anything
        raise _damaged(path, error) from error


def _values(path: Path) -> NDArray[Any]:
    image = _open(path)
    try:
        return np.asarray(image.dataobj)
    except Exception as error:  # as above, for the voxels
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ValueError:
    name = os.fspath(path)
    return ValueError(
        f"Expected a complete NIfTI volume, but {name} is damaged ({error or repr(error)}). Fetch it again."
    )
