"""How fast does a model fail on worse images? Brightness, blur, noise and compression in five steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation.intervals import bootstrap_interval
from medxai_helpers.evaluation.metrics import Metric, find_metric

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.cohorts.cohort import Cohort
    from medxai_helpers.pixels import PixelStore
    from medxai_helpers.predictions import Predictions
    from medxai_helpers.training import TrainingRun

Image = NDArray[np.uint8]
LEVELS: dict[str, tuple[float, ...]] = {
    "brighter": (20, 40, 60, 80, 100),  # added grey levels
    "darker": (20, 40, 60, 80, 100),  # subtracted grey levels
    "contrast": (0.8, 0.65, 0.5, 0.35, 0.2),  # remaining share
    "blur": (0.008, 0.012, 0.016, 0.022, 0.03),  # standard deviation, share of the image's side
    "noise": (8, 16, 26, 38, 52),  # standard deviation in grey levels
    "jpeg": (50, 30, 18, 10, 5),  # quality, 1 to 100
}
"""Every corruption with its five severities. Introduced in chapter 15."""


def corrupt(image: Image, kind: str, severity: int, rng: np.random.Generator | None = None) -> Image:
    """Return a worse copy of an image. Introduced in chapter 15.

    Parameters
    ----------
    image : array
        uint8, (H, W) or (H, W, 3).
    kind : str
        A key of ``LEVELS``: brighter, darker, contrast, blur, noise, jpeg.
    severity : int
        From 1 (hardly visible) to 5; 0 returns a copy.
    rng : Generator, optional
        Draws the noise; needed for ``"noise"`` only.

    Raises
    ------
    ValueError
        If the kind or severity is unknown, the image is not uint8, or noise came without a generator.

    Source: our own steps, in the style of MedMNIST-C (Di Salvo and others 2024).
    """
    if kind not in LEVELS or severity not in range(6):
        raise ValueError(f"Expected a kind among {tuple(LEVELS)} and severity 0 to 5, but got {kind!r}, {severity}.")
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise ValueError(f"Expected a uint8 image (H, W) or (H, W, 3), but got {image.dtype} {image.shape}.")
    if kind == "noise" and rng is None:
        raise ValueError("Expected a random generator for noise: pass rng=np.random.default_rng(seed).")
    return image.copy() if severity == 0 else _APPLY[kind](image, LEVELS[kind][severity - 1], rng)


def _rounded(values: NDArray[np.floating[Any]]) -> Image:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


def _contrast(image: Image, share: float, _: object) -> Image:
    middle = image.mean(axis=(0, 1), keepdims=True)
    return _rounded(middle + share * (image - middle))


def _blur(image: Image, share: float, _: object) -> Image:
    import cv2

    return cast(Image, cv2.GaussianBlur(image, (0, 0), share * max(image.shape[:2])))


def _noise(image: Image, deviation: float, rng: np.random.Generator) -> Image:
    return _rounded(image + rng.normal(0, deviation, image.shape))


def _jpeg(image: Image, quality: float, _: object) -> Image:
    import cv2

    in_bgr = image[..., ::-1] if image.ndim == 3 else image
    file = cv2.imencode(".jpg", in_bgr, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    back = cast(Image, cv2.imdecode(file, cv2.IMREAD_UNCHANGED))
    return np.ascontiguousarray(back[..., ::-1] if image.ndim == 3 else back)


_APPLY: dict[str, Callable[[Image, float, Any], Image]] = {
    "brighter": lambda image, levels, _: _rounded(image.astype(np.float64) + levels),
    "darker": lambda image, levels, _: _rounded(image.astype(np.float64) - levels),
    "contrast": _contrast,
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
}


@dataclass(frozen=True)
class CorruptedStore:
    """A pixel store that gives worse copies of its images; the noise of a row is always the same.

    Parameters
    ----------
    store : PixelStore
        The good images.
    kind, severity
        As in :func:`corrupt`.
    seed : int
        Of the noise.

    Introduced in chapter 15.
    """

    store: PixelStore
    kind: str
    severity: int
    seed: int = 0

    def batch(self, rows: NDArray[np.int64]) -> Image:
        """Return these rows, uint8, (b, C, H, W)."""
        good = self.store.batch(rows).transpose(0, 2, 3, 1)
        pairs = zip(np.asarray(rows).tolist(), good, strict=True)
        worse = [self._one(row, image[..., 0] if image.shape[2] == 1 else image) for row, image in pairs]
        return np.ascontiguousarray(np.stack(worse).reshape(good.shape).transpose(0, 3, 1, 2))

    def _one(self, row: int, image: Image) -> Image:
        return corrupt(np.ascontiguousarray(image), self.kind, self.severity, np.random.default_rng([self.seed, row]))

    def __len__(self) -> int:
        return len(self.store)


def corruption_curve(
    run: TrainingRun,
    cohort: Cohort,
    store: PixelStore,
    rows: NDArray[np.int64],
    *,
    kinds: Sequence[str] = tuple(LEVELS),
    severities: Sequence[int] = range(6),
    metric: str | Metric = "balanced_accuracy",
    seed: int = 0,
    resamples: int = 1000,
) -> pd.DataFrame:
    """Score a model on worse and worse copies of its test images. Introduced in chapter 15.

    Parameters
    ----------
    run, cohort, store, rows
        As for :func:`predict`. Images are made worse at the size of the store.
    kinds, severities
        What to do, and how strongly; 0 stands for the images as they are, which are scored once.
    metric : str or Metric
        Any of ``METRICS``.
    seed, resamples
        Of the noise and of the bootstrap.

    Returns
    -------
    DataFrame
        One row per kind and severity: ``kind``, ``severity``, ``metric``, ``value``, ``low``, ``high``, ``n``.
    """
    import pandas as pd

    from medxai_helpers.predictions import predict, score

    chosen, good = find_metric(metric), predict(run, cohort, store, rows)
    clean = bootstrap_interval(good, chosen, seed=seed, resamples=resamples)
    table = []
    for kind in kinds:
        for severity in severities:
            estimate = clean
            if severity:
                worse = cast("PixelStore", CorruptedStore(store, kind, severity, seed))
                scored = _rescored(good, score(run, worse, rows).numpy())
                estimate = bootstrap_interval(scored, chosen, seed=seed, resamples=resamples)
            table.append((kind, severity, chosen.name, estimate.value, estimate.low, estimate.high, estimate.n))
    return pd.DataFrame(table, columns=["kind", "severity", "metric", "value", "low", "high", "n"])


def _rescored(predictions: Predictions, logits: NDArray[np.float32]) -> Predictions:
    return replace(predictions, logits=logits, calibrated=None)
