"""A data set in hand: one table row per image, pixels read when asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.decoding import Pixels
from medxai_helpers.cohorts.sources import ArrayPixels, FilePixels, PixelSource, load_source, save_source

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ArrayPixels", "Cohort", "FilePixels", "PixelSource", "Source"]

Source = Literal["real", "phantom", "own"]
REQUIRED_COLUMNS = ("image_id", "label", "group")
BOX_COLUMNS = ("image_id", "label", "x", "y", "width", "height")
SEPARATOR = "|"
INSIDE = 127
"""A mask pixel above this grey level is inside: the masks of Kvasir-SEG are JPEGs and not exactly black and white."""


def no_skips() -> pd.DataFrame:
    """Return an empty table of skipped files: columns ``path`` and ``reason``."""
    import pandas as pd

    return pd.DataFrame({"path": pd.Series(dtype=str), "reason": pd.Series(dtype=str)})


@dataclass(frozen=True)
class Cohort:
    """The images of one data set, described by a table and read when needed. Introduced in chapter 05.

    Parameters
    ----------
    card : DatasetCard
        What is known about the data set.
    table : DataFrame
        One row per image, index 0 .. n-1, with at least ``image_id`` (unique), ``label`` (a class name; in a
        multi-label set any number of them joined by ``|``, empty for none) and ``group`` (what must not be split, or
        the image's own id where the set does not say). ``official`` holds the official part, where there is one.
    pixels : PixelSource
        Gives the pixels of a row.
    source : {"real", "phantom", "own"}
        Where the images come from; every figure says so.
    origin : str
        One line for the reader: which archive, or which phantom and seed.
    masks : PixelSource, optional
        Gives the mask of a row; read it with :meth:`mask`.
    boxes : DataFrame, optional
        One row per box: ``image_id``, ``label``, ``x``, ``y``, ``width``, ``height`` in pixels of the original image.
    skipped : DataFrame
        One row per file or case that was left out: ``path`` and ``reason``.
    missing : tuple of str
        What the complete set has and this copy lacks, in words.
    twins : PixelSource, optional
        Gives the lesion-free twin of a row: same patient, pose, film and noise. Phantoms alone have them; read one with
        :meth:`twin`, or all with :meth:`lesion_free`.
    """

    card: DatasetCard
    table: pd.DataFrame
    pixels: PixelSource
    source: Source
    origin: str
    masks: PixelSource | None = None
    boxes: pd.DataFrame | None = None
    skipped: pd.DataFrame = field(default_factory=no_skips)
    missing: tuple[str, ...] = ()
    twins: PixelSource | None = None

    def __post_init__(self) -> None:
        missing = [column for column in REQUIRED_COLUMNS if column not in self.table.columns]
        if missing:
            raise ValueError(f"Expected a table with columns {REQUIRED_COLUMNS}, but {missing} are missing.")
        if not self.table["image_id"].is_unique:
            twice = self.table["image_id"][self.table["image_id"].duplicated()].iloc[0]
            raise ValueError(f"Expected every image_id once, but {twice!r} occurs more than once.")
        unknown = sorted(
            {name for label in self.table["label"].unique() for name in self._names(label)} - set(self.classes)
        )
        if unknown:
            raise ValueError(f"Expected labels among {self.classes}, but got {unknown}.")
        if self.boxes is not None and not set(BOX_COLUMNS) <= set(self.boxes.columns):
            raise ValueError(f"Expected boxes with columns {BOX_COLUMNS}, but got {tuple(self.boxes.columns)}.")

    def _names(self, label: str) -> list[str]:
        """Return the class names in one label."""
        return [label] if self.card.task == "multi-class" else [name for name in label.split(SEPARATOR) if name]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in index order."""
        return self.card.classes

    @property
    def targets(self) -> NDArray[Any]:
        """Class indices, int64 of shape (n,); in a multi-label set 0 or 1 per class, uint8 of shape (n, k)."""
        import pandas as pd

        codes, labels = pd.factorize(self.table["label"])
        index = {name: position for position, name in enumerate(self.classes)}
        if self.card.task == "multi-class":
            return np.array([index[label] for label in labels], dtype=np.int64)[codes]
        rows = [[name in self._names(label) for name in self.classes] for label in labels]
        return np.array(rows, dtype=np.uint8).reshape(-1, len(self.classes))[codes]

    @property
    def counts(self) -> dict[str, int]:
        """Images per class, in class order; a class without images counts 0, an image with two labels counts twice."""
        targets = self.targets
        flat = np.bincount(targets, minlength=len(self.classes)) if targets.ndim == 1 else targets.sum(axis=0)
        return {name: int(count) for name, count in zip(self.classes, flat, strict=True)}

    def image(self, row: int) -> Pixels:
        """Return the pixels of one row: uint8, (H, W) or (H, W, 3) in RGB."""
        return self.pixels.read(row)

    def mask(self, row: int) -> NDArray[np.bool_]:
        """Return the mask of one row: bool, (H, W), in the frame of :meth:`image`; all False if the image has none.

        Introduced in chapter 01.

        Raises
        ------
        ValueError
            If the set has no masks at all, or the mask's file does not decode.
        """
        if self.masks is None:
            raise ValueError(
                f"Expected a data set with masks, but {self.card.title} as loaded here has none. "
                "Check cohort.masks first, or use a set whose card lists 'masks' among its annotations."
            )
        mask = self.masks.read(row)
        height, width = self.image(row).shape[:2]
        inside = np.asarray(mask if mask.dtype == bool else mask > INSIDE, dtype=np.bool_)
        return inside if inside.shape == (height, width) else _nearest(inside, height, width)

    def twin(self, row: int) -> Pixels:
        """Return the lesion-free twin of one row: uint8, the shape of :meth:`image`.

        An image without a lesion is its own twin. Introduced in chapter 01.

        Raises
        ------
        ValueError
            If the set has no twins: real images never have.
        """
        return self._twins().read(row)

    def lesion_free(self) -> Cohort:
        """Return the same rows with their twins as the images, row for row. Introduced in chapter 02.

        Ids, labels and groups stay (the label tells what the image had before), masks and boxes go. Score a model on
        both cohorts: what its output changes by is the effect of the lesion, and of nothing else.

        Raises
        ------
        ValueError
            If the set has no twins: real images never have.

        Examples
        --------
        >>> cohort = load_dataset("brain-tumor-mri", source="phantom")  # doctest: +SKIP
        >>> bool((cohort.lesion_free().image(0) == cohort.twin(0)).all())  # doctest: +SKIP
        True
        """
        origin = f"{self.origin}; lesion-free twins"
        return replace(self, pixels=self._twins(), origin=origin, masks=None, boxes=None, twins=None)

    def _twins(self) -> PixelSource:
        if self.twins is None:
            raise ValueError(
                f"Expected lesion-free twins, but {self.card.title} as loaded here has none. Only phantoms with "
                "lesions have them: load_dataset(name, source='phantom'), for any set but Medical MNIST."
            )
        return self.twins

    def subset(self, rows: Sequence[int] | NDArray[np.int64]) -> Cohort:
        """Return the cohort of these rows, in this order, with their masks, twins and boxes."""
        chosen = np.asarray(rows, dtype=np.int64)
        table = self.table.iloc[chosen].reset_index(drop=True)
        masks, twins = (None if one is None else one.take(chosen) for one in (self.masks, self.twins))
        boxes = self.boxes
        if boxes is not None:
            boxes = boxes[boxes["image_id"].isin(table["image_id"])].reset_index(drop=True)
        pixels = self.pixels.take(chosen)
        return replace(self, table=table, pixels=pixels, masks=masks, boxes=boxes, twins=twins)

    def save(self, folder: Path) -> None:
        """Write the cohort into a folder: tables and references; image files stay where they are.

        Introduced in chapter 01.
        """
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"card": self.card.as_dict(), "source": self.source, "origin": self.origin, "missing": self.missing}
        (folder / "cohort.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        for name, pixels in {"pixels": self.pixels, "masks": self.masks, "twins": self.twins}.items():
            if pixels is None:
                (folder / f"{name}.json").unlink(missing_ok=True)  # of a cohort saved here before
            else:
                save_source(pixels, folder, name)
        tables = {"table": self.table, "skipped": self.skipped, "boxes": self.boxes}
        for name, table in tables.items():
            if table is None:
                (folder / f"{name}.json").unlink(missing_ok=True)
            else:
                _write_table(folder / f"{name}.json", table)

    @classmethod
    def load(cls, folder: Path) -> Cohort:
        """Read what :meth:`save` wrote. Introduced in chapter 01.

        Raises
        ------
        ValueError
            If the folder holds no complete saved cohort; the message names it.
        """
        try:
            facts = json.loads((folder / "cohort.json").read_text(encoding="utf-8"))
            table, skipped = _read_table(folder / "table.json"), _read_table(folder / "skipped.json")
            boxes = _read_table(folder / "boxes.json") if (folder / "boxes.json").is_file() else None
            card = DatasetCard.from_dict(facts["card"])
            missing = tuple(facts["missing"])
            source, origin = facts["source"], facts["origin"]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Expected a saved cohort in {folder}, but it cannot be read: {error}") from error
        masks, twins = (
            load_source(folder, name) if (folder / f"{name}.json").is_file() else None for name in ("masks", "twins")
        )
        return cls(card, table, load_source(folder, "pixels"), source, origin, masks, boxes, skipped, missing, twins)

    def __len__(self) -> int:
        return len(self.table)

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        left_out = f"; {len(self.skipped):,} skipped" if len(self.skipped) else ""
        return f"{self.card.title}: {len(self):,} images ({counts}); {self.origin}{left_out}"

    def _repr_html_(self) -> str:
        rows: list[Any] = [("images", f"{len(self):,}"), *((name, f"{n:,}") for name, n in self.counts.items())]
        rows += [("skipped", f"{len(self.skipped):,}")] if len(self.skipped) else []
        cells = "".join(f"<tr><th>{_escape(key)}</th><td>{value}</td></tr>" for key, value in rows)
        notes = "".join(f"<li>{_escape(line)}</li>" for line in self.missing)
        missing = f"<p>Missing here:</p><ul>{notes}</ul>" if notes else ""
        return f"<p><b>{_escape(self.card.title)}</b>: {_escape(self.origin)}</p><table>{cells}</table>{missing}"


def _escape(text: str) -> str:
    import html

    return html.escape(text)


def _nearest(mask: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Bring a mask into another frame by picking the nearest pixel centre."""
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(np.int64)
    return mask[np.ix_(rows, columns)]


def _write_table(path: Path, table: pd.DataFrame) -> None:
    """Write columns with their types: unlike CSV, texts such as "007", "" and "NA" come back as they were."""
    columns = {str(name): [str(table[name].dtype), table[name].tolist()] for name in table.columns}
    path.write_text(json.dumps(columns, default=str), encoding="utf-8")


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    columns = json.loads(path.read_text(encoding="utf-8"))
    return pd.DataFrame({name: pd.Series(values, dtype=kind) for name, (kind, values) in columns.items()})
