"""Folders on disk that are either complete or absent, whatever interrupts the writer."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COMPLETE = "complete"
"""Name of the empty file that is written last: a folder without it is ignored and rebuilt."""

Arrays = dict[str, NDArray[Any]]


@lru_cache(maxsize=1)
def source_hash() -> str:
    """Hash of this package's own sources, so that changed code never serves an old cache."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for source in sorted(folder.rglob("*.py")):
        digest.update(source.relative_to(folder).as_posix().encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def is_complete(folder: Path) -> bool:
    """Tell whether a folder was written to its end."""
    return (folder / COMPLETE).is_file()


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary sibling, then rename it to ``folder`` in one step; the first writer wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    partial.mkdir()
    try:
        write(partial)
        (partial / COMPLETE).touch()
        if folder.exists() and not is_complete(folder):
            shutil.rmtree(folder, ignore_errors=True)
        _publish(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, folder: Path) -> None:
    try:
        partial.replace(folder)
    except OSError:
        if not is_complete(folder):  # otherwise another process finished the same work a moment earlier
            raise


def save_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write one ``.npy`` file per array."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def load_arrays(folder: Path) -> Arrays:
    """Read back every array that :func:`save_arrays` wrote."""
    return {path.stem: np.load(path, allow_pickle=False) for path in sorted(folder.glob("*.npy"))}
