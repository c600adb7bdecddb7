"""Reader of the MedMNIST sets in two dimensions: NumPy archives of 28 to 224 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.cohort import SEPARATOR, ArrayPixels, Cohort, PixelSource
from medxai_helpers.cohorts.decoding import Pixels
from medxai_helpers.cohorts.sources import fingerprint_files
from medxai_helpers.datasets.readers import scanning
from medxai_helpers.datasets.readers.scanning import OnError, Refusals

if TYPE_CHECKING:
    import pandas as pd

PARTS = {"train": "train", "val": "validation", "test": "test"}
SIZES = (28, 64, 128, 224)


@dataclass(frozen=True)
class NpyPixels:
    """Images in several ``.npy`` files, mapped into memory and read when asked for.

    Parameters
    ----------
    root : Path
        Folder of the files.
    paths : tuple of str
        File names; each holds uint8, (n, H, W) or (n, H, W, 3).
    part, index : array
        For each row the number of its file and its place in that file, int64, (n,).
    """

    root: Path
    paths: tuple[str, ...]
    part: NDArray[np.int64]
    index: NDArray[np.int64]

    def read(self, row: int) -> Pixels:
        """Return image ``row``."""
        stored = np.load(self.root / self.paths[self.part[row]], mmap_mode="r", allow_pickle=False)
        return np.array(stored[self.index[row]], dtype=np.uint8)

    def take(self, rows: NDArray[np.int64]) -> NpyPixels:
        """Return the pixels of the named rows."""
        return replace(self, part=self.part[rows], index=self.index[rows])

    def fingerprint(self) -> str:
        """SHA-256 over the files' names, sizes and times, and the rows."""
        import hashlib

        files = fingerprint_files(self.root, self.paths)
        return hashlib.sha256(files.encode() + self.part.tobytes() + self.index.tobytes()).hexdigest()


def read_medmnist(folder: Path, card: DatasetCard, *, on_error: OnError = "raise", size: int | None = None) -> Cohort:
    """Read ``NAME.npz`` or ``NAME_SIZE.npz``, or the folder that such an archive unpacks to. Introduced in chapter 01.

    Parameters
    ----------
    folder : Path
        The archive, a folder with archives of one set in several sizes, or a folder with ``train_images.npy`` and so
        on, which is mapped into memory and not read.
    card : DatasetCard
        The set.
    on_error : {"raise", "skip"}
        What to do with rows whose label is no class.
    size : {28, 64, 128, 224}, optional
        Side of the images in pixels; default: the largest present.

    Raises
    ------
    ValueError
        If there is no such archive, it is damaged, holds pickled objects, or lacks an array.

    Source: the package ``medmnist`` 3.0, ``dataset.py`` and ``info.py``: keys ``{train,val,test}_{images,labels}``; 28
    pixels have no suffix.
    """
    refusals = Refusals(on_error)
    place = _choose(folder, card, size)
    arrays = _load(place)
    labels = np.concatenate([arrays[f"{part}_labels"].reshape(len(arrays[f"{part}_labels"]), -1) for part in PARTS])
    lengths = [len(arrays[f"{part}_images"]) for part in PARTS]
    _check(arrays, labels, lengths, card, place)
    table = _table(labels, lengths, card)
    known = _known(table["label"], card)
    for name in table["image_id"][~known]:
        refusals.refuse(f"{place}: {name}", "has a label that is no class", expected=f"labels among {card.classes}")
    rows = np.flatnonzero(known)
    pixels = _pixels(place, arrays, lengths).take(rows)
    side = arrays["train_images"].shape[1]
    origin = f"real images at {side} x {side}, official split in the table"
    return scanning.finish(card, table.iloc[rows].reset_index(drop=True), pixels, refusals, folder=place, origin=origin)


def archive_names(flag: str) -> dict[int, str]:
    """Return the archive's name for each size: ``{28: "breastmnist.npz", 64: "breastmnist_64.npz", ...}``."""
    return {size: f"{flag}.npz" if size == SIZES[0] else f"{flag}_{size}.npz" for size in SIZES}


def _choose(folder: Path, card: DatasetCard, size: int | None) -> Path:
    """Return the archive or folder of arrays to read."""
    if size is not None and size not in SIZES:
        raise ValueError(f"Expected a size among {SIZES}, but got {size}.")
    if folder.is_file() or (folder / "train_images.npy").is_file():
        return folder
    names = archive_names(card.archive.removesuffix(".npz"))
    present = {side: folder / name for side, name in names.items() if (folder / name).is_file()}
    if not present or (size is not None and size not in present):
        wanted = list(names.values()) if size is None else names[size]
        raise ValueError(
            f"Expected {wanted} in {folder}, but found {[p.name for p in present.values()]}. {card.how_to_get}"
        )
    return present[size or max(present)]


def _load(place: Path) -> Mapping[str, NDArray[Any]]:
    keys = [f"{part}_{kind}" for part in PARTS for kind in ("images", "labels")]
    try:
        if place.is_dir():
            return {key: np.load(place / f"{key}.npy", mmap_mode="r", allow_pickle=False) for key in keys}
        with np.load(place, allow_pickle=False) as stored:
            return {key: stored[key] for key in keys}
    except Exception as error:  # zip, zlib and NumPy raise many kinds on damaged bytes
        raise ValueError(
            f"Expected a MedMNIST archive with {keys} in {place}, but it cannot be read: {error or repr(error)}. "
            "Delete it and download it again."
        ) from error


def _check(
    arrays: Mapping[str, NDArray[Any]], labels: NDArray[Any], lengths: list[int], card: DatasetCard, place: Path
) -> None:
    width = len(card.classes) if card.task == "multi-label" else 1
    dims = 3 if card.channels == 1 else 4
    images = [arrays[f"{part}_images"] for part in PARTS]
    good = labels.shape == (sum(lengths), width) and np.issubdtype(labels.dtype, np.integer)
    if not good or any(block.dtype != np.uint8 or block.ndim != dims for block in images):
        shapes = [f"{key} {value.dtype} {value.shape}" for key, value in arrays.items()]
        raise ValueError(
            f"Expected uint8 images with {dims} axes and {width} label(s) a row in {place}, but got {shapes}. "
            "Download the archive of this set again."
        )


def _table(labels: NDArray[Any], lengths: list[int], card: DatasetCard) -> pd.DataFrame:
    import pandas as pd

    ids = [f"{part}/{number:06d}" for part, length in zip(PARTS, lengths, strict=True) for number in range(length)]
    official = np.repeat(list(PARTS.values()), lengths)
    names = _joined(labels, card) if card.task == "multi-label" else _named(labels[:, 0], card)
    return pd.DataFrame({"image_id": ids, "label": names, "group": ids, "official": official}).astype(str)


def _named(labels: NDArray[Any], card: DatasetCard) -> NDArray[Any]:
    """Return class names; a number that is no class is kept as text, to be refused by name."""
    inside = (labels >= 0) & (labels < len(card.classes))
    names = np.array([*card.classes], dtype=object)
    return np.where(inside, names[np.where(inside, labels, 0)], labels.astype(str).astype(object))


def _joined(labels: NDArray[Any], card: DatasetCard) -> NDArray[Any]:
    """Return ``"A|B"`` for each row of zeros and ones: only the distinct rows are spelled out."""
    distinct, inverse = np.unique(labels, axis=0, return_inverse=True)
    names = [SEPARATOR.join(name for name, on in zip(card.classes, row, strict=True) if on) for row in distinct]
    return np.array(names, dtype=object)[inverse.reshape(-1)]


def _known(labels: pd.Series[str], card: DatasetCard) -> NDArray[np.bool_]:
    return (
        np.ones(len(labels), dtype=bool)
        if card.task == "multi-label"
        else scanning.positions(labels, card.classes) >= 0
    )


def _pixels(place: Path, arrays: Mapping[str, NDArray[Any]], lengths: list[int]) -> PixelSource:
    if not place.is_dir():
        return ArrayPixels(np.concatenate([arrays[f"{part}_images"] for part in PARTS]))
    part = np.repeat(np.arange(len(lengths)), lengths)
    index = np.concatenate([np.arange(length) for length in lengths])
    return NpyPixels(place, tuple(f"{name}_images.npy" for name in PARTS), part, index)
