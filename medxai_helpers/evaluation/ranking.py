"""AUROC and average precision of every bootstrap resample at once.

The scores of the images do not change from resample to resample, only how often each image counts. So the images are
sorted once. What is left for each resample are sums, and sums for all resamples are products with a sparse matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation.resampling import Floats, Statistic

if TYPE_CHECKING:
    from medxai_helpers.predictions import Predictions


class Ranking:
    """One class against the rest, sorted by score: weighted sums at the distinct scores of the positives.

    Parameters
    ----------
    scores : array of float
        One per image, higher for more likely positive, shape (n,).
    positive : array of bool
        Truth, shape (n,).
    """

    def __init__(self, scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> None:
        from scipy import sparse

        n, members, others = len(scores), np.flatnonzero(positive), np.flatnonzero(~positive)
        levels, level_of = np.unique(scores[positive], return_inverse=True)
        place = np.searchsorted(levels, scores[others])
        tied = np.isin(scores[others], levels)
        self.levels = len(levels)
        shapes = (self.levels, n), (2 * self.levels + 1, n)
        bins = 2 * place + tied  # even: between two levels; odd: at a level
        ones = np.ones(n, dtype=np.float32)
        self._positives = sparse.csr_matrix((ones[: len(members)], (level_of, members)), shape=shapes[0])
        self._negatives = sparse.csr_matrix((ones[: len(others)], (bins, others)), shape=shapes[1])

    def sums(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Return positives at each level, negatives below it and at it, (levels, resamples), and all negatives."""
        positives = self._positives @ weights
        reached = np.cumsum(self._negatives @ weights, axis=0)
        return positives, reached[: 2 * self.levels], reached[-1]

    def auroc(self, weights: Floats) -> NDArray[np.float64]:
        """Chance that a positive scores above a negative, ties counting one half, shape (resamples,)."""
        positives, reached, negatives = self.sums(weights)
        below, up_to = reached[::2], reached[1::2]
        won = np.einsum("lr,lr->r", positives, below + up_to, dtype=np.float64) / 2
        pairs = positives.sum(axis=0, dtype=np.float64) * negatives
        return np.asarray(np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))

    def average_precision(self, weights: Floats) -> NDArray[np.float64]:
        """Mean over the positives of the precision at their score, shape (resamples,)."""
        positives, reached, negatives = self.sums(weights)
        true = np.cumsum(positives[::-1], axis=0)[::-1]
        called = true + negatives - reached[::2]
        precision = np.divide(true, called, out=np.zeros_like(true), where=called > 0)
        found = np.einsum("lr,lr->r", positives, precision, dtype=np.float64)
        total = positives.sum(axis=0, dtype=np.float64)
        return np.asarray(np.divide(found, total, out=np.full(len(total), np.nan), where=total > 0))


def rankings(predictions: Predictions) -> list[Ranking]:
    """Return every class against the rest, ranked by its probability."""
    truth, scores = predictions.one_hot, ranking_scores(predictions)
    return [Ranking(column, positive) for column, positive in zip(scores.T, truth.T, strict=True)]


def ranking_scores(predictions: Predictions) -> NDArray[np.float64]:
    """Return scores that order the images as their probabilities do, without ties from rounding, (n, classes).

    Log odds of each class against all others together; of many labels, their logits.
    """
    scores = predictions.scores
    if predictions.many_label or scores.shape[1] < 2:
        return scores
    from scipy.special import logsumexp

    rest = np.stack([logsumexp(np.delete(scores, k, axis=1), axis=1) for k in range(scores.shape[1])], axis=1)
    return np.asarray(scores - rest)


def auroc_statistic(predictions: Predictions) -> Statistic:
    """Return the AUROC of every class: weights (n, resamples) to (resamples, classes), NaN for an absent class."""
    ranked = rankings(predictions)
    return lambda weights: np.stack([ranking.auroc(weights) for ranking in ranked], axis=-1)


def average_precision_statistic(predictions: Predictions) -> Statistic:
    """Return the average precision of every class, NaN for an absent class."""
    ranked = rankings(predictions)
    return lambda weights: np.stack([ranking.average_precision(weights) for ranking in ranked], axis=-1)


def mean_of_present(values: NDArray[Any]) -> NDArray[np.float64]:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0).sum(axis=-1)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
