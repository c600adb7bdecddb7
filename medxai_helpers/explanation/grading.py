"""Grades of explanations: per image, beside controls, with intervals, and with what could not be graded counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation import Estimate
from medxai_helpers.explanation.controls import CONTROLS, control_maps
from medxai_helpers.explanation.heatmaps import Heatmaps
from medxai_helpers.explanation.localisation import MEASURES, overlap, pointing_game

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 2000
SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Grades:
    """One row per image and method. Introduced in chapter 20.

    Parameters
    ----------
    table : DataFrame
        Columns ``method``, ``image`` (its position), ``group`` (the patient), ``correct`` (whether the prediction was
        right), ``lesion`` (its size: small, medium or large by terciles, empty without one), ``share`` (of the image
        that the mask covers), then one column per measure.
    measures : tuple of str
        Names of those columns.
    """

    table: pd.DataFrame
    measures: tuple[str, ...]

    def summary(self, by: str | None = None) -> pd.DataFrame:
        """Return the mean of every measure with its 95 % interval, one row per method and measure.

        Parameters
        ----------
        by : {"correct", "lesion"}, optional
            Split the images first.

        Returns
        -------
        DataFrame
            ``value``, ``low``, ``high``, ``n`` (images graded) and ``undecided`` (images where nothing could be:
            no lesion, or a flat map).
        """
        import pandas as pd

        keys = ["method"] if by is None else ["method", by]
        rows: list[dict[str, Any]] = []
        for names, part in self.table.groupby(keys, sort=False, observed=True):
            for measure in self.measures:
                found = cluster_mean(part[measure].to_numpy(), part["group"].to_numpy())
                where = dict(zip(keys, names, strict=True)) | {"measure": measure}
                facts = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
                rows.append(where | facts | {"undecided": len(part) - found.n})
        return pd.DataFrame(rows).set_index([*keys, "measure"])

    def difference(self, method: str, other: str, measure: str) -> Estimate:
        """Return how much better ``method`` is than ``other`` on the images that both could be graded on.

        The difference is taken image by image; its interval draws patients.
        """
        wide = self.table.pivot_table(index=["image", "group"], columns="method", values=measure)
        missing = {method, other} - set(wide.columns)
        if missing:
            raise ValueError(f"Expected methods among {sorted(wide.columns)}, but got {sorted(missing)}.")
        gain = (wide[method] - wide[other]).dropna()
        return cluster_mean(gain.to_numpy(), gain.index.get_level_values("group").to_numpy())

    def save(self, path: Path) -> None:
        """Write the table as CSV."""
        self.table.to_csv(path, index=False)

    @classmethod
    def load(cls, path: Path) -> Grades:
        """Read what :meth:`save` wrote."""
        import pandas as pd

        table = pd.read_csv(path, dtype={"lesion": str})
        measures = tuple(name for name in table.columns if name not in _FACTS)
        return cls(table.fillna({"lesion": ""}), measures)

    def __str__(self) -> str:
        images, methods = self.table["image"].nunique(), self.table["method"].nunique()
        return f"{methods} methods on {images} images, {len(self.measures)} measures"


_FACTS = ("method", "image", "group", "correct", "lesion", "share")


def grade(
    maps: Mapping[str, Heatmaps],
    masks: NDArray[np.bool_],
    pixels: NDArray[np.uint8],
    *,
    correct: NDArray[np.bool_],
    groups: NDArray[Any] | None = None,
    threshold: float | None = None,
    tolerance: int = 0,
    controls: bool = True,
    seed: int = 0,
) -> Grades:
    """Grade explanations against masks, always beside the three controls. Introduced in chapter 20.

    Parameters
    ----------
    maps : mapping
        Name of a method to its maps of the same images in the same order.
    masks : array
        bool, (b, H, W).
    pixels : array
        The images, uint8, (b, H, W) or (b, H, W, 3): the controls are made from them.
    correct : array
        Whether each prediction was right, (b,).
    groups : array, optional
        What each image belongs to, (b,); intervals draw groups. Default: every image its own.
    threshold : float, optional
        Adds IoU and Dice at this share of each map's maximum; choose it on validation images.
    tolerance : int
        Above 0 it adds a pointing game that forgives so many pixels.
    controls : bool
        Leave the controls out only where they stand in another table.
    seed : int
        Of the random map.

    Raises
    ------
    ValueError
        If the numbers of maps, masks, images and predictions differ.
    """
    counts = {len(masks), len(pixels), len(correct), *(len(each) for each in maps.values())}
    if len(counts) != 1 or not maps:
        raise ValueError(f"Expected maps, masks, images and predictions of the same images, but got {counts}.")
    cells = min(each.raw.shape[1] for each in maps.values())
    blind = {name: control_maps(name, pixels, cells=cells, seed=seed) for name in CONTROLS if controls}
    facts = _facts(masks, correct, groups)
    import pandas as pd

    parts = [
        facts.assign(method=name, **_measures(each.enlarged(masks.shape[1]), masks, threshold, tolerance))
        for name, each in (dict(maps) | blind).items()
    ]
    table = pd.concat(parts, ignore_index=True)
    measures = [name for name in table.columns if name not in _FACTS]
    return Grades(table[[*_FACTS, *measures]], tuple(measures))


def _measures(
    maps: NDArray[Any], masks: NDArray[np.bool_], threshold: float | None, tolerance: int
) -> dict[str, NDArray[np.float64]]:
    found = {name: measure(maps, masks) for name, measure in MEASURES.items()}
    if tolerance:
        found["pointing game, tolerant"] = pointing_game(maps, masks, tolerance=tolerance)
    if threshold is not None:
        found["IoU"] = overlap(maps, masks, threshold=threshold)
        found["Dice"] = overlap(maps, masks, threshold=threshold, measure="dice")
    return found


def _facts(masks: NDArray[np.bool_], correct: NDArray[np.bool_], groups: NDArray[Any] | None) -> pd.DataFrame:
    import pandas as pd

    share = masks.mean(axis=(1, 2))
    lesion = np.full(len(masks), "", dtype=object)
    present = share > 0
    if present.any():
        edges = np.quantile(share[present], [1 / 3, 2 / 3])
        lesion[present] = np.array(SIZES, dtype=object)[np.searchsorted(edges, share[present])]
    image = np.arange(len(masks))
    group = image if groups is None else groups
    return pd.DataFrame({"image": image, "group": group, "correct": correct, "lesion": lesion, "share": share})


def cluster_mean(values: NDArray[np.float64], groups: NDArray[Any], *, seed: int = 0, level: float = 0.95) -> Estimate:
    """Return the mean of the values that are no NaN, with a percentile interval that draws whole groups.

    With fewer than two groups the interval is NaN. Introduced in chapter 20.

    Source: Efron and Tibshirani 1993.
    """
    known = ~np.isnan(values)
    names, member = np.unique(groups[known], return_inverse=True)
    how = f"bootstrap over {len(names)} groups, {RESAMPLES}"
    mean = float(values[known].mean()) if known.any() else np.nan
    if len(names) < 2:
        return Estimate(mean, np.nan, np.nan, int(known.sum()), how, level)
    sums, counts = np.bincount(member, values[known]), np.bincount(member)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    low, high = np.quantile((draws @ sums) / (draws @ counts), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(mean, float(low), float(high), int(known.sum()), how, level)
