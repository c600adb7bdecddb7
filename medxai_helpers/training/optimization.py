"""The optimizer, its learning rate over time, and the moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from medxai_helpers.training.settings import TrainingSettings


def make_optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Return the settings' optimizer over what learns; biases and norms do not decay. Introduced in chapter 07."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not learning:
        raise ValueError("Expected parameters that learn, but all are frozen: thaw some with freeze(model, stages).")
    groups = [
        {"params": [parameter for parameter in learning if parameter.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [parameter for parameter in learning if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, fused=settings.device.startswith("cuda"))


def rate_factor(settings: TrainingSettings, epochs_done: float, per_step: float = 0.0) -> float:
    """Return what the learning rate is multiplied with after so many epochs. Introduced in chapter 07.

    Parameters
    ----------
    settings : TrainingSettings
        Schedule, warm-up and number of epochs.
    epochs_done : float
        With fractions.
    per_step : float
        What one step adds; the warm-up begins at one step's share instead of 0.

    Examples
    --------
    >>> settings = TrainingSettings(epochs=10, schedule="cosine", warmup_epochs=2)
    >>> [round(rate_factor(settings, epoch), 2) for epoch in (0, 1, 2, 6, 10)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if epochs_done < settings.warmup_epochs:
        return min(1.0, (epochs_done + per_step) / settings.warmup_epochs)
    if settings.schedule == "step":
        return float(settings.step_factor ** int(epochs_done / settings.step_epochs + 1e-9))
    if settings.schedule == "cosine":
        rest = max(settings.epochs - settings.warmup_epochs, 1e-9)
        return (1 + math.cos(math.pi * min(1.0, (epochs_done - settings.warmup_epochs) / rest))) / 2
    return 1.0


def make_schedule(optimizer: torch.optim.Optimizer, settings: TrainingSettings, steps_per_epoch: int) -> LambdaLR:
    """Return the learning rate step by step. Introduced in chapter 07."""
    share = 1 / steps_per_epoch
    return LambdaLR(optimizer, lambda step: rate_factor(settings, step * share, share))


def make_average(model: nn.Module, settings: TrainingSettings) -> AveragedModel | None:
    """Return the moving average of the weights, if the settings want one. Introduced in chapter 12."""
    if settings.ema_decay is None:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay))
