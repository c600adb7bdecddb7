"""Two models on the same images: whether they differ by more than the draw of the images, or of the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation.intervals import Estimate, check_draw, side_by_side
from medxai_helpers.evaluation.metrics import Metric, find_metric, value_of
from medxai_helpers.evaluation.ranking import ranking_scores
from medxai_helpers.evaluation.resampling import Floats, Statistic, Unit, make_sampling, percentile_ends, resample

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.predictions import Predictions

Correction = Literal["holm", "bonferroni", "fdr_bh"]
CORRECTIONS = ("holm", "bonferroni", "fdr_bh")


@dataclass(frozen=True)
class Comparison:
    """One metric of two models on the same images, and their difference. Introduced in chapter 16.

    Parameters
    ----------
    metric : str
        Its name.
    a, b, difference : Estimate
        Both scores and ``a - b``, with intervals from the same resamples.
    p_value : float
        Two-sided: the smallest error rate at which the interval of the difference would exclude 0.
    """

    metric: str
    a: Estimate
    b: Estimate
    difference: Estimate
    p_value: float

    def __str__(self) -> str:
        return f"{self.metric}: {self.a.value:.4f} - {self.b.value:.4f} = {self.difference}, p = {self.p_value:.3g}"


def aligned(a: Predictions, b: Predictions) -> Predictions:
    """Return ``b`` in the order of ``a``, once both are known to be about the same images. Introduced in chapter 16.

    Raises
    ------
    ValueError
        If classes, images, truth or patients differ, or an image occurs twice.
    """
    if a.classes != b.classes or a.many_label != b.many_label:
        raise ValueError(f"Expected the same classes in both predictions, but got {a.classes} and {b.classes}.")
    for one in (a, b):
        if len(np.unique(one.image_id)) < len(one):
            raise ValueError("Expected every image once, but some occur more often: take one prediction for each.")
    if len(a) != len(b) or set(a.image_id.tolist()) != set(b.image_id.tolist()):
        common = len(np.intersect1d(a.image_id, b.image_id))
        raise ValueError(
            f"Expected predictions on the same images, but got {len(a):,} and {len(b):,} with {common:,} in common: "
            "score both models on the same part of the same split."
        )
    order = np.argsort(b.image_id)[np.argsort(np.argsort(a.image_id))]
    matched = b.take(order)
    if (a.targets != matched.targets).any() or (a.group != matched.group).any():
        raise ValueError("Expected the same truth and patients for every image, but some differ: look at the labels.")
    return matched


def compare(
    a: Predictions,
    b: Predictions,
    metric: str | Metric = "balanced_accuracy",
    *,
    unit: Unit = "patient",
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> Comparison:
    """Compare two models on the same images with a paired bootstrap. Introduced in chapter 16.

    Both are scored on the same resamples. What makes an image hard for both cancels in the difference, so its interval
    is usually shorter than the two intervals side by side suggest.

    Parameters
    ----------
    a, b : Predictions
        On the same images, in any order.
    metric : str or Metric
        Any of ``METRICS``.
    unit, seed, resamples, level
        As in :func:`bootstrap_interval`.

    Raises
    ------
    ValueError
        If the images, their truth or the classes differ.

    Source: Efron and Tibshirani 1993.
    """
    return compare_metrics(a, b, [metric], unit=unit, seed=seed, resamples=resamples, level=level)[0]


def compare_metrics(
    a: Predictions,
    b: Predictions,
    metrics: Sequence[str | Metric],
    *,
    unit: Unit = "patient",
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> list[Comparison]:
    """Compare two models in several metrics, all from the same resamples; see :func:`compare`."""
    check_draw(resamples, level)
    b = aligned(a, b)
    chosen = [find_metric(metric) for metric in metrics]
    statistics = [side_by_side([m.checked(a), m.checked(b)]) for m in chosen]
    sampling = make_sampling(a, unit)
    how = f"paired bootstrap over {sampling.what}, {resamples}"
    draws = resample(_stacked(statistics), sampling, resamples, seed)  # (resamples, metrics, 2)
    values = value_of(_stacked(statistics), len(a))
    return [_comparison(metric.name, draws[:, k], values[k], len(a), how, level) for k, metric in enumerate(chosen)]


def _stacked(statistics: Sequence[Statistic]) -> Statistic:
    return lambda weights: np.stack([statistic(weights) for statistic in statistics], axis=1)


def _comparison(
    name: str, draws: NDArray[np.float64], values: NDArray[np.float64], n: int, how: str, level: float
) -> Comparison:
    three = np.column_stack([draws, draws[:, 0] - draws[:, 1]])
    low, high = percentile_ends(three, level)
    scores = [*values, values[0] - values[1]]
    a, b, difference = (Estimate(float(v), float(low[k]), float(high[k]), n, how, level) for k, v in enumerate(scores))
    return Comparison(name, a, b, difference, two_sided(three[:, 2]))


def two_sided(differences: NDArray[np.float64]) -> float:
    """Return twice the smaller share of resamples on either side of 0, at most 1; never 0, as the draws are finite."""
    known = differences[np.isfinite(differences)]
    if not len(known):
        return float("nan")
    tails = [(known <= 0).sum(), (known >= 0).sum()]
    return float(min(1.0, 2 * (min(tails) + 1) / (len(known) + 1)))


def compare_models(
    models: Mapping[str, Predictions],
    metric: str | Metric = "balanced_accuracy",
    *,
    correction: Correction = "holm",
    unit: Unit = "patient",
    seed: int = 0,
    resamples: int = 2000,
) -> pd.DataFrame:
    """Compare every pair of several models, with p-values corrected for their number. Introduced in chapter 16.

    Parameters
    ----------
    models : mapping of str to Predictions
        Two or more, on the same images.
    metric, unit, seed, resamples
        As in :func:`compare`.
    correction : {"holm", "bonferroni", "fdr_bh"}
        How p-values are corrected: Holm and Bonferroni bound the chance of any false claim, Benjamini and Hochberg the
        share of false claims.

    Returns
    -------
    DataFrame
        One row per pair: ``a``, ``b``, ``difference``, ``low``, ``high`` (not corrected), ``p``,
        ``p_corrected``, ``n``.

    Raises
    ------
    ValueError
        If there are fewer than two models, or they are not on the same images.

    Source: Holm 1979, as computed by statsmodels.
    """
    import pandas as pd
    from statsmodels.stats.multitest import multipletests

    if len(models) < 2 or correction not in CORRECTIONS:
        raise ValueError(
            f"Expected two models or more and a correction among {CORRECTIONS}, but got {len(models)}, {correction!r}."
        )
    rows = []
    for a, b in combinations(models, 2):
        found = compare(models[a], models[b], metric, unit=unit, seed=seed, resamples=resamples)
        difference = found.difference
        rows.append((a, b, difference.value, difference.low, difference.high, found.p_value, difference.n))
    table = pd.DataFrame(rows, columns=["a", "b", "difference", "low", "high", "p", "n"])
    table.insert(6, "p_corrected", multipletests(table["p"], method=correction)[1])
    return table


@dataclass(frozen=True)
class McNemar:
    """Which images each of two models has right, and the exact test on those that only one has right.

    Parameters
    ----------
    both, only_a, only_b, neither : int
        Images.
    p_value : float
        Two-sided, exact binomial.

    Introduced in chapter 16.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    p_value: float

    def __str__(self) -> str:
        n = self.both + self.only_a + self.only_b + self.neither
        counts = f"only a right {self.only_a}, only b right {self.only_b}, of n = {n:,}"
        return f"{counts}: exact McNemar p = {self.p_value:.3g}"


def mcnemar(a: Predictions, b: Predictions, *, unit: Unit = "patient") -> McNemar:
    """Test whether two models are equally accurate, by the images that only one has right. Introduced in chapter 16.

    Parameters
    ----------
    a, b : Predictions
        On the same images, in any order.
    unit : {"patient", "image"}
        The test takes images as independent. Where patients have several, it is refused unless ``"image"`` says that
        this is meant.

    Raises
    ------
    ValueError
        If the images differ, or patients have several.

    Source: McNemar 1947, exact, as computed by statsmodels.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact

    b = aligned(a, b)
    _refuse_patients(a, unit, "mcnemar", "compare")
    cells = np.array([[(a.correct & b.correct).sum(), (a.correct & ~b.correct).sum()], [0, 0]])
    cells[1] = (~a.correct & b.correct).sum(), (~a.correct & ~b.correct).sum()
    agree = cells[0, 1] + cells[1, 0] == 0
    p_value = 1.0 if agree else min(1.0, float(exact(cells, exact=True).pvalue))
    both, only_a, only_b, neither = map(int, cells.ravel())
    return McNemar(both, only_a, only_b, neither, p_value)


@dataclass(frozen=True)
class DeLong:
    """AUROC of one class for two models on the same images. Introduced in chapter 16.

    Parameters
    ----------
    label : str
        The class, against the rest.
    a, b, difference : Estimate
        Both areas and ``a - b``, with normal intervals.
    correlation : float
        Of the two areas over cohorts: how much of the luck of the draw they share.
    p_value : float
        Two-sided.
    """

    label: str
    a: Estimate
    b: Estimate
    difference: Estimate
    correlation: float
    p_value: float

    def __str__(self) -> str:
        return (
            f"{self.label}, AUROC: {self.a.value:.4f} - {self.b.value:.4f} = {self.difference}, "
            f"correlation {self.correlation:.2f}, p = {self.p_value:.3g}"
        )


def delong(a: Predictions, b: Predictions, label: str, *, unit: Unit = "patient", level: float = 0.95) -> DeLong:
    """Compare the AUROC of one class of two models by DeLong's test. Introduced in chapter 16.

    Parameters
    ----------
    a, b : Predictions
        On the same images, in any order.
    label : str
        The class, against the rest.
    unit : {"patient", "image"}
        As in :func:`mcnemar`.
    level : float
        Coverage of the intervals.

    Raises
    ------
    ValueError
        If the images differ, patients have several, or the class has fewer than two images or leaves fewer than two.

    Source: DeLong, DeLong and Clarke-Pearson 1988, by the midranks of Sun and Xu 2014.
    """
    from scipy import stats

    b = aligned(a, b)
    _refuse_patients(a, unit, "delong", "compare(..., 'macro_auroc')")
    column = class_index(a, label)
    scores = np.stack([ranking_scores(one)[:, column] for one in (a, b)])
    areas, covariance = delong_covariance(scores, a.one_hot[:, column])
    (var_a, both), (_, var_b) = covariance
    contrast = np.array([1.0, -1.0])
    spread = max(float(contrast @ covariance @ contrast), 0.0)
    difference = float(areas[0] - areas[1])
    deviations = np.array([np.sqrt(var_a), np.sqrt(var_b), np.sqrt(spread)])
    z = stats.norm.ppf((1 + level) / 2)
    first, second, gap = (
        Estimate(float(v), float(v - z * s), float(v + z * s), len(a), "DeLong", level)
        for v, s in zip([*areas, difference], deviations, strict=True)
    )
    p_value = 1.0 if difference == 0 else float(2 * stats.norm.sf(abs(difference) / deviations[2])) if spread else 0.0
    correlation = float(both / np.sqrt(var_a * var_b)) if var_a * var_b > 0 else float("nan")
    return DeLong(label, first, second, gap, correlation, p_value)


def delong_covariance(scores: Floats, positive: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the AUROC of several scores of the same images, and their covariance over cohorts.

    Parameters
    ----------
    scores : array of float
        One row per model, shape (models, n).
    positive : array of bool
        Truth, shape (n,); at least two of each kind.

    Returns
    -------
    areas, covariance : array
        Shapes (models,) and (models, models).
    """
    from scipy import stats

    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        raise ValueError(f"Expected two images or more of both kinds, but got {m} positive and {n} negative.")
    of_all = stats.rankdata(scores, axis=1)
    among_positive = stats.rankdata(scores[:, positive], axis=1)
    among_negative = stats.rankdata(scores[:, ~positive], axis=1)
    beaten = (of_all[:, positive] - among_positive) / n  # share of negatives below each positive
    unbeaten = 1 - (of_all[:, ~positive] - among_negative) / m  # share of positives above each negative
    covariance = np.cov(beaten) / m + np.cov(unbeaten) / n
    return beaten.mean(axis=1), np.atleast_2d(covariance)


def class_index(predictions: Predictions, label: str) -> int:
    """Return the index of a class; one that is not there is refused by name."""
    if label not in predictions.classes:
        raise ValueError(f"Expected a class among {predictions.classes}, but got {label!r}.")
    return predictions.classes.index(label)


def _refuse_patients(predictions: Predictions, unit: Unit, name: str, instead: str) -> None:
    if unit != "image" and len(np.unique(predictions.group)) < len(predictions):
        raise ValueError(
            f"Expected one image per patient, as {name} takes images as independent, but patients have several: "
            f"use {instead}, which draws patients, or say unit='image' if that is meant."
        )


@dataclass(frozen=True)
class AcrossSeeds:
    """Where the doubt about a score comes from: the draw of the images, or of the seed. Introduced in chapter 16.

    Parameters
    ----------
    metric : str
        Its name.
    mean : Estimate
        Mean over the runs; its interval draws images and seeds anew.
    seed_deviation, image_deviation : float
        Standard deviation between the runs on the same images, and that of one run over resamples of the images.
    scores : tuple of float
        Of each run.
    """

    metric: str
    mean: Estimate
    seed_deviation: float
    image_deviation: float
    scores: tuple[float, ...]

    def __str__(self) -> str:
        return (
            f"{self.metric}: mean of {len(self.scores)} runs {self.mean}; "
            f"standard deviation {self.seed_deviation:.4f} over seeds, {self.image_deviation:.4f} over images"
        )


def across_seeds(
    runs: Sequence[Predictions],
    metric: str | Metric = "balanced_accuracy",
    *,
    unit: Unit = "patient",
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> AcrossSeeds:
    """Return the mean of runs that differ in their seed, and what images and seeds add. Introduced in chapter 16.

    Parameters
    ----------
    runs : sequence of Predictions
        Two or more, on the same images.
    metric, unit, seed, resamples, level
        As in :func:`bootstrap_interval`.

    Raises
    ------
    ValueError
        If there are fewer than two runs, or they are not on the same images.
    """
    if len(runs) < 2:
        raise ValueError(f"Expected two runs or more, but got {len(runs)}: one run says nothing about the seed.")
    check_draw(resamples, level)
    same = [runs[0], *(aligned(runs[0], run) for run in runs[1:])]
    chosen, n = find_metric(metric), len(runs[0])
    statistic = side_by_side([chosen.checked(run) for run in same])
    sampling = make_sampling(runs[0], unit)
    draws, scores = resample(statistic, sampling, resamples, seed), value_of(statistic, n)
    picks = np.random.default_rng([seed, 1]).integers(len(same), size=(resamples, len(same)))
    low, high = percentile_ends(np.take_along_axis(draws, picks, axis=1).mean(axis=1), level)
    how = f"bootstrap over {sampling.what} and seeds, {resamples}"
    mean = Estimate(float(scores.mean()), float(low), float(high), n, how, level)
    image_deviation = float(np.sqrt(draws.var(axis=0, ddof=1).mean()))
    return AcrossSeeds(chosen.name, mean, float(scores.std(ddof=1)), image_deviation, tuple(map(float, scores)))


def sample_size(share: float, width: float, level: float = 0.95) -> int:
    """Return how many independent images give a proportion an interval of at most this width. Introduced in chapter 16.

    Parameters
    ----------
    share : float
        The proportion that is expected, between 0 and 1; 0.5 needs the most images.
    width : float
        From the lower to the upper end of Wilson's interval, between 0 and 1.
    level : float
        Coverage.

    Raises
    ------
    ValueError
        If an argument lies outside its range.

    Examples
    --------
    >>> sample_size(0.9, 0.1)
    141

    Source: Wilson 1927.
    """
    from scipy import stats

    if not (0 <= share <= 1 and 0 < width < 1 and 0 < level < 1):
        raise ValueError(f"Expected share, width and level between 0 and 1, but got {share}, {width} and {level}.")
    z = stats.norm.ppf((1 + level) / 2)

    def too_few(n: int) -> bool:
        half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
        return bool(2 * half > width)

    upper = 1
    while too_few(upper):
        upper *= 2
    lower = upper // 2
    while upper - lower > 1:
        middle = (lower + upper) // 2
        lower, upper = (middle, upper) if too_few(middle) else (lower, middle)
    return upper
