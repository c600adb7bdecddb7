"""Does the model care about what the map marks? Change the image along the map and watch the score."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from medxai_helpers.explanation.heatmaps import Heatmaps
from medxai_helpers.explanation.passes import plain, undisturbed
from medxai_helpers.explanation.targets import weigh
from medxai_helpers.runtime import seeded

Values = NDArray[np.float64]
Explainer = Callable[[torch.Tensor], Heatmaps]


@dataclass(frozen=True)
class Curves:
    """Probability of the target while an image is taken apart and put together. Introduced in chapter 20.

    Parameters
    ----------
    share : array
        Share of the pixels that was changed, (steps + 1,), from 0 to 1.
    deletion, insertion : array
        Probability of the target class, (b, steps + 1): the marked pixels go first, or come first.
    """

    share: Values
    deletion: Values
    insertion: Values

    @property
    def deletion_area(self) -> Values:
        """Area under each deletion curve, (b,): low if the map marks what the model needs."""
        return np.asarray(np.trapezoid(self.deletion, self.share, axis=1))

    @property
    def insertion_area(self) -> Values:
        """Area under each insertion curve, (b,): high if the map marks what is enough."""
        return np.asarray(np.trapezoid(self.insertion, self.share, axis=1))

    def __str__(self) -> str:
        return f"{len(self.deletion)} images in {len(self.share) - 1} steps"


def deletion_insertion(
    model: nn.Module,
    images: torch.Tensor,
    maps: Heatmaps,
    *,
    steps: int = 20,
    baseline: float | None = None,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = False,
) -> Curves:
    """Remove, and bring back, pixels in the order of the map. Introduced in chapter 20.

    One model call takes both altered versions of ``batch_size`` images, so there are ``steps`` calls per batch. Pixels
    of equal value are taken in random order: otherwise a map that is 0 nearly everywhere would be graded from top to
    bottom.

    Parameters
    ----------
    model : Module
        Maps images to logits (b, classes).
    images : tensor
        The images that the maps explain, (b, C, H, W).
    maps : Heatmaps
        Their targets must be class indices.
    steps : int
        Equal shares of the pixels, at least 2.
    baseline : float, optional
        Value of a removed pixel in standardised units; default: the image, strongly blurred.
    batch_size : int
        Images per model call, each in two versions.
    seed : int
        Decides between pixels of equal value.
    progress : bool
        Show a progress bar.

    Source: Petsiuk, Das and Saenko 2018.
    """
    from tqdm import tqdm

    if steps < 2 or maps.targets.ndim != 1 or len(maps) != len(images):
        raise ValueError(
            f"Expected 2 steps or more and one class for each of {len(images)} images, "
            f"but got {steps} and targets of shape {maps.targets.shape}."
        )
    shares = np.linspace(0, 1, steps + 1)
    starts = range(0, len(images), batch_size)
    with undisturbed(model), tqdm(total=steps * len(starts), disable=not progress, unit="call") as bar:
        parts = []
        for start in starts:
            rows = slice(start, start + batch_size)
            order = _ranks(maps.enlarged(images.shape[-1])[rows], seed + start)
            parts.append(_curves(model, plain(images[rows]), order, maps.targets[rows], shares, baseline, bar.update))
    deletion, insertion = (np.concatenate(curve) for curve in zip(*parts, strict=True))
    return Curves(shares, deletion, insertion)


def _curves(
    model: nn.Module,
    images: torch.Tensor,
    order: NDArray[np.float64],
    targets: NDArray[np.int64],
    shares: Values,
    baseline: float | None,
    tick: Callable[[], Any],
) -> tuple[Values, Values]:
    empty = _blurred(images) if baseline is None else torch.full_like(images, baseline)
    ranks = torch.from_numpy(order).to(images.device)[:, None]
    found = []
    for share in shares[1:]:
        marked = ranks < share
        pair = torch.where(marked, empty, images), torch.where(marked, images, empty)
        found.append(_probability(model, torch.cat(pair), np.tile(targets, 2)))
        tick()
    removed, brought = np.stack(found, axis=1).reshape(2, len(images), -1)
    return np.column_stack([brought[:, -1], removed]), np.column_stack([removed[:, -1], brought])


def _probability(model: nn.Module, images: torch.Tensor, targets: NDArray[np.int64]) -> Values:
    chosen = torch.from_numpy(targets).to(images.device)[:, None]
    return np.asarray(model(images).double().softmax(dim=1).gather(1, chosen)[:, 0].cpu().numpy())


def _ranks(maps: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """Return each pixel's place in the order of its map, from 0 (highest) to below 1, ties in random order."""
    flat = maps.reshape(len(maps), -1)
    mixed = np.random.default_rng(seed).permutation(flat.shape[1])
    order = mixed[np.argsort(-flat[:, mixed], axis=1, kind="stable")]
    ranks = np.empty_like(flat, dtype=np.float64)
    np.put_along_axis(ranks, order, np.arange(flat.shape[1])[None] / flat.shape[1], axis=1)
    return ranks.reshape(maps.shape)


def _blurred(images: torch.Tensor) -> torch.Tensor:
    """Blur by averaging over a quarter of the image, twice."""
    width = max(3, images.shape[-1] // 4) | 1
    for _ in range(2):
        padded = functional.pad(images, [width // 2] * 4, mode="replicate")
        images = functional.avg_pool2d(padded, width, stride=1)
    return images


def road(
    model: nn.Module,
    images: torch.Tensor,
    maps: Heatmaps,
    *,
    percentiles: tuple[int, ...] = (20, 40, 60, 80),
    seed: int = 0,
) -> Values:
    """Grade by removing and debiasing: marked pixels are replaced by what their neighbours suggest, plus noise.

    Half the difference between the fall in probability when unmarked and when marked pixels go first, averaged over the
    shares; higher is better, 0 is chance, (b,). Slow: a linear system per image and share. Introduced in chapter 20.

    Source: Rong et al. 2022, as computed by grad-cam.
    """
    from pytorch_grad_cam.metrics.road import ROADCombined
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    targets = [ClassifierOutputSoftmaxTarget(int(target)) for target in maps.targets]
    with undisturbed(model), seeded(seed):
        found = ROADCombined(percentiles=list(percentiles))(
            plain(images), maps.scaled(images.shape[-1]), targets, model
        )
    return np.asarray(found, dtype=np.float64)


def infidelity(
    model: nn.Module, images: torch.Tensor, maps: Heatmaps, *, draws: int = 16, noise: float = 0.2, seed: int = 0
) -> Values:
    """Return how badly the map predicts the change of the score under noise, (b,); lower is better.

    The best scale of the map is found first, so that unscaled maps can be compared. Introduced in chapter 20.

    Source: Yeh et al. 2019, as computed by captum.
    """
    from captum.metrics import infidelity as measure

    generator = torch.Generator().manual_seed(seed)
    weights, _ = weigh(torch.zeros(len(images), _classes(model, images)), maps.targets)
    heat = torch.from_numpy(maps.enlarged(images.shape[-1]))[:, None].to(images).expand_as(images)

    def shaken(inputs: torch.Tensor, _: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        change = noise * torch.randn(inputs.shape, generator=generator).to(inputs)
        return change, inputs - change

    def score(inputs: torch.Tensor) -> torch.Tensor:
        factors = weights.to(inputs.device).repeat_interleave(len(inputs) // len(weights), dim=0)
        scores: torch.Tensor = (model(inputs).float() * factors).sum(dim=1)
        return scores

    with undisturbed(model):
        found = measure(score, shaken, plain(images), heat, n_perturb_samples=draws, normalize=True)
    return np.asarray(found.cpu().numpy(), dtype=np.float64)


def _classes(model: nn.Module, images: torch.Tensor) -> int:
    with undisturbed(model):
        return int(model(plain(images[:1])).shape[1])


def max_sensitivity(
    explainer: Explainer, images: torch.Tensor, *, radius: float = 0.02, draws: int = 5, seed: int = 0
) -> Values:
    """Return the largest relative change of the map under small noise, (b,); lower is more stable.

    Parameters
    ----------
    explainer : callable
        Gives the maps of images with targets that do not move, for example
        ``lambda images: mx.explain(model, images, "grad-cam", targets)``.
    images : tensor
        (b, C, H, W).
    radius : float
        Half the width of the even noise, in standardised units.
    draws, seed : int
        How many times, and which.

    Source: Yeh et al. 2019, as computed by captum. Introduced in chapter 20.
    """
    from captum.metrics import sensitivity_max

    generator = torch.Generator().manual_seed(seed)

    def shaken(inputs: torch.Tensor, width: float) -> torch.Tensor:
        return inputs + width * (2 * torch.rand(inputs.shape, generator=generator).to(inputs) - 1)

    def maps_of(inputs: torch.Tensor | tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (torch.from_numpy(explainer(inputs[0] if isinstance(inputs, tuple) else inputs).raw),)

    found = sensitivity_max(
        maps_of,
        plain(images),
        perturb_func=shaken,
        perturb_radius=radius,
        n_perturb_samples=draws,
        max_examples_per_batch=len(images),
    )
    return np.asarray(found.cpu().numpy(), dtype=np.float64)


def stability(
    explainer: Explainer, images: torch.Tensor, *, noise: float = 0.05, draws: int = 3, seed: int = 0
) -> Values:
    """Return the mean rank correlation between each map and its map under small Gaussian noise, (b,); 1 is stable.

    Parameters are those of :func:`max_sensitivity`; ``noise`` is a standard deviation. NaN where a map is flat.
    Introduced in chapter 20.
    """
    from medxai_helpers.explanation.sanity import similarity

    generator = torch.Generator().manual_seed(seed)
    still = explainer(images).raw
    moved: Iterator[torch.Tensor] = (
        images + noise * torch.randn(images.shape, generator=generator).to(images) for _ in range(draws)
    )
    return np.asarray(np.mean([similarity(still, explainer(each).raw) for each in moved], axis=0))
