"""How good the predictions are: per class first, averages after, nothing without its n. Built on scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.predictions import Predictions


def confusion_matrix(predictions: Predictions) -> pd.DataFrame:
    """Count images by true class (rows) and predicted class (columns). Introduced in chapter 05.

    Source: scikit-learn's ``confusion_matrix``.
    """
    import pandas as pd
    from sklearn import metrics

    labels = np.arange(len(predictions.classes))
    counts = metrics.confusion_matrix(predictions.targets, predictions.predicted, labels=labels)
    index = pd.Index(predictions.classes, name="true")
    return pd.DataFrame(counts, index=index, columns=pd.Index(predictions.classes, name="predicted"))


def per_class_report(predictions: Predictions) -> pd.DataFrame:
    """Precision, recall, F1 and n for every class, then their macro and weighted means. Introduced in chapter 05.

    A class that is never predicted has no precision: NaN, and the macro mean is then NaN too, not a quiet 0.

    Source: scikit-learn's ``precision_recall_fscore_support``.
    """
    import pandas as pd
    from sklearn import metrics

    labels = np.arange(len(predictions.classes))
    values = metrics.precision_recall_fscore_support(
        predictions.targets, predictions.predicted, labels=labels, zero_division=np.nan
    )
    table = pd.DataFrame(dict(zip(("precision", "recall", "f1", "n"), values, strict=True)), index=predictions.classes)
    scores, weights = table[["precision", "recall", "f1"]], table["n"] / table["n"].sum()
    table.loc["macro mean"] = [*scores.mean(skipna=False), len(predictions)]
    table.loc["weighted mean"] = [*scores.mul(weights, axis=0).sum(skipna=False), len(predictions)]
    return table.astype({"n": int})


def most_confused(confusion: pd.DataFrame, top: int = 5) -> pd.DataFrame:
    """Return the most frequent mistakes: true class, predicted class, count. Introduced in chapter 05.

    Parameters
    ----------
    confusion : DataFrame
        From :func:`confusion_matrix`.
    top : int
        How many pairs at most; pairs that never occur are left out.
    """
    long = confusion.rename_axis(index="true", columns="predicted").reset_index()
    long = long.melt(id_vars="true", var_name="predicted", value_name="count")
    mistakes = long[(long["true"] != long["predicted"]) & (long["count"] > 0)]
    return mistakes.sort_values("count", ascending=False, kind="stable").head(top).reset_index(drop=True)


def summary(predictions: Predictions) -> dict[str, float]:
    """Accuracy, balanced accuracy, macro F1 and cross-entropy of a set of predictions. Introduced in chapter 05.

    Balanced accuracy and macro F1 are means over the classes that occur in the truth.

    Source: scikit-learn.
    """
    from sklearn import metrics

    truth, guess = predictions.targets, predictions.predicted
    present = np.unique(truth)
    recalls = metrics.recall_score(truth, guess, labels=present, average="macro", zero_division=0)
    return {
        "accuracy": float(metrics.accuracy_score(truth, guess)),
        "balanced_accuracy": float(recalls),
        "macro_f1": float(metrics.f1_score(truth, guess, labels=present, average="macro", zero_division=0)),
        "loss": float(predictions.losses.mean()),
    }
