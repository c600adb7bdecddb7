"""One table of architectures. A new one is one row here; nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from medxai_helpers.models.cnn import CompactCNN
from medxai_helpers.runtime import seeded


@dataclass(frozen=True)
class ModelSpec:
    """What is known about an architecture before it is built. Introduced in chapter 05.

    Parameters
    ----------
    name, title : str
        The key and the name in print.
    build : callable
        ``build(classes=..., channels=..., size=...)`` gives the network.
    size : int
        Side of the images it was published for, in pixels.
    channels : int
        Channels it was published for.
    mean, std : float
        The images, scaled to [0, 1], are standardised with these.
    cam_layer : str
        Name of the submodule whose output Grad-CAM weighs.
    reference : str
        Key in the book's bibliography.
    """

    name: str
    title: str
    build: Callable[..., nn.Module]
    size: int
    channels: int
    mean: float
    std: float
    cam_layer: str
    reference: str


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="compact-cnn",
            title="compact CNN",
            build=CompactCNN,
            size=64,
            channels=1,
            mean=0.0,
            std=1.0,
            cam_layer="block3.1",
            reference="sandoval2024",
        ),
    )
}
"""Every architecture the book trains, by name."""


def build_model(
    name: str, *, classes: int, channels: int | None = None, size: int | None = None, seed: int = 0
) -> nn.Module:
    """Build an architecture with fresh weights; the same seed gives the same weights. Introduced in chapter 05.

    Parameters
    ----------
    name : str
        A key of ``MODELS``.
    classes : int
        Number of outputs, at least 2.
    channels, size : int, optional
        Default: what the architecture was published for.
    seed : int
        Decides the initial weights; the global random state is left as it was.

    Raises
    ------
    ValueError
        If the name is unknown, or classes or channels cannot be.

    Examples
    --------
    >>> model = build_model("compact-cnn", classes=6)
    >>> sum(parameter.numel() for parameter in model.parameters())
    691270
    """
    if name not in MODELS:
        raise ValueError(f"Expected a model among {tuple(MODELS)}, but got {name!r}.")
    spec = MODELS[name]
    channels = spec.channels if channels is None else channels
    if classes < 2 or channels not in (1, 3):
        raise ValueError(f"Expected at least 2 classes and 1 or 3 channels, but got {classes} and {channels}.")
    with seeded(seed):
        return spec.build(classes=classes, channels=channels, size=size or spec.size)
