"""Anatomy that is prepared once: kept in memory for the process and, inside :func:`anatomy_cache`, on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from medxai_helpers.phantoms.store import Arrays, is_complete, load_arrays, save_arrays, source_hash, write_folder

_CACHE: ContextVar[Path | None] = ContextVar("anatomy_cache", default=None)


@contextmanager
def anatomy_cache(cache: Path) -> Iterator[None]:
    """Within the block, prepared anatomy is read from and written to ``cache``/phantoms/anatomy-<hash>."""
    token = _CACHE.set(cache)
    try:
        yield
    finally:
        _CACHE.reset(token)


def anatomy_folder(cache: Path, name: str) -> Path:
    """Folder of one prepared anatomy below ``cache``."""
    return cache / "phantoms" / f"anatomy-{source_hash()}" / name


def prepared(name: str, prepare: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of an anatomy: from the cache where it has them, else from ``prepare`` (and keep them)."""
    cache = _CACHE.get()
    if cache is None:
        return prepare()
    folder = anatomy_folder(cache, name)
    if not is_complete(folder):
        arrays = prepare()
        write_folder(folder, lambda partial: save_arrays(partial, arrays))
    return load_arrays(folder)
