"""Every choice that decides a training run, and the precision that the hardware allows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import torch

from medxai_helpers.augmentation import AugmentationPolicy
from medxai_helpers.losses import Loss

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Optimizer = Literal["adam", "adamw"]
Schedule = Literal["constant", "cosine", "step"]
Statistic = float | tuple[float, ...]


@dataclass(frozen=True)
class TrainingSettings:
    """Every choice that decides a training run. Introduced in chapter 05.

    Parameters
    ----------
    epochs, batch_size : int
        Passes over the training images, and images per step over all devices together.
    learning_rate : float
        The highest of the run.
    mean, std : float or tuple of float
        The images, scaled to [0, 1], are standardised with these (``**spec.normalisation(channels)``). Three of each
        turn a grey image into three equal channels first.
    augmentation : AugmentationPolicy, optional
        Applied to training images only.
    loss : Loss
        What is made small.
    optimizer : {"adam", "adamw"}
        With default moments; ``weight_decay`` is Adam's L2 term or AdamW's decoupled decay.
    weight_decay : float
        See above; not on biases and norms.
    schedule : {"constant", "cosine", "step"}
        Of the learning rate after the warm-up: constant; a half cosine down to 0; or times ``step_factor`` after every
        ``step_epochs``.
    warmup_epochs : float
        Epochs in which the rate climbs in a straight line, step by step.
    step_epochs, step_factor
        See above.
    clip_norm : float, optional
        Longest gradient, all parameters together; a longer one is shortened to it.
    accumulate : int
        Parts into which each batch is cut to save memory; their gradients are added up, so the step stays the same.
    ema_decay : float, optional
        Keep a moving average of the weights with this decay, watch and return it instead of the last weights.
    monitor : str
        Column of the history that early stopping and ``keep="best"`` look at, for example ``"validation_loss"``.
    patience : int, optional
        Stop after so many epochs without a better value; default: never.
    keep : {"last", "best"}
        Which epoch's weights the run returns. Choosing the best epoch uses the validation images: report test images.
    precision : {"auto", "float32", "bfloat16", "float16"}
        ``"bfloat16"`` runs the network under autocast: about twice as fast where the processor has units for it.
        ``"auto"`` takes what the hardware has; the finished run says which that was.
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    devices, num_nodes : int
        How many of them on this machine, and how many machines: more than one needs Lightning Fabric.
    compile : bool
        Let ``torch.compile`` translate the network first: minutes once, faster steps after.
    seed : int
        Decides order, augmentation and dropout.
    """

    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    mean: Statistic = 0.0
    std: Statistic = 1.0
    augmentation: AugmentationPolicy | None = None
    loss: Loss = Loss()  # noqa: RUF009  # frozen
    optimizer: Optimizer = "adam"
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warmup_epochs: float = 0.0
    step_epochs: int = 10
    step_factor: float = 0.1
    clip_norm: float | None = None
    accumulate: int = 1
    ema_decay: float | None = None
    monitor: str = "validation_loss"
    patience: int | None = None
    keep: Literal["last", "best"] = "last"
    precision: Precision = "float32"
    device: str = "cpu"
    devices: int = 1
    num_nodes: int = 1
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            if isinstance(value := getattr(self, name), list):  # from a file
                object.__setattr__(self, name, tuple(value))
        self._check_numbers()
        choices = {"optimizer": ("adam", "adamw"), "schedule": ("constant", "cosine", "step"), "keep": ("last", "best")}
        choices["precision"] = ("auto", "float32", "bfloat16", "float16")
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"Expected {name} among {allowed}, but got {getattr(self, name)!r}.")

    def _check_numbers(self) -> None:
        smallest = min(self.std) if isinstance(self.std, tuple) else self.std
        if self.epochs < 1 or self.batch_size < 1 or self.learning_rate <= 0 or smallest <= 0:
            raise ValueError(
                "Expected epochs and batch_size of at least 1 and a positive learning_rate and std, but got "
                f"{self.epochs}, {self.batch_size}, {self.learning_rate} and {self.std}."
            )
        if min(self.accumulate, self.devices, self.num_nodes, self.step_epochs) < 1:
            raise ValueError("Expected accumulate, devices, num_nodes and step_epochs of at least 1.")
        if self.weight_decay < 0 or not 0 <= self.warmup_epochs <= self.epochs:
            raise ValueError(
                f"Expected weight_decay of at least 0 and warmup_epochs from 0 to {self.epochs}, but got "
                f"{self.weight_decay} and {self.warmup_epochs}."
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"Expected ema_decay between 0 and 1, but got {self.ema_decay}.")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for run records."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TrainingSettings:
        """Read what :meth:`as_dict` gave; names that this version does not know are refused."""
        known = {each.name for each in fields(cls)}
        if set(content) - known:
            raise ValueError(
                f"Expected settings among {sorted(known)}, but got {sorted(set(content) - known)} as well."
            )
        policy, loss = content.get("augmentation"), content.get("loss")
        return cls(
            **{name: value for name, value in content.items() if name not in ("augmentation", "loss")},
            augmentation=AugmentationPolicy(**policy) if policy else None,
            loss=Loss(**loss) if loss else Loss(),
        )


def resolved(settings: TrainingSettings) -> TrainingSettings:
    """Return the settings with the precision that ``"auto"`` means on this hardware. Introduced in chapter 06."""
    if settings.precision != "auto":
        return settings
    return replace(settings, precision=best_precision(settings.device))


def best_precision(device: str) -> Precision:
    """Return the fastest sound precision of a device: bfloat16 where it has units for it. Introduced in chapter 06.

    Examples
    --------
    >>> best_precision("mps")
    'float32'
    """
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return "bfloat16"
    return "float32"


def autocast(settings: TrainingSettings) -> AbstractContextManager[Any]:
    """Return the context in which the network runs in the settings' precision. Introduced in chapter 06."""
    precision = resolved(settings).precision
    kind = torch.float16 if precision == "float16" else torch.bfloat16
    return torch.autocast(settings.device.split(":")[0], dtype=kind, enabled=precision != "float32")
