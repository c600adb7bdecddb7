"""Draw a policy for a whole batch on the device: one draw per image, seeded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medxai_helpers.augmentation.policy import SMOOTHNESS, AugmentationPolicy

if TYPE_CHECKING:
    import torch

LUMA = (0.299, 0.587, 0.114)
CELLS = 2
"""Grid points of an elastic field within one standard deviation of its smoothing."""


def augment_batch(images: torch.Tensor, policy: AugmentationPolicy, generator: torch.Generator) -> torch.Tensor:
    """Return a changed copy of a batch, one draw per image. Introduced in chapter 05.

    Parameters
    ----------
    images : tensor
        Float in [0, 1], (b, C, H, W), on any device. Standardise afterwards: brightness means nothing on other scales.
    policy : AugmentationPolicy
        What may be drawn.
    generator : torch.Generator
        CPU generator: the same seed gives the same draws on every device.

    Returns
    -------
    tensor
        Same shape and type; what comes in from outside the image repeats its border.

    Raises
    ------
    ValueError
        If the images are no float batch of 1 or 3 channels.
    """
    _check(images)
    draw = draw_changes(policy, len(images), generator)
    return _recolour(_move(images, draw, policy), draw, policy)


def prepare_batch(
    pixels: torch.Tensor,
    *,
    mean: float | tuple[float, ...] = 0.0,
    std: float | tuple[float, ...] = 1.0,
    policy: AugmentationPolicy | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Turn a batch of bytes into what a network takes: scaled to [0, 1], augmented, then standardised.

    The same as :func:`augment_batch` between two divisions, in that order, but with one large allocation instead of
    several, which is what costs most on a CPU. Introduced in chapter 04.

    Parameters
    ----------
    pixels : tensor
        uint8, (b, C, H, W), for example from :func:`stream`.
    mean, std : float or tuple of float
        What the model expects of images in [0, 1]: one number, or one per channel.
    policy : AugmentationPolicy, optional
        For training images; with it a generator is needed.
    generator : torch.Generator, optional
        CPU generator.

    Returns
    -------
    tensor
        float32, same shape and device.

    Raises
    ------
    TypeError
        If the pixels are not bytes.
    ValueError
        If a policy comes without a generator, or a number of channels does not fit.
    """
    import torch

    if pixels.dtype != torch.uint8:
        raise TypeError(f"Expected uint8 pixels, but got {pixels.dtype}: a pixel store keeps bytes.")
    if policy is None:
        images = pixels.float().div_(255)
    elif generator is None:
        raise ValueError("Expected a generator to draw the policy with: pass torch.Generator().manual_seed(seed).")
    elif policy.bends:
        images = augment_batch(pixels.float().div_(255), policy, generator)
    else:
        draw = draw_changes(policy, len(pixels), generator)
        empty = torch.empty_like(pixels, dtype=torch.float32)
        images = _recolour(_flipped(pixels, draw.flips, empty).div_(255), draw, policy)
    return _standardised(images, mean, std)


def _standardised(
    images: torch.Tensor, mean: float | tuple[float, ...], std: float | tuple[float, ...]
) -> torch.Tensor:
    """Subtract and divide in place."""
    import torch

    if isinstance(mean, int | float) and isinstance(std, int | float):
        return images.sub_(mean).div_(std)
    channels = images.shape[1]
    centre, spread = (torch.as_tensor(value, device=images.device, dtype=images.dtype) for value in (mean, std))
    if {centre.numel(), spread.numel()} - {1, channels}:
        raise ValueError(f"Expected a mean and std of 1 or {channels} numbers, but got {mean} and {std}.")
    centre, spread = centre.expand(channels), spread.expand(channels)
    rows = images.permute(0, 2, 3, 1)
    if not rows.is_contiguous():
        return images.sub_(centre.reshape(-1, 1, 1)).div_(spread.reshape(-1, 1, 1))
    width = images.shape[3]  # a row of pixels at a time is four times as fast as a pixel at a time
    rows = rows.reshape(len(images), -1, width * channels)
    rows.sub_(centre.repeat(width)).div_(spread.repeat(width))
    return images


def augment_with_masks(
    images: torch.Tensor, masks: torch.Tensor, policy: AugmentationPolicy, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return changed copies of images and of their masks, which take the same way. Introduced in chapter 04.

    Parameters
    ----------
    images, policy, generator
        As in :func:`augment_batch`; the same seed draws the same changes.
    masks : tensor
        bool, (b, H, W), on the device of the images.

    Raises
    ------
    ValueError
        If images and masks do not belong together.
    """
    _check(images)
    if masks.shape != (len(images), *images.shape[2:]):
        raise ValueError(f"Expected a mask (H, W) per image {tuple(images.shape)}, but got {tuple(masks.shape)}.")
    draw = draw_changes(policy, len(images), generator)
    moved = _move(masks[:, None].to(images.dtype), draw, policy, "nearest")
    return _recolour(_move(images, draw, policy), draw, policy), moved[:, 0] > 0.5


def _check(images: torch.Tensor) -> None:
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        raise ValueError(
            "Expected float images (b, C, H, W) with 1 or 3 channels, "
            f"but got {images.dtype} of shape {tuple(images.shape)}: divide uint8 images by 255."
        )


@dataclass(frozen=True)
class Changes:
    """What was drawn for each image of a batch, on the CPU.

    Parameters
    ----------
    flips : tensor
        bool, (b, 2): horizontal, vertical.
    matrices : tensor
        Output-to-input maps of rotation, zoom, shift and flips in units of half a side, (b, 2, 3).
    field : tensor, optional
        Elastic displacement in units of half a side on a coarse grid, (b, 2, k, k).
    saturation, contrast, brightness : tensor
        Factors and amounts, (b,).
    tint : tensor
        Amount per channel, (b, 3).
    """

    flips: torch.Tensor
    matrices: torch.Tensor
    field: torch.Tensor | None
    saturation: torch.Tensor
    tint: torch.Tensor
    contrast: torch.Tensor
    brightness: torch.Tensor


def draw_changes(policy: AugmentationPolicy, count: int, generator: torch.Generator) -> Changes:
    """Draw a policy for ``count`` images. Introduced in chapter 04.

    What the policy does not have is not drawn either, so that adding a kind of change to the package leaves the draws
    of older policies as they were.
    """
    import torch

    def uniform(limit: float, *shape: int) -> torch.Tensor:
        return limit * (2 * torch.rand(*shape, generator=generator) - 1) if limit else torch.zeros(*shape)

    basic = torch.rand(4, count, generator=generator)
    angle = torch.deg2rad((2 * basic[0] - 1) * policy.rotation)
    scale = 1 / (1 + (2 * basic[1] - 1) * policy.zoom)
    flips = torch.stack([basic[2] < policy.horizontal_flip, basic[3] < policy.vertical_flip], dim=1)
    shift = 2 * uniform(policy.translation, count, 2)
    return Changes(
        flips=flips,
        matrices=_matrices(angle, scale, flips, shift),
        field=_elastic_field(policy, count, generator) if policy.elastic else None,
        saturation=1 + uniform(policy.saturation, count),
        tint=uniform(policy.tint, count, 3),
        contrast=1 + uniform(policy.contrast, count),
        brightness=uniform(policy.brightness, count),
    )


def _matrices(angle: torch.Tensor, scale: torch.Tensor, flips: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Map output to input: undo the flips, then the shift, then rotation and zoom; (count, 2, 3)."""
    import torch

    flip_x, flip_y = (1 - 2 * flips.float()).unbind(dim=1)
    cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
    turn = torch.stack([torch.stack([cosine, -sine], dim=1), torch.stack([sine, cosine], dim=1)], dim=1)
    flipped = turn * torch.stack([flip_x, flip_y], dim=1)[:, None]
    return torch.cat([flipped, -(turn @ shift[:, :, None])], dim=2)


def _elastic_field(policy: AugmentationPolicy, count: int, generator: torch.Generator) -> torch.Tensor:
    """Draw smooth normal displacements on a coarse grid over the image, (count, 2, k, k), in units of half a side."""
    import torch

    points, reach = round(CELLS / SMOOTHNESS) + 1, 3 * CELLS
    noise = torch.randn(2 * count, 1, points + 2 * reach, points + 2 * reach, generator=generator)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / CELLS) ** 2)
    kernel = kernel / kernel.square().sum().sqrt()  # keeps the variance at 1
    smooth = torch.nn.functional.conv2d(noise, kernel[None, None, :, None])
    smooth = torch.nn.functional.conv2d(smooth, kernel[None, None, None, :])
    return 2 * policy.elastic * smooth.reshape(count, 2, points, points)


def _move(images: torch.Tensor, draw: Changes, policy: AugmentationPolicy, mode: str = "bilinear") -> torch.Tensor:
    """Apply flips alone exactly, anything else by sampling once."""
    import torch

    if not policy.bends:
        return _flipped(images, draw.flips, torch.empty_like(images))
    height, width = images.shape[2:]
    matrices = draw.matrices * torch.tensor([[1, height / width, 1], [width / height, 1, 1]])
    matrices = matrices.to(images.device, images.dtype)
    grid = torch.nn.functional.affine_grid(matrices, list(images.shape), align_corners=False)
    if draw.field is not None:
        field = draw.field.to(images.device, images.dtype)
        field = torch.nn.functional.interpolate(field, (height, width), mode="bilinear", align_corners=True)
        grid = grid + torch.einsum("bij,bjhw->bhwi", matrices[:, :, :2], field)
    return torch.nn.functional.grid_sample(images, grid, mode, padding_mode="border", align_corners=False)


def _flipped(images: torch.Tensor, flips: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Copy a batch into ``out``, flipping the chosen images: one by one on a CPU, all at once elsewhere."""
    import torch

    if images.device.type == "cpu":
        for image, target, axes in zip(images, out, flips.tolist(), strict=True):
            target.copy_(image.flip([axis for axis, chosen in ((2, axes[0]), (1, axes[1])) if chosen]))
        return out
    across, down = flips.to(images.device).T.reshape(2, -1, 1, 1, 1)
    images = torch.where(across, images.flip(3), images)
    return out.copy_(torch.where(down, images.flip(2), images))


def _recolour(images: torch.Tensor, draw: Changes, policy: AugmentationPolicy) -> torch.Tensor:
    """Change a batch in place: saturation, tint, contrast, brightness."""
    import torch

    def per_image(values: torch.Tensor) -> torch.Tensor:
        return values.to(images.device, images.dtype).reshape(len(images), -1, 1, 1)

    if images.shape[1] == 3 and policy.saturation:
        luma = torch.tensor(LUMA, device=images.device, dtype=images.dtype).reshape(1, 3, 1, 1)
        grey = (images * luma).sum(dim=1, keepdim=True)
        images = torch.lerp(grey.expand_as(images), images, per_image(draw.saturation)).clamp_(0, 1)
    if images.shape[1] == 3 and policy.tint:
        images = images.add_(per_image(draw.tint)).clamp_(0, 1)
    if policy.contrast or policy.brightness:
        images = images.mul_(per_image(draw.contrast)).add_(per_image(draw.brightness)).clamp_(0, 1)
    return images


def elastic_alpha(policy: AugmentationPolicy, side: int) -> tuple[float, float]:
    """Return amplitude and sigma in pixels with which blurred uniform noise in [-1, 1] has the policy's spread."""
    sigma = SMOOTHNESS * side
    return policy.elastic * side * math.sqrt(3) * 2 * math.sqrt(math.pi) * sigma, sigma
