"""Whether probabilities can be taken at their word: of all answers given with 80 %, 80 % should be right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation.intervals import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.predictions import Predictions

Bins = Literal["width", "mass"]
Kind = Literal["top", "classwise"]
BINS, KINDS = ("width", "mass"), ("top", "classwise")
RANGE = (0.02, 50.0)
"""Temperatures searched."""


def events(predictions: Predictions, kind: Kind = "top") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return probabilities and whether what they speak of came true, shape (events, n).

    ``"top"``: the highest probability of each image, and whether that class is right (one row). ``"classwise"``: the
    probability of every class, and whether the image has it. Many labels have no top one, and are always class-wise.
    """
    if kind not in KINDS:
        raise ValueError(f"Expected a kind among {KINDS}, but got {kind!r}.")
    p = predictions.probabilities
    if kind == "classwise" or predictions.many_label:
        return p.T, predictions.one_hot.T
    return p.max(axis=1)[None], predictions.correct[None]


def bin_edges(probabilities: NDArray[np.float64], bins: int, scheme: Bins) -> NDArray[np.float64]:
    """Return edges of bins of equal width, or with equally many probabilities in each."""
    if scheme not in BINS or bins < 1:
        raise ValueError(f"Expected bins of at least 1 and a scheme among {BINS}, but got {bins} and {scheme!r}.")
    if scheme == "width":
        return np.linspace(0, 1, bins + 1)
    inner = np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1])
    return np.concatenate([[0], np.unique(inner), [1]])


def bin_of(probabilities: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each probability; one on an edge belongs to the bin below it."""
    return np.clip(np.searchsorted(edges, probabilities, side="left") - 1, 0, len(edges) - 2)


def reliability(
    predictions: Predictions, bins: int = 15, scheme: Bins = "width", label: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Return what a reliability diagram shows: per bin, promised and observed share, and n. Introduced in chapter 17.

    Parameters
    ----------
    predictions : Predictions
        One class per image, or many labels.
    bins : int
        How many.
    scheme : {"width", "mass"}
        Bins of equal width, or of equal counts.
    label : str, optional
        One class against the rest; without it, the predicted class of each image.
    level : float
        Coverage of Wilson's interval of the observed share, with images taken as independent.

    Returns
    -------
    DataFrame
        One row per bin that is not empty: ``from``, ``to``, ``n``, ``confidence`` (mean probability), ``observed``,
        ``low``, ``high``.

    Raises
    ------
    ValueError
        If there are many labels and none is named, or the class is unknown.
    """
    import pandas as pd

    from medxai_helpers.evaluation.comparison import class_index
    from medxai_helpers.evaluation.intervals import wilson_interval

    if label is None and predictions.many_label:
        raise ValueError("Expected the name of a label: of many labels there is no top one.")
    p, came_true = events(predictions, "top" if label is None else "classwise")
    row = 0 if label is None else class_index(predictions, label)
    edges = bin_edges(p[row], bins, scheme)
    place = bin_of(p[row], edges)
    rows = []
    for number in np.unique(place):
        inside = place == number
        share = wilson_interval(int(came_true[row][inside].sum()), int(inside.sum()), level)
        ends = edges[number], edges[number + 1]
        rows.append((*ends, share.n, p[row][inside].mean(), share.value, share.low, share.high))
    return pd.DataFrame(rows, columns=["from", "to", "n", "confidence", "observed", "low", "high"])


def calibration_error(predictions: Predictions, bins: int = 15, scheme: Bins = "width", kind: Kind = "top") -> float:
    """Return the expected calibration error: mean gap of promised and observed share. Introduced in chapter 17.

    Bins count by the images in them. The class-wise error is the mean over the classes. For a finite number of images
    it is never 0, however good the model. Hold it against :func:`calibration_floor`, not against a bootstrap interval:
    resampling adds noise to every bin, and such intervals lie too high.

    Parameters
    ----------
    predictions : Predictions
        At least one.
    bins, scheme, kind
        As in :func:`reliability` and :func:`events`.

    Source: Naeini, Cooper and Hauskrecht 2015; class-wise: Kull and others 2019.
    """
    return float(mean_gap(*events(predictions, kind), bins, scheme))


def mean_gap(
    probabilities: NDArray[np.float64], came_true: NDArray[np.bool_], bins: int, scheme: Bins
) -> NDArray[np.float64]:
    """Return the gap, averaged over images and events, for probabilities and truth of shape (events, n)."""
    n = probabilities.shape[1]
    if not n:
        raise ValueError("Expected at least one prediction, but got none.")
    gaps = []
    for k, p in enumerate(probabilities):
        edges = bin_edges(p, bins, scheme)
        order = np.argsort(place := bin_of(p, edges), kind="stable")
        starts = np.flatnonzero(np.diff(place[order], prepend=-1))
        away = (came_true[..., k, :] - p)[..., order]
        gaps.append(np.abs(np.add.reduceat(away, starts, axis=-1)).sum(axis=-1) / n)
    return np.asarray(np.mean(gaps, axis=0))


def calibration_floor(
    predictions: Predictions,
    bins: int = 15,
    scheme: Bins = "width",
    kind: Kind = "top",
    *,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
) -> Estimate:
    """Return the calibration error that these probabilities would show if they were all true. Introduced in chapter 17.

    The truth is drawn from the probabilities themselves, again and again. An error inside the interval is no sign of
    miscalibration; only what lies above it is.

    Parameters
    ----------
    predictions : Predictions
        Their truth is not used.
    bins, scheme, kind
        As in :func:`calibration_error`.
    seed, draws, level
        Of the simulation.

    Returns
    -------
    Estimate
        The mean over the draws, and the range that holds ``level`` of them.
    """
    errors = drawn_errors(predictions, bins, scheme, kind, seed=seed, draws=draws)
    low, high = np.quantile(errors, [(1 - level) / 2, (1 + level) / 2])
    how = f"truth drawn from the probabilities, {draws}"
    return Estimate(float(np.mean(errors)), float(low), float(high), len(predictions), how, level)


def drawn_errors(
    predictions: Predictions, bins: int, scheme: Bins, kind: Kind, *, seed: int, draws: int
) -> NDArray[np.float64]:
    """Return the calibration errors of so many truths drawn from the probabilities, shape (draws,)."""
    p, _ = events(predictions, kind)
    rng = np.random.default_rng(seed)
    return np.array([mean_gap(p, _drawn_truth(predictions, p, rng), bins, scheme) for _ in range(draws)])


def _drawn_truth(predictions: Predictions, p: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
    if len(p) == 1 or predictions.many_label:
        return rng.random(p.shape) < p
    below = np.cumsum(p, axis=0) / p.sum(axis=0)
    drawn = (rng.random(p.shape[1]) > below).sum(axis=0)
    return np.asarray(np.arange(len(p))[:, None] == drawn)


@dataclass(frozen=True)
class Scaling:
    """Logits times ``scale`` plus ``shift``: what was learned on validation images. Introduced in chapter 17.

    Parameters
    ----------
    name : str
        ``"temperature"`` or ``"vector"``.
    scale, shift : array of float
        Shape (classes,) each. Of a temperature T, every scale is 1 / T and every shift 0.
    fitted_on : frozenset of str
        Ids of the validation images.
    """

    name: str
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    fitted_on: frozenset[str]

    @property
    def temperature(self) -> float:
        """What logits are divided by; above 1 for a model that was too sure. NaN for vector scaling."""
        return float(1 / self.scale[0]) if self.name == "temperature" else float("nan")

    def apply(self, predictions: Predictions, *, same_images: bool = False) -> Predictions:
        """Return the predictions with calibrated scores beside the raw ones.

        Raises
        ------
        ValueError
            If some of the images helped to fit the scaling, unless ``same_images`` says that this is meant.
        """
        seen = 0 if same_images else len(self.fitted_on.intersection(predictions.image_id.tolist()))
        if seen:
            raise ValueError(
                f"Expected images that had no part in fitting, but {seen:,} of {len(predictions):,} had: fit on "
                "validation images and apply to test images, or say same_images=True if that is meant."
            )
        calibrated = predictions.logits * self.scale + self.shift
        return replace(predictions, calibrated=calibrated.astype(np.float32))

    def __str__(self) -> str:
        what = f"T = {self.temperature:.3f}" if self.name == "temperature" else f"{2 * len(self.scale)} numbers"
        return f"{self.name} scaling, {what}, fitted on n = {len(self.fitted_on):,}"


def fit_temperature(validation: Predictions) -> Scaling:
    """Find the one number to divide all logits by that minimises the cross-entropy. Introduced in chapter 17.

    The order of the classes stays, so accuracy does not change.

    Parameters
    ----------
    validation : Predictions
        Images that the model was not trained on and will not be judged on; their raw logits are used.

    Raises
    ------
    ValueError
        If no finite temperature is best, as when every image is right: sharper is then always better.

    Source: Guo and others 2017.
    """
    from scipy import optimize

    logits, truth = validation.logits.astype(np.float64), validation.one_hot
    low, high = np.log(RANGE)
    best = optimize.minimize_scalar(
        lambda log_temperature: _fit(logits / np.exp(log_temperature), truth, validation.many_label)[0],
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    wrong = int((~validation.raw.correct).sum())
    if not wrong or min(best.x - low, high - best.x) < 1e-3:
        raise ValueError(
            f"Expected a best temperature between {RANGE[0]:g} and {RANGE[1]:g}, but it lies outside: the validation "
            f"images ({len(validation):,}, {wrong:,} wrong) do not tell. Use more, or harder ones."
        )
    classes = len(validation.classes)
    scale = np.full(classes, np.exp(-best.x))
    return Scaling("temperature", scale, np.zeros(classes), frozenset(validation.image_id.tolist()))


def fit_vector_scaling(validation: Predictions, *, penalty: float = 1e-3) -> Scaling:
    """Find a factor and a shift for every class that minimise the cross-entropy. Introduced in chapter 17.

    More freedom than a temperature, so more that can be fitted to the luck of few images. Answers may change. Of many
    labels, this is Platt's scaling of each.

    Parameters
    ----------
    validation : Predictions
        As in :func:`fit_temperature`.
    penalty : float
        Weight of the squared distance from factor 1 and shift 0, which keeps the solution finite.

    Raises
    ------
    ValueError
        If there are no validation images, or the penalty is negative.

    Source: Guo and others 2017; Platt 1999.
    """
    from scipy import optimize

    if not len(validation) or penalty < 0:
        raise ValueError(f"Expected images and a penalty of at least 0, but got {len(validation)} and {penalty}.")
    k = len(validation.classes)
    logits, truth = validation.logits.astype(np.float64), validation.one_hot

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, pull = _fit(logits * parameters[:k] + parameters[k:], truth, validation.many_label)
        away = parameters - start
        gradient = np.concatenate([(pull * logits).sum(axis=0), pull.sum(axis=0)]) + 2 * penalty * away
        return value + penalty * float(away @ away), gradient

    start = np.concatenate([np.ones(k), np.zeros(k)])
    best = optimize.minimize(loss, start, jac=True, method="L-BFGS-B")
    return Scaling("vector", best.x[:k], best.x[k:], frozenset(validation.image_id.tolist()))


def _fit(logits: NDArray[np.float64], truth: NDArray[np.bool_], many_label: bool) -> tuple[float, NDArray[np.float64]]:
    """Return the mean cross-entropy and its derivative by every logit."""
    from scipy.special import expit, log_softmax

    if many_label:
        loss = (np.logaddexp(0, logits) - logits * truth).mean()
        return float(loss), (expit(logits) - truth) / truth.size
    logs = log_softmax(logits, axis=1)
    return float(-logs[truth].mean()), (np.exp(logs) - truth) / len(truth)
