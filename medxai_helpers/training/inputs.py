"""From stored pixels to what the network sees, and from there to scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medxai_helpers.augmentation import augment_batch
from medxai_helpers.models import spec_of
from medxai_helpers.models.build import architecture_of
from medxai_helpers.pixels import PixelStore, stream
from medxai_helpers.training.settings import TrainingSettings, autocast

Rows = NDArray[np.int64]
SCORING_BATCH = 256


@dataclass(frozen=True)
class FeatureStore:
    """What a frozen network makes of every image, computed once; it can be trained on like a pixel store.

    Introduced in chapter 06.

    Parameters
    ----------
    values : array
        float32, (n, features).
    facts : dict
        ``key`` says what they were computed from.
    """

    values: NDArray[np.float32]
    facts: dict[str, object] = field(default_factory=dict)

    def batch(self, rows: Rows) -> NDArray[np.float32]:
        """Return these rows, (b, features)."""
        return np.asarray(self.values[rows])

    def __len__(self) -> int:
        return len(self.values)

    def __str__(self) -> str:
        return f"{len(self):,} images as {self.values.shape[1]:,} features, {self.values.nbytes / 1e6:,.1f} MB"


Store = PixelStore | FeatureStore


def read(store: Store, rows: Rows, size: int, device: str, *, start: int = 0) -> Iterator[tuple[Rows, torch.Tensor]]:
    """Yield the rows in their order, in batches on the device, leaving out the first ``start`` batches."""
    if isinstance(store, PixelStore):
        workers = 0 if device == "cpu" else 2
        yield from stream(store, rows, size, device=device, start=start, workers=workers)
        return
    for first in range(start * size, len(rows), size):
        batch = rows[first : first + size]
        yield batch, torch.from_numpy(store.batch(batch)).to(device)


def batches(rows: Rows, size: int, generator: torch.Generator | None = None) -> Iterator[Rows]:
    """Yield the rows in batches, shuffled if a generator is given; the last batch may be smaller."""
    order = np.arange(len(rows)) if generator is None else torch.randperm(len(rows), generator=generator).numpy()
    for start in range(0, len(rows), size):
        yield rows[order[start : start + size]]


def to_input(pixels: NDArray[np.uint8] | torch.Tensor, settings: TrainingSettings) -> torch.Tensor:
    """Turn uint8 images (b, C, H, W) into a standardised float tensor on the device. Introduced in chapter 05.

    Features, which are float already, pass as they are.
    """
    return _standardised(_scaled(pixels, settings), settings)


def to_training_input(pixels: torch.Tensor, settings: TrainingSettings, generator: torch.Generator) -> torch.Tensor:
    """Like :func:`to_input`, with the settings' augmentation drawn in between. Introduced in chapter 05."""
    images = _scaled(pixels, settings)
    if settings.augmentation is not None:
        images = augment_batch(images, settings.augmentation, generator)
    return _standardised(images, settings)


def _scaled(pixels: NDArray[Any] | torch.Tensor, settings: TrainingSettings) -> torch.Tensor:
    images = torch.as_tensor(pixels).to(settings.device)
    return images if images.is_floating_point() else images.float().div_(255)


def _standardised(images: torch.Tensor, settings: TrainingSettings) -> torch.Tensor:
    if images.ndim != 4:
        return images
    mean, std = (_per_channel(values, images) for values in (settings.mean, settings.std))
    # grey images get their other channels here, as late as can be; channels last is faster on CPUs and on GPUs
    return images.sub(mean).div_(std).contiguous(memory_format=torch.channels_last)


def _per_channel(values: float | tuple[float, ...], images: torch.Tensor) -> torch.Tensor:
    listed = values if isinstance(values, tuple) else (values,)
    if images.shape[1] not in (1, len(listed)) and len(listed) != 1:
        raise ValueError(f"Expected mean and std for {images.shape[1]} channels or one of each, but got {len(listed)}.")
    return torch.tensor(listed, dtype=images.dtype).to(images.device, non_blocking=True).view(1, -1, 1, 1)


@torch.no_grad()
def logits_of(model: nn.Module, store: Store, rows: Rows, settings: TrainingSettings) -> torch.Tensor:
    """Score rows in evaluation mode; float32 logits on the CPU, (b, classes). Introduced in chapter 05.

    The model's mode is restored.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    parts = []
    for _, pixels in read(store, rows, _scoring_batch(store), settings.device):
        with autocast(settings):
            parts.append(model(to_input(pixels, settings)).float())
    for module, mode in modes.items():
        module.training = mode
    return torch.cat(parts).cpu()


def _scoring_batch(store: Store) -> int:
    """Return as many images as take the memory of 256 thumbnails of 64 pixels."""
    size = store.size if isinstance(store, PixelStore) else 1
    return max(16, SCORING_BATCH * 64**2 // max(size, 64) ** 2)


def cache_features(model: nn.Module, store: PixelStore, settings: TrainingSettings) -> FeatureStore:
    """Compute once what a network's head sees of every image. Introduced in chapter 06.

    With all stages frozen and no augmentation the features never change, so the head alone can be trained on them, a
    hundred times faster: ``fit(head, features, ...)`` with ``head = model.get_submodule(spec.head)`` trains the
    head inside the network.

    Parameters
    ----------
    model : Module
        Built by :func:`build_model`; left as it is.
    store : PixelStore
        The pixels, all of which are read.
    settings : TrainingSettings
        Mean, std, precision and device.

    Raises
    ------
    ValueError
        If the network was not built by :func:`build_model`.
    """
    spec = spec_of(architecture_of(model).name)
    kept: list[torch.Tensor] = []
    handle = model.get_submodule(spec.head).register_forward_pre_hook(
        lambda _, inputs: kept.append(inputs[0].float().cpu())
    )
    try:
        logits_of(model, store, np.arange(len(store)), settings)
    finally:
        handle.remove()
    return FeatureStore(
        torch.cat(kept).numpy(), {"key": f"{store.facts.get('key')} {architecture_of(model).as_dict()}"}
    )
