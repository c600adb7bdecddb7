"""Explaining transformers from their attention: rollout, and relevance that depends on the class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from medxai_helpers.explanation.heatmaps import Heatmaps
from medxai_helpers.explanation.passes import Grid, grid_of, plain, undisturbed
from medxai_helpers.explanation.targets import weigh

Heads = Literal["mean", "max", "min"]
Tensor = torch.Tensor
Keep = Callable[[Tensor], Tensor]
UNSUPPORTED = ("attn_mask", "key_padding_mask", "bias_k", "bias_v", "use_separate_proj_weight", "is_causal")


class WatchedAttention(TorchFunctionMode):
    """Compute every attention of a model step by step, so that its weights can be seen. Introduced in chapter 19.

    Inside ``with WatchedAttention(keep)``, fused attention (``scaled_dot_product_attention``, ``MultiheadAttention``)
    is replaced by softmax and two products, and ``keep`` is called with the weights (b, heads, n, n) of each block;
    what it returns is used in their place. The model itself is not touched.

    Parameters
    ----------
    keep : callable
        Takes the attention weights of one block and returns them.
    """

    def __init__(self, keep: Keep) -> None:
        super().__init__()
        self._keep = keep

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Take over the two attention functions and pass on everything else."""
        named = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            return self._dot_product(*args, **named)
        if func is functional.multi_head_attention_forward:
            return self._multi_head(*args, **named)
        return func(*args, **named)

    def _dot_product(self, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **named: Any) -> Tensor:
        if any(isinstance(each, Tensor) for each in rest) or named.get("attn_mask") is not None:
            raise ValueError("Expected attention without a mask: masked attention cannot be explained here.")
        scale = named.get("scale") or query.shape[-1] ** -0.5
        return self._keep((query * scale @ key.mT).softmax(dim=-1)) @ value

    def _multi_head(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        _: int,
        heads: int,
        weight: Tensor,
        bias: Tensor | None,
        *rest: Any,
        **named: Any,
    ) -> tuple[Tensor, None]:
        """Self-attention of ``nn.MultiheadAttention``; query, key and value are (n, b, d)."""
        if query is not key or key is not value or _asks_for_more(named):
            raise ValueError("Expected self-attention without masks: other attention cannot be explained here.")
        count, batch, width = query.shape
        parts = functional.linear(query, weight, bias).chunk(3, dim=-1)
        by_head = (part.reshape(count, batch, heads, -1).permute(1, 2, 0, 3) for part in parts)
        mixed = self._dot_product(*by_head).permute(2, 0, 1, 3).reshape(count, batch, width)
        out_weight, out_bias = rest[4], rest[5]
        return functional.linear(mixed, out_weight, out_bias), None


def attention_rollout(
    model: nn.Module,
    images: Tensor,
    targets: ArrayLike | None = None,
    *,
    grid: Grid | None = None,
    heads: Heads = "mean",
    discard: float = 0.0,
) -> Heatmaps:
    """Multiply the attention of all blocks: how much of each patch may have reached the class token.

    No class enters: the map is the same for every target. Introduced in chapter 19.

    Parameters
    ----------
    model, images, targets
        As in :func:`medxai_helpers.explanation.grad_cam`; the targets are only noted.
    grid : (int, int), optional
        Rows and columns of the patches; default: found from the number of tokens.
    heads : {"mean", "max", "min"}
        How the heads of a block are joined.
    discard : float
        Share of the smallest joined weights of each block that is set to 0, from 0 to below 1.

    Raises
    ------
    ValueError
        If the model computes no attention that can be watched, or an argument is out of range.

    Source: Abnar and Zuidema 2020; discarding after Gildenblat 2020.
    """
    if heads not in ("mean", "max", "min") or not 0 <= discard < 1:
        raise ValueError(f"Expected heads mean, max or min and 0 <= discard < 1, but got {heads!r} and {discard}.")
    rolled: list[Tensor] = []

    def roll(weights: Tensor) -> Tensor:
        with torch.autocast(weights.device.type, enabled=False):
            joined = _without_smallest(_join(weights.float(), heads), discard)
            joined = joined + torch.eye(joined.shape[-1], device=joined.device)
            joined = joined / joined.sum(dim=-1, keepdim=True)
            rolled[:] = [joined @ rolled[0] if rolled else joined]
        return weights

    with undisturbed(model), WatchedAttention(roll):
        _, kept = weigh(model(plain(images)), targets)
    return Heatmaps(_patches(_seen(rolled)[0], grid, images), kept, "attention", "attention-rollout")


def attention_relevance(
    model: nn.Module, images: Tensor, targets: ArrayLike | None = None, *, grid: Grid | None = None
) -> Heatmaps:
    """Weigh attention by its gradient before it is rolled out, so that the map depends on the class.

    Parameters and errors are those of :func:`attention_rollout`. Introduced in chapter 19.

    Source: Chefer, Gur and Wolf 2021 (generic attention explainability), its rule for self-attention.
    """
    weights: list[Tensor] = []

    def record(block: Tensor) -> Tensor:
        torch.set_grad_enabled(True)  # nothing before the first attention is differentiated
        weights.append(block if block.requires_grad else block.requires_grad_())
        return weights[-1]

    with undisturbed(model), WatchedAttention(record):
        logits = model(plain(images))
        factors, kept = weigh(logits, targets)
        gradients = torch.autograd.grad((logits * factors).sum(), _seen(weights))
        relevance = _chefer([block.detach() for block in weights], gradients)
    return Heatmaps(_patches(relevance, grid, images), kept, "attention", "attention-relevance")


def _chefer(weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Roll out the positive part of weights times gradients, without the identity it starts from, (b, n, n)."""
    relevance = torch.zeros_like(weights[0][:, 0], dtype=torch.float32)
    with torch.autocast(relevance.device.type, enabled=False):
        for block, gradient in zip(weights, gradients, strict=True):
            step = (block.float() * gradient.float()).clamp_min(0).mean(dim=1)
            relevance = relevance + step + step @ relevance
    return relevance.detach()


def _join(weights: Tensor, heads: Heads) -> Tensor:
    if heads == "mean":
        return weights.mean(dim=1)
    return weights.amax(dim=1) if heads == "max" else weights.amin(dim=1)


def _without_smallest(joined: Tensor, discard: float) -> Tensor:
    """Set the smallest share of each image's weights to 0; those that every token pays the class token stay."""
    count = int(discard * joined[0].numel())
    if not count:
        return joined
    flat = joined.flatten(1)
    smallest = flat.topk(count, dim=1, largest=False).indices
    thinned = flat.scatter(1, smallest, 0.0).view_as(joined)
    thinned[:, :, 0] = joined[:, :, 0]
    return thinned


def _seen(found: list[Tensor]) -> list[Tensor]:
    if not found:
        raise ValueError(
            "Expected a transformer, but the model computed no attention through scaled_dot_product_attention or "
            "MultiheadAttention. For a convolutional network use a CAM method, such as 'grad-cam'."
        )
    return found


def _patches(flow: Tensor, grid: Grid | None, images: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Read the row of the class token, or the mean row where there is none, and lay it out on the grid."""
    height, width = grid_of(flow.shape[-1], grid, images)
    first = flow.shape[-1] - height * width
    row = flow[:, 0, first:] if first else flow.mean(dim=1)
    return np.asarray(row.reshape(len(flow), height, width).cpu().numpy(), dtype=np.float32)


def _asks_for_more(named: dict[str, Any]) -> bool:
    """Tell whether a call of ``MultiheadAttention`` wants what is not computed here."""
    asked = [named.get(name) for name in UNSUPPORTED]
    return any(value is not None and value is not False for value in asked)
