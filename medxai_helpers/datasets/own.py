"""Your own images: a tree of class folders, or a table of paths and labels, becomes a cohort in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.cohort import SEPARATOR, Cohort
from medxai_helpers.cohorts.decoding import OWN_SUFFIXES, channels_of, signature_problem
from medxai_helpers.datasets.readers import scanning
from medxai_helpers.datasets.readers.scanning import OnError, Refusals

if TYPE_CHECKING:
    import pandas as pd

Channels = Literal[1, 3]


def cohort_from_folder(folder: Path | str, *, channels: Channels | None = None, on_error: OnError = "raise") -> Cohort:
    """Make a cohort of your own images: one folder per class, sorted by name. Introduced in chapter 01.

    Images may lie deeper, for example in one folder per patient: then ``group`` is that folder, and a split keeps it
    together. Sizes, modes and file formats may differ; DICOM is read with its window.

    Parameters
    ----------
    folder : Path
        ``folder/CLASS/NAME.png`` or ``folder/CLASS/PATIENT/NAME.png``.
    channels : {1, 3}, optional
        Read as grey or as RGB; default: grey if every image is grey.
    on_error : {"raise", "skip"}
        ``"skip"`` decodes every image once and lists in ``Cohort.skipped`` what cannot be used.

    Raises
    ------
    ValueError
        If the folder has no class folder, a class folder is empty, or a file is no image; the message names the path.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("cat", "dog"):
    ...     (folder / name).mkdir()
    ...     Image.new("L", (8, 6)).save(folder / name / "1.png")
    >>> cohort_from_folder(folder).counts
    {'cat': 1, 'dog': 1}
    """
    import pandas as pd

    refusals, root = Refusals(on_error), Path(folder)
    classes = _classes(root, refusals)
    paths = [path for name in classes for path in _walk_class(root, name, refusals)]
    series = pd.Series(paths, dtype=str)
    places = series.str.rpartition("/")[0] if paths else series
    label = series.str.partition("/")[0] if paths else series
    table = pd.DataFrame({"image_id": _ids(series), "label": label, "path": series})
    table["group"] = places.where(places != label, table["image_id"])
    table = scanning.drop_duplicates(table, root, refusals)
    nested = bool((places != label).any())
    card = _card(root.name, tuple(classes), _channels(root, table, channels, refusals), "folder" if nested else None)
    pixels = scanning.files(root, table, card)
    return scanning.finish(card, table, pixels, refusals, folder=root, origin=f"your images in {root}", source="own")


def cohort_from_csv(
    csv: Path | str,
    *,
    image: str = "path",
    label: str = "label",
    group: str | None = None,
    root: Path | str | None = None,
    classes: Sequence[str] | None = None,
    channels: Channels | None = None,
    on_error: OnError = "raise",
) -> Cohort:
    """Make a cohort of your own images from a table; further columns are kept. Introduced in chapter 01.

    A label with ``|`` in it, as in ``"Effusion|Edema"``, makes the set a multi-label one, in which an empty label means
    "none".

    Parameters
    ----------
    csv : Path
        Table with a header, UTF-8.
    image, label : str
        Columns with the path of each image and its label.
    group : str, optional
        Column with what must not be split, for example the patient; default: every image on its own.
    root : Path, optional
        Folder that relative paths start from; default: that of the table.
    classes : sequence of str, optional
        Class names in the order you want; default: all labels, sorted.
    channels : {1, 3}, optional
        Read as grey or as RGB; default: grey if every image is grey.
    on_error : {"raise", "skip"}
        ``"skip"`` decodes every image once and lists in ``Cohort.skipped`` what cannot be used.

    Raises
    ------
    ValueError
        If the table cannot be read or lacks a column, a label is empty or no class, or an image is absent, named twice
        or no image; the message names the path.
    """
    place, refusals = Path(csv), Refusals(on_error)
    base = place.parent if root is None else Path(root)
    listed = _read_table(place, [image, label, *([] if group is None else [group])])
    table = listed.rename(columns={image: "path", label: "label"})
    many = bool(table["label"].str.contains(SEPARATOR, regex=False).any())
    names = tuple(classes) if classes is not None else _names(table["label"])
    table["image_id"] = table["path"].str.replace("\\", "/")
    table["group"] = table["image_id"] if group is None else table["label" if group == label else group]
    good = _good_rows(table, names, many, base, refusals)
    table = scanning.drop_duplicates(table[good].reset_index(drop=True), base, refusals)
    card = _card(place.stem, names, _channels(base, table, channels, refusals), group, many=many)
    pixels = scanning.files(base, table, card)
    return scanning.finish(card, table, pixels, refusals, folder=base, origin=f"your images in {place}", source="own")


def _card(
    name: str, classes: tuple[str, ...], channels: Channels, group: str | None, *, many: bool = False
) -> DatasetCard:
    return DatasetCard(
        name=f"own-{name}",
        title=f"Own images: {name}",
        modality="not stated",
        task="multi-label" if many else "multi-class",
        classes=classes,
        channels=channels,
        counts={},
        group=group,
        licence="yours to know",
        home="",
        how_to_get="Check the path, and that it holds images.",
        citation="",
        archive="",
    )


def _classes(root: Path, refusals: Refusals) -> list[str]:
    """Class folders by name; a file beside them belongs to no class and is refused."""
    for entry in scanning.entries(root):
        if not entry.is_dir():
            refusals.refuse(Path(entry.path), "lies beside the class folders", expected="class folders only")
        elif scanning.printable(entry.name) != entry.name:
            refusals.refuse(Path(entry.path), "has a name that is no valid UTF-8", expected="class folders")
    names = [name for name in scanning.subfolders(root) if scanning.printable(name) == name]
    if not names:
        raise ValueError(
            f"Expected one folder per class in {root}, but found none. Sort your images into class folders."
        )
    return names


def _walk_class(root: Path, name: str, refusals: Refusals) -> list[str]:
    """Paths of all images in a class folder and below, sorted."""
    found = _walk(root, name, refusals)
    if not found:
        refusals.refuse(root / name, "holds no image", expected="images in every class folder")
    return found


def _walk(root: Path, place: str, refusals: Refusals) -> list[str]:
    found: list[str] = []
    for entry in scanning.entries(root / place):
        path = f"{place}/{entry.name}"
        if entry.is_dir():
            found += _walk(root, path, refusals)
        elif problem := _problem(entry):
            refusals.refuse(Path(entry.path), problem, expected=f"only image files ({', '.join(OWN_SUFFIXES)})")
        else:
            found.append(path)
    return found


def _problem(entry: os.DirEntry[str]) -> str | None:
    if scanning.printable(entry.name) != entry.name:
        return "has a name that is no valid UTF-8"
    if "." in entry.name and not entry.name.lower().endswith(OWN_SUFFIXES) and not _ends_in_number(entry.name):
        return "has another suffix"
    return signature_problem(Path(entry.path))


def _ends_in_number(name: str) -> bool:
    """DICOM files are often named by their UID, or not at all: no suffix to go by, only the content."""
    return name.rpartition(".")[2].isdecimal()


def _ids(paths: pd.Series[str]) -> pd.Series[str]:
    """Return paths without a known suffix."""
    pattern = "(?i)(?:" + "|".join(suffix.replace(".", r"\.") for suffix in OWN_SUFFIXES) + ")$"
    return paths.str.replace(pattern, "", regex=True)


def _channels(root: Path, table: pd.DataFrame, wanted: Channels | None, refusals: Refusals) -> Channels:
    """Return what was asked for, else 1 if every image is grey: headers are read until a colour image is found."""
    if wanted is not None:
        if wanted not in (1, 3):
            raise ValueError(f"Expected channels to be 1 or 3, but got {wanted!r}.")
        return wanted

    def channels(path: str) -> int:
        try:
            return channels_of(root / path)
        except ValueError:
            if refusals.on_error == "raise":
                raise
            return 1  # it will be skipped

    return 1 if all(channels(path) == 1 for path in table["path"]) else 3


def _read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ValueError(
            f"Expected a table in {path}, but it cannot be read ({error}). Save it as UTF-8 CSV."
        ) from error
    absent = [name for name in columns if name not in table.columns]
    if absent:
        raise ValueError(
            f"Expected {path} to have the columns {columns}, but {absent} are missing among {list(table.columns)}. "
            "Name your columns with image=, label= and group=."
        )
    return table


def _names(labels: pd.Series[str]) -> tuple[str, ...]:
    return tuple(sorted({name for text in labels.unique() for name in text.split(SEPARATOR) if name}))


def _good_rows(table: pd.DataFrame, classes: tuple[str, ...], many: bool, root: Path, refusals: Refusals) -> list[bool]:
    """Refuse rows with a label that is no class, or an image that is not there."""
    reasons = [
        _row_problem(root, path, label, classes, many)
        for path, label in zip(table["path"], table["label"], strict=True)
    ]
    for path, reason in zip(table["path"], reasons, strict=True):
        if reason:
            refusals.refuse(root / path, reason, expected=f"an image with labels among {classes}")
    return [not reason for reason in reasons]


def _row_problem(root: Path, path: str, label: str, classes: tuple[str, ...], many: bool) -> str | None:
    names = [name for name in label.split(SEPARATOR) if name] if many else [label]
    if not set(names) <= set(classes):
        return f"has the label {label!r}"
    if not path or "\x00" in path or not (root / path).is_file():
        return "does not exist"
    return signature_problem(root / path)
