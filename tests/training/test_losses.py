"""Losses against PyTorch, torchvision, scikit-learn and formulas worked out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from medxai_helpers.losses import (
    Loss,
    asymmetric_loss,
    balanced_weights,
    binary_cross_entropy,
    cross_entropy,
    focal_loss,
)

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(40, 5, generator=GENERATOR)
CLASSES = torch.randint(0, 5, (40,), generator=GENERATOR)
LABELS = torch.randint(0, 2, (40, 5), generator=GENERATOR)
WEIGHTS = (0.5, 1.0, 2.0, 1.5, 0.7)


def test_cross_entropy_smoothing_and_weights_by_hand():
    log_p = torch.log_softmax(LOGITS, dim=1)
    truth = 0.9 * functional.one_hot(CLASSES, 5) + 0.1 / 5
    torch.testing.assert_close(cross_entropy(LOGITS, CLASSES, label_smoothing=0.1), -(truth * log_p).sum(1).mean())
    weights = torch.tensor(WEIGHTS)[CLASSES]
    wanted = -(weights * log_p[torch.arange(40), CLASSES]).sum() / weights.sum()
    torch.testing.assert_close(Loss(class_weights=WEIGHTS)(LOGITS, CLASSES), wanted)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 5.0])
def test_focal_loss_of_two_classes_is_torchvisions(gamma):
    score = LOGITS[:, 0]
    two, truth = torch.stack([torch.zeros(40), score], dim=1), (CLASSES > 2).long()
    wanted = sigmoid_focal_loss(score, truth.float(), alpha=-1, gamma=gamma, reduction="mean")
    torch.testing.assert_close(focal_loss(two, truth, gamma=gamma), wanted)
    wanted = sigmoid_focal_loss(score, truth.float(), alpha=0.25, gamma=gamma, reduction="mean")
    torch.testing.assert_close(focal_loss(two, truth, gamma=gamma, weights=torch.tensor([0.75, 0.25])), wanted)


def test_focal_loss_without_focus_is_the_cross_entropy():
    torch.testing.assert_close(focal_loss(LOGITS, CLASSES, gamma=0), functional.cross_entropy(LOGITS, CLASSES))


def test_asymmetric_loss_contains_the_binary_and_the_focal_one():
    plain = asymmetric_loss(LOGITS, LABELS, gamma=0, gamma_absent=0, margin=0)
    torch.testing.assert_close(plain, binary_cross_entropy(LOGITS, LABELS))
    focal = asymmetric_loss(LOGITS, LABELS, gamma=2, gamma_absent=2, margin=0)
    torch.testing.assert_close(focal, sigmoid_focal_loss(LOGITS, LABELS.float(), alpha=-1, gamma=2, reduction="mean"))


def test_asymmetric_loss_by_hand():
    p = 1 / (1 + np.exp(-LOGITS.double().numpy()))
    shifted = np.maximum(p - 0.05, 0)
    wanted = np.where(LABELS.numpy() == 1, -(1 - p) * np.log(p), -(shifted**4) * np.log(1 - shifted)).mean()
    assert asymmetric_loss(LOGITS, LABELS, gamma=1.0).item() == pytest.approx(wanted, rel=1e-5)


def test_easy_absences_cost_nothing_and_extreme_scores_stay_finite():
    far = torch.tensor([[-4.0, 200.0, -200.0]])
    absent = torch.zeros(1, 3)
    assert asymmetric_loss(far[:, :1], absent[:, :1]).item() == 0
    for truth in (absent, torch.ones(1, 3)):
        scores = far.clone().requires_grad_()
        loss = asymmetric_loss(scores, truth)
        loss.backward()
        assert loss.isfinite()
        assert scores.grad.isfinite().all()


def test_many_labels_with_weights():
    wanted = functional.binary_cross_entropy_with_logits(LOGITS, LABELS.float(), pos_weight=torch.tensor(WEIGHTS))
    torch.testing.assert_close(Loss("binary", class_weights=WEIGHTS)(LOGITS, LABELS), wanted)


def test_balanced_weights_are_scikit_learns():
    targets = CLASSES.numpy()
    wanted = compute_class_weight("balanced", classes=np.arange(5), y=targets)
    np.testing.assert_allclose(balanced_weights(targets, 5), wanted)
    labels = LABELS.numpy()
    np.testing.assert_allclose(balanced_weights(labels, 5), (1 - labels).sum(0) / labels.sum(0))
    with pytest.raises(ValueError, match="every one of 6 classes"):
        balanced_weights(targets, 6)


@pytest.mark.parametrize(
    "wrong", [{"kind": "hinge"}, {"label_smoothing": 1.0}, {"gamma": -1.0}, {"kind": "focal", "label_smoothing": 0.1}]
)
def test_impossible_losses_are_refused(wrong):
    with pytest.raises(ValueError, match="Expected"):
        Loss(**wrong)
