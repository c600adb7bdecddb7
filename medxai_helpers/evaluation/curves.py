"""Thresholds: curves over all of them, one chosen on validation, and what it does on other images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation.intervals import Estimate, check_draw, wilson_interval
from medxai_helpers.evaluation.metrics import Counts, count_statistic
from medxai_helpers.evaluation.resampling import Floats, Statistic, make_sampling, percentile_ends, resample

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.predictions import Predictions

Rule = Literal["youden", "f1", "sensitivity", "specificity"]
RULES = ("youden", "f1", "sensitivity", "specificity")
AT_THRESHOLD: dict[str, tuple[Callable[[Counts], NDArray[np.float64]], tuple[str, str]]] = {
    "sensitivity": (Counts.recall, ("tp", "fn")),
    "specificity": (Counts.specificity, ("tn", "fp")),
    "PPV": (Counts.precision, ("tp", "fp")),
    "NPV": (Counts.npv, ("tn", "fn")),
}


def roc_curves(predictions: Predictions) -> pd.DataFrame:
    """Return the ROC curve of every class against the rest, one row per point. Introduced in chapter 15.

    Columns: ``class``, ``threshold`` (probability), ``false_positive_rate``, ``true_positive_rate``. A class without
    images, or that all images have, has no curve.

    Source: scikit-learn's ``roc_curve``.
    """
    from sklearn import metrics

    def curve(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        false, true, threshold = metrics.roc_curve(positive, scores)
        return {"threshold": threshold, "false_positive_rate": false, "true_positive_rate": true}

    return _curves(predictions, curve)


def precision_recall_curves(predictions: Predictions) -> pd.DataFrame:
    """Return the precision-recall curve of every class against the rest, one row per point. Introduced in chapter 15.

    Columns: ``class``, ``threshold`` (probability), ``recall``, ``precision``.

    Source: scikit-learn's ``precision_recall_curve``.
    """
    from sklearn import metrics

    def curve(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        precision, recall, threshold = metrics.precision_recall_curve(positive, scores)
        return {"threshold": np.append(threshold, np.inf), "recall": recall, "precision": precision}

    return _curves(predictions, curve)


def _curves(
    predictions: Predictions,
    curve: Callable[[NDArray[np.bool_], NDArray[np.float64]], dict[str, NDArray[np.float64]]],
) -> pd.DataFrame:
    import pandas as pd

    truth, scores = predictions.one_hot, predictions.probabilities
    both = [k for k in range(len(predictions.classes)) if 0 < truth[:, k].sum() < len(truth)]
    if not both:
        raise ValueError("Expected a class that some images have and others do not, but there is none.")
    names = predictions.classes
    return pd.concat(
        [pd.DataFrame({"class": names[k], **curve(truth[:, k], scores[:, k])}) for k in both], ignore_index=True
    )


def choose_thresholds(
    validation: Predictions, rule: Rule = "youden", *, at_least: float | None = None
) -> dict[str, float]:
    """Choose a probability threshold for every class, on validation images only. Introduced in chapter 15.

    Parameters
    ----------
    validation : Predictions
        Not the images that the thresholds will be judged on.
    rule : {"youden", "f1", "sensitivity", "specificity"}
        Largest sensitivity + specificity - 1; largest F1; or the best other rate among the thresholds whose sensitivity
        (or specificity) is ``at_least`` so much.
    at_least : float, optional
        For the last two rules, between 0 and 1.

    Returns
    -------
    dict
        Class to threshold; an image is called positive if its probability is at least that. NaN for a class that no
        validation image has, or all have.

    Raises
    ------
    ValueError
        If the rule is unknown or ``at_least`` does not go with it.

    Source: Youden 1950.
    """
    needs = rule in ("sensitivity", "specificity")
    if rule not in RULES or needs != (at_least is not None) or not 0 <= (at_least or 0) <= 1:
        raise ValueError(
            f"Expected a rule among {RULES}, and at_least between 0 and 1 for the last two only, "
            f"but got {rule!r} and {at_least}."
        )
    truth, scores = validation.one_hot, validation.probabilities
    pairs = zip(validation.classes, truth.T, scores.T, strict=True)
    return {name: _threshold(positive, score, rule, at_least or 0) for name, positive, score in pairs}


def _threshold(positive: NDArray[np.bool_], scores: NDArray[np.float64], rule: str, at_least: float) -> float:
    from sklearn import metrics

    if not 0 < positive.sum() < len(positive):
        return float("nan")
    false, true, thresholds = metrics.roc_curve(positive, scores, drop_intermediate=False)
    found, alarms = true * positive.sum(), false * (~positive).sum()
    wanted = {
        "youden": true - false,
        "f1": 2 * found / (found + alarms + positive.sum()),
        "sensitivity": np.where(true >= at_least, 1 - false, -1),
        "specificity": np.where(1 - false >= at_least, true, -1),
    }[rule]
    return float(min(thresholds[np.argmax(wanted)], 1.0 + 1e-9))  # scikit-learn's first threshold is infinite


def at_thresholds(
    predictions: Predictions,
    thresholds: Mapping[str, float],
    *,
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return sensitivity, specificity, PPV and NPV at given thresholds, with intervals. Introduced in chapter 15.

    Parameters
    ----------
    predictions : Predictions
        Images that had no part in choosing the thresholds.
    thresholds : mapping of str to float
        Class to probability, from :func:`choose_thresholds`; classes it leaves out, or gives NaN, are left out.
    seed, resamples, level
        Of the bootstrap over patients. Where every image is a patient of its own, the intervals are Wilson's.

    Returns
    -------
    DataFrame
        One row per class and rate: ``class``, ``threshold``, ``metric``, ``value``, ``low``, ``high``, ``n`` (images in
        the denominator), ``method``.

    Raises
    ------
    ValueError
        If a class is unknown.
    """
    import pandas as pd

    check_draw(resamples, level)
    unknown = sorted(set(thresholds) - set(predictions.classes))
    if unknown:
        raise ValueError(f"Expected thresholds of the classes {predictions.classes}, but got {unknown}.")
    limits = np.array([thresholds.get(name, np.nan) for name in predictions.classes])
    called = predictions.probabilities >= np.nan_to_num(limits, nan=2)
    rates = _rates(predictions, called, seed, resamples, level)
    rows = [
        {"class": name, "threshold": limits[k], "metric": rate, **estimates[k].as_dict()}
        for k, name in enumerate(predictions.classes)
        for rate, estimates in rates.items()
        if np.isfinite(limits[k])
    ]
    return pd.DataFrame(rows, columns=["class", "threshold", "metric", "value", "low", "high", "n", "method"])


def _rates(
    predictions: Predictions, called: NDArray[np.bool_], seed: int, resamples: int, level: float
) -> dict[str, list[Estimate]]:
    count = count_statistic(predictions, called)
    whole = count(np.ones((len(predictions), 1)))
    alone = len(np.unique(predictions.group)) == len(predictions)
    sampling = None if alone else make_sampling(predictions)
    result = {}
    for name, (rate, parts) in AT_THRESHOLD.items():
        good, bad = (getattr(whole, part)[0].astype(int) for part in parts)
        if sampling is None:
            result[name] = [_wilson(a, a + b, level) for a, b in zip(good, bad, strict=True)]
        else:
            scores = resample(_rate_statistic(count, rate), sampling, resamples, seed)
            low, high = percentile_ends(scores, level)
            how = f"bootstrap over {sampling.what}, {resamples}"
            columns = zip(rate(whole)[0], low, high, good + bad, strict=True)
            result[name] = [Estimate(float(v), float(a), float(b), int(n), how, level) for v, a, b, n in columns]
    return result


def _rate_statistic(count: Callable[[Floats], Counts], rate: Callable[[Counts], NDArray[np.float64]]) -> Statistic:
    return lambda weights: rate(count(weights))


def _wilson(successes: int, n: int, level: float) -> Estimate:
    if n:
        return wilson_interval(int(successes), int(n), level)
    return Estimate(np.nan, np.nan, np.nan, 0, "Wilson", level)


def predictive_values(
    sensitivity: float | NDArray[np.float64],
    specificity: float | NDArray[np.float64],
    prevalence: float | NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return PPV and NPV at another prevalence than that of the test images. Introduced in chapter 15.

    Parameters
    ----------
    sensitivity, specificity, prevalence : float or array
        Between 0 and 1; arrays are combined element by element.

    Raises
    ------
    ValueError
        If a value is no share.

    Examples
    --------
    >>> ppv, npv = predictive_values(0.9, 0.9, 0.01)
    >>> round(float(ppv), 3), round(float(npv), 4)
    (0.083, 0.9989)

    Source: Bayes' rule.
    """
    shares = [np.asarray(value, dtype=np.float64) for value in (sensitivity, specificity, prevalence)]
    if any(not ((share >= 0) & (share <= 1)).all() for share in shares):
        raise ValueError("Expected sensitivity, specificity and prevalence between 0 and 1: divide per cent by 100.")
    sens, spec, prev = np.broadcast_arrays(*shares)
    true, false = sens * prev, (1 - spec) * (1 - prev)
    cleared, missed = spec * (1 - prev), (1 - sens) * prev
    return _share(true, true + false), _share(cleared, cleared + missed)


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0))
