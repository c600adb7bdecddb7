"""A trained run by its settings: from the cache, or trained on the spot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from medxai_helpers.files import atomic_folder
from medxai_helpers.runtime import current, log
from medxai_helpers.training.checkpoints import WHERE, identity
from medxai_helpers.training.inputs import Rows, Store
from medxai_helpers.training.loop import fit
from medxai_helpers.training.runs import TrainingRun
from medxai_helpers.training.settings import TrainingSettings, resolved

ENGINE = 1
"""Raised when the training loop changes what the same settings give, so that older runs are not taken."""


def load_or_train(
    model: nn.Module,
    store: Store,
    targets: NDArray[Any],
    *,
    train: Rows,
    validation: Rows,
    settings: TrainingSettings,
    classes: Sequence[str] = (),
    cache: Path | None = None,
) -> TrainingRun:
    """Return what :func:`fit` would return, from the cache if it was trained before. Introduced in chapter 15.

    The same model with the same initial weights, pixels, targets, rows and settings is trained once; whoever asks
    again, also from another chapter, gets the finished run. Chapters can thus stand alone.

    Parameters
    ----------
    model, store, targets, train, validation, settings, classes
        As for :func:`fit`; the model gets the trained weights.
    cache : Path, optional
        Where runs are kept; default: ``runs`` in the package's cache.

    Raises
    ------
    ValueError
        As :func:`fit`.

    Examples
    --------
    >>> import tempfile, torch
    >>> from medxai_helpers.training import FeatureStore
    >>> points = FeatureStore(np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32))
    >>> targets = (points.values[:, 0] > 0).astype(int)
    >>> parts = {"train": np.arange(15), "validation": np.arange(15, 20)}
    >>> folder, settings = Path(tempfile.mkdtemp()), TrainingSettings(epochs=1)
    >>> runs = []
    >>> for _ in range(2):
    ...     _ = torch.manual_seed(0)
    ...     runs.append(load_or_train(torch.nn.Linear(2, 2), points, targets, **parts, settings=settings, cache=folder))
    epoch 1/1 ...
    Trained before: ...
    >>> bool((runs[0].model.weight == runs[1].model.weight).all())
    True
    """
    settings = resolved(settings)
    key = _key(model, store, targets, train, validation, settings, classes)
    folder = (current().cache / "runs" if cache is None else cache) / key[:20]
    if folder.is_dir():
        run = TrainingRun.load(folder, model, classes, device=settings.device)
        log.info("Trained before: %s.", run)
        return run
    run = fit(model, store, targets, train=train, validation=validation, settings=settings, classes=classes)
    with atomic_folder(folder) as scratch:
        run.save(scratch)
    return run


def _key(
    model: nn.Module,
    store: Store,
    targets: NDArray[Any],
    train: Rows,
    validation: Rows,
    settings: TrainingSettings,
    classes: Sequence[str],
) -> str:
    """Hash everything that decides the run, the initial weights and what is frozen included."""
    facts = identity(store, targets, train, validation, settings, classes)
    facts["settings"] = {name: value for name, value in facts["settings"].items() if name not in WHERE}
    facts["frozen"] = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    facts |= {"engine": ENGINE, "network": str(model)}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.cpu().numpy()).data)
    return digest.hexdigest()
