"""How good the predictions are: per class first, averages after, nothing without its n. Built on scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.predictions import Predictions

Normalise = Literal["true", "predicted", "all"]
NORMALISE = {None: None, "true": "true", "predicted": "pred", "all": "all"}


def confusion_matrix(predictions: Predictions, normalise: Normalise | None = None) -> pd.DataFrame:
    """Count images by true class (rows) and predicted class (columns). Introduced in chapter 05.

    Parameters
    ----------
    predictions : Predictions
        Of one class per image.
    normalise : {"true", "predicted", "all"}, optional
        Divide by the images of the true class (rows sum to 1, recall on the diagonal), of the predicted class (columns
        sum to 1, precision on the diagonal), or by all. A share of nothing is NaN.

    Raises
    ------
    ValueError
        If there are many labels: an image is then in several rows at once.

    Source: scikit-learn's ``confusion_matrix``.
    """
    import pandas as pd
    from sklearn import metrics

    if predictions.many_label:
        raise ValueError("Expected one class per image, but got many labels: use label_counts.")
    if normalise not in NORMALISE:
        raise ValueError(f"Expected normalise among {tuple(NORMALISE)}, but got {normalise!r}.")
    labels = np.arange(len(predictions.classes))
    counts = metrics.confusion_matrix(predictions.targets, predictions.predicted, labels=labels)
    index = pd.Index(predictions.classes, name="true")
    table = pd.DataFrame(counts, index=index, columns=pd.Index(predictions.classes, name="predicted"))
    if normalise is None:
        return table
    total = {"true": counts.sum(1)[:, None], "predicted": counts.sum(0)[None], "all": counts.sum()}[normalise]
    shares = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return pd.DataFrame(shares, index=table.index, columns=table.columns)


def label_counts(predictions: Predictions) -> pd.DataFrame:
    """Count true and false positives and negatives of every class against the rest. Introduced in chapter 15.

    Source: scikit-learn's ``multilabel_confusion_matrix``.
    """
    import pandas as pd
    from sklearn import metrics

    labels = np.arange(len(predictions.classes))
    cells = metrics.multilabel_confusion_matrix(predictions.targets, predictions.predicted, labels=labels)
    names = ["true negatives", "false positives", "false negatives", "true positives"]
    return pd.DataFrame(cells.reshape(-1, 4), index=pd.Index(predictions.classes), columns=names)[names[::-1]]


def per_class_report(predictions: Predictions) -> pd.DataFrame:
    """Precision, recall, F1 and n for every class, then their macro and weighted means. Introduced in chapter 05.

    A class that is never predicted has no precision: NaN, and the macro mean is then NaN too, not a quiet 0. A class
    without images has no score at all, only its n of 0, and is left out of both means.

    Source: scikit-learn's ``precision_recall_fscore_support``.
    """
    import pandas as pd
    from sklearn import metrics

    labels = np.arange(len(predictions.classes))
    values = metrics.precision_recall_fscore_support(
        predictions.targets, predictions.predicted, labels=labels, zero_division=np.nan
    )
    table = pd.DataFrame(dict(zip(("precision", "recall", "f1", "n"), values, strict=True)), index=predictions.classes)
    names = ["precision", "recall", "f1"]
    table.loc[table["n"] == 0, names] = np.nan
    present = table[table["n"] > 0]
    weights = present["n"] / present["n"].sum()
    table.loc["macro mean"] = [*present[names].mean(skipna=False), len(predictions)]
    table.loc["weighted mean"] = [*present[names].mul(weights, axis=0).sum(skipna=False), len(predictions)]
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


def top_losses(predictions: Predictions, top: int = 9) -> pd.DataFrame:
    """Return the images with the largest cross-entropy: surest and wrong first. Introduced in chapter 15.

    The columns are those of ``predictions.table(metadata=True)``, ``row`` (position in the predictions) and ``loss``
    (nats).
    """
    table = predictions.table(metadata=True).assign(row=np.arange(len(predictions)), loss=predictions.losses)
    return table.nlargest(top, "loss").reset_index(drop=True)


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
