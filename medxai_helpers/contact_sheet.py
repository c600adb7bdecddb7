"""A folder that explains a run: raw maps, overlays, grades where there are masks, and a page to look at them."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers import jobs, runtime
from medxai_helpers.cohorts import Cohort
from medxai_helpers.explanation import METHODS, Grades, Heatmaps, explain, grade
from medxai_helpers.predictions import Predictions, predict
from medxai_helpers.training import TrainingRun, to_input

if TYPE_CHECKING:
    import pandas as pd

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font-family: sans-serif; margin: 2em; }} figure {{ display: inline-block; margin: 0.5em; }}
img {{ width: 200px; image-rendering: pixelated; }} figcaption {{ font-size: 0.8em; max-width: 200px; }}
table {{ border-collapse: collapse; }} td, th {{ padding: 0.2em 0.8em; text-align: right; }}
</style></head><body><h1>{title}</h1><p>{note}</p>{grades}{sections}</body></html>
"""


@dataclass(frozen=True)
class Explained:
    """What :func:`explain_job` wrote. Introduced in chapter 18.

    Parameters
    ----------
    folder, page : Path
        The folder, and the page in it to open in a browser.
    images : int
        Images explained.
    maps : dict
        Method to its maps.
    grades : Grades, optional
        Where the data set has masks.
    """

    folder: Path
    page: Path
    images: int
    maps: dict[str, Heatmaps]
    grades: Grades | None

    def __str__(self) -> str:
        graded = f"; graded: {self.grades}" if self.grades else "; no masks, so nothing is graded"
        return f"{len(self.maps)} methods on {self.images} images in {self.page}{graded}"


def explain_job(
    folder: Path,
    methods: Sequence[str] = ("grad-cam",),
    *,
    part: str = "test",
    count: int = 32,
    out: Path | None = None,
    session: runtime.Runtime | None = None,
) -> Explained:
    """Explain a trained job's predictions on images it was not trained on. Introduced in chapter 18.

    Writes raw maps (``maps/METHOD.npz``), overlays (``overlays/``), predictions, ``grades.csv`` where there are masks,
    ``manifest.json`` and ``index.html``.

    Parameters
    ----------
    folder : Path
        From ``medxai train``.
    methods : sequence of str
        Keys of ``METHODS``.
    part : {"test", "validation", "train"}
        Which images.
    count : int
        So many of them at most, evenly spread, so that all classes are seen.
    out : Path, optional
        Default: ``explained`` in the run's folder.
    session : Runtime, optional
        Default: the environment's.

    Raises
    ------
    ValueError
        If a method or part is unknown, or the folder holds no finished job.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods or count < 1:
        raise ValueError(f"Expected methods among {tuple(METHODS)} and 1 image or more, but got {unknown} and {count}.")
    session, out = session or runtime.current(), out or folder / "explained"
    cohort, split, store = jobs.prepare(jobs.Job.load(folder), session)
    if part not in split.parts:
        raise ValueError(f"Expected a part among {tuple(split.parts)}, but got {part!r}.")
    rows = split[part][np.linspace(0, len(split[part]) - 1, min(count, len(split[part]))).astype(int)]
    run = TrainingRun.load(folder, classes=cohort.classes, device=session.device)
    answers, inputs = predict(run, cohort, store, rows), to_input(store.batch(rows), run.settings)
    maps = {name: explain(run.model, inputs, name, answers.predicted) for name in methods}
    pixels = np.asarray(store.pixels[rows])
    grades = None if cohort.masks is None else _grades(cohort, rows, pixels, maps, answers)
    result = Explained(out, out / "index.html", len(rows), maps, grades)
    _write(result, cohort, pixels, answers, {"run": folder.name, "part": part, "methods": list(methods)})
    return result


def _grades(
    cohort: Cohort, rows: NDArray[np.int64], pixels: NDArray[np.uint8], maps: dict[str, Heatmaps], answers: Predictions
) -> Grades:
    from medxai_helpers.preprocessing import resize

    size = pixels.shape[1]
    masks = np.stack([resize(255 * cohort.mask(int(row)).astype(np.uint8), size) > 127 for row in rows])
    right = answers.correct if answers.targets.ndim == 1 else np.ones(len(rows), bool)
    return grade(maps, masks, pixels, correct=right, groups=answers.group)


def _write(
    result: Explained, cohort: Cohort, pixels: NDArray[np.uint8], answers: Predictions, facts: dict[str, Any]
) -> None:
    for name in ("maps", "overlays"):
        (result.folder / name).mkdir(parents=True, exist_ok=True)
    for name, maps in result.maps.items():
        maps.save(result.folder / "maps" / f"{name}.npz")
        for row, heat in enumerate(maps.scaled(pixels.shape[1])):
            _overlay(result.folder / _place(name, row), pixels[row], heat)
    answers.save(result.folder / "predictions.npz")
    if result.grades:
        result.grades.save(result.folder / "grades.csv")
    about = {"data": cohort.card.name, "source": cohort.source, "origin": cohort.origin, "images": result.images}
    facts |= about | {"image_id": answers.image_id.tolist(), "hardware": runtime.hardware()}
    (result.folder / "manifest.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    result.page.write_text(_page(result, cohort, answers), encoding="utf-8")


def _place(method: str, row: int) -> str:
    return f"overlays/{method}-{row:04d}.png"


def _overlay(path: Path, image: NDArray[np.uint8], heat: NDArray[np.float32]) -> None:
    from matplotlib.figure import Figure

    from medxai_helpers import plots

    figure = Figure(figsize=(2, 2), dpi=100)
    plots.draw_overlay(figure.add_axes((0, 0, 1, 1)), image, heat)
    figure.savefig(path)


def _page(result: Explained, cohort: Cohort, answers: Predictions) -> str:
    note = f"{cohort.card.title}: {cohort.origin}. Maps explain the predicted class, each scaled to its own maximum."
    sections = "".join(_section(name, maps, answers) for name, maps in result.maps.items())
    grades = _table(result.grades.summary()) if result.grades else "<p>This data set has no masks.</p>"
    title = f"{result.images} images explained"
    return PAGE.format(title=title, note=html.escape(note), grades=grades, sections=sections)


def _section(name: str, maps: Heatmaps, answers: Predictions) -> str:
    table = answers.table() if answers.targets.ndim == 1 else None
    figures = []
    for row, strength in enumerate(maps.strength):
        said = "" if table is None else f"true: {table['true'][row]}, predicted: {table['predicted'][row]}"
        words = html.escape(f"{answers.image_id[row]}; {said}; raw maximum {strength:.2g}")
        image = f'<img src="{_place(name, row)}" alt="{html.escape(METHODS[name].title)} of {words}">'
        figures.append(f"<figure>{image}<figcaption>{words}</figcaption></figure>")
    return f"<h2>{html.escape(METHODS[name].title)}</h2>{''.join(figures)}"


def _table(summary: pd.DataFrame) -> str:
    return "<h2>Grades</h2><p>Mean, 95 % interval, images graded, images that could not be.</p>" + str(
        summary.round(3).to_html(border=0)
    )
