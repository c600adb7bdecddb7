"""Knowing when not to answer: hold back the least sure answers, or give a set of classes that holds the true one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation.intervals import wilson_interval

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.predictions import Predictions


def risk_coverage(predictions: Predictions) -> pd.DataFrame:
    """Return the share of mistakes among the surest answers, for every share answered. Introduced in chapter 17.

    Parameters
    ----------
    predictions : Predictions
        Of one class per image; how sure an answer is, is its probability.

    Returns
    -------
    DataFrame
        One row per distinct probability, from the surest: ``threshold``, ``n`` (answers given), ``coverage``, ``risk``.

    Raises
    ------
    ValueError
        If there are many labels, or no predictions.

    Source: El-Yaniv and Wiener 2010.
    """
    import pandas as pd

    _one_class(predictions)
    sure = predictions.probabilities.max(axis=1)
    order = np.argsort(-sure, kind="stable")
    mistakes = np.cumsum(~predictions.correct[order])
    last = np.flatnonzero(np.append(np.diff(sure[order]) != 0, True))  # ties are answered together
    n = last + 1
    columns = {"threshold": sure[order][last], "n": n, "coverage": n / len(sure), "risk": mistakes[last] / n}
    return pd.DataFrame(columns)


def area_under_risk(predictions: Predictions) -> float:
    """Return the mean risk over all coverages; ties count as in random order. Introduced in chapter 17.

    Source: Geifman, Uziel and El-Yaniv 2019.
    """
    curve = risk_coverage(predictions)
    n, mistakes = curve["n"].to_numpy(), (curve["risk"] * curve["n"]).to_numpy()
    at = np.arange(1, len(predictions) + 1)
    return float((np.interp(at, np.append(0, n), np.append(0, mistakes)) / at).mean())


@dataclass(frozen=True)
class ConformalSets:
    """Limits learned on validation images; with them, sets of classes that miss the truth rarely enough.

    Parameters
    ----------
    classes : tuple of str
        Class names.
    limits : array of float
        A class is in the set if its probability is at least its limit, shape (classes,). Minus infinity for a class
        with too few validation images to say anything: it is then in every set.
    level : float
        Promised coverage.
    n : array of int
        Validation images that each limit rests on, shape (classes,).
    fitted_on : frozenset of str
        Their ids.

    Introduced in chapter 17.
    """

    classes: tuple[str, ...]
    limits: NDArray[np.float64]
    level: float
    n: NDArray[np.int64]
    fitted_on: frozenset[str]

    def sets(self, predictions: Predictions) -> NDArray[np.bool_]:
        """Return which classes are in the set of each image, shape (n, classes).

        Raises
        ------
        ValueError
            If the classes differ, or some of the images helped to find the limits.
        """
        _one_class(predictions)
        seen = len(self.fitted_on.intersection(predictions.image_id.tolist()))
        if seen or predictions.classes != self.classes:
            raise ValueError(
                f"Expected other images than the limits were found on, of the same classes {self.classes}, but "
                f"{seen:,} are the same and the classes are {predictions.classes}."
            )
        return np.asarray(predictions.probabilities >= self.limits)

    def table(self, predictions: Predictions, level: float = 0.95) -> pd.DataFrame:
        """Return coverage with Wilson's interval, and mean size of the sets, for every class and all together."""
        import pandas as pd

        sets = self.sets(predictions)
        covered = sets[np.arange(len(sets)), predictions.targets]
        rows = {}
        for index, name in [*enumerate(self.classes), (-1, "all")]:
            inside = np.full(len(sets), True) if index < 0 else predictions.targets == index
            if not inside.any():
                rows[name] = (np.nan, np.nan, np.nan, np.nan, 0)
                continue
            share = wilson_interval(int(covered[inside].sum()), int(inside.sum()), level)
            rows[name] = (share.value, share.low, share.high, sets[inside].sum(axis=1).mean(), share.n)
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["coverage", "low", "high", "mean size", "n"])
        return table.astype({"n": int})


def conformal(validation: Predictions, level: float = 0.9, *, per_class: bool = True) -> ConformalSets:
    """Find limits for sets of classes that hold the true one in ``level`` of new images. Introduced in chapter 17.

    The promise is about images drawn as the validation images were, on average over such draws, whatever the model.
    With ``per_class`` it holds for every class by itself; without, only for all together, so that a rare class can be
    missed far more often.

    Parameters
    ----------
    validation : Predictions
        Of one class per image; not used in training.
    level : float
        Share of images whose set is to hold their class, between 0 and 1.
    per_class : bool
        Find a limit for every class from its own images.

    Raises
    ------
    ValueError
        If there are many labels or no images, or the level is no share.

    Source: Sadinle, Lei and Wasserman 2019; per class: Vovk 2012.
    """
    _one_class(validation)
    if not 0 < level < 1:
        raise ValueError(f"Expected a level between 0 and 1, but got {level}.")
    classes = range(len(validation.classes))
    members = [validation.targets == k if per_class else np.full(len(validation), True) for k in classes]
    limits = np.array([_limit(validation, inside, level) for inside in members])
    n = np.array([inside.sum() for inside in members])
    return ConformalSets(validation.classes, limits, level, n, frozenset(validation.image_id.tolist()))


def _limit(validation: Predictions, inside: NDArray[np.bool_], level: float) -> float:
    n = int(inside.sum())
    needed = int(np.ceil((n + 1) * level))  # one more than n: the new image counts too
    if needed > n:  # too few images: only the set of all classes keeps the promise
        return -np.inf
    own = validation.probabilities[inside, validation.targets[inside]]
    return float(np.sort(own)[n - needed])


def _one_class(predictions: Predictions) -> None:
    if predictions.many_label or not len(predictions):
        raise ValueError("Expected predictions of one class per image, at least one: judge many labels one by one.")
