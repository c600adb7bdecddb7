"""Find test images that also occur among the training images: the image itself, its copy, or its patient."""

from __future__ import annotations

import filecmp
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.cohorts.cohort import Cohort, FilePixels
from medxai_helpers.cohorts.near_duplicates import Fingerprints, fingerprint_images, near_duplicates
from medxai_helpers.cohorts.splits import Split

if TYPE_CHECKING:
    import pandas as pd

KINDS = {"groups": "shared groups", "exact": "exact copies", "near": "near duplicates"}
PAIR = ("first_part", "first_id", "second_part", "second_id")


@dataclass(frozen=True)
class LeakageReport:
    """What two parts of a split share. Introduced in chapter 02.

    Parameters
    ----------
    groups : DataFrame
        One row per group (patient, lesion) and pair of parts: ``group``, ``first_part``, ``first_images``,
        ``second_part``, ``second_images`` (numbers of images) and one image of each, ``first_id`` and ``second_id``.
    exact : DataFrame
        One row per pair of images with the same pixels: ``first_part``, ``first_id``, ``second_part``, ``second_id``
        and ``same`` ("file" if the files agree in every byte, else "pixels"). An image is paired with one of its copies
        in each other part, not with all of them.
    near : DataFrame
        One row per pair that shows the same in other pixels: the same four columns, ``bits``, ``correlation`` and
        ``flipped``.
    scheme : str
        The split, in words.
    searched : tuple of str
        What was looked for; what was not looked for is not known to be absent.
    """

    groups: pd.DataFrame
    exact: pd.DataFrame
    near: pd.DataFrame
    scheme: str
    searched: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when nothing that was looked for is shared."""
        return not (len(self.groups) or len(self.exact) or len(self.near))

    def images(self, part: str) -> tuple[str, ...]:
        """Ids of the images of a part that are copies, exact or near, of an image in an earlier part of the split.

        For ``"test"``: what a test score must be looked at without.
        """
        named = [pairs.loc[pairs["second_part"] == part, "second_id"] for pairs in (self.exact, self.near)]
        return tuple(sorted({str(name) for column in named for name in column}))

    def to_markdown(self, most: int = 10) -> str:
        """Return the findings as Markdown, at most ``most`` pairs of each kind."""
        blocks = [f"**{self}**"]
        for name in self.searched:
            table: pd.DataFrame = getattr(self, name)
            if len(table):
                more = f", the first {most}" if len(table) > most else ""
                blocks.append(f"{KINDS[name].capitalize()} ({len(table):,}{more}):\n\n{_markdown(table.head(most))}")
        return "\n\n".join(blocks)

    def __str__(self) -> str:
        found = ", ".join(f"{len(getattr(self, name)):,} {KINDS[name]}" for name in self.searched)
        unknown = ", ".join(KINDS[name] for name in KINDS if name not in self.searched)
        verdict = "no leak found" if self.ok else "LEAK"
        return f"{verdict}: {found} across the parts of {self.scheme}" + (f"; not searched: {unknown}" * bool(unknown))


def check_leakage(
    cohort: Cohort,
    split: Split,
    *,
    pixels: bool = True,
    flips: bool = False,
    fingerprints: Fingerprints | None = None,
) -> LeakageReport:
    """Look for groups, exact copies and near duplicates that lie in two parts of a split. Introduced in chapter 02.

    Parameters
    ----------
    cohort : Cohort
        The images.
    split : Split
        Of this cohort.
    pixels : bool
        Compare the images themselves, which reads every one of them once; ``False`` compares groups alone.
    flips : bool
        Look for mirrored near duplicates too. Symmetric images resemble their own mirror image: look at the pairs.
    fingerprints : Fingerprints, optional
        From :func:`fingerprint_images`, when they are at hand.

    Raises
    ------
    ValueError
        If the split or the fingerprints belong to another cohort, or an image does not decode.
    """
    part_of = _part_of(cohort, split)
    groups = _shared_groups(cohort, part_of, tuple(split.parts))
    if not pixels:
        empty = _named(cohort, np.empty((0, 2), dtype=np.int64), part_of, split)
        return LeakageReport(groups, empty.assign(same=[]), empty, str(split), ("groups",))
    rows = np.flatnonzero(part_of >= 0)
    known = _of_rows(fingerprints, rows, len(cohort)) if fingerprints else fingerprint_images(cohort.subset(rows))
    codes = np.unique(known.digests, return_inverse=True)[1]
    exact = _across(_copies(codes, part_of[rows]), rows, part_of)
    near, measures = _near(known, codes, part_of[rows], flips)
    near = _across(near, rows, part_of)
    return LeakageReport(
        groups,
        _named(cohort, exact, part_of, split).assign(same=[_same(cohort, *pair) for pair in exact]),
        _named(cohort, near, part_of, split).join(measures),
        str(split),
        tuple(KINDS),
    )


def _part_of(cohort: Cohort, split: Split) -> NDArray[np.int64]:
    """Number of the part of each row, -1 for rows in none."""
    last = max((int(rows.max()) for rows in split.parts.values() if len(rows)), default=-1)
    if last >= len(cohort):
        raise ValueError(
            f"Expected a split of this cohort ({len(cohort):,} images), but it names row {last:,}. "
            "Make the split from the same cohort."
        )
    part_of = np.full(len(cohort), -1, dtype=np.int64)
    for number, rows in enumerate(split.parts.values()):
        part_of[rows] = number
    return part_of


def _of_rows(fingerprints: Fingerprints, rows: NDArray[np.int64], images: int) -> Fingerprints:
    if len(fingerprints) != images:
        raise ValueError(
            f"Expected fingerprints of all {images:,} images of the cohort, but got {len(fingerprints):,}. "
            "Make them with fingerprint_images(cohort)."
        )
    return Fingerprints(fingerprints.digests[rows], fingerprints.thumbnails[rows])


def _shared_groups(cohort: Cohort, part_of: NDArray[np.int64], parts: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    table = cohort.table.assign(part=part_of)
    table = table[table["part"] >= 0]
    per_part = table.groupby(["group", "part"], observed=True)["image_id"].agg(["size", "first"]).reset_index()
    pairs = per_part.merge(per_part, on="group", suffixes=("_1", "_2"))
    pairs = pairs[pairs["part_1"] < pairs["part_2"]].reset_index(drop=True)
    names = np.array(parts, dtype=object)
    return pd.DataFrame(
        {
            "group": pairs["group"],
            "first_part": names[pairs["part_1"].to_numpy()],
            "first_images": pairs["size_1"],
            "first_id": pairs["first_1"],
            "second_part": names[pairs["part_2"].to_numpy()],
            "second_images": pairs["size_2"],
            "second_id": pairs["first_2"],
        }
    )


def _copies(codes: NDArray[np.int64], part: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs (m, 2) of equal images in different parts: each image with the first of its copies in each earlier part."""
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for one, other in combinations(np.unique(part), 2):
        earlier, later = np.flatnonzero(part == one), np.flatnonzero(part == other)
        values, first = np.unique(codes[earlier], return_index=True)
        place = np.minimum(np.searchsorted(values, codes[later]), max(len(values) - 1, 0))
        hit = values[place] == codes[later]
        pairs.append(np.column_stack([earlier[first[place[hit]]], later[hit]]))
    return np.concatenate(pairs)


def _across(pairs: NDArray[np.int64], rows: NDArray[np.int64], part_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row numbers of the cohort instead of positions, the earlier part first."""
    found = rows[pairs]
    order = np.argsort(part_of[found], axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def _near(
    known: Fingerprints, codes: NDArray[np.int64], part: NDArray[np.int64], flips: bool
) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """Pairs (m, 2) of positions in different parts, with their measures; of copies in one part the first stands in."""
    per_part = np.char.add(known.digests, part.astype(str))
    pairs = near_duplicates(Fingerprints(per_part, known.thumbnails), flips=flips)
    first, second = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    pairs = pairs[(part[first] != part[second]) & (codes[first] != codes[second])].reset_index(drop=True)
    return pairs[["first", "second"]].to_numpy(dtype=np.int64), pairs[["bits", "correlation", "flipped"]]


def _named(cohort: Cohort, pairs: NDArray[np.int64], part_of: NDArray[np.int64], split: Split) -> pd.DataFrame:
    import pandas as pd

    names, ids = np.array(tuple(split.parts), dtype=object), cohort.table["image_id"].to_numpy()
    columns = [values for side in (0, 1) for values in (names[part_of[pairs[:, side]]], ids[pairs[:, side]])]
    return pd.DataFrame(dict(zip(PAIR, columns, strict=True)))


def _same(cohort: Cohort, first: int, second: int) -> str:
    if not isinstance(cohort.pixels, FilePixels):
        return "pixels"
    one, other = (cohort.pixels.root / cohort.pixels.paths[row] for row in (first, second))
    return "file" if filecmp.cmp(one, other, shallow=False) else "pixels"


def _markdown(table: pd.DataFrame) -> str:
    rows = [table.columns, ["---"] * len(table.columns), *table.astype(object).to_numpy()]
    return "\n".join("| " + " | ".join(_cell(value) for value in row) + " |" for row in rows)


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float | np.floating) else str(value).replace("|", "\\|")
