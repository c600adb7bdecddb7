"""Grad-CAM: weigh the feature maps of one layer by how much each would raise a class score."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Heatmaps:
    """Raw class activation maps of a batch. Introduced in chapter 05.

    Parameters
    ----------
    raw : array
        float32, (b, h, w) at the resolution of the layer, not scaled: maps of different images can be compared, and a
        map without evidence is 0 everywhere.
    targets : array of int
        The class each map explains, shape (b,).
    layer : str
        The layer that was looked at.
    """

    raw: Maps
    targets: NDArray[np.int64]
    layer: str

    @property
    def strength(self) -> Maps:
        """The highest raw value of each map, shape (b,): what scaling each map to [0, 1] would hide."""
        return np.asarray(self.raw.max(axis=(1, 2)))

    def scaled(self, size: int) -> Maps:
        """Enlarge to ``size`` x ``size`` (bilinear) and divide each by its maximum; an empty map stays 0."""
        enlarged = nn.functional.interpolate(
            torch.from_numpy(self.raw)[:, None], size=(size, size), mode="bilinear", align_corners=False
        )
        highest = enlarged.amax(dim=(1, 2, 3), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        return np.asarray((enlarged / highest)[:, 0].numpy(), dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write the maps to one ``.npz`` file (no pickle)."""
        with path.open("wb") as file:
            np.savez_compressed(file, raw=self.raw, targets=self.targets, layer=np.array(self.layer))

    @classmethod
    def load(cls, path: Path) -> Heatmaps:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["raw"], file["targets"], str(file["layer"]))

    def __len__(self) -> int:
        return len(self.raw)

    def __str__(self) -> str:
        return f"{len(self)} maps of {self.raw.shape[1]} x {self.raw.shape[2]} at {self.layer}"


def grad_cam(model: nn.Module, images: torch.Tensor, layer: str, targets: NDArray[np.int64] | None = None) -> Heatmaps:
    """Explain a class score of every image with Grad-CAM. Introduced in chapter 05, taken apart in chapter 18.

    The gradient is cut at the layer: nothing before it is differentiated. The model's mode, its parameters' gradients
    and its hooks are left as they were.

    Parameters
    ----------
    model : Module
        Maps images to logits (b, classes).
    images : tensor
        Float, (b, C, H, W), standardised as in training, on the model's device.
    layer : str
        Name of a submodule whose output is (b, K, h, w), for example the table's ``cam_layer``.
    targets : array of int, optional
        Class index per image; default: the predicted class.

    Raises
    ------
    ValueError
        If the layer does not exist or gives no feature maps, or the number of targets is not that of the images.

    Source: Selvaraju et al. 2017.
    """
    module = _submodule(model, layer)
    if targets is not None and len(targets) != len(images):
        raise ValueError(f"Expected one target per image ({len(images)}), but got {len(targets)}.")
    with _watched(model, module) as features:
        logits = model(images)
        chosen = logits.argmax(dim=1) if targets is None else torch.as_tensor(targets, device=logits.device)
        activation = features[0]
        if activation.ndim != 4:
            raise ValueError(
                f"Expected feature maps (b, K, h, w) from layer {layer!r}, but got {tuple(activation.shape)}."
            )
        (gradient,) = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), activation)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    maps = (weights * activation.detach()).sum(dim=1).clamp_min(0).float().cpu().numpy()
    return Heatmaps(maps, chosen.cpu().numpy().astype(np.int64), layer)


@contextmanager
def _watched(model: nn.Module, module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Run a forward pass without a graph up to ``module`` and with one from there on; then put everything back."""
    features: list[torch.Tensor] = []

    def cut(_: nn.Module, __: object, output: torch.Tensor) -> torch.Tensor:
        torch.set_grad_enabled(True)
        features.append(output.detach().clone().requires_grad_())
        return features[-1].clone()  # a later in-place ReLU must not overwrite what is kept

    was_training, had_grad = model.training, torch.is_grad_enabled()
    handle = module.register_forward_hook(cut)
    try:
        model.eval()
        torch.set_grad_enabled(False)
        yield features
    finally:
        handle.remove()
        torch.set_grad_enabled(had_grad)
        model.train(was_training)


def _submodule(model: nn.Module, layer: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if layer not in modules or not layer:
        names = [name for name, module in modules.items() if isinstance(module, nn.Conv2d | nn.ReLU)]
        raise ValueError(f"Expected a layer of the model, for example one of {names}, but got {layer!r}.")
    return modules[layer]
