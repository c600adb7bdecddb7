"""One door to every explanation method: a table of methods, and ``explain``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from numpy.typing import ArrayLike
from torch import nn

from medxai_helpers.explanation.attention import attention_relevance, attention_rollout
from medxai_helpers.explanation.cam import grad_cam, relative_of_grad_cam, score_cam
from medxai_helpers.explanation.heatmaps import Heatmaps
from medxai_helpers.explanation.passes import Grid, suitable_layers
from medxai_helpers.explanation.pixelwise import integrated_gradients, occlusion
from medxai_helpers.models import MODELS, ModelSpec

Reads = Literal["layer", "attention", "pixels"]


@dataclass(frozen=True)
class Method:
    """One row of the table of methods. Introduced in chapter 18.

    Parameters
    ----------
    name, title : str
        The key and the name in print.
    reads : {"layer", "attention", "pixels"}
        What of the network it looks at: feature maps of one layer, the attention of all blocks, or input and output.
    by_class : bool
        Whether the map depends on the class that is asked about.
    compute : callable
        Gives the maps; its keyword arguments beyond model, images and targets are the method's options.
    reference : str
        Key in the book's bibliography.
    """

    name: str
    title: str
    reads: Reads
    by_class: bool
    compute: Callable[..., Heatmaps]
    reference: str

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that this method takes."""
        known = inspect.signature(self.compute).parameters
        return tuple(name for name in known if name not in ("method", "model", "images", "layer", "targets", "grid"))


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("grad-cam", "Grad-CAM", "layer", True, grad_cam, "selvaraju2017"),
        Method(
            "grad-cam++", "Grad-CAM++", "layer", True, partial(relative_of_grad_cam, "grad-cam++"), "chattopadhay2018"
        ),
        Method("hires-cam", "HiResCAM", "layer", True, partial(relative_of_grad_cam, "hires-cam"), "draelos2020"),
        Method("layer-cam", "LayerCAM", "layer", True, partial(relative_of_grad_cam, "layer-cam"), "jiang2021"),
        Method("eigen-cam", "EigenCAM", "layer", False, partial(relative_of_grad_cam, "eigen-cam"), "muhammad2020"),
        Method("score-cam", "ScoreCAM", "layer", True, score_cam, "wang2020"),
        Method(
            "integrated-gradients",
            "integrated gradients",
            "pixels",
            True,
            integrated_gradients,
            "sundararajan2017",
        ),
        Method("occlusion", "occlusion", "pixels", True, occlusion, "zeiler2014"),
        Method("attention-rollout", "attention rollout", "attention", False, attention_rollout, "abnar2020"),
        Method("attention-relevance", "attention relevance", "attention", True, attention_relevance, "chefer2021"),
    )
}
"""Every explanation method, by name."""


def explain(
    model: nn.Module,
    images: torch.Tensor,
    method: str = "grad-cam",
    targets: ArrayLike | None = None,
    *,
    layer: str | None = None,
    grid: Grid | None = None,
    **options: Any,
) -> Heatmaps:
    """Say which parts of each image a score rests on. Introduced in chapter 18.

    The model, its mode, its parameters' gradients, the hooks and the random state are left as they were.

    Parameters
    ----------
    model : Module
        Maps images to logits (b, classes).
    images : tensor
        Float, (b, C, H, W), standardised as in training, on the model's device.
    method : str
        A key of ``METHODS``.
    targets : optional
        ``None`` explains the predicted class. One class index for all images, or one per image, for example
        ``cohort.targets[rows]``, explains that class. Weights of the classes, (classes,) or (b, classes), explain a
        difference (:func:`contrast`) or, with the targets of a many-label cohort, all findings of an image together.
    layer : str, optional
        For methods on feature maps; default: the one in the model table.
    grid : (int, int), optional
        Rows and columns of tokens; default: the one of the model, or what their number allows.
    **options
        What only this method takes: see ``METHODS[method].options``.

    Raises
    ------
    ValueError
        If method, layer, grid, option or targets cannot be; the message lists what can.

    Examples
    --------
    >>> import torch, medxai_helpers as mx
    >>> model = mx.build_model("compact-cnn", classes=6)
    >>> print(mx.explain(model, torch.zeros(2, 1, 64, 64), "grad-cam", targets=3))
    2 maps of 12 x 12 at block3.1
    """
    if method not in METHODS:
        raise ValueError(f"Expected a method among {tuple(METHODS)}, but got {method!r}.")
    chosen = METHODS[method]
    unknown = sorted(set(options) - set(chosen.options))
    if unknown:
        raise ValueError(f"Expected options of {method!r} among {chosen.options}, but got {unknown}.")
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(f"Expected standardised float images (b, C, H, W), but got {images.dtype} {images.shape}.")
    if chosen.reads == "layer":
        where = layer or _layer_of(model, images)
        return chosen.compute(model, images, where, targets, grid=grid or _grid_of(model), **options)
    if chosen.reads == "attention":
        return chosen.compute(model, images, targets, grid=grid or _grid_of(model), **options)
    return chosen.compute(model, images, targets, **options)


def _layer_of(model: nn.Module, images: torch.Tensor) -> str:
    """Return the layer of the model table; a network that the table does not know must name it."""
    spec = _row_of(model)
    if spec is None:
        fitting = suitable_layers(model, images)
        raise ValueError(f"Expected layer=... for a network that the model table does not know: one of {fitting}.")
    return spec.cam_layer


def _grid_of(model: nn.Module) -> Grid | None:
    """Return the token grid that a transformer of the model table keeps; None leaves it to the number of tokens."""
    found: Grid | None = getattr(model, "grid", None)
    return found


def _row_of(model: nn.Module) -> ModelSpec | None:
    built = getattr(model, "architecture", None)
    return MODELS.get(getattr(built, "name", ""))
