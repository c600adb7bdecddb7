"""What a model said about each image, with ids and truth: all that judging needs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from medxai_helpers.cohorts.cohort import Cohort
    from medxai_helpers.pixels import PixelStore
    from medxai_helpers.training import TrainingRun

Metadata = Mapping[str, NDArray[Any]]
NOT_METADATA = frozenset({"image_id", "label", "group", "path", "official"})
SMALLEST = 1e-30
SUSPICIOUS = 20
"""So many logits, all between 0 and 1, are taken for probabilities."""


@dataclass(frozen=True)
class Predictions:
    """Scores of one model on one set of images. Introduced in chapter 05.

    An image has one class of several, or any number of labels at once (*many-label*): the shape of ``targets`` says
    which. Scores are logits, and may stand there twice: as the network gave them, and calibrated. All properties use
    the calibrated ones where there are any; :attr:`raw` goes back.

    Parameters
    ----------
    classes : tuple of str
        Class names in index order.
    image_id, group : array of str
        Which image, and what it belongs to (a patient, where the set says), shape (n,).
    targets : array of int
        True class indices, shape (n,); or 0 and 1 for every label, shape (n, classes).
    logits : array of float
        Raw scores, shape (n, classes): softmax makes probabilities of them, or the sigmoid where there are many labels.
    calibrated : array of float, optional
        Logits after calibration, shape (n, classes).
    metadata : mapping of str to array
        What else is known of each image, such as age, sex or site, shape (n,) each.

    Raises
    ------
    ValueError
        If shapes do not fit, a class index cannot be, a score is not finite, or probabilities came for logits.
    """

    classes: tuple[str, ...]
    image_id: NDArray[np.str_]
    group: NDArray[np.str_]
    targets: NDArray[Any]
    logits: NDArray[np.float32]
    calibrated: NDArray[np.float32] | None = None
    metadata: Metadata = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.targets)
        if not (len(self.image_id) == len(self.group) == n and self.logits.shape == (n, len(self.classes))):
            raise ValueError(
                f"Expected {n} ids, {n} groups and logits of shape ({n}, {len(self.classes)}), "
                f"but got {len(self.image_id)}, {len(self.group)} and {self.logits.shape}."
            )
        if self.calibrated is not None and self.calibrated.shape != self.logits.shape:
            raise ValueError(
                f"Expected calibrated logits of shape {self.logits.shape}, but got {self.calibrated.shape}."
            )
        uneven = {name: len(column) for name, column in self.metadata.items() if len(column) != n}
        if uneven:
            raise ValueError(f"Expected {n} values in every column of metadata, but got {uneven}.")
        _check_targets(self.targets, self.logits.shape)
        _check_logits(self.logits, many_label=self.many_label)
        if self.calibrated is not None and not np.isfinite(self.calibrated).all():
            raise ValueError("Expected finite calibrated logits, but some are NaN or infinite: fit the scaling again.")

    @classmethod
    def from_probabilities(
        cls,
        classes: Sequence[str],
        image_id: NDArray[np.str_],
        targets: NDArray[Any],
        probabilities: NDArray[np.floating[Any]],
        group: NDArray[np.str_] | None = None,
        metadata: Metadata | None = None,
    ) -> Predictions:
        """Take probabilities where no logits were kept: another tool's, or a paper's. Introduced in chapter 15.

        Parameters
        ----------
        classes, image_id, targets, group, metadata
            As in the class; without ``group`` every image stands for itself.
        probabilities : array of float
            Between 0 and 1, shape (n, classes); rows sum to 1 unless there are many labels.

        Raises
        ------
        ValueError
            If they are no probabilities.

        Examples
        --------
        >>> ids, truth = np.array(["a", "b"]), np.array([0, 1])
        >>> p = Predictions.from_probabilities(("well", "ill"), ids, truth, np.array([[0.9, 0.1], [0.4, 0.6]]))
        >>> p.probabilities.round(3).tolist()
        [[0.9, 0.1], [0.4, 0.6]]
        """
        p = np.asarray(probabilities, dtype=np.float64)
        many_label = np.ndim(targets) == 2
        if not (np.isfinite(p).all() and (p >= 0).all() and (p <= 1).all()):
            raise ValueError("Expected probabilities between 0 and 1: pass logits to Predictions itself.")
        if not many_label and not np.allclose(p.sum(axis=1), 1, atol=1e-3):
            raise ValueError("Expected probabilities that sum to 1 in each row: for many labels, pass targets (n, k).")
        logits = np.log(np.clip(p, SMALLEST, 1))
        if many_label:
            logits = logits - np.log(np.clip(1 - p, SMALLEST, 1))
        ids = np.asarray(image_id, dtype=str)
        groups = ids if group is None else np.asarray(group, dtype=str)
        return cls(tuple(classes), ids, groups, targets, logits.astype(np.float32), None, metadata or {})

    @property
    def many_label(self) -> bool:
        """Whether an image can have any number of labels."""
        return self.targets.ndim == 2

    @property
    def scores(self) -> NDArray[np.float64]:
        """Logits in use, calibrated where there are any, shape (n, classes)."""
        return (self.logits if self.calibrated is None else self.calibrated).astype(np.float64)

    @property
    def raw(self) -> Predictions:
        """The same predictions without their calibration."""
        return replace(self, calibrated=None)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the scores, or their sigmoid where there are many labels, shape (n, classes)."""
        scores = self.scores
        if self.many_label:
            return np.exp(-np.logaddexp(0, -scores))
        shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Index of the highest score, shape (n,); of many labels, 1 where the probability is above one half, (n, k)."""
        scores = self.scores
        return np.asarray(scores > 0 if self.many_label else scores.argmax(axis=1), dtype=np.int64)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each prediction is right, in all labels where there are many, shape (n,)."""
        right = self.predicted == self.targets
        return np.asarray(right.all(axis=1) if self.many_label else right)

    @property
    def losses(self) -> NDArray[np.float64]:
        """Cross-entropy of each image in nats, shape (n,); of many labels, the mean of their binary ones."""
        scores = self.scores
        if self.many_label:
            return np.asarray((np.logaddexp(0, scores) - scores * self.targets).mean(axis=1))
        highest = scores.max(axis=1)
        total = highest + np.log(np.exp(scores - highest[:, None]).sum(axis=1))
        return np.asarray(total - scores[np.arange(len(self)), self.targets])

    @property
    def one_hot(self) -> NDArray[np.bool_]:
        """Whether each image has each class or label, shape (n, classes)."""
        if self.many_label:
            return np.asarray(self.targets == 1)
        return np.asarray(self.targets[:, None] == np.arange(len(self.classes)))

    def take(self, rows: NDArray[Any]) -> Predictions:
        """Return the predictions of these rows (indices, or a mask), in this order. Introduced in chapter 15."""
        calibrated = None if self.calibrated is None else self.calibrated[rows]
        metadata = {name: column[rows] for name, column in self.metadata.items()}
        parts = (self.image_id[rows], self.group[rows], self.targets[rows], self.logits[rows])
        return Predictions(self.classes, *parts, calibrated, metadata)

    def table(self, *, metadata: bool = False) -> pd.DataFrame:
        """One row per image: id, group, true and predicted class, probability of the predicted class.

        Of many labels, those that are there joined by ``|``, and the highest probability. With ``metadata``, its
        columns follow.
        """
        import pandas as pd

        columns = {
            "image_id": self.image_id,
            "group": self.group,
            "true": self._names(self.targets),
            "predicted": self._names(self.predicted),
            "probability": self.probabilities.max(axis=1),
        }
        more = {name: self.metadata[name] for name in self.metadata if name not in columns} if metadata else {}
        return pd.DataFrame(columns | more)

    def _names(self, values: NDArray[Any]) -> NDArray[np.str_]:
        names = np.array(self.classes)
        if not self.many_label:
            return np.asarray(names[values])
        return np.array(["|".join(names[row == 1]) for row in values], dtype=str)

    def sha256(self) -> str:
        """Checksum over ids, truth and scores: equal for equal predictions, whatever file they lie in."""
        digest = hashlib.sha256("\n".join([*self.classes, *self.image_id]).encode())
        for array in (self.targets, self.logits, self.calibrated):
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write everything to one ``.npz`` file (no pickle)."""
        optional: dict[str, Any] = {} if self.calibrated is None else {"calibrated": self.calibrated}
        metadata: dict[str, Any] = {f"metadata/{name}": _plain(column) for name, column in self.metadata.items()}
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                classes=np.array(self.classes),
                image_id=self.image_id,
                group=self.group,
                targets=self.targets,
                logits=self.logits,
                **optional,
                **metadata,
            )

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        prefix = "metadata/"
        metadata = {name.removeprefix(prefix): content[name] for name in content if name.startswith(prefix)}
        parts = {name: content[name] for name in ("image_id", "group", "targets", "logits")}
        calibrated = content.get("calibrated")
        return cls(tuple(map(str, content["classes"])), **parts, calibrated=calibrated, metadata=metadata)

    def __len__(self) -> int:
        return len(self.targets)

    def __str__(self) -> str:
        kind = "labels" if self.many_label else "classes"
        calibrated = "" if self.calibrated is None else ", calibrated"
        right = f"{int(self.correct.sum()):,} right{calibrated}"
        return f"{len(self):,} predictions over {len(self.classes)} {kind}, {right}"


def predict(run: TrainingRun, cohort: Cohort, store: PixelStore, rows: NDArray[np.int64]) -> Predictions:
    """Score these rows of a cohort with a trained model. Introduced in chapter 05.

    Parameters
    ----------
    run : TrainingRun
        The trained model with its settings.
    cohort : Cohort
        Gives ids, groups, truth, and its other columns as metadata.
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
        metadata=metadata_of(chosen),
    )


def metadata_of(table: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the columns of a cohort's table that describe its images: numbers and flags as they are, the rest as text.

    A missing text becomes ``""``, which stands for "not known".
    """
    from pandas.api import types

    columns = {str(name): table[name] for name in table.columns if name not in NOT_METADATA}
    return {
        name: column.to_numpy() if types.is_numeric_dtype(column) else _plain(column.fillna("").to_numpy(dtype=str))
        for name, column in columns.items()
    }


def score(run: TrainingRun, store: PixelStore, rows: NDArray[np.int64]) -> torch.Tensor:
    """Return the logits of these rows, float32 on the CPU, shape (b, classes)."""
    from medxai_helpers.training import logits_of

    return logits_of(run.model, store, rows, run.settings)


def _plain(column: NDArray[Any]) -> NDArray[Any]:
    return column.astype(str) if column.dtype.kind in "OU" else column


def _check_targets(targets: NDArray[Any], shape: tuple[int, ...]) -> None:
    if targets.ndim == 2 and (targets.shape != shape or not np.isin(targets, (0, 1)).all()):
        raise ValueError(f"Expected targets of 0 and 1 in shape {shape}, but got {targets.dtype} {targets.shape}.")
    if targets.ndim == 1 and targets.dtype.kind not in "iu":
        raise ValueError(f"Expected whole numbers as class indices, but got {targets.dtype}: convert them first.")
    if targets.ndim == 1 and len(targets) and not 0 <= targets.min() <= targets.max() < shape[1]:
        raise ValueError(
            f"Expected class indices from 0 to {shape[1] - 1}, but got {targets.min()} to {targets.max()}: "
            "check the order and number of the classes."
        )


def _check_logits(logits: NDArray[np.float32], *, many_label: bool) -> None:
    if not np.isfinite(logits).all():
        raise ValueError("Expected finite logits, but some are NaN or infinite: look at the training history.")
    if logits.size < 2 or logits.min() < 0 or logits.max() > 1 or logits.min() == logits.max():
        return
    if logits.size >= SUSPICIOUS if many_label else np.allclose(logits.sum(axis=1), 1, atol=1e-4):
        raise ValueError(
            f"Expected logits, but all {logits.size:,} scores lie between 0 and 1"
            + ("" if many_label else " and each row sums to 1")
            + ": these look like probabilities. Use Predictions.from_probabilities."
        )
