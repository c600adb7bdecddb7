"""Cut a cohort into parts: stratified by class, never through a group unless asked to, or as officially listed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.cohorts.cohort import Cohort

if TYPE_CHECKING:
    import pandas as pd

Rows = NDArray[np.int64]
MOST_FOLDS = 100
OFFICIAL = "official"
"""Column in which a reader keeps the part that the data set's own lists give an image."""
OFFICIAL_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Which rows of a cohort belong to which part. Introduced in chapter 05.

    Parameters
    ----------
    parts : mapping of str to array
        Row numbers per part, each sorted; no row occurs in two parts.
    scheme : str
        How it was made, in words: goes into the run record.
    seed : int
        The seed it was made with.
    """

    parts: dict[str, Rows]
    scheme: str
    seed: int

    def __post_init__(self) -> None:
        rows = np.concatenate(list(self.parts.values()))
        if len(np.unique(rows)) != len(rows):
            raise ValueError("Expected every row in one part only, but some rows occur in more than one.")

    def __getitem__(self, part: str) -> Rows:
        if part not in self.parts:
            raise KeyError(f"Expected a part among {tuple(self.parts)}, but got {part!r}.")
        return self.parts[part]

    @property
    def sizes(self) -> dict[str, int]:
        """Images per part."""
        return {name: len(rows) for name, rows in self.parts.items()}

    def counts(self, cohort: Cohort) -> pd.DataFrame:
        """Images per class (rows) and part (columns)."""
        import pandas as pd

        return pd.DataFrame({name: cohort.subset(rows).counts for name, rows in self.parts.items()})

    def save(self, path: Path) -> None:
        """Write the split as JSON."""
        content = {"scheme": self.scheme, "seed": self.seed, "parts": {k: v.tolist() for k, v in self.parts.items()}}
        path.write_text(json.dumps(content))

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what :meth:`save` wrote."""
        content = json.loads(path.read_text())
        parts = {name: np.asarray(rows, dtype=np.int64) for name, rows in content["parts"].items()}
        return cls(parts, content["scheme"], content["seed"])

    def __str__(self) -> str:
        sizes = ", ".join(f"{name} {size:,}" for name, size in self.sizes.items())
        return f"{sizes} ({self.scheme}, seed {self.seed})"


def make_split(
    cohort: Cohort,
    fractions: Mapping[str, float],
    *,
    seed: int,
    stratified: bool = True,
    grouped: bool | None = None,
) -> Split:
    """Cut a cohort into parts of the given fractions. Introduced in chapter 05, taken apart in chapter 02.

    Parameters
    ----------
    cohort : Cohort
        What to split.
    fractions : mapping of str to float
        For example ``{"train": 0.8, "validation": 0.2}``; they sum to 1 and are multiples of a hundredth.
    seed : int
        Decides the draw.
    stratified : bool
        Keep each class's share the same in every part. With many labels an image, groups are handed out label by label,
        the rarest first, so that the shares are close rather than equal.
    grouped : bool, optional
        Keep the images of one group (patient, lesion) together. Default: whenever the card names a group.

    Raises
    ------
    ValueError
        If the fractions do not sum to 1, or a class (or the set of groups) is too small to be cut so finely.

    Source: the folds are scikit-learn's ``StratifiedGroupKFold`` and its kin; a part is a number of folds. For many
    labels an image: Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data" (2011), with groups
    as units.
    """
    shares = _shares(fractions)
    folds = sum(shares.values())
    by_group = cohort.card.group is not None if grouped is None else grouped
    _check_sizes(cohort, folds, by_group, stratified)
    if stratified and cohort.targets.ndim == 2:
        return Split(_label_by_label(cohort, shares, seed, by_group), _scheme(cohort, fractions, True, by_group), seed)
    tests = _folds(cohort, folds, seed, by_group, stratified)
    order = np.cumsum([0, *shares.values()])
    parts = {
        name: np.sort(np.concatenate(tests[start:stop]))
        for name, start, stop in zip(shares, order[:-1], order[1:], strict=True)
    }
    return Split(parts, _scheme(cohort, fractions, stratified, by_group), seed)


def official_split(cohort: Cohort, *, validation: float = 0.0, seed: int = 0) -> Split:
    """Return the split that the data set itself publishes. Introduced in chapter 02.

    Parameters
    ----------
    cohort : Cohort
        Its table has a column ``official`` with the values "train", "validation" or "test".
    validation : float
        Where the lists give no validation part, cut this fraction off the training part (by group, stratified); the
        test part stays as published. A multiple of 0.01.
    seed : int
        Decides that cut.

    Raises
    ------
    ValueError
        If the data set publishes no split, an image is in no list, or there is a validation part already.
    """
    parts = _official_parts(cohort)
    if not validation:
        return Split(parts, "official", seed)
    if "validation" in parts:
        raise ValueError(f"Expected no validation part, but {cohort.card.title} publishes one. Leave validation at 0.")
    train = parts["train"]
    cut = make_split(cohort.subset(train), {"train": 1 - validation, "validation": validation}, seed=seed)
    parts = {"train": train[cut["train"]], "validation": train[cut["validation"]], "test": parts["test"]}
    return Split(parts, f"official, validation cut off the training part: {cut.scheme}", seed)


def merge_groups(cohort: Cohort, pairs: pd.DataFrame) -> Cohort:
    """Return the cohort with the groups of paired images made one: no split parts them. Introduced in chapter 02.

    Merging is transitive: if A is a copy of B and B of C, all three share a group, and so do the other images of their
    patients.

    Parameters
    ----------
    cohort : Cohort
        Of n images.
    pairs : DataFrame
        Columns ``first`` and ``second``, row numbers: from :func:`exact_copies`, :func:`near_duplicates` or both.

    Raises
    ------
    ValueError
        If a row number lies outside the cohort.
    """
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = pairs[["first", "second"]].to_numpy(dtype=np.int64)
    if ends.size and (ends.min() < 0 or ends.max() >= len(cohort)):
        raise ValueError(
            f"Expected row numbers from 0 to {len(cohort) - 1}, but got {ends.min()} to {ends.max()}. "
            "Search for duplicates in the same cohort."
        )
    codes, names = pd.factorize(cohort.table["group"])
    links = coo_array((np.ones(len(ends)), (codes[ends[:, 0]], codes[ends[:, 1]])), shape=(len(names), len(names)))
    cluster = connected_components(links, directed=False)[1]
    leader = np.unique(cluster, return_index=True)[1][cluster]
    group = "duplicate" if cohort.card.group is None else f"{cohort.card.group} or duplicate"
    table = cohort.table.assign(group=np.asarray(names)[leader[codes]])
    return replace(cohort, card=replace(cohort.card, group=group), table=table)


def _scheme(cohort: Cohort, fractions: Mapping[str, float], stratified: bool, by_group: bool) -> str:
    shares = "/".join(f"{100 * fraction:g}" for fraction in fractions.values())
    manner = "unstratified" if not stratified else "stratified" + " label by label" * (cohort.targets.ndim == 2)
    return f"{shares} {manner} by {(cohort.card.group or 'group') if by_group else 'image'}"


def _official_parts(cohort: Cohort) -> dict[str, Rows]:
    if OFFICIAL not in cohort.table.columns:
        raise ValueError(
            f"Expected a column {OFFICIAL!r} in the table, but {cohort.card.title} publishes no split. "
            "Use make_split(cohort, {'train': 0.8, 'test': 0.2}, seed=0)."
        )
    listed = cohort.table[OFFICIAL].to_numpy()
    unlisted = np.flatnonzero(~np.isin(listed.astype(object), OFFICIAL_PARTS))
    if len(unlisted):
        name = cohort.table["image_id"].iloc[unlisted[0]]
        raise ValueError(
            f"Expected every image in one of {OFFICIAL_PARTS}, but {len(unlisted):,} are not, {name!r} for one "
            f"({listed[unlisted[0]]!r}). Drop them with cohort.subset, or use make_split."
        )
    return {part: np.flatnonzero(listed == part) for part in OFFICIAL_PARTS if (listed == part).any()}


def _shares(fractions: Mapping[str, float]) -> dict[str, int]:
    """Turn fractions into the smallest whole numbers of folds: 80/20 becomes 4 + 1."""
    percent = {name: round(MOST_FOLDS * fraction) for name, fraction in fractions.items()}
    inexact = any(abs(percent[name] - MOST_FOLDS * fraction) > 1e-6 for name, fraction in fractions.items())
    if len(percent) < 2 or inexact or sum(percent.values()) != MOST_FOLDS or min(percent.values()) < 1:
        raise ValueError(
            "Expected two or more fractions that are multiples of 0.01 and sum to 1, "
            f"for example {{'train': 0.8, 'validation': 0.2}}, but got {dict(fractions)}."
        )
    common = math.gcd(*percent.values())
    return {name: value // common for name, value in percent.items()}


def _check_sizes(cohort: Cohort, folds: int, by_group: bool, stratified: bool) -> None:
    units = cohort.table["group"].nunique() if by_group else len(cohort)
    if units < folds:
        raise ValueError(
            f"Cannot cut {units} {'groups' if by_group else 'images'} into {folds} folds: "
            "use coarser fractions or a larger cohort."
        )
    small = [name for name, count in cohort.counts.items() if 0 < count < folds]
    if stratified and small and cohort.targets.ndim == 1:
        raise ValueError(
            f"Cannot stratify: {small} have fewer than {folds} images. "
            "Use coarser fractions, a larger cohort or stratified=False."
        )


def _folds(cohort: Cohort, folds: int, seed: int, by_group: bool, stratified: bool) -> list[Rows]:
    from sklearn import model_selection

    kinds = {
        (True, True): model_selection.StratifiedGroupKFold,
        (True, False): model_selection.StratifiedKFold,
        (False, True): model_selection.GroupKFold,
        (False, False): model_selection.KFold,
    }
    folder = kinds[stratified, by_group](n_splits=folds, shuffle=True, random_state=seed)
    groups = cohort.table["group"] if by_group else None
    labels = cohort.targets if stratified else None
    return [test.astype(np.int64) for _, test in folder.split(np.zeros(len(cohort)), labels, groups)]


def _label_by_label(cohort: Cohort, shares: Mapping[str, int], seed: int, by_group: bool) -> dict[str, Rows]:
    """Parts of a cohort with many labels: iterative stratification of groups or images."""
    import pandas as pd

    unit, names = pd.factorize(cohort.table["group"]) if by_group else (np.arange(len(cohort)), range(len(cohort)))
    negative = 1 - cohort.targets.max(axis=1, keepdims=True)
    labels = np.hstack([cohort.targets, negative]).astype(np.float64)
    counts = np.zeros((len(names), labels.shape[1]))
    np.add.at(counts, unit, labels)
    images = np.bincount(unit, minlength=len(names)).astype(np.float64)
    fractions = np.array(list(shares.values()), dtype=np.float64) / sum(shares.values())
    part_of = _hand_out(counts, images, fractions, np.random.default_rng(seed))[unit]
    return {name: np.flatnonzero(part_of == number) for number, name in enumerate(shares)}


def _hand_out(
    counts: NDArray[np.float64], images: NDArray[np.float64], fractions: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Part of each unit: always the rarest label left, and its units to the part that lacks it most."""
    lacking, room = np.outer(fractions, counts.sum(axis=0)), fractions * images.sum()
    part_of, left = np.full(len(counts), -1, dtype=np.int64), counts.sum(axis=0)
    while (part_of < 0).any():
        label = int(np.argmin(np.where(left > 0.5, left, np.inf)))
        waiting = rng.permutation(np.flatnonzero((part_of < 0) & (counts[:, label] > 0)))
        for unit in waiting[np.argsort(-counts[waiting, label], kind="stable")]:
            part = int(np.lexsort((room, lacking[:, label]))[-1])
            part_of[unit] = part
            lacking[part] -= counts[unit]
            room[part] -= images[unit]
        left = counts[part_of < 0].sum(axis=0)
    return part_of
