"""One table of metrics: each scores a whole matrix of bootstrap weights at once, one column per resample.

What is not defined is NaN, never a quiet 0: the recall of a class without images, a correlation with a constant. Means
over classes are taken over those that occur in the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation.ranking import auroc_statistic, average_precision_statistic, mean_of_present
from medxai_helpers.evaluation.resampling import Floats, Statistic

if TYPE_CHECKING:
    from medxai_helpers.predictions import Predictions

Scores = NDArray[np.float64]
BOTH, ONE_CLASS, LABELS = ("multi-class", "many-label"), ("multi-class",), ("many-label",)


@dataclass(frozen=True)
class Metric:
    """How to score predictions, with or without bootstrap weights. Introduced in chapter 15.

    Parameters
    ----------
    name, title : str
        For code, and for readers.
    prepare : callable
        Maps predictions to a function of weights (n, resamples) that returns scores (resamples,).
    tasks : tuple of str
        ``"multi-class"``, ``"many-label"``, or both.
    higher_is_better : bool
        False for losses and errors.
    """

    name: str
    title: str
    prepare: Callable[[Predictions], Statistic]
    tasks: tuple[str, ...] = BOTH
    higher_is_better: bool = True

    def __call__(self, predictions: Predictions) -> float:
        """Return the score of these predictions.

        Raises
        ------
        ValueError
            If there are no predictions, or the metric is not made for their task.
        """
        return float(value_of(self.checked(predictions), len(predictions)))

    def checked(self, predictions: Predictions) -> Statistic:
        """Return the function of weights, if the metric is made for such predictions."""
        task = "many-label" if predictions.many_label else "multi-class"
        if not len(predictions):
            raise ValueError("Expected at least one prediction, but got none.")
        if task not in self.tasks:
            fitting = [name for name, metric in METRICS.items() if task in metric.tasks]
            raise ValueError(f"Expected a metric for {task} predictions, but got {self.name!r}: choose from {fitting}.")
        return self.prepare(predictions)


def value_of(statistic: Statistic, n: int) -> NDArray[np.float64]:
    """Return what the statistic says when every image counts once: a scalar array, or shape (classes,)."""
    return np.asarray(statistic(np.ones((n, 1)))[0])


def ratio(numerator: Scores, denominator: Scores) -> Scores:
    """Divide, with NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.asarray(np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0))


# Per image: the mean of one value each.


def mean_statistic(values: NDArray[Any]) -> Statistic:
    """Return the weighted mean of one value per image."""
    as_floats = np.asarray(values, dtype=np.float64)
    return lambda weights: ratio(as_floats @ weights, weights.sum(axis=0, dtype=np.float64))


def brier_scores(predictions: Predictions) -> Scores:
    """Squared distance of probabilities and truth of each image, from 0 to 2; of many labels, the mean over them."""
    squared = (predictions.probabilities - predictions.one_hot) ** 2
    return np.asarray(squared.mean(axis=1) if predictions.many_label else squared.sum(axis=1))


def in_top(predictions: Predictions, k: int) -> NDArray[np.bool_]:
    """Whether the true class is among the k with the highest scores, shape (n,). Introduced in chapter 15.

    Classes that tie with the true one count as ranked before it, so that a constant score earns nothing.

    Raises
    ------
    ValueError
        If there are not more than k classes, or there are many labels.
    """
    if predictions.many_label or not 1 <= k < len(predictions.classes):
        raise ValueError(f"Expected one class per image of more than k = {k} classes, k at least 1.")
    scores = predictions.scores
    own = scores[np.arange(len(predictions)), predictions.targets]
    return np.asarray((scores >= own[:, None]).sum(axis=1) <= k)


# From counts: true and false positives and negatives of every class against the rest.


@dataclass(frozen=True)
class Counts:
    """Weighted counts of every class against the rest, each of shape (resamples, classes)."""

    tp: Scores
    fp: Scores
    fn: Scores
    tn: Scores

    @property
    def support(self) -> Scores:
        """Images of the class."""
        return self.tp + self.fn

    def recall(self) -> Scores:
        """Share of the class that was found: sensitivity."""
        return ratio(self.tp, self.support)

    def precision(self) -> Scores:
        """Share of the calls that were right: positive predictive value."""
        return ratio(self.tp, self.tp + self.fp)

    def specificity(self) -> Scores:
        """Share of the rest that was left alone."""
        return ratio(self.tn, self.tn + self.fp)

    def npv(self) -> Scores:
        """Share of the images not called that are not of the class."""
        return ratio(self.tn, self.tn + self.fn)

    def f1(self) -> Scores:
        """Harmonic mean of precision and recall; 0 for a class that is there and never called."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def of_present(self, values: Scores) -> Scores:
        """Set classes without images to NaN."""
        return np.where(self.support > 0, values, np.nan)


def count_statistic(predictions: Predictions, called: NDArray[np.bool_] | None = None) -> Callable[[Floats], Counts]:
    """Return the function that counts, for weights (n, resamples).

    ``called`` says which classes each image is given, shape (n, classes); without it, those predicted.
    """
    truth = predictions.one_hot
    if called is None:
        guess = predictions.predicted
        called = guess == 1 if predictions.many_label else guess[:, None] == np.arange(truth.shape[1])
    parts = [np.ascontiguousarray(part.T) for part in (truth & called, ~truth & called, truth & ~called)]

    def count(weights: Floats) -> Counts:
        tp, fp, fn = (np.asarray(part.astype(weights.dtype) @ weights, dtype=np.float64).T for part in parts)
        total = weights.sum(axis=0, dtype=np.float64)[:, None]
        return Counts(tp, fp, fn, total - tp - fp - fn)

    return count


def macro(measure: Callable[[Counts], Scores]) -> Callable[[Predictions], Statistic]:
    """Return the mean of a measure over the classes that occur."""

    def prepare(predictions: Predictions) -> Statistic:
        count = count_statistic(predictions)

        def score(weights: Floats) -> Scores:
            counts = count(weights)
            return mean_of_present(counts.of_present(measure(counts)))

        return score

    return prepare


def weighted(measure: Callable[[Counts], Scores]) -> Callable[[Predictions], Statistic]:
    """Return the mean of a measure over the classes, each as heavy as it has images."""

    def prepare(predictions: Predictions) -> Statistic:
        count = count_statistic(predictions)

        def score(weights: Floats) -> Scores:
            counts = count(weights)
            values = np.where(counts.support > 0, measure(counts) * counts.support, 0)
            return ratio(values.sum(axis=-1), counts.support.sum(axis=-1))

        return score

    return prepare


def micro_f1(predictions: Predictions) -> Statistic:
    """Return F1 over all labels of all images together."""
    count = count_statistic(predictions)

    def score(weights: Floats) -> Scores:
        c = count(weights)
        tp, fp, fn = (part.sum(axis=-1) for part in (c.tp, c.fp, c.fn))
        return ratio(2 * tp, 2 * tp + fp + fn)

    return score


def mcc(predictions: Predictions) -> Statistic:
    """Return Matthews' correlation between truth and answer, for any number of classes.

    Source: Gorodkin 2004.
    """
    count, right = count_statistic(predictions), mean_statistic(predictions.correct)

    def score(weights: Floats) -> Scores:
        c, total = count(weights), weights.sum(axis=0, dtype=np.float64)[:, None]
        true, called, accuracy = c.support / total, (c.tp + c.fp) / total, right(weights)
        covariance = accuracy - (true * called).sum(axis=-1)
        spread = (1 - (true**2).sum(axis=-1)) * (1 - (called**2).sum(axis=-1))
        return ratio(covariance, np.sqrt(np.where(spread > 1e-12, spread, 0)))

    return score


def kappa(predictions: Predictions) -> Statistic:
    """Return Cohen's kappa: the agreement beyond what the two margins alone would give.

    Source: Cohen 1960.
    """
    count, right = count_statistic(predictions), mean_statistic(predictions.correct)

    def score(weights: Floats) -> Scores:
        c, total = count(weights), weights.sum(axis=0, dtype=np.float64)[:, None]
        chance = (c.support * (c.tp + c.fp) / total**2).sum(axis=-1)
        return ratio(right(weights) - chance, np.where(chance < 1 - 1e-12, 1 - chance, 0))

    return score


def _macro_of(statistic: Callable[[Predictions], Statistic]) -> Callable[[Predictions], Statistic]:
    def prepare(predictions: Predictions) -> Statistic:
        per_class = statistic(predictions)
        return lambda weights: mean_of_present(per_class(weights))

    return prepare


def _labels_right(predictions: Predictions) -> Statistic:
    return mean_statistic((predictions.predicted == predictions.targets).mean(axis=1))


_TABLE = (
    Metric("accuracy", "Accuracy", lambda p: mean_statistic(p.correct), ONE_CLASS),
    Metric("balanced_accuracy", "Balanced accuracy", macro(Counts.recall), ONE_CLASS),
    Metric("mcc", "Matthews correlation", mcc, ONE_CLASS),
    Metric("kappa", "Cohen's kappa", kappa, ONE_CLASS),
    Metric("exact_match", "All labels right", lambda p: mean_statistic(p.correct), LABELS),
    Metric("label_accuracy", "Labels right", _labels_right, LABELS),
    Metric("micro_f1", "Micro F1", micro_f1, LABELS),
    Metric("macro_precision", "Macro precision", macro(Counts.precision)),
    Metric("macro_recall", "Macro recall", macro(Counts.recall)),
    Metric("macro_specificity", "Macro specificity", macro(Counts.specificity)),
    Metric("macro_f1", "Macro F1", macro(Counts.f1)),
    Metric("weighted_f1", "Weighted F1", weighted(Counts.f1)),
    Metric("macro_auroc", "Macro AUROC", _macro_of(auroc_statistic)),
    Metric("macro_ap", "Macro average precision", _macro_of(average_precision_statistic)),
    Metric("nll", "Cross-entropy (nats)", lambda p: mean_statistic(p.losses), BOTH, higher_is_better=False),
    Metric("brier", "Brier score", lambda p: mean_statistic(brier_scores(p)), BOTH, higher_is_better=False),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _TABLE}
"""Every metric by name. Introduced in chapter 15."""


def top_k(k: int) -> Metric:
    """Return the metric "true class among the k highest scores". Introduced in chapter 15."""
    return Metric(f"top_{k}", f"Top-{k} accuracy", lambda p: mean_statistic(in_top(p, k)), ONE_CLASS)


def find_metric(metric: str | Metric) -> Metric:
    """Return a metric by name, or as it came.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if isinstance(metric, Metric):
        return metric
    if metric not in METRICS:
        raise ValueError(f"Expected a metric among {tuple(METRICS)}, but got {metric!r}.")
    return METRICS[metric]
