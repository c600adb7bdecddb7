"""What an explanation is: one raw map per image, what it explains, and where in the network it was read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Heatmaps:
    """Raw explanation maps of a batch. Introduced in chapter 05.

    Parameters
    ----------
    raw : array
        float32, (b, h, w) at the resolution of the layer, tokens or pixels, not scaled: maps of different images can
        be compared, and a map without evidence is 0 everywhere. Methods on pixels also hold negative values, evidence
        against the target.
    targets : array
        What each map explains: class indices, int64 of shape (b,), or weights of the classes, float32 of shape (b, k).
    layer : str
        The layer that was looked at; ``"attention"`` or ``"pixels"`` for methods that use no single layer.
    method : str
        Key of ``METHODS``.
    """

    raw: Maps
    targets: NDArray[Any]
    layer: str
    method: str = "grad-cam"

    @property
    def strength(self) -> Maps:
        """The highest raw value of each map, shape (b,): what scaling each map to [0, 1] would hide."""
        return np.asarray(self.raw.max(axis=(1, 2)))

    def enlarged(self, size: int) -> Maps:
        """Enlarge to ``size`` x ``size`` (bilinear), evidence against set to 0, raw values kept."""
        import torch
        from torch.nn import functional

        maps = torch.from_numpy(self.raw)[:, None].clamp_min(0)
        if maps.shape[-2:] != (size, size):
            maps = functional.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False)
        return np.asarray(maps[:, 0].numpy(), dtype=np.float32)

    def scaled(self, size: int) -> Maps:
        """Enlarge to ``size`` x ``size`` (bilinear) and divide each by its maximum; an empty map stays 0."""
        maps = self.enlarged(size)
        highest = np.maximum(maps.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
        return np.asarray(maps / highest, dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write the maps to one ``.npz`` file (no pickle)."""
        layer, method = np.array(self.layer), np.array(self.method)
        with path.open("wb") as file:
            np.savez_compressed(file, raw=self.raw, targets=self.targets, layer=layer, method=method)

    @classmethod
    def load(cls, path: Path) -> Heatmaps:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["raw"], file["targets"], str(file["layer"]), str(file["method"]))

    def __len__(self) -> int:
        return len(self.raw)

    def __str__(self) -> str:
        return f"{len(self)} maps of {self.raw.shape[1]} x {self.raw.shape[2]} at {self.layer}"
