"""2,000 bootstrap resamples of macro-F1 and macro-AUROC for 10,000 images and 8 classes: all at once, and in a loop.

Run with ``python -m benchmarks.evaluation``. The loop scores each resample with scikit-learn. It is measured on fewer
resamples, as many as the table says, and its time is scaled up to 2,000.
"""

from __future__ import annotations

import numpy as np
from sklearn import metrics

import medxai_helpers as mx
from benchmarks._report import publish, seconds

IMAGES, CLASSES, RESAMPLES, LOOPED = 10_000, 8, 2_000, 40


def simulated() -> mx.Predictions:
    """Logits of unit noise, raised at the true class."""
    rng = np.random.default_rng(0)
    truth = rng.integers(CLASSES, size=IMAGES)
    logits = rng.normal(size=(IMAGES, CLASSES)).astype(np.float32)
    logits[np.arange(IMAGES), truth] += 1.5
    ids = np.arange(IMAGES).astype(str)
    return mx.Predictions(tuple("abcdefgh"), ids, ids, truth, logits)


def loop(predictions: mx.Predictions, resamples: int, metric: str) -> np.ndarray:
    """Draw, score with scikit-learn, repeat."""
    truth, guess, scores = predictions.targets, predictions.predicted, predictions.probabilities
    rng, found = np.random.default_rng(0), []
    for _ in range(resamples):
        rows = rng.integers(len(truth), size=len(truth))
        if metric == "macro_f1":
            found.append(metrics.f1_score(truth[rows], guess[rows], average="macro"))
        else:
            found.append(metrics.roc_auc_score(truth[rows], scores[rows], multi_class="ovr", average="macro"))
    return np.array(found)


def main() -> None:
    """Measure and publish."""
    predictions, rows = simulated(), []
    for names in (["macro_f1"], ["macro_auroc"], ["macro_f1", "macro_auroc"]):
        fast = seconds(lambda names=names: mx.bootstrap_table(predictions, names, resamples=RESAMPLES))
        slow = sum(seconds(lambda name=name: loop(predictions, LOOPED, name), 1) for name in names)
        slow *= RESAMPLES / LOOPED
        row = {"what": " and ".join(names), "all at once, s": round(fast, 2), "loop, s": round(slow, 1)}
        rows.append(row | {"times faster": round(slow / fast)})
    ours, theirs = (mx.bootstrap_interval(predictions, "macro_f1"), loop(predictions, 400, "macro_f1"))
    assert abs(np.std(theirs) - (ours.high - ours.low) / 3.92) < 0.1 * np.std(theirs)
    facts = {"images": IMAGES, "classes": CLASSES, "resamples": RESAMPLES, "resamples measured in the loop": LOOPED}
    publish("evaluation", rows, title="Bootstrap intervals: all resamples at once against a loop", **facts)


if __name__ == "__main__":
    main()
