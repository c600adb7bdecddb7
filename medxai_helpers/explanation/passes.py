"""One pass through a model with a layer watched, and everything put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from medxai_helpers.explanation.targets import weigh

Grid = tuple[int, int]


@dataclass(frozen=True)
class Pass:
    """What one forward pass and one cut backward pass leave: float32 feature maps and gradients, (b, K, h, w)."""

    activation: torch.Tensor
    gradient: torch.Tensor
    targets: NDArray[Any]


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode without a graph; afterwards every mode and switch is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    had_grad = torch.is_grad_enabled()
    with torch.inference_mode(mode=False):
        try:
            model.eval()
            torch.set_grad_enabled(False)
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            torch.set_grad_enabled(had_grad)
            torch.clear_autocast_cache()  # weights cast without a graph must not serve the caller's next step


def look(
    model: nn.Module, images: torch.Tensor, layer: str, targets: ArrayLike | None, grid: Grid | None = None
) -> Pass:
    """Return feature maps of a layer and the gradient of the summed target scores with respect to them.

    Nothing before the layer is differentiated. Tokens (b, n, d) become maps (b, d, h, w).

    Raises
    ------
    ValueError
        If the layer does not exist or gives no feature maps, if the targets do not fit, or if only the class token of
        the layer reaches the score.
    """
    module = submodule(model, images, layer)
    with undisturbed(model), watched(module) as features:
        logits = model(plain(images))
        if not features or not isinstance(features[0], torch.Tensor):
            raise ValueError(_no_maps(layer, "no tensor", model, images))
        weights, kept = weigh(logits, targets)
        (gradient,) = torch.autograd.grad((logits * weights).sum(), features[0], allow_unused=True)
        activation = features[0].detach()
    if gradient is None:
        raise ValueError(f"Expected a layer that the score depends on, but {layer!r} is not used for it.")
    if activation.ndim == 3:
        activation, gradient = tokens_to_maps(activation, gradient, layer, grid, images)
    if activation.ndim != 4:
        raise ValueError(_no_maps(layer, str(tuple(activation.shape)), model, images))
    return Pass(activation.float(), gradient.float(), kept)


def plain(images: torch.Tensor) -> torch.Tensor:
    """Return images that autograd may use, also where they were made in inference mode."""
    return images.clone() if images.is_inference() else images.detach()


@contextmanager
def watched(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Keep what ``module`` puts out, cut off from what made it, and build a graph from there on."""
    features: list[torch.Tensor] = []

    def cut(_: nn.Module, __: object, output: torch.Tensor) -> torch.Tensor:
        if features or not isinstance(output, torch.Tensor):
            return output
        torch.set_grad_enabled(True)
        features.append(output.detach().clone().requires_grad_())
        return features[0].clone()  # a later in-place ReLU must not overwrite what is kept

    handle = module.register_forward_hook(cut)
    try:
        yield features
    finally:
        handle.remove()


def submodule(model: nn.Module, images: torch.Tensor, layer: str) -> nn.Module:
    """Return the named submodule, or refuse with the names that would do."""
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if layer not in modules or not layer:
        raise ValueError(f"Expected a layer among {suitable_layers(model, images)}, but got {layer!r}.")
    return modules[layer]


def suitable_layers(model: nn.Module, images: torch.Tensor) -> list[str]:
    """Return the last layer of every size of feature maps, or the last norms from which patches reach the score."""
    outputs: dict[str, torch.Tensor] = {}
    handles = []

    def note(name: str, module: nn.Module, output: object) -> None:
        tokens = isinstance(module, nn.LayerNorm)
        if isinstance(output, torch.Tensor) and (output.ndim == 4 or (output.ndim == 3 and tokens)):
            outputs[name] = output

    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_hook(lambda m, _, output, name=name: note(name, m, output)))
    try:
        with undisturbed(model), torch.enable_grad():
            score = model(plain(images[:1]).requires_grad_()).sum()
            norms = [name for name, output in outputs.items() if output.ndim == 3 and output.requires_grad]
            gradients = torch.autograd.grad(score, [*(outputs[name] for name in norms), score], allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    last = {
        tuple(output.shape[2:]): name
        for name, output in outputs.items()
        if output.ndim == 4 and min(output.shape[2:]) > 1
    }
    reached = [name for name, found in zip(norms, gradients, strict=False) if found is not None and found[:, 1:].any()]
    return list(last.values()) + reached[-3:]


def _no_maps(layer: str, got: str, model: nn.Module, images: torch.Tensor) -> str:
    fitting = suitable_layers(model, images)
    return f"Expected feature maps (b, K, h, w) from layer {layer!r}, but got {got}. Fitting layers: {fitting}."


def tokens_to_maps(
    tokens: torch.Tensor, gradient: torch.Tensor, layer: str, grid: Grid | None, images: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay tokens and their gradient out on the grid, without the class token."""
    height, width = grid_of(tokens.shape[1], grid, images)
    first = tokens.shape[1] - height * width
    if first and bool((gradient[:, :first] != 0).any()) and not bool((gradient[:, first:] != 0).any()):
        raise ValueError(
            f"Only the class token of layer {layer!r} reaches the score, so the gradient of every patch is exactly 0. "
            "Take a layer before the last attention, such as the first norm of the last block."
        )
    both = (part[:, first:].mT.reshape(len(part), -1, height, width) for part in (tokens, gradient))
    return next(both), next(both)


def grid_of(tokens: int, grid: Grid | None, images: torch.Tensor) -> Grid:
    """Return rows and columns of a token grid, with or without one class token in front.

    Raises
    ------
    ValueError
        If the grid does not fit the tokens; the message lists the grids that would.
    """
    fitting = [shape for count in (tokens - 1, tokens) for shape in _grids(count, images)]
    if grid is None and fitting:
        return fitting[0]
    if grid is None or grid[0] * grid[1] not in (tokens - 1, tokens):
        raise ValueError(f"Expected a grid of {tokens} tokens, or one less, such as {fitting}, but got {grid}.")
    return grid


def _grids(count: int, images: torch.Tensor) -> list[Grid]:
    """Return the grid of square patches that an image of this shape could have been cut into, if there is one."""
    height, width = images.shape[-2:]
    return [(rows, count // rows) for rows in range(1, count + 1) if rows * width * rows == count * height]
