"""Readers of sets that come with a table: ChestX-ray14 and HAM10000."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.cohort import BOX_COLUMNS, SEPARATOR, Cohort, FilePixels
from medxai_helpers.datasets.readers import scanning
from medxai_helpers.datasets.readers.scanning import OnError, Refusals

if TYPE_CHECKING:
    import pandas as pd

ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
BOXES = "BBox_List_2017.csv"
LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}
NO_FINDING = "No Finding"
BOX_NAMES = {"Infiltrate": "Infiltration"}
"""The box list has another name for one class."""

CHEST_COLUMNS = ("Image Index", "Finding Labels", "Patient ID")
HAM_TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
HAM_COLUMNS = ("lesion_id", "image_id", "dx")


def read_chestxray14(folder: Path, card: DatasetCard, *, on_error: OnError = "raise") -> Cohort:
    """Read ``Data_Entry_2017[_v2020].csv``, ``images*/``, the boxes and the official split. Introduced in chapter 13.

    The label is ``"A|B"``, empty for "No Finding"; ``group`` is the patient; ``official`` is ``"train"`` (the official
    train and validation list) or ``"test"``.

    Raises
    ------
    ValueError
        If the table is missing or lacks a column, a label is no class, or a file is no image.

    Source: README_CHESTXRAY.pdf and the files of https://nihcc.app.box.com/v/ChestXray-NIHCC; the columns as read by
    ``torchxrayvision.datasets.NIH_Dataset``. Boxes are in pixels of the 1024 x 1024 images.
    """
    refusals = Refusals(on_error)
    root = scanning.find_layout(folder, lambda place: _first_file(place, ENTRIES) is not None, f"one of {ENTRIES}")
    listed = scanning.read_csv(root / str(_first_file(root, ENTRIES)), CHEST_COLUMNS)
    table = chest_table(listed)
    table = _known_labels(table, card, root, refusals)
    table, absent = _with_paths(table, _image_paths(root, "images", refusals), root, refusals)
    table["official"] = _official(root, table["image_id"])
    boxes = _chest_boxes(root, table)
    return scanning.finish(
        card,
        table,
        scanning.files(root, table, card),
        refusals,
        folder=root,
        origin="real images, labels mined from reports",
        boxes=boxes,
        missing=_chest_gaps(root, table, absent, len(listed)),
    )


def read_ham10000(folder: Path, card: DatasetCard, *, on_error: OnError = "raise") -> Cohort:
    """Read ``HAM10000_metadata.csv`` and the images of ``HAM10000_images*``. Introduced in chapter 10.

    ``group`` is the lesion. Rows without image are named in ``Cohort.missing``. Lesion masks
    (``HAM10000_segmentations_lesion_tschandl``) are taken along if they lie there.

    Raises
    ------
    ValueError
        If the table is missing or lacks a column, a diagnosis is no class, or a file is no image.

    Source: Tschandl, Rosendahl, Kittler, Sci Data 5:180161 and Harvard Dataverse, 10.7910/DVN/DBW86T.
    """
    refusals = Refusals(on_error)
    root = scanning.find_layout(folder, lambda place: _first_file(place, HAM_TABLES) is not None, f"{HAM_TABLES[0]}")
    listed = scanning.read_csv(root / str(_first_file(root, HAM_TABLES)), HAM_COLUMNS)
    listed = listed.rename(columns={"dx": "label", "lesion_id": "group"})
    table = _known_labels(listed, card, root, refusals)
    table, absent = _with_paths(table, _image_paths(root, "ham10000_images", refusals), root, refusals)
    masks = _ham_masks(root, table, refusals)
    without = [] if masks else ["lesion masks (HAM10000_segmentations_lesion_tschandl)"]
    return scanning.finish(
        card,
        table,
        scanning.files(root, table, card),
        refusals,
        folder=root,
        origin="real images with lesion numbers",
        masks=masks,
        missing=[*_rows_without_image(absent, len(listed)), *without],
    )


def _first_file(folder: Path, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if (folder / name).is_file()), None)


def chest_table(listed: pd.DataFrame) -> pd.DataFrame:
    """Bring the rows of ``Data_Entry_2017`` (read as text) to the columns of a cohort's table."""
    import pandas as pd

    label = listed["Finding Labels"].where(listed["Finding Labels"] != NO_FINDING, "")
    sex = "Patient Sex" if "Patient Sex" in listed.columns else "Patient Gender"
    extra = {"age": "Patient Age", "sex": sex, "view": "View Position", "follow_up": "Follow-up #"}
    table = pd.DataFrame({"image_id": listed["Image Index"].str.removesuffix(".png"), "label": label})
    table["group"] = listed["Patient ID"]
    for name, column in extra.items():
        if column in listed.columns:
            table[name] = listed[column]
    if "age" in table.columns:  # "058Y" in the table of 2017
        table["age"] = pd.to_numeric(table["age"].str.extract(r"(\d+)", expand=False))
    return table


def _known_labels(table: pd.DataFrame, card: DatasetCard, root: Path, refusals: Refusals) -> pd.DataFrame:
    """Refuse rows whose label is no class, and ids that occur twice."""
    many = card.task == "multi-label"
    good = {
        label: set(label.split(SEPARATOR) if many and label else [] if many else [label]) <= set(card.classes)
        for label in table["label"].unique()
    }
    known = table["label"].map(good).astype(bool)
    for name, label in zip(table["image_id"][~known], table["label"][~known], strict=True):
        refusals.refuse(root / name, f"has the label {label!r}", expected=f"labels among {card.classes}")
    table = table[known].reset_index(drop=True)
    return scanning.drop_duplicates(table.assign(path=table["image_id"]), root, refusals)


def _image_paths(root: Path, prefix: str, refusals: Refusals) -> dict[str, str]:
    """Map stem to path over all folders whose name begins with ``prefix``, one folder deeper too."""
    names = {name.lower(): name for name in reversed(scanning.subfolders(root)) if name.lower().startswith(prefix)}
    places = [place for name in sorted(names.values()) for place in _leaves(root, name)]
    found: dict[str, str] = {}
    for place in places:
        for name in scanning.list_images(root / place, refusals):
            stem = scanning.stem(name)
            if stem in found:
                expected, reason = "every image once", f"is the second file for the id {stem!r}"
                refusals.refuse(root / place / name, reason, expected=expected)
            else:
                found[stem] = f"{place}/{name}"
    return found


def _leaves(root: Path, name: str) -> list[str]:
    """``images_001/images`` as unpacked from the twelve archives by some tools, else ``images_001`` itself."""
    inner = [f"{name}/{deeper}" for deeper in scanning.subfolders(root / name)]
    return inner or [name]


def _with_paths(
    table: pd.DataFrame, paths: dict[str, str], root: Path, refusals: Refusals
) -> tuple[pd.DataFrame, pd.Series[str]]:
    """Give each row its file; return the rows that have one and the ids of those that have none."""
    table = table.assign(path=scanning.look_up(table["image_id"], paths))
    present = table["path"] != ""
    unlisted = sorted(set(paths) - set(table["image_id"]))
    for stem in unlisted:
        refusals.refuse(root / paths[stem], "has no row in the table", expected="a row for every image")
    return table[present].reset_index(drop=True), table["image_id"][~present]


def _official(root: Path, ids: pd.Series[str]) -> pd.Series[str]:
    """Return the official part of each image, empty where no list names it."""
    parts: dict[str, str] = {}
    for name, part in LISTS.items():
        if (root / name).is_file():
            parts |= dict.fromkeys((line.removesuffix(".png") for line in _lines(root / name)), part)
    return scanning.look_up(ids, parts)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise ValueError(
            f"Expected a list of images in {path}, but it is none ({error}). Download it again."
        ) from error


def _chest_gaps(root: Path, table: pd.DataFrame, absent: pd.Series[str], listed: int) -> list[str]:
    """Say what the complete set has and this copy lacks: images, lists, boxes."""
    gaps = _rows_without_image(absent, listed) + [name for name in (*LISTS, BOXES) if not (root / name).is_file()]
    without = int((table["official"] == "").sum())
    return [*gaps, *([f"the official part of {without:,} images"] if without else [])]


def _rows_without_image(absent: pd.Series[str], listed: int) -> list[str]:
    if not len(absent):
        return []
    return [f"images of {len(absent):,} of {listed:,} rows, for example {scanning.some(absent)}"]


def _chest_boxes(root: Path, table: pd.DataFrame) -> pd.DataFrame | None:
    path = root / BOXES
    if not path.is_file():
        return None
    boxes = chest_boxes(path)
    return boxes[boxes["image_id"].isin(table["image_id"])].reset_index(drop=True)


def chest_boxes(path: Path) -> pd.DataFrame:
    """Read the box list: its header splits "Bbox [x,y,w,h]" over four columns, so they are taken by position.

    Raises
    ------
    ValueError
        If the file is no such list.
    """
    import pandas as pd

    try:
        boxes = pd.read_csv(path, usecols=range(6), names=list(BOX_COLUMNS), header=0)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"Expected boxes in {path}, but it cannot be read ({error}). Download it again.") from error
    boxes["image_id"] = boxes["image_id"].astype(str).str.removesuffix(".png")
    boxes["label"] = boxes["label"].replace(BOX_NAMES)
    return boxes


def _ham_masks(root: Path, table: pd.DataFrame, refusals: Refusals) -> FilePixels | None:
    found = _image_paths(root, "ham10000_segmentations", refusals)
    if not found:
        return None
    paths = scanning.look_up(table["image_id"] + "_segmentation", found)
    return FilePixels(root, tuple(paths), 1)
