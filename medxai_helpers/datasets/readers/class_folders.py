"""Readers of sets with one folder per class: Medical MNIST, Kvasir v2, COVID-19 Radiography, Kermany, brain MRI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.cohort import Cohort, FilePixels
from medxai_helpers.cohorts.decoding import IMAGE_SUFFIXES
from medxai_helpers.datasets.readers import scanning
from medxai_helpers.datasets.readers.scanning import OnError, Refusals
from medxai_helpers.runtime import log

if TYPE_CHECKING:
    import pandas as pd

COVID_NAMES = {"COVID-19": "COVID", "NORMAL": "Normal", "VIRAL PNEUMONIA": "Viral Pneumonia"}
"""Folder names of the first releases of the COVID-19 Radiography Database."""

KERMANY_PARTS = {"train": "train", "val": "validation", "test": "test"}
KERMANY_PATIENT = (
    r"^person(?P<person>\d+)_|^(?P<prefix>NORMAL2-)?IM-(?P<film>\d+)|^(?:NORMAL|BACTERIA|VIRUS)-(?P<code>\d+)-"
)
BRAIN_PARTS = {"Training": "train", "Testing": "test"}


def read_class_folders(folder: Path, card: DatasetCard, *, on_error: OnError = "raise") -> Cohort:
    """Read ``CLASS/NAME.jpg``: Medical MNIST (``NNNNNN.jpeg``) and Kvasir v2. Introduced in chapter 05.

    Raises
    ------
    ValueError
        If no class folder is found, a folder is no class, a file is no image, or a class folder is empty; with
        ``on_error="skip"`` files are listed in ``Cohort.skipped`` instead.

    Source: the collections' own descriptions, one folder per class: https://datasets.simula.no/kvasir/ ("The images are
    organized in separate folders depending on the content") and
    https://github.com/apolanco3225/Medical-MNIST-Classification.
    """
    refusals = Refusals(on_error)
    root = _class_root(folder, card, {})
    found = _class_folders(root, card, {})
    table = _table([_scan_class(root, place, label, refusals) for place, label in found.items()])
    table = scanning.drop_duplicates(table, root, refusals)
    origin = f"real images, {len(found)} classes"
    return scanning.finish(card, table, scanning.files(root, table, card), refusals, folder=root, origin=origin)


def read_covid(folder: Path, card: DatasetCard, *, on_error: OnError = "raise") -> Cohort:
    """Read ``CLASS/images/NAME.png`` with lung masks in ``CLASS/masks``, or ``CLASS/NAME.png`` as first released.

    Introduced in chapter 01.

    Raises
    ------
    ValueError
        As :func:`read_class_folders`.

    Source: the README of the Kaggle release, tawsifurrahman/covid19-radiography-database: images are PNG of 299 x 299
    pixels, masks 256 x 256. The first releases had neither ``images`` nor ``masks`` folders.
    """
    refusals = Refusals(on_error)
    root = _class_root(folder, card, COVID_NAMES)
    found = _class_folders(root, card, COVID_NAMES)
    parts = [_scan_class(root, _with_images(root, place), label, refusals) for place, label in found.items()]
    masks = [_covid_masks(root, place, part["path"], refusals) for place, part in zip(found, parts, strict=True)]
    table = _table([part.assign(mask_path=mask) for part, mask in zip(parts, masks, strict=True)])
    table = scanning.drop_duplicates(table, root, refusals)
    without = int((table["mask_path"] == "").sum())
    return scanning.finish(
        card,
        table,
        scanning.files(root, table, card),
        refusals,
        folder=root,
        origin=f"real images, {len(found)} classes",
        masks=FilePixels(root, tuple(table["mask_path"]), 1) if without < len(table) else None,
        missing=[f"lung masks of {without:,} images"] if without else [],
    )


def read_kermany(folder: Path, card: DatasetCard, *, on_error: OnError = "raise") -> Cohort:
    """Read ``{train,val,test}/{NORMAL,PNEUMONIA}/NAME.jpeg``. Introduced in chapter 09.

    ``official`` holds the part, ``germ`` ``"bacteria"``, ``"virus"`` or ``""``, and ``group`` the patient as the file
    name gives it: ``personN`` for pneumonia, the film series (``IM-NNNN``) for normal images.

    Raises
    ------
    ValueError
        As :func:`read_class_folders`.

    Source: Kermany, Zhang, Goldbaum, Mendeley Data, 10.17632/rscbjbr9sj: names are "(disease)-(randomized patient
    ID)-(image number by this patient)"; the copy most in use (Kaggle, paultimothymooney/chest-xray-pneumonia) has
    ``personN_germ_M``, ``IM-NNNN-NNNN`` and ``NORMAL2-IM-NNNN-NNNN``, and sets 16 images aside in ``val``.
    """
    refusals = Refusals(on_error)
    root, table = _read_parts(folder, card, KERMANY_PARTS, refusals)
    stems = scanning.stems(table["path"])
    table["germ"] = stems.str.lower().str.extract(r"(bacteria|virus)", expand=False).fillna("")
    table["group"] = _kermany_patients(stems).fillna(table["image_id"])
    return scanning.finish(
        card,
        table,
        scanning.files(root, table, card),
        refusals,
        folder=root,
        origin="real images, official split in the table",
        missing=_absent_parts(table, KERMANY_PARTS),
    )


def read_brain_tumor_mri(folder: Path, card: DatasetCard, *, on_error: OnError = "raise") -> Cohort:
    """Read ``{Training,Testing}/CLASS/NAME.jpg``; ``official`` holds the part. Introduced in chapter 12.

    Raises
    ------
    ValueError
        As :func:`read_class_folders`.

    Source: Kaggle, masoudnickparvar/brain-tumor-mri-dataset (10.34740/kaggle/dsv/2645886).
    """
    refusals = Refusals(on_error)
    root, table = _read_parts(folder, card, BRAIN_PARTS, refusals)
    return scanning.finish(
        card,
        table,
        scanning.files(root, table, card),
        refusals,
        folder=root,
        origin="real images, official split in the table",
        missing=_absent_parts(table, BRAIN_PARTS),
    )


def _class_root(folder: Path, card: DatasetCard, other_names: Mapping[str, str]) -> Path:
    """Find the folder of the class folders; if there is none, ``folder`` itself, whose content is then refused."""

    def fits(place: Path) -> bool:
        return any(_class_of(name, card, other_names) for name in scanning.subfolders(place))

    try:
        return scanning.find_layout(folder, fits, "class folders")
    except ValueError as error:
        if "got" in str(error):
            raise
        return folder


def _class_of(name: str, card: DatasetCard, other_names: Mapping[str, str]) -> str | None:
    return name if name in card.classes else other_names.get(name.upper())


def _class_folders(folder: Path, card: DatasetCard, other_names: Mapping[str, str]) -> dict[str, str]:
    """Map folder to class, in class order; whatever is no class is refused, what is missing is said."""
    present = scanning.subfolders(folder)
    unknown = [name for name in present if _class_of(name, card, other_names) is None]
    if unknown:
        raise ValueError(
            f"Expected class folders among {card.classes} in {folder}, but got {unknown}. "
            "Rename or remove them: a class that the card does not know would be lost without a word."
        )
    classes = {name: str(_class_of(name, card, other_names)) for name in present}
    missing = [name for name in card.classes if name not in classes.values()]
    if len(missing) == len(card.classes):
        raise ValueError(f"Expected class folders {card.classes} in {folder}, but found none. {card.how_to_get}")
    if missing:
        log.info("%s: %s not found in %s; going on without.", card.title, ", ".join(missing), folder)
    return dict(sorted(classes.items(), key=lambda item: card.classes.index(item[1])))


def _scan_class(root: Path, place: str, label: str, refusals: Refusals) -> pd.DataFrame:
    """List the images of one class folder: columns ``image_id``, ``label``, ``group``, ``path``."""
    import pandas as pd

    names = scanning.list_images(root / place, refusals)
    if not names:
        expected = f"only image files ({', '.join(IMAGE_SUFFIXES)}) in {root / place}"
        refusals.refuse(root / place, "is empty", expected=expected, shown="the folder")
    ids = [f"{place}/{scanning.stem(name)}" for name in names]
    paths = [f"{place}/{name}" for name in names]
    return pd.DataFrame({"image_id": ids, "label": label, "group": ids, "path": paths}, dtype=str)


def _table(parts: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(parts, ignore_index=True)


def _with_images(root: Path, place: str) -> str:
    return f"{place}/images" if (root / place / "images").is_dir() else place


def _covid_masks(root: Path, place: str, paths: pd.Series[str], refusals: Refusals) -> pd.Series[str]:
    return scanning.match_masks(paths, root / place / "masks", f"{place}/masks/", refusals)


def _read_parts(
    folder: Path, card: DatasetCard, parts: Mapping[str, str], refusals: Refusals
) -> tuple[Path, pd.DataFrame]:
    """Read ``PART/CLASS/NAME`` with the official part as a column."""

    def fits(place: Path) -> bool:
        return any(name in parts for name in scanning.subfolders(place))

    root = scanning.find_layout(folder, fits, f"the folders {tuple(parts)}")
    unknown = [name for name in scanning.subfolders(root) if name not in parts and not _repeats(root / name, fits)]
    if unknown:
        raise ValueError(f"Expected the folders {tuple(parts)} in {root}, but got {unknown} too. Remove them.")
    tables = [
        _scan_class(root, f"{part}/{place}", label, refusals).assign(official=official)
        for part, official in parts.items()
        if (root / part).is_dir()
        for place, label in _class_folders(root / part, card, {}).items()
    ]
    return root, scanning.drop_duplicates(_table(tables), root, refusals)


def _repeats(place: Path, fits: object) -> bool:
    """Kaggle's archive of the Kermany set holds everything a second time, in ``chest_xray/chest_xray``."""
    return place.name == place.parent.name and callable(fits) and bool(fits(place))


def _absent_parts(table: pd.DataFrame, parts: Mapping[str, str]) -> list[str]:
    present = set(table["official"])
    return [f"the folder {name}" for name, official in parts.items() if official not in present]


def _kermany_patients(stems: pd.Series[str]) -> pd.Series[str]:
    """Return the patient in each file name, NaN where the name follows no known form."""
    found = stems.str.extract(KERMANY_PATIENT)
    people = "person" + found["person"]
    films = found["prefix"].fillna("") + "IM-" + found["film"]
    return people.fillna(films).fillna("patient" + found["code"])
