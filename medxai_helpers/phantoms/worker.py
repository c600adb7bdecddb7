"""Rendering the rows of a cohort, here or in helper processes.

A helper is a fresh interpreter that is given its work as JSON on the standard input. Unlike ``multiprocessing``, this
never imports the caller's main module again, so that it works from notebooks, tests and unguarded scripts alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from medxai_helpers.phantoms.anatomy import anatomy_cache, anatomy_folder
from medxai_helpers.phantoms.catalogue import Phantom, find_phantom
from medxai_helpers.phantoms.store import is_complete, save_arrays, source_hash

ANATOMIES: dict[str, tuple[str, str]] = {
    "brain": ("medxai_helpers.phantoms.brain_anatomy", "brain"),
    "chest": ("medxai_helpers.phantoms.chest_anatomy", "chest_anatomy"),
    "head": ("medxai_helpers.phantoms.head", "head"),
    "lungs": ("medxai_helpers.phantoms.nodules_anatomy", "lungs"),
    "tiles": ("medxai_helpers.phantoms.tiles", "tiles"),
}
"""Module and function that prepare each anatomy."""

_HELPER = "import json, sys; job = json.load(sys.stdin); sys.path[:] = job.pop('path'); "
_HELPER += "from medxai_helpers.phantoms.worker import helper; helper(job)"
_MISSING_PACKAGE = 3  # exit code


@dataclass(frozen=True)
class Plan:
    """The cohort to be rendered; rows follow from it alone."""

    name: str
    per_class: int
    size: int
    seed: int
    balanced: bool = False


@dataclass(frozen=True)
class Row:
    """One image of a plan."""

    label: str
    group: str
    frame: int
    patient_seed: int


def plan_rows(plan: Plan) -> list[Row]:
    """List the images of a plan by class, patient and frame; a larger plan of the same seed contains them too."""
    phantom = find_phantom(plan.name)
    if phantom.draw_label is not None:
        return _rows_with_drawn_labels(plan, phantom, phantom.draw_label)
    rows: list[Row] = []
    patients = 0
    for index, (label, images) in enumerate(images_per_class(plan, phantom).items()):
        for image in range(images):
            patient, frame = divmod(image, phantom.frames)
            group = f"patient-{patients + patient + 1:04d}"
            rows.append(Row(label, group, frame, _patient_seed(plan.seed, index, patient)))
        patients += -(-images // phantom.frames)
    return rows


def images_per_class(plan: Plan, phantom: Phantom) -> dict[str, int]:
    """Images of each class: as many each, or by the phantom's shares in whole patients, and of each at least one."""
    if phantom.shares is None or plan.balanced:
        return dict.fromkeys(phantom.classes, plan.per_class)
    patients = plan.per_class * len(phantom.classes) / phantom.frames
    return {label: phantom.frames * max(1, round(phantom.shares[label] * patients)) for label in phantom.classes}


def _rows_with_drawn_labels(plan: Plan, phantom: Phantom, draw_label: Callable[[int], str]) -> list[Row]:
    rows = []
    for image in range(plan.per_class * len(phantom.classes)):
        patient, frame = divmod(image, phantom.frames)
        seed = _patient_seed(plan.seed, 0, patient)
        rows.append(Row(draw_label(seed), f"patient-{patient + 1:04d}", frame, seed))
    return rows


def _patient_seed(seed: int, class_index: int, patient: int) -> int:
    return int(np.random.SeedSequence([seed, class_index, patient]).generate_state(1)[0])


def render_rows(plan: Plan, cache: Path, part: slice, folder: Path) -> None:
    """Render the rows of ``part`` into ``folder``: images, masks and twins as arrays, attributes and boxes as JSON."""
    from medxai_helpers.phantoms.kit import single_opencv_thread

    phantom = find_phantom(plan.name)
    with anatomy_cache(cache), single_opencv_thread():
        rows = plan_rows(plan)[part]
        renderings = [phantom.render(row.label, row.patient_seed, row.frame, plan.size) for row in rows]
    arrays = {"images": np.stack([one.image for one in renderings])}
    if phantom.lesions:
        arrays["twins"] = np.stack([one.twin for one in renderings])
        save_arrays(folder, {"masks": np.stack([one.mask for one in renderings])})
    save_arrays(folder, arrays)
    facts = [{"attributes": one.attributes, "boxes": one.boxes} for one in renderings]
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def prepare_anatomy(name: str, cache: Path) -> None:
    """Prepare one anatomy and leave it in the cache."""
    from medxai_helpers.phantoms.kit import single_opencv_thread

    module, function = ANATOMIES[name]
    with anatomy_cache(cache), single_opencv_thread():
        getattr(import_module(module), function)()


def missing_anatomies(phantom: Phantom, cache: Path) -> list[str]:
    """Name the anatomies of a phantom that the cache does not have yet."""
    return [name for name in phantom.anatomies if not is_complete(anatomy_folder(cache, name))]


# ---------------------------------------------------------------------------------------------------- helper processes
def helper(job: dict[str, Any]) -> None:
    """Do one job in a helper process."""
    if job["source"] != source_hash():
        raise SystemExit("The sources changed while the package was loaded. Restart Python (or the kernel).")
    cache = Path(job["cache"])
    try:
        if job["task"] == "anatomy":
            prepare_anatomy(job["name"], cache)
        else:
            render_rows(Plan(**job["plan"]), cache, slice(*job["part"]), Path(job["folder"]))
    except ImportError as error:
        sys.stderr.write(str(error))
        raise SystemExit(_MISSING_PACKAGE) from error


def anatomy_job(name: str, cache: Path) -> dict[str, Any]:
    """Describe the preparation of one anatomy."""
    return {"task": "anatomy", "name": name, "cache": str(cache)}


def rows_job(plan: Plan, cache: Path, first: int, step: int, folder: Path) -> dict[str, Any]:
    """Describe the rendering of every ``step``-th row from ``first`` on."""
    part = [first, None, step]
    return {"task": "rows", "plan": asdict(plan), "cache": str(cache), "part": part, "folder": str(folder)}


def run_side_by_side(jobs: Sequence[dict[str, Any]]) -> None:
    """Run each job in a process of its own and wait for all.

    Raises
    ------
    ImportError
        If a job misses a package.
    RuntimeError
        If a job fails otherwise; the message carries its last words.
    """
    pipe, encoding = subprocess.PIPE, "utf-8"
    command = [sys.executable, "-c", _HELPER]
    helpers = [subprocess.Popen(command, stdin=pipe, stderr=pipe, text=True, encoding=encoding) for _ in jobs]
    try:
        for process, job in zip(helpers, jobs, strict=True):
            _send(process, json.dumps({"path": sys.path, "source": source_hash(), **job}))
        for process in helpers:
            _finish(process)
    finally:
        for process in helpers:
            _stop(process)


def _send(process: subprocess.Popen[str], text: str) -> None:
    if process.stdin is not None:
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None  # communicate() would flush the closed pipe


def _finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate()
    if process.returncode == _MISSING_PACKAGE:
        raise ImportError(errors.strip())
    if process.returncode:
        raise RuntimeError(f"A helper process that renders phantoms failed:\n{errors.strip()[-2000:]}")


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stderr is not None:
        process.stderr.close()
