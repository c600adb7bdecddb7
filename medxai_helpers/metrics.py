"""Measures that training watches on the validation images, in torch alone.

They have no interval and choose nothing but the epoch; judging uses :mod:`medxai_helpers.evaluation`.
"""

from __future__ import annotations

import torch

LOWER_IS_BETTER = ("loss",)


def accuracy(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """Return the share of right answers; of many labels, the share of labels. Introduced in chapter 05.

    Parameters
    ----------
    logits : tensor
        Scores, (n, classes).
    targets : tensor
        Class indices (n,), or 0 and 1, (n, labels).

    Examples
    --------
    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    0.5
    """
    answers = logits.argmax(dim=1) if targets.ndim == 1 else logits > 0
    return float((answers == targets).float().mean())


def balanced_accuracy(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """Return the mean over the classes that occur of the share of each that is right. Introduced in chapter 05.

    Parameters
    ----------
    logits, targets : tensor
        Scores (n, classes), class indices (n,).

    Examples
    --------
    >>> balanced_accuracy(torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 0, 1]))
    0.5
    """
    right = (logits.argmax(dim=1) == targets).double()
    counts = torch.bincount(targets, minlength=logits.shape[1])
    hits = torch.bincount(targets, weights=right, minlength=logits.shape[1])
    return float((hits / counts)[counts > 0].mean())


def macro_auroc(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """Return the mean area under the ROC curve over the classes or labels that occur and are not everywhere.

    Introduced in chapter 13.

    Parameters
    ----------
    logits : tensor
        Scores, (n, classes).
    targets : tensor
        Class indices (n,), scored as one class against the rest by its softmax; or 0 and 1, (n, labels).

    Returns
    -------
    float
        NaN if no class can be judged.
    """
    scores = logits.softmax(dim=1) if targets.ndim == 1 else logits
    present = torch.nn.functional.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
    areas = torch.stack([_auroc(scores[:, k], present[:, k].bool()) for k in range(logits.shape[1])])
    return float(areas.nanmean())


def _auroc(scores: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Return the chance that a present case scores above an absent one, a tie counting half."""
    positive, negative = int(present.sum()), int((~present).sum())
    if not positive or not negative:
        return torch.tensor(torch.nan, dtype=torch.float64)
    _, place, counts = scores.double().unique(return_inverse=True, return_counts=True)
    middle = counts.cumsum(0) - (counts - 1) / 2  # the mean rank of equal scores
    ranks = middle[place][present].double().sum()
    area: torch.Tensor = (ranks - positive * (positive + 1) / 2) / (positive * negative)
    return area


def measures(logits: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    """Return what the history keeps of the validation images: accuracy, and balanced accuracy or macro AUROC.

    Introduced in chapter 05.
    """
    if targets.ndim == 1:
        return {"accuracy": accuracy(logits, targets), "balanced_accuracy": balanced_accuracy(logits, targets)}
    return {"accuracy": accuracy(logits, targets), "auroc": macro_auroc(logits, targets)}
