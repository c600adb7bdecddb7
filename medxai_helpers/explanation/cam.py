"""Class activation maps: weigh the feature maps of one layer by what they do for a class score.

One forward pass and one backward pass, cut at the layer, serve all of them. Grad-CAM is written out here; the formulas
of its relatives are those of the library grad-cam.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from medxai_helpers.explanation.heatmaps import Heatmaps, Maps
from medxai_helpers.explanation.passes import Grid, Pass, look, plain, undisturbed

if TYPE_CHECKING:
    from pytorch_grad_cam.base_cam import BaseCAM


def grad_cam(
    model: nn.Module,
    images: torch.Tensor,
    layer: str,
    targets: ArrayLike | None = None,
    *,
    grid: Grid | None = None,
) -> Heatmaps:
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
        Name of a submodule whose output is (b, K, h, w), or tokens (b, n, d); for example the table's ``cam_layer``.
    targets : optional
        Class index per image, one for all, or weights of the classes; default: the predicted class.
    grid : (int, int), optional
        Rows and columns of tokens; default: found from their number.

    Raises
    ------
    ValueError
        If the layer does not exist or gives no feature maps, or the targets do not fit the images.

    Source: Selvaraju et al. 2017.
    """
    seen = look(model, images, layer, targets, grid)
    weights = seen.gradient.mean(dim=(2, 3), keepdim=True)
    maps = (weights * seen.activation).sum(dim=1).clamp_min(0)
    return Heatmaps(maps.cpu().numpy(), seen.targets, layer, "grad-cam")


def relative_of_grad_cam(
    method: str,
    model: nn.Module,
    images: torch.Tensor,
    layer: str,
    targets: ArrayLike | None = None,
    *,
    grid: Grid | None = None,
) -> Heatmaps:
    """Grad-CAM++, HiResCAM, LayerCAM or EigenCAM: our pass, the formula of grad-cam. Introduced in chapter 18.

    Sources: Chattopadhay et al. 2018 (``"grad-cam++"``); Draelos and Carin 2020 (``"hires-cam"``); Jiang et al. 2021
    (``"layer-cam"``); Muhammad and Yeasin 2020 (``"eigen-cam"``, which no class enters).
    """
    seen = look(model, images, layer, targets, grid)
    formula = _library(method)(nn.ParameterList([torch.zeros(1)]), [])  # a stand-in: the pass is ours
    activation, gradient = seen.activation.cpu().numpy(), seen.gradient.cpu().numpy()
    maps = formula.get_cam_image(images, None, None, activation, gradient, eigen_smooth=False)
    if method == "eigen-cam":
        maps = _turned_up(np.asarray(maps), activation)
    return Heatmaps(np.maximum(maps, 0).astype(np.float32), seen.targets, layer, method)


def score_cam(
    model: nn.Module,
    images: torch.Tensor,
    layer: str,
    targets: ArrayLike | None = None,
    *,
    grid: Grid | None = None,
    batch_size: int = 64,
) -> Heatmaps:
    """Weigh each feature map by the score of the image seen through it (one model call per map and image).

    Introduced in chapter 18. The computation is that of grad-cam, one image after the other, because all masked copies
    of an image are in memory at once.

    Source: Wang et al. 2020.
    """
    from pytorch_grad_cam import ScoreCAM

    seen = look(model, images, layer, targets, grid)
    with undisturbed(model), ScoreCAM(model, []) as formula:
        formula.batch_size = batch_size
        maps = [_score_cam_of_one(formula, plain(images), seen, row) for row in range(len(images))]
    return Heatmaps(np.stack(maps), seen.targets, layer, "score-cam")


def _score_cam_of_one(formula: BaseCAM, images: torch.Tensor, seen: Pass, row: int) -> Maps:
    one = slice(row, row + 1)
    activation = seen.activation[one].cpu().numpy()
    with redirect_stderr(io.StringIO()):  # the library draws a progress bar per image
        maps = formula.get_cam_image(images[one], None, [_target(seen, row)], activation, None, eigen_smooth=False)
    return np.asarray(np.maximum(maps[0], 0), dtype=np.float32)


def _target(seen: Pass, row: int) -> Callable[[torch.Tensor], torch.Tensor]:
    target = seen.targets[row]
    if np.ndim(target) == 0:
        return lambda logits: logits[int(target)].float()
    weights = torch.from_numpy(target)
    return lambda logits: (logits.float() * weights.to(logits.device)).sum()


def _library(method: str) -> Callable[..., BaseCAM]:
    import pytorch_grad_cam as library

    names = {"grad-cam++": "GradCAMPlusPlus", "hires-cam": "HiResCAM", "layer-cam": "LayerCAM", "eigen-cam": "EigenCAM"}
    found: Any = getattr(library, names[method])
    made: Callable[..., BaseCAM] = found
    return made


def _turned_up(maps: Maps, activation: Maps) -> Maps:
    """Give each principal component the sign with which it agrees with the sum of the feature maps."""
    total = activation.sum(axis=1)
    centred = total - total.mean(axis=(1, 2), keepdims=True)
    agrees = (maps * centred).sum(axis=(1, 2), keepdims=True) >= 0
    return np.where(agrees, maps, -maps)
