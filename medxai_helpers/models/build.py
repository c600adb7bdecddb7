"""Build a network of the table, find out later how it was built, and count what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medxai_helpers.models.spec import Architecture, AttentionLayout, ModelSpec
from medxai_helpers.models.table import spec_of
from medxai_helpers.models.weights import load_weights
from medxai_helpers.runtime import seeded


def build_model(
    name: str,
    *,
    classes: int,
    channels: int | None = None,
    size: int | None = None,
    dropout: float | None = None,
    weights: str | Path | None = None,
    seed: int = 0,
    **options: Any,
) -> nn.Module:
    """Build an architecture; the same seed gives the same fresh weights. Introduced in chapter 05.

    Parameters
    ----------
    name : str
        A key of ``MODELS``.
    classes : int
        Number of outputs, at least 2.
    channels, size : int, optional
        Default: what the architecture was published for.
    dropout : float, optional
        Default: as published.
    weights : {"imagenet"} or path, optional
        Start from these instead of fresh weights; a head for another number of classes stays fresh. Files are read
        without running any code in them.
    seed : int
        Decides the initial weights; the global random state is left as it was.
    **options
        What only this architecture takes: ``backbone`` of the hybrids.

    Raises
    ------
    ValueError
        If the name is unknown, something cannot be, or the weights do not fit.
    OSError
        If weights cannot be fetched; the message says which file to put where.

    Examples
    --------
    >>> model = build_model("compact-cnn", classes=6)
    >>> sum(parameter.numel() for parameter in model.parameters())
    691270
    """
    spec = spec_of(name)
    plan = Architecture(
        name=name,
        classes=classes,
        channels=spec.channels if channels is None else channels,
        size=spec.size if size is None else size,
        dropout=spec.dropout if dropout is None else dropout,
        options=options,
    )
    with seeded(seed):
        model = _build(plan)
    if weights is not None:
        part, its_spec = _with_published_weights(model, spec)
        load_weights(part, its_spec, weights) if weights == "imagenet" else load_weights(model, spec, weights)
    return model


def rebuild(plan: Architecture) -> nn.Module:
    """Build the same architecture again, with fresh weights to load others into. Introduced in chapter 06."""
    with seeded(0):
        return _build(plan)


def architecture_of(model: nn.Module) -> Architecture:
    """Return what :func:`build_model` was told when it built this network. Introduced in chapter 06.

    Raises
    ------
    ValueError
        If the network came from elsewhere.
    """
    plan = getattr(model, "architecture", None)
    if not isinstance(plan, Architecture):
        raise ValueError(f"Expected a network built by build_model, but got a {type(model).__name__} from elsewhere.")
    return plan


def attention_of(model: nn.Module) -> AttentionLayout:
    """Return where this transformer's attention can be read, with the grid at its own input size.

    Introduced in chapter 11.

    Raises
    ------
    ValueError
        If the network has no attention.

    Examples
    --------
    >>> attention_of(build_model("small-vit", classes=3, size=32)).grid
    (4, 4)
    """
    from dataclasses import replace

    plan = architecture_of(model)
    layout = spec_of(plan.name).attention
    if layout is None:
        raise ValueError(f"Expected a transformer, but {plan.name} has no attention: use Grad-CAM instead.")
    grid = getattr(model, "grid", None)
    if grid is None:  # torchvision's
        grid = (plan.size // int(model.patch_size), plan.size // int(model.patch_size))  # type: ignore[arg-type]
    return replace(layout, grid=grid)


@dataclass(frozen=True)
class Cost:
    """What a network holds, and what one image costs it. Introduced in chapter 06.

    Parameters
    ----------
    parameters : int
        Numbers that training decides.
    multiplications : int
        Multiplications, each with an addition, in one forward pass of one image; twice that many FLOPs.
    """

    parameters: int
    multiplications: int

    def __str__(self) -> str:
        return f"{self.parameters:,} parameters, {self.multiplications / 1e6:,.0f} million multiplications an image"


def model_cost(
    name: str, *, classes: int = 1000, channels: int | None = None, size: int | None = None, **options: Any
) -> Cost:
    """Count parameters and multiplications of an architecture without computing anything. Introduced in chapter 06.

    Parameters
    ----------
    name : str
        A key of ``MODELS``.
    classes, channels, size, options
        As in :func:`build_model`.

    Examples
    --------
    >>> print(model_cost("resnet18"))
    11,689,512 parameters, 1,814 million multiplications an image
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):  # shapes without values
        model = build_model(name, classes=classes, channels=channels, size=size, **options).eval()
        plan = architecture_of(model)
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, plan.channels, plan.size, plan.size))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(parameters, counter.get_total_flops() // 2)


def _build(plan: Architecture) -> nn.Module:
    spec = spec_of(plan.name)
    _check(plan, spec)
    facts = {"classes": plan.classes, "channels": plan.channels, "size": plan.size, "dropout": plan.dropout}
    try:
        model = spec.build(**facts, **plan.options)
    except TypeError as error:
        raise ValueError(f"Expected options that {plan.name} takes, but got {plan.options}: {error}") from error
    model.architecture = plan  # type: ignore[assignment]
    return model


def _check(plan: Architecture, spec: ModelSpec) -> None:
    if plan.classes < 2 or plan.channels not in (1, 3):
        raise ValueError(
            f"Expected at least 2 classes and 1 or 3 channels, but got {plan.classes} and {plan.channels}."
        )
    if plan.size < spec.smallest or plan.size % spec.multiple:
        multiple = f" and a multiple of {spec.multiple}" if spec.multiple > 1 else ""
        raise ValueError(f"Expected a size of at least {spec.smallest} pixels{multiple}, but got {plan.size}.")
    if not 0 <= plan.dropout < 1:
        raise ValueError(f"Expected a dropout of at least 0 and below 1, but got {plan.dropout}.")


def _with_published_weights(model: nn.Module, spec: ModelSpec) -> tuple[nn.Module, ModelSpec]:
    """Return the part of the network that published weights are for: of a hybrid, its backbone."""
    if spec.weights != "backbone":
        return model, spec
    return model.get_submodule("backbone"), spec_of(str(model.backbone_name))
