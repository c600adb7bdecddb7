"""Bootstrap weights: how often each image was drawn, for all resamples at once.

Drawing images with replacement and scoring them again is the same as scoring all images with the number of times each
was drawn as its weight. A metric that takes a whole matrix of weights scores every resample in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from medxai_helpers.predictions import Predictions

Floats = NDArray[np.floating[Any]]
Statistic = Callable[[Floats], NDArray[np.float64]]
"""Maps weights (n, resamples) to scores (resamples,), or (resamples, classes)."""
Unit = Literal["patient", "image"]
UNITS = ("patient", "image")
BLOCK = 4_000_000
"""Weights held at once: 16 MB."""


@dataclass(frozen=True)
class Sampling:
    """What is drawn in a resample: images, or patients with all of their images. Introduced in chapter 16.

    Parameters
    ----------
    unit_of : array of int
        Which unit each image belongs to, 0 .. units - 1, shape (n,).
    stratum_of : array of int
        Which stratum each unit belongs to, shape (units,); the size of every stratum is kept.
    """

    unit_of: NDArray[np.int64]
    stratum_of: NDArray[np.int64]

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.stratum_of)

    @property
    def what(self) -> str:
        """What is drawn, in words."""
        name = "images" if self.units == len(self.unit_of) else "patients"
        return name + (", stratified" if self.stratum_of.any() else "")

    def weights(self, resamples: int, seed: int) -> Iterator[NDArray[np.float32]]:
        """Yield blocks of weights (n, block): how often each image was drawn in each resample."""
        rng = np.random.default_rng(seed)
        size = max(1, BLOCK // max(len(self.unit_of), 1))
        for start in range(0, resamples, size):
            yield self._spread(self._draw(min(size, resamples - start), rng))

    def left_out(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks of weights (n, block): all ones but for one unit, which is left out; every unit once."""
        size = max(1, BLOCK // max(len(self.unit_of), 1))
        for start in range(0, self.units, size):
            stop = min(start + size, self.units)
            yield self._spread(1 - np.eye(self.units, stop - start, -start, dtype=np.float32))

    def _draw(self, resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        drawn = np.zeros((self.units, resamples), dtype=np.float32)
        for stratum in range(self.stratum_of.max() + 1):
            members = np.flatnonzero(self.stratum_of == stratum)
            size = len(members)
            picks = rng.integers(size, size=(resamples, size), dtype=np.int32)
            picks += size * np.arange(resamples, dtype=np.int32)[:, None]
            counts = np.bincount(picks.ravel(), minlength=resamples * size).astype(np.float32)
            drawn[members] = counts.reshape(resamples, size).T
        return drawn

    def _spread(self, of_units: NDArray[np.float32]) -> NDArray[np.float32]:
        return of_units if self.units == len(self.unit_of) else of_units[self.unit_of]


def make_sampling(predictions: Predictions, unit: Unit = "patient", *, stratified: bool = False) -> Sampling:
    """Return what to draw from these predictions. Introduced in chapter 16.

    Parameters
    ----------
    predictions : Predictions
        Their groups are the patients; where every image has its own, patients and images are the same.
    unit : {"patient", "image"}
        What is drawn.
    stratified : bool
        Keep the number of units of every class. A patient with images of several classes forms a class of its own with
        others of the same mixture.

    Raises
    ------
    ValueError
        If there are fewer than two units, or many labels and strata are asked for.
    """
    if unit not in UNITS:
        raise ValueError(f"Expected a unit among {UNITS}, but got {unit!r}.")
    if stratified and predictions.many_label:
        raise ValueError("Expected one class per image for strata, but got many labels: use stratified=False.")
    n = len(predictions)
    if unit == "image" or len(np.unique(predictions.group)) == n:
        unit_of = np.arange(n)
    else:
        unit_of = np.unique(predictions.group, return_inverse=True)[1]
    units = int(unit_of.max(initial=-1)) + 1
    if units < 2:
        raise ValueError(
            f"Expected at least 2 {unit}s to draw from, but got {units}: one {unit} says nothing about the next."
        )
    if not stratified:
        return Sampling(unit_of, np.zeros(units, dtype=np.int64))
    mixture = np.zeros((units, len(predictions.classes)), dtype=bool)
    mixture[unit_of, predictions.targets] = True
    return Sampling(unit_of, np.unique(mixture, axis=0, return_inverse=True)[1].ravel())


def resample(statistic: Statistic, sampling: Sampling, resamples: int, seed: int) -> NDArray[np.float64]:
    """Score every resample: shape (resamples,) or (resamples, classes)."""
    return np.concatenate([statistic(block) for block in sampling.weights(resamples, seed)])


def percentile_ends(scores: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Return the two ends that leave out the same share of the resamples on both sides, shape (2, ...).

    Resamples in which a score is not defined are left out; where it never is, both ends are NaN.
    """
    tails = [(1 - level) / 2, (1 + level) / 2]
    columns = scores.reshape(len(scores), -1).T
    ends = [np.quantile(c[np.isfinite(c)], tails) if np.isfinite(c).any() else [np.nan, np.nan] for c in columns]
    return np.array(ends).T.reshape(2, *scores.shape[1:])


def bca_ends(
    scores: NDArray[np.float64], value: float, left_out: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Return the ends of the bias-corrected and accelerated interval, shape (2,).

    Parameters
    ----------
    scores : array
        Of the resamples, shape (resamples,).
    value : float
        The score itself.
    left_out : array
        The score without each unit, shape (units,).
    level : float
        Coverage.

    Source: Efron 1987, equations 2.3 and 6.6.
    """
    from scipy import stats

    scores, left_out = scores[np.isfinite(scores)], left_out[np.isfinite(left_out)]
    if not len(scores) or not np.isfinite(value):
        return np.array([np.nan, np.nan])
    below = ((scores < value).mean() + (scores <= value).mean()) / 2
    if not 0 < below < 1 or np.ptp(left_out) == 0:  # the score cannot go further, or nothing moves it
        return percentile_ends(scores, level)
    bias = stats.norm.ppf(below)
    away = left_out.mean() - left_out
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    z = bias + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    return np.asarray(np.quantile(scores, stats.norm.cdf(bias + z / (1 - acceleration * z))))
