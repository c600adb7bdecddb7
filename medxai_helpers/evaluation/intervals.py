"""Intervals: no score without its n and what it could have been on other images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation.metrics import Metric, find_metric, value_of
from medxai_helpers.evaluation.ranking import auroc_statistic, average_precision_statistic
from medxai_helpers.evaluation.resampling import (
    Statistic,
    Unit,
    bca_ends,
    make_sampling,
    percentile_ends,
    resample,
)

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.predictions import Predictions

Counts = NDArray[np.float64]
ConfusionScore = Callable[[Counts], Counts]
Method = Literal["percentile", "bca"]
METHODS = ("percentile", "bca")


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
    0.9000 (95 % interval 0.8608 to 0.9291, n = 300)

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
    score: str | Metric | ConfusionScore = "balanced_accuracy",
    *,
    unit: Unit = "patient",
    stratified: bool = False,
    method: Method = "percentile",
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> Estimate:
    """Return a score with its bootstrap interval over patients or images. Introduced in chapter 05.

    Parameters
    ----------
    predictions : Predictions
        Of two patients or more.
    score : str, Metric or callable
        A name in ``METRICS``, a metric, or a function that maps confusion matrices (resamples, classes, classes), true
        classes in rows, to scores (resamples,).
    unit : {"patient", "image"}
        What is drawn. Images of one patient resemble each other, so drawing images makes the interval too short; where
        no patients are known the two are the same.
    stratified : bool
        Keep the number of patients of every class in each resample.
    method : {"percentile", "bca"}
        ``"bca"`` corrects for bias and skewness; it scores the images once more for every patient left out.
    seed, resamples, level
        The draw, how many, and the coverage.

    Raises
    ------
    ValueError
        If there are too few patients or resamples, or the metric is unknown or not made for the task.

    Source: Efron and Tibshirani 1993; BCa: Efron 1987.
    """
    statistic = _statistic(predictions, score)
    check_draw(resamples, level, method)
    sampling = make_sampling(predictions, unit, stratified=stratified)
    value = float(value_of(statistic, len(predictions)))
    scores = resample(statistic, sampling, resamples, seed)
    if method == "percentile":
        low, high = percentile_ends(scores, level)
    else:
        left_out = np.concatenate([statistic(block) for block in sampling.left_out()])
        low, high = bca_ends(scores, value, left_out, level)
    how = f"{'BCa ' if method == 'bca' else ''}bootstrap over {sampling.what}, {resamples}"
    return Estimate(value, float(low), float(high), len(predictions), how, level)


def bootstrap_table(
    predictions: Predictions,
    metrics: Sequence[str | Metric],
    *,
    unit: Unit = "patient",
    stratified: bool = False,
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Return several metrics, each with its percentile interval, from the same resamples. Introduced in chapter 16.

    Parameters
    ----------
    predictions : Predictions
        Of two patients or more.
    metrics : sequence of str or Metric
        Names in ``METRICS``, or metrics.
    unit, stratified, seed, resamples, level
        As in :func:`bootstrap_interval`.
    """
    check_draw(resamples, level)
    chosen = [find_metric(metric) for metric in metrics]
    statistics = [metric.checked(predictions) for metric in chosen]
    sampling = make_sampling(predictions, unit, stratified=stratified)
    scores = resample(side_by_side(statistics), sampling, resamples, seed)
    ends = percentile_ends(scores, level)
    n, how = len(predictions), f"bootstrap over {sampling.what}, {resamples}"
    values = value_of(side_by_side(statistics), n)
    rows = zip(chosen, values, *ends, strict=True)
    return {metric.name: Estimate(float(v), float(low), float(high), n, how, level) for metric, v, low, high in rows}


def ranking_report(
    predictions: Predictions,
    *,
    unit: Unit = "patient",
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return how well every class is ranked against the rest, with percentile intervals. Introduced in chapter 13.

    Parameters
    ----------
    predictions : Predictions
        Of two patients or more, of one class or of many labels.
    unit, seed, resamples, level
        As in :func:`bootstrap_interval`.

    Returns
    -------
    DataFrame
        One row per class: ``positives`` (images that have it), ``prevalence`` (their share, and what a random order
        gives as average precision), ``auroc`` and ``ap`` (average precision), each with ``_low`` and ``_high``. NaN for
        a class that no image has, or all have.

    Examples
    --------
    >>> truth, ids = np.array([[1], [0], [1], [0]]), np.array(["a", "b", "c", "d"])
    >>> logits = np.array([[2.0], [-1.0], [1.0], [1.5]], np.float32)
    >>> from medxai_helpers import Predictions
    >>> float(ranking_report(Predictions(("mass",), ids, ids, truth, logits)).loc["mass", "auroc"])
    0.75
    """
    import pandas as pd

    check_draw(resamples, level)
    truth = predictions.one_hot
    table = pd.DataFrame({"positives": truth.sum(axis=0), "prevalence": truth.mean(axis=0)}, predictions.classes)
    sampling = make_sampling(predictions, unit)
    for name, prepare in (("auroc", auroc_statistic), ("ap", average_precision_statistic)):
        statistic = prepare(predictions)
        table[name] = value_of(statistic, len(predictions))
        ends = percentile_ends(resample(statistic, sampling, resamples, seed), level)
        table[f"{name}_low"], table[f"{name}_high"] = ends
    return table


def side_by_side(statistics: Sequence[Statistic]) -> Statistic:
    """Return one statistic of shape (resamples, statistics)."""
    return lambda weights: np.stack([statistic(weights) for statistic in statistics], axis=-1)


def _statistic(predictions: Predictions, score: str | Metric | ConfusionScore) -> Statistic:
    if isinstance(score, str | Metric):
        return find_metric(score).checked(predictions)
    if predictions.many_label or not len(predictions):
        raise ValueError("Expected predictions of one class per image, to count a confusion matrix.")
    return confusion_statistic(predictions, score)


def confusion_statistic(predictions: Predictions, score: ConfusionScore) -> Statistic:
    """Return a score of confusion matrices as a function of weights (n, resamples)."""
    from scipy import sparse

    n, k = len(predictions), len(predictions.classes)
    cell = predictions.targets * k + predictions.predicted
    sums = sparse.csr_matrix((np.ones(n, dtype=np.float32), (cell, np.arange(n))), shape=(k * k, n))
    return lambda weights: score(np.asarray(sums @ weights, dtype=np.float64).T.reshape(-1, k, k))


def check_draw(resamples: int, level: float, method: str = "percentile") -> None:
    """Refuse a number of resamples, a coverage or a method that cannot be."""
    if resamples < 100 or not 0 < level < 1 or method not in METHODS:
        raise ValueError(
            f"Expected 100 resamples or more, 0 < level < 1 and a method among {METHODS}, "
            f"but got {resamples}, {level} and {method!r}."
        )
