"""From a phantom's name to a rendered cohort, made once and then read from the cache."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medxai_helpers.phantoms.catalogue import find_phantom
from medxai_helpers.phantoms.rendering import Mask, Pixels
from medxai_helpers.phantoms.store import Arrays, is_complete, load_arrays, save_arrays, source_hash, write_folder
from medxai_helpers.phantoms.worker import (
    Plan,
    anatomy_job,
    missing_anatomies,
    plan_rows,
    render_rows,
    rows_job,
    run_side_by_side,
)

if TYPE_CHECKING:
    import pandas as pd

SMALLEST_PX, LARGEST_PX = 32, 512
BOX_COLUMNS = ("image_id", "label", "x", "y", "width", "height")
_ROWS_PER_HELPER = 60
"""Fewer rows are rendered sooner than a helper process starts (about half a second)."""
_MOST_HELPERS = 8


@dataclass(frozen=True)
class PhantomSet:
    """A rendered cohort of ``n`` images. Introduced in chapter 05.

    Parameters
    ----------
    images : uint8 array, (n, H, W) or (n, H, W, 3)
        The pictures.
    masks : bool array, (n, H, W), or None
        The lesions; ``None`` where the phantom has none.
    twins : uint8 array, shape of ``images``, or None
        The same pictures without the lesion; ``None`` where the phantom has none.
    table : DataFrame
        One row per image: ``image_id``, ``label``, ``group`` (the patient), ``frame``, then the attributes. In
        a many-label phantom the label holds any number of class names joined by ``|``, and is empty for none.
    boxes : DataFrame, or None
        One row per lesion told apart: ``image_id``, ``label``, ``x``, ``y``, ``width``, ``height`` in pixels; ``None``
        where the phantom has none.
    """

    images: Pixels
    masks: Mask | None
    twins: Pixels | None
    table: pd.DataFrame
    boxes: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.images)


def build_phantom(
    name: str, *, per_class: int, size: int | None = None, seed: int = 0, balanced: bool = False, cache: Path
) -> PhantomSet:
    """Return a phantom cohort of ``per_class`` images a class, rendered once and then read from ``cache``.

    Parameters
    ----------
    name : str
        Key of ``PHANTOMS``.
    per_class : int
        Images of each class; a patient has several and belongs to one class. A phantom with unequal shares has that
        many on average, in whole patients. A many-label phantom has as many images as ``per_class`` times its classes,
        and draws each patient's findings.
    size : int, optional
        Edge in pixels, 32 to 512; by default the phantom's own.
    seed : int
        The cohort; equal arguments give equal bytes, however many processes render.
    balanced : bool
        As many images of every class, also where the phantom has unequal shares.
    cache : Path
        Folder for the cohort and the prepared anatomy, below ``phantoms/``.

    Raises
    ------
    ValueError
        If the name is unknown or a number is out of range.
    ImportError
        If a package with the anatomy is missing; the message names the command that installs it.

    Examples
    --------
    >>> cohort = build_phantom("medical-mnist", per_class=40, cache=Path(".cache"))  # doctest: +SKIP
    >>> cohort.images.shape  # doctest: +SKIP
    (240, 64, 64)

    Introduced in chapter 05.
    """
    plan = _checked_plan(name, per_class, size, seed, balanced)
    folder = cohort_folder(plan, cache)
    if not is_complete(folder):
        write_folder(folder, lambda partial: render_cohort(plan, cache, partial, workers=os.cpu_count() or 1))
    return _open(folder)


def cohort_folder(plan: Plan, cache: Path) -> Path:
    """Folder of one cohort below ``cache``; its name changes with the package's sources."""
    classes = "-balanced" if plan.balanced else ""
    key = f"{plan.name}-{plan.per_class}x{plan.size}px-seed{plan.seed}{classes}-{source_hash()}"
    return Path(cache) / "phantoms" / key


def _checked_plan(name: str, per_class: int, size: int | None, seed: int, balanced: bool) -> Plan:
    phantom = find_phantom(name)
    size = phantom.size if size is None else size
    _check_whole("per_class", per_class, 1, 100_000)
    _check_whole("size", size, SMALLEST_PX, LARGEST_PX)
    _check_whole("seed", seed, 0, 2**32 - 1)
    return Plan(name, int(per_class), int(size), int(seed), bool(balanced and phantom.shares is not None))


def _check_whole(what: str, value: int, lowest: int, highest: int) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not lowest <= value <= highest:
        raise ValueError(
            f"Expected {what} to be a whole number from {lowest} to {highest}, but got {value!r}. "
            f"Pass for example {what}={max(lowest, 64)}."
        )


def render_cohort(plan: Plan, cache: Path, folder: Path, *, workers: int) -> None:
    """Render a cohort into ``folder``; the bytes do not depend on the number of workers."""
    rows = plan_rows(plan)
    workers = max(1, min(workers, _MOST_HELPERS, len(rows) // _ROWS_PER_HELPER))
    missing = missing_anatomies(find_phantom(plan.name), cache)
    if len(missing) > 1:
        run_side_by_side([anatomy_job(name, cache) for name in missing])
    parts = [folder / f"part-{index}" for index in range(workers)]
    for part in parts:
        part.mkdir()
    if workers == 1:
        render_rows(plan, cache, slice(None), parts[0])
    else:
        run_side_by_side([rows_job(plan, cache, first, workers, part) for first, part in enumerate(parts)])
    arrays, facts = _merge(parts, len(rows))
    save_arrays(folder, arrays)
    _write_tables(plan, facts, folder)
    for part in parts:
        shutil.rmtree(part)


def _merge(parts: list[Path], count: int) -> tuple[Arrays, list[dict[str, Any]]]:
    """Interleave what the workers wrote: part ``i`` of ``n`` holds rows i, i + n, i + 2 n, ..."""
    arrays: Arrays = {}
    facts: list[dict[str, Any]] = [{} for _ in range(count)]
    for first, part in enumerate(parts):
        for name, some in load_arrays(part).items():
            arrays.setdefault(name, np.empty((count, *some.shape[1:]), some.dtype))[first :: len(parts)] = some
        facts[first :: len(parts)] = json.loads((part / "facts.json").read_text(encoding="utf-8"))
    return arrays, facts


def _write_tables(plan: Plan, facts: list[dict[str, Any]], folder: Path) -> None:
    import pandas as pd

    records, boxes = [], []
    for number, (row, fact) in enumerate(zip(plan_rows(plan), facts, strict=True), start=1):
        image_id = f"image-{number:05d}"
        records.append(
            {"image_id": image_id, "label": row.label, "group": row.group, "frame": row.frame, **fact["attributes"]}
        )
        boxes += [(image_id, *box) for box in fact["boxes"]]
    pd.DataFrame.from_records(records).to_csv(folder / "table.csv", index=False)
    if boxes:
        pd.DataFrame(boxes, columns=BOX_COLUMNS).to_csv(folder / "boxes.csv", index=False)


def _open(folder: Path) -> PhantomSet:
    import pandas as pd

    arrays = load_arrays(folder)
    table = pd.read_csv(folder / "table.csv", keep_default_na=False)
    boxes = pd.read_csv(folder / "boxes.csv") if (folder / "boxes.csv").is_file() else None
    return PhantomSet(arrays["images"], arrays.get("masks"), arrays.get("twins"), table, boxes)
