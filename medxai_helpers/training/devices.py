"""One device with plain PyTorch, or many through Lightning Fabric, behind the same few calls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from medxai_helpers.runtime import launched_processes
from medxai_helpers.training.settings import TrainingSettings, autocast

T = TypeVar("T")


class Engine(Protocol):
    """What the training loop asks for: the part of Fabric's interface that it uses."""

    world_size: int
    global_rank: int
    device: torch.device

    def setup(self, model: Any, optimizer: torch.optim.Optimizer) -> Any:
        """Put both on the device and return them, ready for many processes."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of the precision."""

    def backward(self, loss: torch.Tensor) -> None:
        """Compute gradients."""

    def clip_gradients(self, module: nn.Module, optimizer: torch.optim.Optimizer, max_norm: float) -> Any:
        """Shorten the gradient to a length."""

    def all_reduce(self, data: torch.Tensor, reduce_op: str = "sum") -> Any:
        """Add up over all processes."""

    def all_gather(self, data: torch.Tensor) -> Any:
        """Collect from all processes, (processes, ...)."""


class OneDevice:
    """One process, one device, plain PyTorch; float16 gets a gradient scaler. Introduced in chapter 06.

    Parameters
    ----------
    settings : TrainingSettings
        Device and precision.
    """

    world_size = 1
    global_rank = 0

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.device = torch.device(settings.device)
        self.scaler = torch.amp.GradScaler(settings.device.split(":")[0], enabled=settings.precision == "float16")

    def setup(self, model: Any, optimizer: torch.optim.Optimizer) -> Any:
        """Return both; the model lies on the device already."""
        return model, _Scaled(optimizer, self.scaler) if self.scaler.is_enabled() else optimizer

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of the precision."""
        return autocast(self.settings)

    def backward(self, loss: torch.Tensor) -> None:
        """Compute gradients of the (scaled) loss."""
        self.scaler.scale(loss).backward()

    def clip_gradients(self, module: nn.Module, optimizer: torch.optim.Optimizer, max_norm: float) -> torch.Tensor:
        """Shorten the gradient to a length."""
        if isinstance(optimizer, _Scaled):
            self.scaler.unscale_(optimizer.inner)
        return torch.nn.utils.clip_grad_norm_(module.parameters(), max_norm)

    def all_reduce(self, data: torch.Tensor, reduce_op: str = "sum") -> torch.Tensor:  # noqa: ARG002
        """Return the value: there is nobody else."""
        return data

    def all_gather(self, data: torch.Tensor) -> torch.Tensor:
        """Return the value as that of the only process."""
        return data[None]


class _Scaled:
    """An optimizer whose step undoes the scaling of float16 gradients, and is left out when they overflow."""

    def __init__(self, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
        self.inner, self.scaler = optimizer, scaler

    def step(self) -> None:
        self.scaler.step(self.inner)
        self.scaler.update()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def run_on_devices(settings: TrainingSettings, work: Callable[[Engine], T]) -> T:
    """Do the work on one device, or on as many as the settings or ``torchrun`` ask for. Introduced in chapter 06.

    Parameters
    ----------
    settings : TrainingSettings
        ``devices``, ``num_nodes``, ``device`` and precision.
    work : callable
        Takes the engine; runs once in every process, and the first one's result is returned.

    Raises
    ------
    ImportError
        If several devices are asked for and Lightning Fabric is not installed.
    """
    if launched_processes() == 1 and settings.devices * settings.num_nodes == 1:
        return work(OneDevice(settings))
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise ImportError("Several devices need Lightning Fabric: pip install 'medxai-helpers[scale]'.") from error
    precision: Any = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}[settings.precision]
    devices = max(settings.devices, launched_processes() // settings.num_nodes)
    fabric = Fabric(
        accelerator=settings.device.split(":")[0],
        devices=devices,
        num_nodes=settings.num_nodes,
        precision=precision,
    )
    result: T = fabric.launch(work)  # type: ignore[arg-type]
    return result
