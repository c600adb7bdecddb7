"""Predictions made on the spot: by hand, at random, many-label, and with patients."""

import numpy as np

import medxai_helpers as mx

CLASSES = tuple("abcdefgh")


def made(targets, predicted, classes=3, confidence=3.0):
    """One logit of ``confidence`` at the predicted class, 0 elsewhere."""
    logits = np.zeros((len(targets), classes), np.float32)
    logits[np.arange(len(targets)), predicted] = confidence
    return of_logits(np.asarray(targets), logits)


def of_logits(targets, logits, group=None, **more):
    ids = np.array([f"i{n:05d}" for n in range(len(targets))])
    logits = np.asarray(logits, dtype=np.float32)
    return mx.Predictions(
        CLASSES[: logits.shape[1]], ids, ids if group is None else group, np.asarray(targets), logits, **more
    )


def random_predictions(n=300, classes=4, seed=0, skill=1.5, scale=1.0, **more):
    """Logits of unit noise, raised by ``skill`` at the true class."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), truth] += skill
    return of_logits(truth, scale * logits, **more)


def random_labels(n=300, classes=4, seed=0, skill=1.5):
    """Many labels, rare and common, with logits that tell something about them."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, classes)) < np.linspace(0.1, 0.5, classes)).astype(np.uint8)
    return of_logits(truth, rng.normal(size=(n, classes)) + skill * truth - 1)


def patients(count=60, frames=4, classes=3, seed=0, own=1.5, skill=1.5):
    """Frames of one patient share their class and a part of their noise, so they are right or wrong together."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(classes, size=count), frames)
    shared = np.repeat(rng.normal(size=(count, classes)), frames, axis=0)
    logits = own * shared + 0.3 * rng.normal(size=(count * frames, classes))
    logits[np.arange(len(truth)), truth] += skill
    return of_logits(truth, logits, np.repeat([f"p{n:03d}" for n in range(count)], frames))
