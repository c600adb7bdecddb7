"""What all readers share: finding the layout, listing images, and refusing or listing what does not belong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.cohort import Cohort, FilePixels, PixelSource, Source
from medxai_helpers.cohorts.decoding import IMAGE_SUFFIXES, signature_problem
from medxai_helpers.runtime import log

if TYPE_CHECKING:
    import pandas as pd

OnError = Literal["raise", "skip"]
ON_ERROR: tuple[OnError, ...] = ("raise", "skip")
SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""Files that operating systems leave behind: no part of any data set. Names that begin with a dot are ignored too."""

MOST_EXAMPLES = 3
WRAPPERS = 2
"""How many folders may lie around a layout: an archive unpacked into a folder of its own name gives one or two."""


@dataclass(frozen=True)
class Refusals:
    """Files that do not belong: an error at once, or a row in the list of skipped files.

    Parameters
    ----------
    on_error : {"raise", "skip"}
        What to do.
    rows : list of (path, reason)
        What was skipped so far.

    Raises
    ------
    ValueError
        If ``on_error`` is something else.
    """

    on_error: OnError
    rows: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.on_error not in ON_ERROR:
            raise ValueError(f"Expected on_error to be one of {ON_ERROR}, but got {self.on_error!r}.")

    def refuse(self, path: Path | str, reason: str, *, expected: str = "an image file", shown: str = "") -> None:
        """Raise ValueError with the path (or what is ``shown`` for it) and the reason, or list them."""
        if self.on_error == "raise":
            raise ValueError(
                f"Expected {expected}, but {printable(shown or str(path))} {reason}. "
                "Remove it, fetch the data set again, or pass on_error='skip' to list it as skipped."
            )
        self.exclude(path, reason)

    def exclude(self, path: Path | str, reason: str) -> None:
        """List something that is left out by rule, not by mistake."""
        self.rows.append((printable(str(path)), reason))

    def table(self) -> pd.DataFrame:
        """Return the list: columns ``path`` and ``reason``."""
        import pandas as pd

        paths, reasons = [path for path, _ in self.rows], [reason for _, reason in self.rows]
        return pd.DataFrame({"path": pd.Series(paths, dtype=str), "reason": pd.Series(reasons, dtype=str)})


def printable(name: str) -> str:
    """Return a name that can be written as UTF-8, whatever bytes the file system holds."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in SYSTEM_FILES


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, sorted by name, without hidden and system files.

    Raises
    ------
    ValueError
        If the folder does not exist or cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            return sorted((entry for entry in found if _is_visible(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise ValueError(
            f"Expected a readable folder, but {folder} is not ({error.strerror}). Check the path."
        ) from error


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted."""
    return [entry.name for entry in entries(folder) if entry.is_dir()]


def find_layout(folder: Path, fits: Callable[[Path], bool], expected: str) -> Path:
    """Return the folder that holds a layout: ``folder`` itself or one that it wraps, as unzipped.

    Raises
    ------
    ValueError
        If none fits, or several at the same depth do, so that choosing one would lose the others.
    """
    level = [folder]
    for _ in range(WRAPPERS + 1):
        found = [place for place in level if fits(place)]
        if len(found) > 1:
            raise ValueError(
                f"Expected one folder with {expected} in {folder}, but got {[str(place) for place in found]}. "
                "Pass the one that you mean."
            )
        if found:
            return found[0]
        level = [place / name for place in level for name in subfolders(place)]
    raise ValueError(f"Expected {expected} in {folder}, but found none. Check that it was unpacked completely.")


def list_images(folder: Path, refusals: Refusals, *, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[str]:
    """Return the names of the image files in a folder, sorted; whatever is no image is refused.

    Only names, sizes and first bytes are looked at: 100,000 files take a few seconds.
    """
    names = []
    for entry in entries(folder):
        problem = _name_problem(entry, tuple(suffixes)) or signature_problem(Path(entry.path))
        if problem:
            expected = f"only image files ({', '.join(suffixes)}) in {folder}"
            refusals.refuse(Path(entry.path), problem, expected=expected, shown=repr(entry.name))
        else:
            names.append(entry.name)
    return names


def _name_problem(entry: os.DirEntry[str], suffixes: tuple[str, ...]) -> str | None:
    if printable(entry.name) != entry.name:
        return "has a name that is no valid UTF-8"
    if entry.is_dir():
        return "is a folder"
    return None if entry.name.lower().endswith(suffixes) else "is none"


def read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a table as text, comma or tab separated, and check its columns.

    Raises
    ------
    ValueError
        If the file is no table or lacks a column; the message names the path.
    """
    import pandas as pd

    try:
        with path.open("rb") as file:
            separator = "\t" if b"\t" in file.readline(10_000) else ","
        table = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
        )
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise ValueError(f"Expected a table in {path}, but it cannot be read ({error}). Download it again.") from error
    absent = [name for name in columns if name not in table.columns]
    if absent:
        raise ValueError(f"Expected {path} to have the columns {columns}, but {absent} are missing. Download it again.")
    return table


def drop_duplicates(table: pd.DataFrame, root: Path, refusals: Refusals) -> pd.DataFrame:
    """Refuse every row whose ``image_id`` came before: two files that differ in their suffix only, for example."""
    twice = table["image_id"].duplicated()
    for path, name in zip(table["path"][twice], table["image_id"][twice], strict=True):
        refusals.refuse(root / path, f"is the second file for the id {name!r}", expected="every image once")
    return table[~twice].reset_index(drop=True)


def match_masks(paths: pd.Series[str], folder: Path, prefix: str, refusals: Refusals) -> pd.Series[str]:
    """Return the mask's path of each image, matched by stem (last part without suffix), empty where there is none."""
    names = list_images(folder, refusals) if folder.is_dir() else []
    index = {stem(name): f"{prefix}{name}" for name in names}
    return look_up(stems(paths), index)


def look_up(keys: pd.Series[str], values: Mapping[str, str]) -> pd.Series[str]:
    """Return the value of each key, empty where there is none."""
    import pandas as pd

    return pd.Series([values.get(key, "") for key in keys], index=keys.index, dtype=str)


def stem(name: str) -> str:
    """Return a file name without its suffix."""
    return name.rpartition(".")[0] or name


def stems(paths: pd.Series[str]) -> pd.Series[str]:
    """Return file names without folder and suffix."""
    return paths.str.rsplit("/", n=1).str[-1].str.rsplit(".", n=1).str[0]


def fewer_than_published(card: DatasetCard, counts: dict[str, int], images: int) -> list[str]:
    """Say, class by class, how many images of the complete set are not here."""
    if card.images is not None and images >= card.images:
        return []
    here = {name: (counts.get(name, 0), full) for name, full in card.counts.items()}
    return [f"{name}: {have:,} of {full:,} images" for name, (have, full) in here.items() if have < full]


def some(names: Iterable[str]) -> str:
    """Name the first few of many."""
    every = [printable(name) for name in names]
    return ", ".join(every[:MOST_EXAMPLES]) + (", ..." if len(every) > MOST_EXAMPLES else "")


def finish(
    card: DatasetCard,
    table: pd.DataFrame,
    pixels: PixelSource,
    refusals: Refusals,
    *,
    folder: Path,
    origin: str,
    source: Source = "real",
    masks: PixelSource | None = None,
    boxes: pd.DataFrame | None = None,
    missing: Sequence[str] = (),
) -> Cohort:
    """Build the cohort; with ``on_error="skip"`` every image is decoded once and those that fail are listed.

    Raises
    ------
    ValueError
        If no image is left.
    """
    keep = np.arange(len(table))
    if refusals.on_error == "skip":
        failed = unreadable([pixels] if masks is None else [pixels, masks], len(table))
        names = table["path"] if "path" in table.columns else table["image_id"]
        for row, reason in failed.items():
            refusals.exclude(folder / str(names.iloc[row]), reason)
        keep = np.setdiff1d(keep, list(failed))
    if not len(keep):
        raise ValueError(
            f"Expected at least one image in {folder}, but found none ({len(refusals.rows)} skipped"
            f"{': ' + refusals.rows[0][0] + ' ' + refusals.rows[0][1] if refusals.rows else ''}). {card.how_to_get}"
        )
    whole = Cohort(card, table, pixels, source, origin, masks, boxes)
    cohort = whole if len(keep) == len(table) else whole.subset(keep)
    return _with_gaps(cohort, refusals, missing)


def _with_gaps(cohort: Cohort, refusals: Refusals, missing: Sequence[str]) -> Cohort:
    gaps = (*fewer_than_published(cohort.card, cohort.counts, len(cohort)), *missing)
    if len(refusals.rows):
        log.info("%s: %d skipped, for example %s.", cohort.card.title, len(refusals.rows), " ".join(refusals.rows[0]))
    return replace(cohort, skipped=refusals.table(), missing=gaps)


def unreadable(sources: Sequence[PixelSource], rows: int) -> dict[int, str]:
    """Decode every image once, on all cores, and return the reason for each row that fails."""

    def reason(row: int) -> str:
        try:
            for source in sources:
                source.read(row)
        except ValueError as error:
            return f"does not decode: {error}"
        return ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = pool.map(reason, range(rows), chunksize=64)
        return {row: text for row, text in enumerate(reasons) if text}


def files(folder: Path, table: pd.DataFrame, card: DatasetCard) -> FilePixels:
    """Return the pixels of a table with a column ``path``."""
    return FilePixels(folder, tuple(table["path"]), card.channels)


def positions(labels: pd.Series[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """Return class indices, -1 for a label that is no class."""
    import pandas as pd

    return np.asarray(pd.Index(list(classes)).get_indexer(pd.Index(labels)), dtype=np.int64)
