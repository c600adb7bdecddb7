"""Train a classifier from a finished pixel store: a textbook loop with nothing hidden."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medxai_helpers.metrics import LOWER_IS_BETTER, measures
from medxai_helpers.models import train_mode
from medxai_helpers.runtime import log, seeded
from medxai_helpers.training.checkpoints import Keeper, Progress, identity
from medxai_helpers.training.devices import Engine, run_on_devices
from medxai_helpers.training.inputs import FeatureStore, Rows, Store, logits_of, read, to_training_input
from medxai_helpers.training.optimization import make_average, make_optimizer, make_schedule
from medxai_helpers.training.runs import TrainingRun
from medxai_helpers.training.settings import TrainingSettings, resolved

OnEpoch = Callable[[dict[str, float]], None]


def fit(
    model: nn.Module,
    store: Store,
    targets: NDArray[Any],
    *,
    train: Rows,
    validation: Rows,
    settings: TrainingSettings,
    on_epoch: OnEpoch | None = None,
    classes: Sequence[str] = (),
    folder: Path | None = None,
    save_every: int | None = None,
) -> TrainingRun:
    """Train a model and watch it on the validation images. Introduced in chapter 05.

    A model with a ``penalty()`` method has that term added to its training loss; losses in the history never contain
    it, its size stands beside them.

    Parameters
    ----------
    model : Module
        Maps float images (b, C, H, W) to logits (b, classes); it is trained in place.
    store : PixelStore or FeatureStore
        The pixels, or what a frozen network made of them.
    targets : array
        Class index of every row of the store, shape (n,); for a loss of many labels 0 and 1, shape (n, labels).
    train, validation : array of int
        Rows to learn from and rows to watch.
    settings : TrainingSettings
        Everything else.
    on_epoch : callable, optional
        Called with each finished row of the history; :class:`medxai_helpers.plots.LiveHistory` draws curves with it.
    classes : sequence of str, optional
        Names of the classes, kept with the run.
    folder : Path, optional
        Keep ``last.pt`` and ``best.pt`` there, and the finished run. A run that was killed goes on exactly where its
        last checkpoint was made (with several processes: but for dropout's draws); a finished one is returned.
    save_every : int, optional
        Also write ``last.pt`` after so many batches; default: after every epoch.

    Raises
    ------
    ValueError
        If rows, targets or settings do not fit each other, or the folder holds another run.
    FloatingPointError
        If the loss is no longer a number; the message has the step, the learning rate and the rows of the batch.
    MemoryError
        If a batch does not fit; the message has the batch size to try.

    Examples
    --------
    >>> from medxai_helpers.training import FeatureStore
    >>> points = FeatureStore(np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32))
    >>> parts = {"train": np.arange(150), "validation": np.arange(150, 200)}
    >>> settings = TrainingSettings(epochs=10, learning_rate=0.1)
    >>> run = fit(nn.Linear(2, 2), points, (points.values[:, 0] > 0).astype(int), **parts, settings=settings)
    epoch 1/10 ...
    >>> bool(run.history["validation_accuracy"].iloc[-1] > 0.9)
    True
    """
    settings = resolved(settings)
    _check(store, targets, train, validation, settings)
    job = _Job(store, targets, train, validation, settings, tuple(classes), on_epoch, folder, save_every)
    run = run_on_devices(settings, lambda engine: _Training(engine, model, job).run())
    if run.model is not model:  # another process trained a copy
        model.load_state_dict(run.model.state_dict())
        run = replace(run, model=model.eval())
    return run


@dataclass(frozen=True)
class _Job:
    store: Store
    targets: NDArray[Any]
    train: Rows
    validation: Rows
    settings: TrainingSettings
    classes: tuple[str, ...]
    on_epoch: OnEpoch | None
    folder: Path | None
    save_every: int | None


class _Training:
    """One process's part of a run: the network and all that moves it."""

    def __init__(self, engine: Engine, model: nn.Module, job: _Job) -> None:
        size, processes = job.settings.batch_size, engine.world_size
        if size % processes:
            raise ValueError(f"Expected a batch_size that {processes} processes can share, but got {size}.")
        self.engine, self.job = engine, job
        self.settings = replace(job.settings, device=str(engine.device))
        if engine.world_size > 1 and self.settings.device.startswith("cuda"):
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        self.model = model.to(engine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        numbers = torch.int64 if job.targets.ndim == 1 else torch.float32
        self.labels = torch.as_tensor(job.targets).to(engine.device, numbers)
        self.average = make_average(model, self.settings)
        optimizer = make_optimizer(model, self.settings)
        self.steps = -(-len(job.train) // job.settings.batch_size)
        self.schedule = make_schedule(optimizer, self.settings, self.steps)
        self.parts = {"model": model, "optimizer": optimizer, "schedule": self.schedule}
        network = torch.compile(model) if self.settings.compile else model
        self.network, self.optimizer = engine.setup(network, optimizer)

    @property
    def watched(self) -> nn.Module:
        """The network that is scored and returned: the moving average where there is one."""
        return self.model if self.average is None else self.average.module

    def run(self) -> TrainingRun:
        """Train all epochs, from the beginning or from the last checkpoint."""
        import pandas as pd

        job = self.job
        with seeded(self.settings.seed) as self.generator:
            torch.manual_seed(self.settings.seed + self.engine.global_rank)  # dropout differs between processes
            self.keeper = self._keeper()
            progress = self.keeper.resume(self.engine.device)
            self.best = self.keeper.best()
            while progress.epoch <= self.settings.epochs and not self._is_stale(progress):
                self._epoch(progress)
        self._take_the_chosen_weights()
        table = pd.DataFrame(progress.history).astype({"epoch": int}).set_index("epoch")
        run = TrainingRun(self.model.eval(), job.settings, table, job.classes)
        if job.folder is not None and self.engine.global_rank == 0:
            run.save(job.folder)
        return run

    def _epoch(self, progress: Progress) -> None:
        started = time.perf_counter() - progress.seconds
        row: dict[str, float] = {"epoch": progress.epoch, **self._train(progress, started), **self._watch()}
        row |= {"learning_rate": float(self.schedule.get_last_lr()[0]), "seconds": time.perf_counter() - started}
        progress.history.append(row)
        self._remember_the_best(progress, row)
        progress.epoch, progress.step, progress.seconds = progress.epoch + 1, 0, 0.0
        progress.order = np.empty(0, np.int64)
        self.keeper.save(progress)
        if self.engine.global_rank == 0:
            _report(row, self.settings.epochs)
            if self.job.on_epoch is not None:
                self.job.on_epoch(row)

    def _train(self, progress: Progress, started: float) -> dict[str, float]:
        """Go once through the training images."""
        if not len(progress.order):
            progress.order = self._shuffled()
            progress.losses = torch.zeros(self.steps, device=self.engine.device)
            progress.right = torch.zeros((), device=self.engine.device)
        train_mode(self.model)
        with _explained(self.settings):
            for rows, pixels, weight in self._batches(progress):
                images = to_training_input(pixels, self.settings, self.generator)
                truth = self.labels[torch.from_numpy(rows)]
                self._step(progress, images, truth, weight)
                progress.step += 1
                if self.settings.device == "cpu":  # on a GPU, looking would wait for every step
                    self._refuse_nan(progress, since=progress.step - 1)
                if self.job.save_every and progress.step % self.job.save_every == 0 and progress.step < self.steps:
                    progress.seconds = time.perf_counter() - started
                    self.keeper.save(progress)
        self._refuse_nan(progress)
        return self._averages(progress)

    def _step(self, progress: Progress, images: torch.Tensor, truth: torch.Tensor, weight: float) -> None:
        """Move the weights once: forward, backward, step; in several parts if memory asks for it."""
        self.optimizer.zero_grad(set_to_none=True)
        cuts = self.settings.accumulate
        for part, its_truth in zip(images.chunk(cuts), truth.chunk(cuts), strict=True):
            with self.engine.autocast():
                logits = self.network(part)
            share = len(part) / len(images)
            loss = weight * self.settings.loss(logits.float(), its_truth)
            self.engine.backward((loss + _penalty(self.model)) * share)
            progress.losses[progress.step] += loss.detach() * share
            if weight:
                progress.right += _right(logits.detach(), its_truth)
        if self.settings.clip_norm is not None:
            self.engine.clip_gradients(self.network, self.optimizer, max_norm=self.settings.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.model)

    @torch.no_grad()
    def _watch(self) -> dict[str, float]:
        """Score the validation images."""
        rows, settings = self.job.validation, self.settings
        logits = self._gathered_logits(rows)
        truth = self.labels[torch.from_numpy(rows)].cpu()
        found = {"loss": float(settings.loss(logits, truth)), **measures(logits, truth)}
        return {f"validation_{name}": value for name, value in found.items()} | {
            "penalty": float(_penalty(self.watched))
        }

    def _gathered_logits(self, rows: Rows) -> torch.Tensor:
        """Share the scoring between the processes, and put the scores back into the order of the rows."""
        size, rank = self.engine.world_size, self.engine.global_rank
        if size == 1:
            return logits_of(self.watched, self.job.store, rows, self.settings)
        padded = np.resize(rows, -(-len(rows) // size) * size)
        mine = logits_of(self.watched, self.job.store, padded[rank::size], self.settings)
        everyone: torch.Tensor = self.engine.all_gather(mine.to(self.engine.device))
        return everyone.transpose(0, 1).flatten(0, 1)[: len(rows)].cpu()

    def _remember_the_best(self, progress: Progress, row: dict[str, float]) -> None:
        name = self.settings.monitor
        if name not in row:
            raise ValueError(f"Expected monitor to be a column of the history, {list(row)}, but got {name!r}.")
        lower = name.rsplit("_", 1)[1] in LOWER_IS_BETTER
        value = row[name]
        if np.isnan(progress.best) or (value < progress.best if lower else value > progress.best):
            progress.best, progress.best_epoch = value, int(row["epoch"])
            if self.settings.keep == "best":
                self.best = {key: tensor.detach().cpu().clone() for key, tensor in self.watched.state_dict().items()}
            self.keeper.save_best(self.watched)

    def _is_stale(self, progress: Progress) -> bool:
        patience = self.settings.patience
        return patience is not None and len(progress.history) - progress.best_epoch >= patience

    def _take_the_chosen_weights(self) -> None:
        if self.settings.keep == "best" and self.best is not None:
            self.model.load_state_dict(self.best)
        elif self.average is not None:
            self.model.load_state_dict(self.average.module.state_dict())

    def _shuffled(self) -> Rows:
        """Return the training rows in the order of a new epoch, the same in every process."""
        order = torch.randperm(len(self.job.train), generator=self.generator).numpy()
        return np.asarray(self.job.train[order], dtype=np.int64)

    def _batches(self, progress: Progress) -> Iterator[tuple[Rows, torch.Tensor, float]]:
        """Yield what is left of the epoch, and how much each batch's mean loss counts.

        Of several processes each reads every so many-th row. Where a batch cannot be shared evenly the counts differ,
        so that the mean over the processes is the mean over the batch; a process without a row takes one that counts 0.
        """
        processes, rank = self.engine.world_size, self.engine.global_rank
        order, size = progress.order, self.settings.batch_size
        mine = len(order[rank::processes])
        even = np.resize(order, -(-len(order) // processes) * processes)[rank::processes]
        each = size // processes
        reader = read(self.job.store, even, each, self.settings.device, start=progress.step)
        for step, (rows, pixels) in enumerate(reader, start=progress.step):
            real = min(len(rows), mine - step * each)
            kept = max(real, 1)
            yield rows[:kept], pixels[:kept], real * processes / min(size, len(order) - step * size)

    def _refuse_nan(self, progress: Progress, since: int = 0) -> None:
        """Stop when a loss is no number; without ``since`` all of the epoch's are looked at, at once."""
        finite = torch.isfinite(progress.losses[since : progress.step])
        if bool(finite.all()):
            return
        step, size = since + int((~finite).nonzero()[0]), self.settings.batch_size
        rows = progress.order[step * size : (step + 1) * size].tolist()
        rate = self.settings.learning_rate * self.schedule.lr_lambdas[0]((progress.epoch - 1) * self.steps + step)
        raise FloatingPointError(
            f"The training loss is {float(progress.losses[step])} in epoch {progress.epoch}, step {step + 1} of "
            f"{self.steps}, at learning rate {rate:g}, with rows {rows}. "
            "Try a lower learning rate, clip_norm=1.0 or precision='float32', and look at these images."
        )

    def _averages(self, progress: Progress) -> dict[str, float]:
        count, size = len(progress.order), self.settings.batch_size
        sizes = torch.full((self.steps,), float(size))
        sizes[-1] = count - (self.steps - 1) * size
        losses = self.engine.all_reduce(progress.losses, reduce_op="mean").cpu()
        right = float(self.engine.all_reduce(progress.right, reduce_op="sum"))
        return {"train_loss": float(losses @ sizes) / count, "train_accuracy": right / count}

    def _keeper(self) -> Keeper:
        job = self.job
        parts = self.parts | ({} if self.average is None else {"average": self.average})
        scaler = getattr(self.engine, "scaler", None)
        parts |= {} if scaler is None else {"scaler": scaler}
        facts = identity(job.store, job.targets, job.train, job.validation, job.settings, job.classes)
        return Keeper(job.folder, facts, parts, self.generator, writes=self.engine.global_rank == 0)


def _penalty(model: nn.Module) -> torch.Tensor | float:
    term: torch.Tensor | float = model.penalty() if hasattr(model, "penalty") else 0.0  # type: ignore[operator]
    return term


def _right(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Count right answers; of many labels, the share of an image's labels counts."""
    if truth.ndim == 1:
        return (logits.argmax(dim=1) == truth).sum()
    return ((logits > 0) == truth.bool()).float().mean(dim=1).sum()


@contextmanager
def _explained(settings: TrainingSettings) -> Iterator[None]:
    """Turn an allocator's complaint into advice."""
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError) and "alloc" not in str(error):
            raise
        smaller = max(1, settings.batch_size // 2)
        raise MemoryError(
            f"A batch of {settings.batch_size} does not fit into the memory of {settings.device}: try "
            f"batch_size={smaller}, or accumulate={2 * settings.accumulate} to keep the batch and compute it in parts."
        ) from error


def _report(row: dict[str, float], epochs: int) -> None:
    log.info(
        "epoch %d/%d  train loss %.3f  validation loss %.3f  accuracy %.3f  %.1f s, %.0f s to go",
        row["epoch"],
        epochs,
        row["train_loss"],
        row["validation_loss"],
        row["validation_accuracy"],
        row["seconds"],
        row["seconds"] * (epochs - row["epoch"]),
    )


def _check(store: Store, targets: NDArray[Any], train: Rows, validation: Rows, settings: TrainingSettings) -> None:
    if len(targets) != len(store):
        raise ValueError(f"Expected one target per stored image ({len(store)}), but got {len(targets)}.")
    if not len(train) or not len(validation):
        raise ValueError(f"Expected rows to train and to validate on, but got {len(train)} and {len(validation)}.")
    shared = np.intersect1d(train, validation)
    if len(shared):
        raise ValueError(f"Expected no row in both parts, but {len(shared)} are, for example row {shared[0]}.")
    if (targets.ndim == 2) != settings.loss.many_labels:
        wanted = "0 and 1 per label, (n, labels)" if settings.loss.many_labels else "one class index per image, (n,)"
        raise ValueError(
            f"Expected targets for the loss {settings.loss.kind!r}, {wanted}, but got {targets.shape}: "
            "for many labels use loss=Loss('binary'), for one label Loss('cross-entropy')."
        )
    if isinstance(store, FeatureStore) and settings.augmentation is not None:
        raise ValueError("Expected no augmentation: features that are computed once cannot be changed by it.")
