"""Sanity checks: a map that survives when the network's weights are thrown away does not explain the network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medxai_helpers.evaluation import Estimate
from medxai_helpers.explanation.grading import cluster_mean
from medxai_helpers.explanation.heatmaps import Heatmaps

if TYPE_CHECKING:
    import pandas as pd

Maps = NDArray[Any]
Explainer = Callable[[nn.Module], Heatmaps]


def similarity(maps: Maps, others: Maps) -> NDArray[np.float64]:
    """Return the rank correlation (Spearman) of each pair of maps, (b,); NaN where one is flat.

    Parameters
    ----------
    maps, others : array
        Of one shape, (b, h, w).

    Introduced in chapter 20.
    """
    from scipy.stats import rankdata

    if maps.shape != others.shape:
        raise ValueError(f"Expected maps of one shape, but got {maps.shape} and {others.shape}.")
    ranks = [rankdata(each.reshape(len(each), -1), axis=1) for each in (maps, others)]
    centred = [each - each.mean(axis=1, keepdims=True) for each in ranks]
    spread = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    shared = (centred[0] * centred[1]).sum(axis=1)
    return np.asarray(np.divide(shared, spread, out=np.full(len(maps), np.nan), where=spread > 0))


def randomise(model: nn.Module, names: Iterable[str] | None = None, *, seed: int = 0) -> nn.Module:
    """Return a copy of a network with new random values in every parameter of the named parts.

    Unlike ``reset_parameters`` it leaves none out: convolutions, attention projections, class and position tokens,
    norms with their running statistics, biases. Matrices are drawn from a normal distribution of their own size, so
    that the signal neither dies nor explodes.

    Parameters
    ----------
    model : Module
        It is not changed.
    names : iterable of str, optional
        Submodules or single parameters; default: everything.
    seed : int
        Of the draw.

    Raises
    ------
    ValueError
        If a name belongs to nothing.

    Source: the test is that of Adebayo et al. 2018; the draw is ours. Introduced in chapter 20.
    """
    drawn = copy.deepcopy(model)
    tensors = {**dict(drawn.named_parameters()), **dict(drawn.named_buffers())}
    chosen = set(tensors) if names is None else {key for name in names for key in _below(name, tensors)}
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key in sorted(chosen):
            if tensors[key].is_floating_point():
                tensors[key].copy_(_redraw(tensors[key], generator, positive=key.endswith("running_var")))
    return drawn


def _below(name: str, tensors: dict[str, Any]) -> list[str]:
    found = [key for key in tensors if key == name or key.startswith(f"{name}.")]
    if not found:
        raise ValueError(f"Expected names of submodules or parameters, but {name!r} holds none.")
    return found


def _redraw(value: torch.Tensor, generator: torch.Generator, *, positive: bool) -> torch.Tensor:
    """Draw a tensor of the same shape and size; constants, such as fresh norms and biases, are spread out."""
    noise = torch.randn(value.shape, generator=generator).to(value)
    size = value.square().mean().sqrt()
    if positive:
        return size * (0.5 + noise.abs())
    if value.ndim > 1:
        return noise * torch.where(size > 0, size, torch.full_like(size, 0.02))
    spread = torch.stack([value.std(correction=0), size / 4, torch.full_like(size, 0.02)]).max()
    return value.mean() + spread * noise


@dataclass(frozen=True)
class Cascade:
    """Similarity to the trained network's maps while it is randomised from the output down.

    Parameters
    ----------
    table : DataFrame
        One row per stage: ``stage``, ``share`` of all parameters that are random by now, ``value``, ``low``, ``high``,
        ``n``, ``undecided``.
    control : Estimate
        The same similarity between the trained network's maps and those of other images: what the shape of maps alone
        explains.

    Introduced in chapter 20.
    """

    table: pd.DataFrame
    control: Estimate

    @property
    def passed(self) -> bool:
        """Whether the last stage's interval reaches down to the control's."""
        last = self.table.iloc[-1]
        return bool(last["n"] == 0 or last["low"] <= self.control.high)

    def __str__(self) -> str:
        first, last = self.table["value"].iloc[[0, -1]]
        return f"similarity {first:.2f} to {last:.2f} in {len(self.table)} stages, control {self.control.value:.2f}"


def cascade(
    model: nn.Module,
    explainer: Explainer,
    stages: Sequence[Sequence[str]] | None = None,
    *,
    draws: int = 3,
    seed: int = 0,
) -> Cascade:
    """Randomise a network stage by stage, from the output to the input, and follow its maps. Introduced in chapter 20.

    Parameters
    ----------
    model : Module
        The trained network; it is not changed.
    explainer : callable
        Gives the maps of a network for images and targets that do not move, for example
        ``lambda network: mx.explain(network, images, "grad-cam", targets)``.
    stages : sequence of sequences of str, optional
        Submodules or parameters, from the output to the input; what no stage names is randomised with the last.
        Default: the network's direct children, last first.
    draws : int
        Random networks per stage; one alone may turn a map over by chance. Similarities are averaged per image.
    seed : int
        Of the draws.

    Source: Adebayo et al. 2018.
    """
    import pandas as pd

    trained = explainer(model).raw
    wanted = [tuple(stage) for stage in stages] if stages else [(name,) for name in _children(model)]
    rows = [_row("trained", 0.0, similarity(trained, trained))]
    names: list[str] = []
    for number, stage in enumerate(wanted, start=1):
        names += stage
        chosen = names if number < len(wanted) else None
        drawn = [randomise(model, chosen, seed=seed + draw) for draw in range(draws)]
        alike = np.stack([similarity(trained, explainer(each).raw) for each in drawn])
        rows.append(_row(stage[0], changed_share(model, drawn[0]), _mean_known(alike)))
    shifted = similarity(trained, np.roll(trained, 1, axis=0))
    return Cascade(pd.DataFrame(rows), cluster_mean(shifted, np.arange(len(shifted))))


def _mean_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over draws, leaving out NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    return np.asarray(
        np.divide(
            np.where(known, values, 0).sum(axis=0),
            known.sum(axis=0),
            out=np.full(values.shape[1], np.nan),
            where=known.any(axis=0),
        )
    )


def changed_share(model: nn.Module, other: nn.Module) -> float:
    """Return the share of single parameters whose value differs between two networks of one architecture."""
    pairs = list(zip(model.parameters(), other.parameters(), strict=True))
    changed = sum(int((one != two).sum()) for one, two in pairs)
    return changed / max(sum(one.numel() for one, _ in pairs), 1)


def _children(model: nn.Module) -> list[str]:
    names = [name for name, child in model.named_children() if any(True for _ in child.parameters())]
    return names[::-1]


def _row(stage: str, share: float, values: NDArray[np.float64]) -> dict[str, Any]:
    found = cluster_mean(values, np.arange(len(values)))
    facts = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
    return {"stage": stage, "share": share, **facts, "undecided": len(values) - found.n}
