"""Freeze a network from the front, stage by stage, and thaw it again."""

from __future__ import annotations

from torch import nn

from medxai_helpers.models.build import architecture_of
from medxai_helpers.models.table import spec_of


def freeze(model: nn.Module, stages: int | None = None) -> None:
    """Stop the first stages of a network from learning, and let the others learn. Introduced in chapter 06.

    Parameters
    ----------
    model : Module
        Built by :func:`build_model`; changed in place.
    stages : int, optional
        How many of the table's stages, counted from the image: 0 thaws all. Default: all of them, so that the head
        alone learns.

    Raises
    ------
    ValueError
        If the network has no such number of stages.

    Notes
    -----
    In training, :func:`train_mode` keeps what is frozen in evaluation mode, so that neither the running means of batch
    norm nor dropout change a frozen stage.

    Examples
    --------
    >>> model = build_model("resnet18", classes=8)
    >>> freeze(model)
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['fc.weight', 'fc.bias']
    """
    spec = spec_of(architecture_of(model).name)
    count = len(spec.stages) if stages is None else stages
    if not 0 <= count <= len(spec.stages):
        raise ValueError(f"Expected 0 to {len(spec.stages)} stages of {spec.title}, but got {count}.")
    model.requires_grad_(True)
    for parameter in _parameters_of(model, spec.stages[:count], everything=count == len(spec.stages), head=spec.head):
        parameter.requires_grad_(False)


def train_mode(model: nn.Module) -> None:
    """Put a network into training mode, and what is frozen whole in it into evaluation mode. Introduced in chapter 06.

    Parameters
    ----------
    model : Module
        Changed in place; a module without parameters follows the one that holds it.
    """
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def _parameters_of(
    model: nn.Module, stages: tuple[tuple[str, ...], ...], *, everything: bool, head: str
) -> list[nn.Parameter]:
    """Return the parameters of these stages; of all stages, also those that belong to none, such as positions."""
    if everything:
        return [parameter for name, parameter in model.named_parameters() if not name.startswith(f"{head}.")]
    modules = [model.get_submodule(name) for stage in stages for name in stage]
    return [parameter for module in modules for parameter in module.parameters()]
