"""Intervals: no score without its n and what it could have been on other images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from medxai_helpers.predictions import Predictions

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A score with its interval and what it rests on. Introduced in chapter 05.

    Parameters
    ----------
    value, low, high : float
        The score and the ends of its interval.
    n : int
        Images it rests on.
    method : str
        How the interval was made.
    level : float
        Its coverage, 0.95 unless said otherwise.
    """

    value: float
    low: float
    high: float
    n: int
    method: str
    level: float = 0.95

    def as_dict(self) -> dict[str, float | int | str]:
        """Return plain values for a run record."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.value:.4f} ({100 * self.level:g} % interval {self.low:.4f} to {self.high:.4f}, n = {self.n:,})"


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Return a proportion with Wilson's score interval. Introduced in chapter 05.

    Parameters
    ----------
    successes, n : int
        So many of so many.
    level : float
        Coverage, between 0 and 1.

    Raises
    ------
    ValueError
        If the counts cannot be.

    Examples
    --------
    >>> print(wilson_interval(270, 300))
    0.9000 (95 % interval 0.8609 to 0.9290, n = 300)

    Source: Wilson 1927, as computed by SciPy.
    """
    from scipy import stats

    if not (0 <= successes <= n and n > 0 and 0 < level < 1):
        raise ValueError(f"Expected 0 <= successes <= n, n > 0 and 0 < level < 1, but got {successes}, {n}, {level}.")
    interval = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    return Estimate(successes / n, float(interval.low), float(interval.high), n, "Wilson", level)


def mean_interval(
    values: NDArray[np.float64], *, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> Estimate:
    """Return the mean of one value per image with a percentile bootstrap interval. Introduced in chapter 05.

    Parameters
    ----------
    values : array of float
        One per image, for example each image's cross-entropy, shape (n,) with n of at least 2.
    seed, resamples, level
        The draw, how many, and the coverage.

    Source: Efron and Tibshirani 1993, as computed by SciPy.
    """
    from scipy import stats

    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"Expected at least 2 finite values, but got {len(values)}, {np.isfinite(values).sum()} finite."
        )
    result = stats.bootstrap(
        (values,), np.mean, n_resamples=resamples, confidence_level=level, method="percentile", batch=50, rng=seed
    )
    low, high = result.confidence_interval
    method = f"bootstrap over images, {resamples}"
    return Estimate(float(np.mean(values)), float(low), float(high), len(values), method, level)


def balanced_accuracy(confusion: Counts) -> Counts:
    """Mean recall over the classes that occur; confusion (..., classes, classes), true classes in rows."""
    support = confusion.sum(axis=-1)
    recall = np.divide(
        np.diagonal(confusion, axis1=-2, axis2=-1), support, out=np.full(support.shape, np.nan), where=support > 0
    )
    return np.asarray(np.nanmean(recall, axis=-1))


def bootstrap_interval(
    predictions: Predictions,
    score: Callable[[Counts], Counts] = balanced_accuracy,
    *,
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> Estimate:
    """Score the confusion matrix, with a percentile bootstrap interval over images. Introduced in chapter 05.

    Drawing n images with replacement and counting them is the same as one multinomial draw of the confusion matrix, so
    all resamples are made at once.

    Parameters
    ----------
    predictions : Predictions
        At least one.
    score : callable
        Maps confusion matrices (resamples, classes, classes) to scores (resamples,).
    seed, resamples, level
        The draw, how many, and the coverage.

    Source: Efron and Tibshirani 1993.
    """
    from medxai_helpers.evaluation.report import confusion_matrix

    counts = confusion_matrix(predictions).to_numpy(dtype=float)
    n = len(predictions)
    if n < 1 or resamples < 100 or not 0 < level < 1:
        raise ValueError(
            f"Expected predictions, 100 resamples or more and 0 < level < 1, but got {n}, {resamples}, {level}."
        )
    draws = np.random.default_rng(seed).multinomial(n, counts.ravel() / n, size=resamples)
    scores = score(draws.reshape(resamples, *counts.shape).astype(float))
    low, high = np.nanquantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(score(counts)), float(low), float(high), n, f"bootstrap over images, {resamples}", level)
