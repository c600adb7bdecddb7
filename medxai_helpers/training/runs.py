"""Finished runs, saved, loaded, and found again by their settings."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from medxai_helpers.models import Architecture, read_weights, rebuild
from medxai_helpers.training.settings import TrainingSettings

if TYPE_CHECKING:
    import pandas as pd

WEIGHTS_FILE, FACTS_FILE, HISTORY_FILE = "weights.pt", "settings.json", "history.csv"


@dataclass(frozen=True)
class TrainingRun:
    """A trained model with the settings and the history that made it. Introduced in chapter 05.

    Parameters
    ----------
    model : Module
        The network, in evaluation mode.
    settings : TrainingSettings
        What it was trained with, with the precision that was used.
    history : DataFrame
        One row per epoch: ``train_loss`` and ``train_accuracy`` (running means, dropout on), ``validation_loss``,
        ``validation_accuracy`` and one more measure (dropout off), ``penalty`` (the model's own, 0 without one),
        ``learning_rate`` (at the end of the epoch), ``seconds``.
    classes : tuple of str
        Class names in the order of the logits; empty if the run was not told them.
    """

    model: nn.Module
    settings: TrainingSettings
    history: pd.DataFrame = field(repr=False)
    classes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Wall time of all epochs."""
        return float(self.history["seconds"].sum())

    def save(self, folder: Path) -> None:
        """Write weights, settings and history into a folder, each file in one step, the settings last."""
        import io

        folder.mkdir(parents=True, exist_ok=True)
        weights = io.BytesIO()
        torch.save({name: value.cpu() for name, value in self.model.state_dict().items()}, weights)
        plan = getattr(self.model, "architecture", None)
        facts = {
            "architecture": plan.as_dict() if isinstance(plan, Architecture) else None,
            "classes": list(self.classes),
            "settings": self.settings.as_dict(),
        }
        write_atomically(folder / WEIGHTS_FILE, weights.getvalue())
        write_atomically(folder / HISTORY_FILE, self.history.to_csv().encode())
        write_atomically(folder / FACTS_FILE, json.dumps(facts, indent=1).encode())

    @classmethod
    def load(
        cls,
        folder: Path,
        model: nn.Module | None = None,
        classes: Sequence[str] = (),
        *,
        device: str | None = None,
    ) -> TrainingRun:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where the run lies.
        model : Module, optional
            A network of the same architecture, which gets the weights; by default it is built again.
        classes : sequence of str, optional
            Class names that the run must have been trained for, in this order.
        device : str, optional
            Where to put it; default: where it was trained, or the CPU if this machine has no such device.

        Raises
        ------
        ValueError
            If the folder holds no run, or the run was trained for other classes; the message has both lists.
        """
        import pandas as pd

        facts = read_facts(folder)
        check_classes(tuple(facts.get("classes", ())), tuple(classes), f"the run in {folder}")
        settings = TrainingSettings.from_dict(facts["settings"])
        settings = replace(settings, device=device or _usable(settings.device))
        if model is None:
            model = _rebuilt(facts, folder)
        model.load_state_dict(read_weights(folder / WEIGHTS_FILE))
        history = pd.read_csv(folder / HISTORY_FILE, index_col="epoch")
        return cls(model.to(settings.device).eval(), settings, history, tuple(facts.get("classes", ())))

    def __str__(self) -> str:
        last = self.history.iloc[-1]
        return (
            f"{len(self.history)} epochs in {self.seconds:.0f} s: validation accuracy "
            f"{last['validation_accuracy']:.4f}, loss {last['validation_loss']:.4f}"
        )


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that a kill leaves the old one or the new one, never half of it."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def read_facts(folder: Path) -> dict[str, Any]:
    """Read settings, classes and architecture of a saved run."""
    try:
        facts = json.loads((folder / FACTS_FILE).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"Expected the folder of a saved run, but {folder} is none. ({error})") from error
    return dict(facts)


def check_classes(there: tuple[str, ...], here: tuple[str, ...], what: str) -> None:
    """Refuse what was trained for other classes, or for the same ones in another order."""
    if there and here and there != here:
        raise ValueError(f"Expected classes {list(here)}, but {what} was trained for {list(there)}: take another one.")


def _rebuilt(facts: dict[str, Any], folder: Path) -> nn.Module:
    plan = facts.get("architecture")
    if not isinstance(plan, dict):
        raise ValueError(f"The run in {folder} does not say how its network is built: pass it as `model`.")
    return rebuild(Architecture(**plan))


def _usable(device: str) -> str:
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return device if here.get(device.split(":")[0], True) else "cpu"
