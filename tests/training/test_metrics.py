"""Measures of the history against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as theirs

from medxai_helpers import metrics

RNG = np.random.default_rng(0)
LOGITS = torch.from_numpy(RNG.integers(-3, 4, (200, 4)).astype(np.float32))  # with many ties
CLASSES = torch.from_numpy(RNG.integers(0, 4, 200))
LABELS = torch.from_numpy(RNG.integers(0, 2, (200, 4)))


def test_accuracy_and_balanced_accuracy():
    answers = LOGITS.argmax(dim=1)
    assert metrics.accuracy(LOGITS, CLASSES) == pytest.approx(theirs.accuracy_score(CLASSES, answers))
    assert metrics.balanced_accuracy(LOGITS, CLASSES) == pytest.approx(theirs.balanced_accuracy_score(CLASSES, answers))
    assert metrics.accuracy(LOGITS, LABELS) == pytest.approx(((LOGITS > 0) == LABELS).float().mean().item())


def test_auroc():
    assert metrics.macro_auroc(LOGITS, LABELS) == pytest.approx(theirs.roc_auc_score(LABELS, LOGITS))
    wanted = theirs.roc_auc_score(CLASSES, LOGITS.softmax(dim=1).double(), multi_class="ovr")
    assert metrics.macro_auroc(LOGITS, CLASSES) == pytest.approx(wanted, abs=1e-4)


def test_a_class_that_does_not_occur_is_left_out():
    labels = LABELS.clone()
    labels[:, 2] = 0
    kept = [0, 1, 3]
    wanted = theirs.roc_auc_score(labels[:, kept], LOGITS[:, kept])
    assert metrics.macro_auroc(LOGITS, labels) == pytest.approx(wanted)
    few = CLASSES.clone().clamp_max(2)
    answers = LOGITS.argmax(dim=1)
    wanted = np.mean([(answers[few == k] == k).float().mean().item() for k in range(3)])
    assert metrics.balanced_accuracy(LOGITS, few) == pytest.approx(wanted)


def test_nothing_to_judge_is_no_number():
    assert np.isnan(metrics.macro_auroc(LOGITS, torch.zeros(200, 4, dtype=torch.int64)))
