"""Where the pixels of a cohort come from: arrays in memory or files decoded when asked for."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.cohorts.decoding import Channels, Pixels, decode_file

PACKAGE = "medxai_helpers."


class PixelSource(Protocol):
    """Anything that gives the pixels of row ``row`` as uint8, (H, W) or (H, W, 3) in RGB."""

    def read(self, row: int) -> Pixels:
        """Return image ``row``."""
        ...

    def take(self, rows: NDArray[np.int64]) -> PixelSource:
        """Return the pixels of the named rows."""
        ...

    def fingerprint(self) -> str:
        """Return a checksum that changes when the pixels may have changed."""
        ...


@dataclass(frozen=True)
class ArrayPixels:
    """Pixels that are already in memory: uint8 of shape (n, H, W) or (n, H, W, 3)."""

    images: Pixels

    def read(self, row: int) -> Pixels:
        """Return image ``row``."""
        image: Pixels = self.images[row]
        return image

    def take(self, rows: NDArray[np.int64]) -> ArrayPixels:
        """Return the pixels of the named rows."""
        return ArrayPixels(self.images[rows])

    def fingerprint(self) -> str:
        """SHA-256 over shape and bytes."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class FilePixels:
    """Pixels decoded from image files when they are asked for.

    Parameters
    ----------
    root : Path
        The folder that the paths start from.
    paths : sequence of str
        One relative path per image; an empty path stands for "none" and reads as one black pixel (for masks).
    channels : {1, 3}
        Decode to grey (H, W) or to RGB (H, W, 3).
    """

    root: Path
    paths: tuple[str, ...]
    channels: Channels

    def read(self, row: int) -> Pixels:
        """Decode image ``row``; a file that cannot be decoded raises ValueError with its path."""
        name = self.paths[row]
        return decode_file(self.root / name, self.channels) if name else np.zeros((1, 1), dtype=np.uint8)

    def take(self, rows: NDArray[np.int64]) -> FilePixels:
        """Return the pixels of the named rows."""
        return replace(self, paths=tuple(self.paths[row] for row in rows))

    def fingerprint(self) -> str:
        """SHA-256 over every path with its size and time of last change: the files are not opened."""
        return fingerprint_files(self.root, self.paths)


def fingerprint_files(root: Path, names: tuple[str, ...]) -> str:
    """Return the SHA-256 over every path with its size and time of last change: the files are not opened.

    Raises
    ------
    ValueError
        If a file is gone; the message names it.
    """
    digest = hashlib.sha256()
    for name in names:
        try:
            facts = (root / name).stat()
        except OSError as error:
            raise ValueError(
                f"Expected the image {root / name}, but it is gone ({error.strerror}). Load the data set again."
            ) from error
        digest.update(f"{name}|{facts.st_size}|{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def save_source(source: PixelSource, folder: Path, name: str) -> None:
    """Write a pixel source: what it refers to as JSON, its arrays as ``.npz``; image files stay where they are.

    Raises
    ------
    ValueError
        If the source is no dataclass of this package.
    """
    kind = type(source)
    if not is_dataclass(source) or not kind.__module__.startswith(PACKAGE):
        raise ValueError(f"Expected a pixel source of this package, but got {kind.__qualname__}: it cannot be saved.")
    values = {field.name: getattr(source, field.name) for field in fields(source)}
    lists = {key: list(value) for key, value in values.items() if isinstance(value, tuple)}
    arrays = {key: value for key, value in values.items() if isinstance(value, np.ndarray)}
    paths = {key: str(value.resolve()) for key, value in values.items() if isinstance(value, Path)}
    plain = {key: value for key, value in values.items() if isinstance(value, str | int | float | bool)}
    content = {"kind": f"{kind.__module__}:{kind.__qualname__}", "paths": paths, "lists": lists, "plain": plain}
    (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    np.savez(folder / f"{name}.npz", **arrays)


def load_source(folder: Path, name: str) -> PixelSource:
    """Read what :func:`save_source` wrote.

    Raises
    ------
    ValueError
        If the files are missing, damaged, or name something that is no pixel source of this package.
    """
    place = folder / f"{name}.json"
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        values: dict[str, Any] = {key: Path(value) for key, value in content["paths"].items()}
        values |= {key: tuple(value) for key, value in content["lists"].items()}
        return cast(PixelSource, _source_class(content["kind"])(**values, **content["plain"], **arrays))
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"Expected a saved pixel source in {place}, but it cannot be read: {error}") from error


def _source_class(kind: str) -> Any:
    module, _, name = kind.partition(":")
    if not module.startswith(PACKAGE):
        raise ValueError(f"{kind!r} is no pixel source of this package")
    found = getattr(importlib.import_module(module), name)
    if not (is_dataclass(found) and hasattr(found, "read") and hasattr(found, "take")):
        raise ValueError(f"{kind!r} is no pixel source")
    return found
