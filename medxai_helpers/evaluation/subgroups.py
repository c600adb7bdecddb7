"""Who does the model work for? One metric for each age group, sex or site, and its gap to everybody else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation.intervals import check_draw
from medxai_helpers.evaluation.metrics import Metric, find_metric, value_of
from medxai_helpers.evaluation.resampling import Floats, Statistic, Unit, make_sampling, percentile_ends, resample

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.predictions import Predictions

UNKNOWN = "not known"
COLUMNS = ["column", "group", "metric", "value", "low", "high", "gap", "gap low", "gap high", "n", "patients"]


def subgroup_table(
    predictions: Predictions,
    column: str,
    metric: str | Metric = "balanced_accuracy",
    *,
    edges: Sequence[float] | None = None,
    least: int = 10,
    unit: Unit = "patient",
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Score every subgroup, and its gap to all other images, with intervals. Introduced in chapter 15.

    Parameters
    ----------
    predictions : Predictions
        Their metadata names the subgroups.
    column : str
        A column of the metadata: age, sex, site, scanner.
    metric : str or Metric
        Any of ``METRICS``.
    edges : sequence of float, optional
        Cuts a column of numbers: ``(0, 40, 65, 120)`` makes 0 to under 40, 40 to under 65, 65 to under 120.
    least : int
        A subgroup of fewer patients gets its score but no interval: resampling a handful promises too much.
    unit, seed, resamples, level
        As in :func:`bootstrap_interval`.

    Returns
    -------
    DataFrame
        One row per subgroup, those not known last: ``column``, ``group``, ``metric``, ``value``, ``low``, ``high``,
        ``gap``, ``gap low``, ``gap high`` (subgroup minus everybody else), ``n`` (images), ``patients``.

    Raises
    ------
    ValueError
        If the column is not there, or numbers came without edges.
    """
    import pandas as pd

    check_draw(resamples, level)
    names = subgroup_names(predictions, column, edges)
    groups = sorted(set(names.tolist()) - {UNKNOWN}, key=None if edges is None else _lower_edge)
    groups += [UNKNOWN] * bool((names == UNKNOWN).any())
    chosen = find_metric(metric)
    masks = np.stack([names == group for group in groups], axis=1)
    statistic = inside_and_outside(chosen.checked(predictions), masks)
    values = value_of(statistic, len(predictions))  # (groups, 2): inside, outside
    draws = resample(statistic, make_sampling(predictions, unit), resamples, seed)
    low, high = percentile_ends(np.stack([draws[..., 0], draws[..., 0] - draws[..., 1]], axis=-1), level)
    rows = []
    for k, group in enumerate(groups):
        n, patients = int(masks[:, k].sum()), len(np.unique(predictions.group[masks[:, k]]))
        (low_k, gap_low), (high_k, gap_high) = (low[k], high[k]) if patients >= least else np.full((2, 2), np.nan)
        gap = values[k, 0] - values[k, 1]
        rows.append((column, group, chosen.name, values[k, 0], low_k, high_k, gap, gap_low, gap_high, n, patients))
    return pd.DataFrame(rows, columns=COLUMNS)


def inside_and_outside(statistic: Statistic, masks: NDArray[np.bool_]) -> Statistic:
    """Return the score in each group and outside it, as a function of weights: (resamples, groups, 2)."""

    def score(weights: Floats) -> NDArray[np.float64]:
        pairs = [(statistic(weights * m[:, None]), statistic(weights * ~m[:, None])) for m in masks.T]
        return np.stack([np.stack(pair, axis=-1) for pair in pairs], axis=1)

    return score


def subgroup_names(predictions: Predictions, column: str, edges: Sequence[float] | None = None) -> NDArray[np.str_]:
    """Return the name of the subgroup of every image, shape (n,); see :func:`subgroup_table`."""
    if column not in predictions.metadata:
        raise ValueError(f"Expected a column among {tuple(predictions.metadata)}, but got {column!r}.")
    values = predictions.metadata[column]
    if edges is not None:
        return _cut(values, column, edges)
    if values.dtype.kind == "f":
        raise ValueError(f"Expected names in {column!r}, but got numbers: cut them with edges=(...).")
    names = np.array([str(value) for value in values])
    return np.where(names == "", UNKNOWN, names)


def _cut(values: NDArray[Any], column: str, edges: Sequence[float]) -> NDArray[np.str_]:
    if values.dtype.kind not in "iuf" or len(edges) < 2 or list(edges) != sorted(set(edges)):
        raise ValueError(f"Expected numbers in {column!r} and rising edges, but got {values.dtype} and {tuple(edges)}.")
    numbers = values.astype(np.float64)
    place = np.searchsorted(edges, numbers, side="right") - 1
    inside = np.isfinite(numbers) & (place >= 0) & (place < len(edges) - 1)
    outside = np.isfinite(numbers) & ~inside
    if outside.any():
        raise ValueError(
            f"Expected every {column} between {edges[0]:g} and {edges[-1]:g}, but {int(outside.sum())} are not, for "
            f"example {numbers[outside][0]:g}: widen the edges."
        )
    labels = np.array([f"{a:g} to under {b:g}" for a, b in pairwise(edges)])
    return np.where(inside, labels[np.clip(place, 0, len(labels) - 1)], UNKNOWN)


def _lower_edge(name: str) -> float:
    return float(name.split(" ")[0])
