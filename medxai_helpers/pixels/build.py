"""Build a pixel store: decode and prepare every image once, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from medxai_helpers.cohorts.cohort import Cohort
from medxai_helpers.files import atomic_folder
from medxai_helpers.pixels.store import FACTS_FILE, PIXELS_FILE, PixelStore
from medxai_helpers.preprocessing import Preprocessing
from medxai_helpers.runtime import log

CHUNK = 512


def store_key(cohort: Cohort, recipe: Preprocessing) -> str:
    """Return the key of a store: what the images are and what was done to them."""
    steps = recipe.as_dict() | {"name": ""}  # another name for the same steps is the same store
    content = json.dumps([cohort.card.name, cohort.pixels.fingerprint(), steps], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def build_store(cohort: Cohort, recipe: Preprocessing, cache: Path) -> PixelStore:
    """Decode and prepare every image of a cohort once; a store that exists is opened. Introduced in chapter 05.

    The store is written beside its final place and moved there in one step, so that a kill, a full disk or a second
    process never leaves half a store behind.

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
    started = time.perf_counter()
    with atomic_folder(final, ".building-") as scratch:
        _write_pixels(cohort, recipe, scratch / PIXELS_FILE)
        seconds = time.perf_counter() - started
        facts = {"key": key, "dataset": cohort.card.name, "recipe": recipe.as_dict(), "images": len(cohort)}
        (scratch / FACTS_FILE).write_text(json.dumps(facts | {"seconds": round(seconds, 3)}))
    log.info("Pixel store: %d images decoded in %.1f s.", len(cohort), seconds)
    return PixelStore.open(final)


def _write_pixels(cohort: Cohort, recipe: Preprocessing, path: Path) -> None:
    colour = () if cohort.card.channels == 1 else (3,)
    shape = (len(cohort), recipe.size, recipe.size, *colour)
    _reserve(path, int(np.prod(shape)))
    target = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)

    def fill(start: int) -> None:
        for row in range(start, min(start + CHUNK, len(cohort))):
            image = recipe(cohort.image(row))
            if image.shape != shape[1:]:
                name = cohort.table["image_id"].iloc[row]
                raise ValueError(f"Expected {name!r} to give an image of shape {shape[1:]}, but got {image.shape}.")
            target[row] = image

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(fill, start) for start in range(0, len(cohort), CHUNK)]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    target.flush()


def _reserve(path: Path, size: int) -> None:
    """Refuse early when the disk cannot hold the store: a full disk under a memory map kills the process."""
    free = shutil.disk_usage(path.parent).free
    if size > 0.95 * free:
        raise OSError(
            f"The pixel store needs {size / 1e9:.2f} GB, but {path.parent} has {free / 1e9:.2f} GB free. "
            "Free some space, choose a smaller size, or set MEDXAI_CACHE to another disk."
        )
