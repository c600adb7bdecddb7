"""What a model said about each image, with ids and truth: all that judging needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from medxai_helpers.cohorts.cohort import Cohort
    from medxai_helpers.pixels import PixelStore
    from medxai_helpers.training import TrainingRun


@dataclass(frozen=True)
class Predictions:
    """Scores of one model on one set of images. Introduced in chapter 05.

    Parameters
    ----------
    classes : tuple of str
        Class names in index order.
    image_id, group : array of str
        Which image, and what it belongs to, shape (n,).
    targets : array of int
        True class indices, shape (n,).
    logits : array of float
        Raw scores, shape (n, classes).
    """

    classes: tuple[str, ...]
    image_id: NDArray[np.str_]
    group: NDArray[np.str_]
    targets: NDArray[np.int64]
    logits: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.targets)
        if not (len(self.image_id) == len(self.group) == n and self.logits.shape == (n, len(self.classes))):
            raise ValueError(
                f"Expected {n} ids, {n} groups and logits of shape ({n}, {len(self.classes)}), "
                f"but got {len(self.image_id)}, {len(self.group)} and {self.logits.shape}."
            )
        if not np.isfinite(self.logits).all():
            raise ValueError("Expected finite logits, but some are NaN or infinite: look at the training history.")

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the logits, shape (n, classes)."""
        shifted = np.exp(self.logits.astype(np.float64) - self.logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Index of the highest score, shape (n,)."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each prediction is right, shape (n,)."""
        return np.asarray(self.predicted == self.targets)

    @property
    def losses(self) -> NDArray[np.float64]:
        """Cross-entropy of each image in nats, shape (n,)."""
        logits = self.logits.astype(np.float64)
        highest = logits.max(axis=1)
        total = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
        return np.asarray(total - logits[np.arange(len(self)), self.targets])

    def table(self) -> pd.DataFrame:
        """One row per image: id, group, true and predicted class, probability of the predicted class."""
        import pandas as pd

        names = np.array(self.classes)
        return pd.DataFrame(
            {
                "image_id": self.image_id,
                "group": self.group,
                "true": names[self.targets],
                "predicted": names[self.predicted],
                "probability": self.probabilities.max(axis=1),
            }
        )

    def sha256(self) -> str:
        """Checksum over ids, truth and scores: equal for equal predictions, whatever file they lie in."""
        digest = hashlib.sha256("\n".join([*self.classes, *self.image_id]).encode())
        digest.update(np.ascontiguousarray(self.targets).data)
        digest.update(np.ascontiguousarray(self.logits).data)
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write everything to one ``.npz`` file (no pickle)."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                classes=np.array(self.classes),
                image_id=self.image_id,
                group=self.group,
                targets=self.targets,
                logits=self.logits,
            )

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            classes = tuple(str(name) for name in file["classes"])
            return cls(classes, file["image_id"], file["group"], file["targets"], file["logits"])

    def __len__(self) -> int:
        return len(self.targets)

    def __str__(self) -> str:
        return f"{len(self):,} predictions over {len(self.classes)} classes, {int(self.correct.sum()):,} right"


def predict(run: TrainingRun, cohort: Cohort, store: PixelStore, rows: NDArray[np.int64]) -> Predictions:
    """Score these rows of a cohort with a trained model. Introduced in chapter 05.

    Parameters
    ----------
    run : TrainingRun
        The trained model with its settings.
    cohort : Cohort
        Gives ids, groups and truth.
    store : PixelStore
        Gives the pixels, row for row those of the cohort.
    rows : array of int
        Which rows, for example ``split["validation"]``.
    """
    chosen = cohort.table.iloc[rows]
    return Predictions(
        classes=cohort.classes,
        image_id=chosen["image_id"].to_numpy(dtype=str),
        group=chosen["group"].to_numpy(dtype=str),
        targets=cohort.targets[rows],
        logits=score(run, store, rows).numpy(),
    )


def score(run: TrainingRun, store: PixelStore, rows: NDArray[np.int64]) -> torch.Tensor:
    """Return the logits of these rows, float32 on the CPU, shape (b, classes)."""
    from medxai_helpers.training import logits_of

    return logits_of(run.model, store, rows, run.settings)
