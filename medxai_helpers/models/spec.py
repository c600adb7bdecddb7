"""What is known about an architecture before it is built, and about a network after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class AttentionLayout:
    """Where a transformer's attention can be read, and how its tokens lie in the image. Introduced in chapter 11.

    Parameters
    ----------
    layers : tuple of str
        Names of the attention modules, first to last: :class:`~medxai_helpers.models.SelfAttention` in our own
        networks, ``nn.MultiheadAttention`` in torchvision's.
    grid : tuple of int
        Rows and columns of the image's tokens, at the published size; a built network's own: ``attention_of(model)``.
    class_token : bool
        Whether a class token stands before them.
    """

    layers: tuple[str, ...]
    grid: tuple[int, int]
    class_token: bool = True


@dataclass(frozen=True)
class ModelSpec:
    """What is known about an architecture before it is built. Introduced in chapter 05.

    Parameters
    ----------
    name, title : str
        The key and the name in print.
    build : callable
        ``build(classes=..., channels=..., size=..., dropout=...)`` gives the network with fresh weights.
    size : int
        Side of the images it was published for, in pixels.
    channels : int
        Channels it was published for.
    mean, std : float or tuple of float
        The images, scaled to [0, 1], are standardised with these; see :meth:`normalisation`.
    dropout : float
        Of the classifier (of every block in transformers), as published.
    smallest, multiple : int
        The smallest side that works, and what a side must be a multiple of.
    cam_layer : str
        Name of the submodule whose output Grad-CAM weighs: feature maps (b, K, h, w), or tokens (b, t, K) where a
        transformer has no others.
    stages : tuple of tuple of str
        The submodules from the image to the features in groups, for freezing from the front; the head is in none.
    head : str
        The submodule that maps features to logits.
    reference : str
        Key in the book's bibliography.
    parameters : int
        With ``counted_with`` classes and the published size and channels.
    counted_with : int
        Classes of the published count.
    body : tuple of str
        The submodules that, one after the other, give the feature maps; empty if it cannot be a backbone.
    weights : str
        What ``weights="imagenet"`` loads: an entry of torchvision's weights or the name of a package that carries them;
        empty if nobody published any.
    attention : AttentionLayout, optional
        Of transformers.
    note : str
        What a reader should know.
    """

    name: str
    title: str
    build: Callable[..., nn.Module]
    size: int
    channels: int
    mean: float | tuple[float, ...]
    std: float | tuple[float, ...]
    dropout: float
    smallest: int
    cam_layer: str
    stages: tuple[tuple[str, ...], ...]
    head: str
    reference: str
    parameters: int
    counted_with: int = 1000
    multiple: int = 1
    body: tuple[str, ...] = ()
    weights: str = ""
    attention: AttentionLayout | None = None
    note: str = ""

    def normalisation(self, channels: int | None = None) -> dict[str, float | tuple[float, ...]]:
        """Return ``mean`` and ``std`` for a network of this many input channels (default: as published).

        One channel gets the average over the channels, three get one value each.

        Examples
        --------
        >>> MODELS["efficientnet-lite0"].normalisation(1)
        {'mean': 0.5, 'std': 0.5}
        """
        wanted = self.channels if channels is None else channels
        return {"mean": _per_channel(self.mean, wanted), "std": _per_channel(self.std, wanted)}

    def __str__(self) -> str:
        return f"{self.title}: {self.parameters / 1e6:.2f} million parameters, {self.size} x {self.size} pixels"


def _per_channel(values: float | tuple[float, ...], channels: int) -> float | tuple[float, ...]:
    listed = values if isinstance(values, tuple) else (values,)
    if channels == 1:
        return sum(listed) / len(listed)
    return listed if len(listed) == channels else listed * channels


@dataclass(frozen=True)
class Architecture:
    """Everything that :func:`build_model` was told, so that a network can be built again. Introduced in chapter 06.

    Parameters
    ----------
    name : str
        A key of ``MODELS``.
    classes, channels, size : int
        Outputs, input channels, side of the images in pixels.
    dropout : float
        As built.
    options : dict
        What only this architecture takes, for example the hybrid's ``backbone``.
    """

    name: str
    classes: int
    channels: int
    size: int
    dropout: float
    options: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for files and run records."""
        return asdict(self)
