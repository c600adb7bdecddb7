"""Train a classifier from a finished pixel store: a textbook loop with nothing hidden."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from medxai_helpers.augmentation import AugmentationPolicy, augment_batch
from medxai_helpers.pixels import PixelStore
from medxai_helpers.runtime import log, seeded

if TYPE_CHECKING:
    import pandas as pd

Rows = NDArray[np.int64]
Precision = Literal["float32", "bfloat16"]
SCORING_BATCH = 256


@dataclass(frozen=True)
class TrainingSettings:
    """Every choice that decides a training run. Introduced in chapter 05.

    Parameters
    ----------
    epochs, batch_size : int
        Passes over the training images, and images per step.
    learning_rate : float
        Of Adam, with its default moments.
    mean, std : float
        The images, scaled to [0, 1], are standardised with these (from the model table).
    augmentation : AugmentationPolicy, optional
        Applied to training images only.
    precision : {"float32", "bfloat16"}
        ``"bfloat16"`` runs the network under autocast: about twice as fast where the processor has units for it.
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    seed : int
        Decides order, augmentation and dropout.
    """

    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    mean: float = 0.0
    std: float = 1.0
    augmentation: AugmentationPolicy | None = None
    precision: Precision = "float32"
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.learning_rate <= 0 or self.std <= 0:
            raise ValueError(
                "Expected epochs and batch_size of at least 1 and a positive learning_rate and std, but got "
                f"{self.epochs}, {self.batch_size}, {self.learning_rate} and {self.std}."
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for run records."""
        return asdict(self)


@dataclass(frozen=True)
class TrainingRun:
    """A trained model with the settings and the history that made it. Introduced in chapter 05.

    Parameters
    ----------
    model : Module
        The network, in evaluation mode.
    settings : TrainingSettings
        What it was trained with.
    history : DataFrame
        One row per epoch: ``train_loss`` and ``train_accuracy`` (running means, dropout on), ``validation_loss`` and
        ``validation_accuracy`` (dropout off), ``penalty`` (the model's own, 0 without one), ``seconds``.
    """

    model: nn.Module
    settings: TrainingSettings
    history: pd.DataFrame = field(repr=False)

    @property
    def seconds(self) -> float:
        """Wall time of all epochs."""
        return float(self.history["seconds"].sum())

    def save(self, folder: Path) -> None:
        """Write weights, settings and history into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.model.state_dict(), folder / "weights.pt")
        (folder / "settings.json").write_text(json.dumps(self.settings.as_dict(), indent=1))
        self.history.to_csv(folder / "history.csv")

    @classmethod
    def load(cls, folder: Path, model: nn.Module) -> TrainingRun:
        """Read what :meth:`save` wrote into a freshly built model of the same architecture."""
        import pandas as pd

        content = json.loads((folder / "settings.json").read_text())
        policy = content.pop("augmentation")
        settings = TrainingSettings(**content, augmentation=AugmentationPolicy(**policy) if policy else None)
        model.load_state_dict(torch.load(folder / "weights.pt", map_location=settings.device, weights_only=True))
        return cls(model.eval(), settings, pd.read_csv(folder / "history.csv", index_col="epoch"))

    def __str__(self) -> str:
        last = self.history.iloc[-1]
        return (
            f"{len(self.history)} epochs in {self.seconds:.0f} s: validation accuracy "
            f"{last['validation_accuracy']:.4f}, loss {last['validation_loss']:.4f}"
        )


def fit(
    model: nn.Module,
    store: PixelStore,
    targets: Rows,
    *,
    train: Rows,
    validation: Rows,
    settings: TrainingSettings,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> TrainingRun:
    """Train a model with cross-entropy and Adam, and watch it on the validation images. Introduced in chapter 05.

    A model with a ``penalty()`` method has that term added to its training loss; losses in the history never contain
    it, its size stands beside them.

    Parameters
    ----------
    model : Module
        Maps float images (b, C, H, W) to logits (b, classes); it is trained in place.
    store : PixelStore
        The pixels.
    targets : array of int
        Class index of every row of the store, shape (n,).
    train, validation : array of int
        Rows to learn from and rows to watch.
    settings : TrainingSettings
        Everything else.
    on_epoch : callable, optional
        Called with each finished row of the history.

    Raises
    ------
    ValueError
        If the rows are empty or overlap, or targets do not match the store.
    FloatingPointError
        If the loss is no longer a number; the message names the epoch.
    """
    import pandas as pd

    _check(store, targets, train, validation)
    model.to(settings.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    labels = torch.tensor(targets, dtype=torch.int64)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    history: list[dict[str, float]] = []
    with seeded(settings.seed) as generator:
        for epoch in range(1, settings.epochs + 1):
            started = time.perf_counter()
            row = _train_epoch(model, store, labels, train, settings, optimizer, generator)
            row |= _watch(model, store, labels, validation, settings)
            row = {"epoch": epoch, **row, "seconds": time.perf_counter() - started}
            history.append(row)
            _report(row, settings)
            if on_epoch is not None:
                on_epoch(row)
    table = pd.DataFrame(history).astype({"epoch": int}).set_index("epoch")
    return TrainingRun(model.eval(), settings, table)


def batches(rows: Rows, size: int, generator: torch.Generator | None = None) -> Iterator[Rows]:
    """Yield the rows in batches, shuffled if a generator is given; the last batch may be smaller."""
    order = np.arange(len(rows)) if generator is None else torch.randperm(len(rows), generator=generator).numpy()
    for start in range(0, len(rows), size):
        yield rows[order[start : start + size]]


def to_input(pixels: NDArray[np.uint8], settings: TrainingSettings) -> torch.Tensor:
    """Turn uint8 images (b, C, H, W) into a standardised float tensor on the device."""
    images = torch.from_numpy(pixels).to(settings.device).float().div_(255)
    images = images.contiguous(memory_format=torch.channels_last)  # a third faster on CPUs, more on GPUs
    return images.sub_(settings.mean).div_(settings.std)


@torch.no_grad()
def logits_of(model: nn.Module, store: PixelStore, rows: Rows, settings: TrainingSettings) -> torch.Tensor:
    """Score rows in evaluation mode; float32 logits on the CPU, shape (b, classes); the model's mode is restored."""
    was_training = model.training
    model.eval()
    parts = []
    for batch in batches(rows, SCORING_BATCH):
        with _autocast(settings):
            parts.append(model(to_input(store.batch(batch), settings)).float().cpu())
    model.train(was_training)
    return torch.cat(parts)


def _train_epoch(
    model: nn.Module,
    store: PixelStore,
    labels: torch.Tensor,
    rows: Rows,
    settings: TrainingSettings,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> dict[str, float]:
    model.train()
    loss_sum, right = torch.zeros(2, device=settings.device)
    for batch in batches(rows, settings.batch_size, generator):
        images = to_input(store.batch(batch), settings)
        if settings.augmentation is not None:
            images = augment_batch(images, settings.augmentation, generator)
        truth = labels[torch.from_numpy(batch)].to(settings.device)
        with _autocast(settings):
            logits = model(images)
        loss = functional.cross_entropy(logits.float(), truth)
        optimizer.zero_grad(set_to_none=True)
        (loss + _penalty(model)).backward()
        optimizer.step()
        loss_sum += loss.detach() * len(batch)
        right += (logits.detach().argmax(dim=1) == truth).sum()
    return {"train_loss": float(loss_sum) / len(rows), "train_accuracy": float(right) / len(rows)}


def _watch(
    model: nn.Module, store: PixelStore, labels: torch.Tensor, rows: Rows, settings: TrainingSettings
) -> dict[str, float]:
    logits, truth = logits_of(model, store, rows, settings), labels[torch.from_numpy(rows)]
    with torch.no_grad():
        penalty = float(_penalty(model))
    return {
        "validation_loss": float(functional.cross_entropy(logits, truth)),
        "validation_accuracy": float((logits.argmax(dim=1) == truth).float().mean()),
        "penalty": penalty,
    }


def _penalty(model: nn.Module) -> torch.Tensor | float:
    term: torch.Tensor | float = model.penalty() if hasattr(model, "penalty") else 0.0  # type: ignore[operator]
    return term


def _autocast(settings: TrainingSettings) -> AbstractContextManager[Any]:
    enabled = settings.precision == "bfloat16"
    return torch.autocast(settings.device, dtype=torch.bfloat16, enabled=enabled)


def _report(row: dict[str, float], settings: TrainingSettings) -> None:
    if not np.isfinite(row["train_loss"]):
        raise FloatingPointError(
            f"The training loss is {row['train_loss']} in epoch {row['epoch']:.0f}: "
            f"try a learning rate below {settings.learning_rate:g}, or precision='float32'."
        )
    left = row["seconds"] * (settings.epochs - row["epoch"])
    log.info(
        "epoch %d/%d  train loss %.3f  validation loss %.3f  accuracy %.3f  %.1f s, %.0f s to go",
        row["epoch"],
        settings.epochs,
        row["train_loss"],
        row["validation_loss"],
        row["validation_accuracy"],
        row["seconds"],
        left,
    )


def _check(store: PixelStore, targets: Rows, train: Rows, validation: Rows) -> None:
    if len(targets) != len(store):
        raise ValueError(f"Expected one target per stored image ({len(store)}), but got {len(targets)}.")
    if not len(train) or not len(validation):
        raise ValueError(f"Expected rows to train and to validate on, but got {len(train)} and {len(validation)}.")
    shared = np.intersect1d(train, validation)
    if len(shared):
        raise ValueError(f"Expected no row in both parts, but {len(shared)} are, for example row {shared[0]}.")
