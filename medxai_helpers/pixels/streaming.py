"""Batches of a pixel store on a device: seeded order, exact resumption, any number of readers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.pixels.store import PixelStore

if TYPE_CHECKING:
    import torch

Rows = NDArray[np.int64]
RESIDENT_SHARE = 0.5
"""A store is copied to the GPU whole if it takes at most this share of the GPU's free memory."""
AHEAD = 2
"""Batches that each worker prepares in advance."""
UPLOAD = 4096
"""Images that are copied to the GPU at a time."""


def stream(
    store: PixelStore,
    rows: Rows,
    batch_size: int,
    *,
    device: str = "cpu",
    seed: int | None = None,
    epoch: int = 0,
    start: int = 0,
    workers: int = 0,
) -> Iterator[tuple[Rows, torch.Tensor]]:
    """Yield one epoch of batches on a device, in an order that depends on ``seed`` and ``epoch`` alone.

    A store that fits is copied to the GPU once and stays there as long as the store object lives; otherwise batches
    are read ahead and copied one by one. Introduced in chapter 04.

    Parameters
    ----------
    store : PixelStore
        The pixels.
    rows : array of int
        Rows to read, each once, shape (n,).
    batch_size : int
        Rows in a batch; the last one may have fewer.
    device : str
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    seed : int, optional
        With it the rows are shuffled anew in each epoch; without it they keep their order.
    epoch : int
        Which shuffle.
    start : int
        Batches to leave out at the beginning: a run that was stopped after ``start`` batches goes on exactly there.
    workers : int
        Threads that read ahead; 0 reads when asked. The order does not depend on it.

    Yields
    ------
    rows : array of int64
        Which rows the batch holds, shape (b,).
    images : tensor
        uint8, (b, C, H, W), on the device.

    Raises
    ------
    ValueError
        If a number is out of range, or a row is not in the store.

    Examples
    --------
    >>> from pathlib import Path
    >>> store = PixelStore(Path(), np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2), {})
    >>> [rows.tolist() for rows, _ in stream(store, np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    >>> [rows.tolist() for rows, _ in stream(store, np.arange(5), 2, start=2)]
    [[4]]
    """
    _check(store, rows, batch_size, epoch=epoch, start=start, workers=workers)
    order = np.asarray(rows, dtype=np.int64)
    if seed is not None:
        order = np.random.default_rng([seed, epoch]).permutation(order)
    batches = [order[first : first + batch_size] for first in range(start * batch_size, len(order), batch_size)]
    if _stays_on(device, store):
        return _from_device(store, batches, device)
    return _from_disk(store, batches, device, workers)


def _check(store: PixelStore, rows: Rows, batch_size: int, **counts: int) -> None:
    if batch_size < 1:
        raise ValueError(f"Expected a batch_size of at least 1, but got {batch_size}.")
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f"Expected {name} to be 0 or more, but got {count}.")
    if np.ndim(rows) != 1 or not np.issubdtype(np.asarray(rows).dtype, np.integer):
        raise ValueError(f"Expected a flat array of row numbers, but got {np.asarray(rows).dtype}, {np.shape(rows)}.")
    if len(rows) and not (np.min(rows) >= 0 and np.max(rows) < len(store)):
        raise ValueError(f"Expected rows from 0 to {len(store) - 1}, but got {np.min(rows)} to {np.max(rows)}.")


def _stays_on(device: str, store: PixelStore) -> bool:
    """Tell whether the whole store lies on the device, or may."""
    if device in store.resident:
        return True
    if not device.startswith("cuda"):
        return False
    import torch

    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return store.pixels.nbytes <= RESIDENT_SHARE * free


def _from_device(store: PixelStore, batches: list[Rows], device: str) -> Iterator[tuple[Rows, torch.Tensor]]:
    """Pick batches out of the copy on the device; nothing but row numbers crosses over."""
    import torch

    if device not in store.resident:
        store.resident[device] = _upload(store, device)
    everything = store.resident[device]
    for rows in batches:
        yield rows, _channels_first(everything.index_select(0, torch.from_numpy(rows).to(device)))


def _upload(store: PixelStore, device: str) -> torch.Tensor:
    import torch

    copy = torch.empty(store.pixels.shape, dtype=torch.uint8, device=device)
    for first in range(0, len(store), UPLOAD):
        part = slice(first, first + UPLOAD)
        copy[part] = torch.from_numpy(np.array(store.pixels[part]))
    return copy


def _from_disk(
    store: PixelStore, batches: list[Rows], device: str, workers: int
) -> Iterator[tuple[Rows, torch.Tensor]]:
    if workers == 0:
        for rows in batches:
            yield rows, _read(store, rows, device).to(device, non_blocking=True)
        return
    waiting: deque[tuple[Rows, Future[torch.Tensor]]] = deque()
    todo = iter(batches)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for rows in todo:
                waiting.append((rows, pool.submit(_read, store, rows, device)))
                if len(waiting) >= AHEAD * workers:
                    done, job = waiting.popleft()
                    yield done, job.result().to(device, non_blocking=True)
            for done, job in waiting:
                yield done, job.result().to(device, non_blocking=True)
        finally:  # a reader that stops early does not wait for what it no longer wants
            pool.shutdown(wait=False, cancel_futures=True)


def _read(store: PixelStore, rows: Rows, device: str) -> torch.Tensor:
    import torch

    images = _channels_first(torch.from_numpy(np.take(store.pixels, rows, axis=0)))
    return images.pin_memory() if device.startswith("cuda") else images


def _channels_first(block: torch.Tensor) -> torch.Tensor:
    """View (b, H, W) as (b, 1, H, W) and (b, H, W, 3) as (b, 3, H, W), which torch calls channels-last."""
    return block[:, None] if block.ndim == 3 else block.permute(0, 3, 1, 2)
