"""Where a run stands, written so that a killed run goes on exactly there."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medxai_helpers.runtime import log
from medxai_helpers.training.inputs import Rows, Store
from medxai_helpers.training.runs import check_classes, write_atomically
from medxai_helpers.training.settings import TrainingSettings

LAST_FILE, BEST_FILE = "last.pt", "best.pt"
WHERE = ("device", "devices", "num_nodes", "compile")
"""Settings that say where a run computes, not what."""


@dataclass
class Progress:
    """How far a run has come; changed in place by the loop.

    Parameters
    ----------
    epoch, step : int
        The epoch at work, from 1, and its batches that are done.
    order : array of int
        The epoch's rows in order; empty between epochs.
    losses : tensor
        The losses of the batches done, on the device.
    right : tensor
        Images right so far in this epoch.
    seconds : float
        Time this epoch had taken when it was last saved.
    history : list of dict
        Finished epochs.
    best : float
        The best value of the watched measure, NaN before the first.
    best_epoch : int
        When it was reached.
    """

    epoch: int = 1
    step: int = 0
    order: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    losses: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    right: torch.Tensor = field(default_factory=lambda: torch.zeros(()))
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = float("nan")
    best_epoch: int = 0


@dataclass(frozen=True)
class Keeper:
    """Writes and reads the checkpoints of one run.

    Parameters
    ----------
    folder : Path or None
        Where; None keeps nothing.
    identity : dict
        Settings, classes and data; a checkpoint of another identity is refused.
    parts : dict
        Name to what has ``state_dict`` and ``load_state_dict``: network, optimizer, schedule, average, scaler.
    generator : torch.Generator
        Whose state belongs to the run.
    writes : bool
        False in every process but the first.
    """

    folder: Path | None
    identity: dict[str, Any]
    parts: dict[str, Any]
    generator: torch.Generator
    writes: bool = True

    def save(self, progress: Progress) -> None:
        """Write ``last.pt`` in one step."""
        if self.folder is None or not self.writes:
            return
        state = {name: part.state_dict() for name, part in self.parts.items()}
        place = vars(progress) | {"order": torch.from_numpy(progress.order)}
        random = {"torch": torch.random.get_rng_state(), "generator": self.generator.get_state()}
        if torch.cuda.is_available():
            random["cuda"] = torch.cuda.get_rng_state()
        content = {"identity": json.dumps(self.identity), "state": state, "progress": place, "random": random}
        _write(self.folder / LAST_FILE, content)

    def save_best(self, model: nn.Module) -> None:
        """Write ``best.pt`` in one step."""
        if self.folder is not None and self.writes:
            _write(self.folder / BEST_FILE, model.state_dict())

    def best(self) -> dict[str, torch.Tensor] | None:
        """Read ``best.pt``, if it is there."""
        if self.folder is None or not (self.folder / BEST_FILE).is_file():
            return None
        return dict(torch.load(self.folder / BEST_FILE, map_location="cpu", weights_only=True))

    def resume(self, device: torch.device) -> Progress:
        """Put everything back as the last checkpoint has it, and return where to go on.

        Raises
        ------
        ValueError
            If the checkpoint belongs to other classes, settings or data.
        """
        if self.folder is None or not (self.folder / LAST_FILE).is_file():
            return Progress()
        content = torch.load(self.folder / LAST_FILE, map_location="cpu", weights_only=True)
        self._compare(json.loads(content["identity"]))
        for name, part in self.parts.items():
            if name in content["state"]:  # a run begun on several devices has no scaler of ours
                part.load_state_dict(content["state"][name])
        torch.random.set_rng_state(content["random"]["torch"])
        self.generator.set_state(content["random"]["generator"])
        if "cuda" in content["random"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(content["random"]["cuda"])
        place = content["progress"]
        place |= {"order": place["order"].numpy()} | {name: place[name].to(device) for name in ("losses", "right")}
        progress = Progress(**place)
        log.info("Going on in epoch %d after %d batches, from %s.", progress.epoch, progress.step, self.folder)
        return progress

    def _compare(self, there: dict[str, Any]) -> None:
        check_classes(tuple(there["classes"]), tuple(self.identity["classes"]), f"the checkpoint in {self.folder}")
        here = json.loads(json.dumps(self.identity))
        changed = [name for name, value in here["settings"].items() if there["settings"].get(name) != value]
        changed = [name for name in changed if name not in WHERE] or [
            name for name in ("data",) if there[name] != here[name]
        ]
        if changed:
            raise ValueError(
                f"Expected the run that was begun in {self.folder}, but {changed} differ: "
                "choose another folder, or delete this one to begin anew."
            )


def identity(
    store: Store,
    targets: NDArray[Any],
    train: Rows,
    validation: Rows,
    settings: TrainingSettings,
    classes: Sequence[str],
) -> dict[str, Any]:
    """Return what a run is of: settings, classes, and a checksum of pixels, truth and rows."""
    digest = hashlib.sha256(str(store.facts.get("key", "")).encode())
    for array in (targets, train, validation):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return {"settings": settings.as_dict(), "classes": list(classes), "data": digest.hexdigest()}


def _write(path: Path, content: Any) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
