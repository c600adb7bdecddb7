"""What training makes small: losses for one label and for many, each the mean over a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

Kind = Literal["cross-entropy", "focal", "binary", "asymmetric"]
MANY_LABELS = ("binary", "asymmetric")


def cross_entropy(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """Return minus the log-probability of the true class, on average. Introduced in chapter 05.

    Parameters
    ----------
    logits : tensor
        Float, (b, classes).
    targets : tensor of int
        Class indices, (b,).
    weights : tensor, optional
        One per class; the average is a weighted one.
    label_smoothing : float
        Share of the truth that is spread evenly over all classes.

    Source: Szegedy et al. 2016 for the smoothing.

    Examples
    --------
    >>> cross_entropy(torch.zeros(1, 2), torch.tensor([0])).item() == torch.tensor(2.0).log().item()
    True
    """
    return functional.cross_entropy(logits, targets, weight=weights, label_smoothing=label_smoothing)


def focal_loss(
    logits: torch.Tensor, targets: torch.Tensor, *, gamma: float = 2.0, weights: torch.Tensor | None = None
) -> torch.Tensor:
    r"""Return the cross-entropy in which images that are right already count less. Introduced in chapter 10.

    Each image's cross-entropy is multiplied by :math:`(1 - p)^\gamma`, with p the probability of its true class.

    Parameters
    ----------
    logits : tensor
        Float, (b, classes).
    targets : tensor of int
        Class indices, (b,).
    gamma : float
        0 gives the cross-entropy; the paper's choice is 2.
    weights : tensor, optional
        One per class (the paper's alpha); the sum is divided by the number of images, as in the paper.

    Source: Lin et al. 2017.
    """
    log_probability = functional.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]
    loss = -((1 - log_probability.exp()) ** gamma) * log_probability
    return (loss if weights is None else loss * weights[targets]).mean()


def binary_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, *, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the cross-entropy of many yes-or-no labels, averaged over images and labels. Introduced in chapter 13.

    Parameters
    ----------
    logits, targets : tensor
        Float scores and 0 or 1, both (b, labels).
    weights : tensor, optional
        How much more a present label counts than an absent one, one number per label.
    """
    return functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), pos_weight=weights)


def asymmetric_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    gamma: float = 0.0,
    gamma_absent: float = 4.0,
    margin: float = 0.05,
) -> torch.Tensor:
    """Return a focal loss of many labels that is harder on present ones than on absent ones. Introduced in chapter 13.

    On images where a label is absent, probabilities up to ``margin`` cost nothing and the rest is focused by
    ``gamma_absent``: the many easy absences no longer drown the few presences.

    Parameters
    ----------
    logits, targets : tensor
        Float scores and 0 or 1, both (b, labels).
    gamma, gamma_absent : float
        Focus where the label is present, and where it is absent.
    margin : float
        See above.

    Source: Ridnik et al. 2021; here the mean over images and labels instead of the sum.
    """
    present = targets.to(logits.dtype)
    probability = torch.sigmoid(logits)
    shifted = (probability - margin).clamp_min(0)
    smallest = torch.finfo(logits.dtype).tiny
    hit = present * (1 - probability) ** gamma * functional.logsigmoid(logits)
    miss = (1 - present) * shifted**gamma_absent * (1 - shifted).clamp_min(smallest).log()
    return -(hit + miss).mean()


@dataclass(frozen=True)
class Loss:
    """A named loss with its numbers, as part of a run's settings. Introduced in chapter 10.

    Parameters
    ----------
    kind : {"cross-entropy", "focal", "binary", "asymmetric"}
        The first two for one label per image, the others for many.
    class_weights : tuple of float, optional
        One per class; see :func:`balanced_weights`. Not for ``"asymmetric"``.
    label_smoothing : float
        Of ``"cross-entropy"``.
    gamma : float
        Focus of ``"focal"`` (there 2 is usual) and, where a label is present, of ``"asymmetric"``.
    gamma_absent, margin : float
        Of ``"asymmetric"``.

    Examples
    --------
    >>> logits, truth = torch.zeros(1, 2), torch.tensor([0])
    >>> round(float(Loss("focal", gamma=2.0)(logits, truth) / Loss()(logits, truth)), 3)
    0.25
    """

    kind: Kind = "cross-entropy"
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    gamma: float = 0.0
    gamma_absent: float = 4.0
    margin: float = 0.05

    def __post_init__(self) -> None:
        kinds = ("cross-entropy", "focal", "binary", "asymmetric")
        if self.kind not in kinds:
            raise ValueError(f"Expected a loss among {kinds}, but got {self.kind!r}.")
        if self.class_weights is not None:
            object.__setattr__(self, "class_weights", tuple(float(weight) for weight in self.class_weights))
        if not 0 <= self.label_smoothing < 1 or min(self.gamma, self.gamma_absent, self.margin) < 0:
            raise ValueError(
                "Expected label_smoothing from 0 to below 1 and gamma, gamma_absent and margin of at least 0, but got "
                f"{self.label_smoothing}, {self.gamma}, {self.gamma_absent} and {self.margin}."
            )
        if self.label_smoothing and self.kind != "cross-entropy":
            raise ValueError(f"Expected label_smoothing with cross-entropy only, but got it with {self.kind!r}.")

    @property
    def many_labels(self) -> bool:
        """Whether targets are 0 or 1 per label, (b, labels), instead of one class index per image."""
        return self.kind in MANY_LABELS

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of a batch."""
        weights = None if self.class_weights is None else logits.new_tensor(self.class_weights)
        if self.kind == "focal":
            return focal_loss(logits, targets, gamma=self.gamma, weights=weights)
        if self.kind == "binary":
            return binary_cross_entropy(logits, targets, weights=weights)
        if self.kind == "asymmetric":
            return asymmetric_loss(
                logits, targets, gamma=self.gamma, gamma_absent=self.gamma_absent, margin=self.margin
            )
        return cross_entropy(logits, targets, weights=weights, label_smoothing=self.label_smoothing)


def balanced_weights(targets: NDArray[np.int64], classes: int) -> tuple[float, ...]:
    """Return one weight per class or label that makes rare ones count as much as frequent ones.

    Introduced in chapter 10.

    Parameters
    ----------
    targets : array
        Class indices (n,), of the training images alone; or 0 and 1, (n, labels).
    classes : int
        Number of classes or labels.

    Returns
    -------
    tuple of float
        For classes n / (classes * count), whose average over the images is 1; for labels absent / present.

    Raises
    ------
    ValueError
        If a class does not occur.

    Examples
    --------
    >>> balanced_weights(np.array([0, 0, 0, 1]), 2)
    (0.6666666666666666, 2.0)
    """
    counts = np.bincount(targets, minlength=classes) if targets.ndim == 1 else targets.sum(axis=0)
    if len(counts) != classes or not counts.all():
        raise ValueError(f"Expected every one of {classes} classes to occur, but got counts {counts.tolist()}.")
    weights = len(targets) / (classes * counts) if targets.ndim == 1 else (len(targets) - counts) / counts
    return tuple(float(weight) for weight in weights)
