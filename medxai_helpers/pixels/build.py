"""Build a pixel store: decode and prepare every image once, in parallel, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from medxai_helpers.cohorts.cohort import Cohort
from medxai_helpers.files import atomic_folder
from medxai_helpers.pixels.arrayfile import ArrayFile
from medxai_helpers.pixels.store import FACTS_FILE, MASKS_FILE, PIXELS_FILE, PixelStore
from medxai_helpers.preprocessing import Preprocessing
from medxai_helpers.preprocessing.geometry import Mask
from medxai_helpers.preprocessing.images import Pixels
from medxai_helpers.runtime import log

CHUNK_BYTES = 2**23
"""A worker prepares about this much before it writes; all that a build holds in memory is one such block a worker."""
REPORT_EVERY = 5.0
"""Seconds between two lines of progress."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def store_key(cohort: Cohort, recipe: Preprocessing) -> str:
    """Return the key of a store: what the images are and what was done to them."""
    steps = recipe.as_dict() | {"name": ""}  # another name for the same steps is the same store
    parts = [cohort.card.name, cohort.pixels.fingerprint(), steps]
    parts += [] if cohort.masks is None else [cohort.masks.fingerprint()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def build_store(cohort: Cohort, recipe: Preprocessing, cache: Path) -> PixelStore:
    """Decode and prepare every image of a cohort once; a store that exists is opened. Introduced in chapter 05.

    The store is written beside its final place and moved there in one step, so that a kill or a full disk never leaves
    half a store behind. Of several processes that want the same store one builds it and the others wait; what a killed
    process left is cleared away by the next. Masks of the cohort take the same way through the geometry.

    Parameters
    ----------
    cohort : Cohort
        The images.
    recipe : Preprocessing
        What to do to each image; it fixes the size.
    cache : Path
        Folder under which stores are kept (``runtime.cache``).

    Raises
    ------
    ValueError
        If an image does not decode or an image has the wrong number of channels; the message names the file.
    OSError
        If the disk is full; nothing is left behind.
    """
    key = store_key(cohort, recipe)
    final = cache / "stores" / f"{cohort.card.name}-{recipe.size}px-{key[:12]}"
    if final.is_dir():
        return PixelStore.open(final)
    with _alone(cache / "locks" / f"{final.name}.lock"):
        if not final.is_dir():
            _build(cohort, recipe, key, final)
    return PixelStore.open(final)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends."""
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("Pixel store: another process is building it; waiting.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(cohort: Cohort, recipe: Preprocessing, key: str, final: Path) -> None:
    started = time.perf_counter()
    prefix = f".building-{final.name}-"
    for left in final.parent.glob(f"{prefix}*"):  # of a killed process: the lock says that nobody works there
        shutil.rmtree(left, ignore_errors=True)
    facts = {"key": key, "dataset": cohort.card.name, "recipe": recipe.as_dict(), "images": len(cohort)}
    with atomic_folder(final, prefix) as scratch:
        try:
            _write(cohort, recipe, scratch)
            seconds = time.perf_counter() - started
            (scratch / FACTS_FILE).write_text(json.dumps(facts | {"seconds": round(seconds, 3)}))
        except OSError as error:
            raise _explained(error, final.parent) from error
    log.info("Pixel store: %d images decoded in %.1f s.", len(cohort), seconds)


def _explained(error: OSError, folder: Path) -> OSError:
    if error.errno not in FULL:
        return error
    return OSError(
        error.errno,
        f"The disk under {folder} filled up while the pixel store was written; what was written is removed. "
        "Free some space, choose a smaller size, or set MEDXAI_CACHE to another disk",
    )


def _write(cohort: Cohort, recipe: Preprocessing, scratch: Path) -> None:
    """Prepare all images, and masks where there are any, block by block on all cores."""
    colour = () if cohort.card.channels == 1 else (3,)
    shape = (len(cohort), recipe.size, recipe.size)
    with ExitStack() as files:
        pixels = files.enter_context(closing(ArrayFile(scratch / PIXELS_FILE, np.uint8, (*shape, *colour))))
        masks = None
        if cohort.masks is not None:
            masks = files.enter_context(closing(ArrayFile(scratch / MASKS_FILE, np.bool_, shape)))
        _reserve(scratch, pixels.bytes + (masks.bytes if masks else 0))

        def fill(rows: range) -> None:
            made = [_prepared(cohort, recipe, row) for row in rows]
            pixels.put(rows.start, [image for image, _ in made])
            if masks:
                masks.put(rows.start, [mask for _, mask in made if mask is not None])

        _in_parallel(fill, len(cohort), block=max(1, CHUNK_BYTES // pixels.row_bytes))
        for file in (pixels, masks):
            if file:
                file.finish()


def _prepared(cohort: Cohort, recipe: Preprocessing, row: int) -> tuple[Pixels, Mask | None]:
    original = cohort.image(row)
    image = recipe(original)
    if (image.ndim == 2) != (cohort.card.channels == 1):
        name = cohort.table["image_id"].iloc[row]
        raise ValueError(
            f"Expected {name!r} to have {cohort.card.channels} channels, as the card says, but got {original.shape}."
        )
    return image, None if cohort.masks is None else recipe.mask(cohort.mask(row), original)


def _in_parallel(fill: Callable[[range], None], count: int, block: int) -> None:
    """Run the blocks by one thread a core; the first error stops all, and long runs say how far they are."""
    ranges = [range(first, min(first + block, count)) for first in range(0, count, block)]
    started = said = time.perf_counter()
    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {pool.submit(fill, rows): len(rows) for rows in ranges}
        try:
            for job in as_completed(jobs):
                job.result()
                done += jobs[job]
                now = time.perf_counter()
                if now - said > REPORT_EVERY and done < count:
                    left = (now - started) * (count - done) / done
                    log.info("Pixel store: %d of %d images, about %.0f s to go.", done, count, left)
                    said = now
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _reserve(folder: Path, size: int) -> None:
    """Refuse early what cannot fit, before minutes of work."""
    free = shutil.disk_usage(folder).free
    if size > 0.95 * free:
        raise OSError(
            f"The pixel store needs {size / 1e6:,.0f} MB, but {folder.parent} has {free / 1e6:,.0f} MB free. "
            "Free some space, choose a smaller size, or set MEDXAI_CACHE to another disk."
        )
