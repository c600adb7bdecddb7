"""The minimum report on a model, in one call: n, every metric with its interval, thresholds, calibration, subgroups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medxai_helpers.evaluation.calibration import Kind, calibration_error, drawn_errors
from medxai_helpers.evaluation.curves import Rule, at_thresholds, choose_thresholds
from medxai_helpers.evaluation.intervals import bootstrap_table, check_draw
from medxai_helpers.evaluation.metrics import METRICS, Counts, count_statistic, value_of
from medxai_helpers.evaluation.ranking import auroc_statistic, average_precision_statistic
from medxai_helpers.evaluation.resampling import Floats, Statistic, Unit, make_sampling, percentile_ends, resample
from medxai_helpers.evaluation.subgroups import subgroup_table

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.predictions import Predictions

PER_CLASS = ("sensitivity", "specificity", "precision", "F1", "AUROC", "average precision")
HEADINGS = {
    "images": "Images and patients",
    "scores": "All classes together",
    "per_class": "Every class against the rest",
    "operating": "At thresholds chosen on validation",
    "calibration": "Calibration",
    "subgroups": "Subgroups",
}


@dataclass(frozen=True)
class EvaluationReport:
    """What a paper should say about a model, as tables. Introduced in chapter 15.

    Parameters
    ----------
    images : DataFrame
        ``class``, ``images``, ``patients``.
    scores : DataFrame
        ``metric``, ``value``, ``low``, ``high``, ``n``, ``method``: every metric of ``METRICS`` for the task.
    per_class : DataFrame
        The same with ``class``: sensitivity, specificity, precision, F1, AUROC, average precision. ``n`` counts the
        images of the class; one without images has no score.
    operating : DataFrame or None
        The same with ``class`` and ``threshold``: sensitivity, specificity, PPV, NPV, if validation was given.
    calibration : DataFrame
        Expected calibration errors (15 bins), each with what a perfectly calibrated model would show on as many images:
        ``floor`` (mean), ``floor high`` (95 % stay below) and ``p`` (share that shows as much). No interval: resampling
        inflates these errors.
    subgroups : DataFrame or None
        From :func:`subgroup_table`, if columns were named.
    notes : tuple of str
        What a reader has to know beside the numbers.
    """

    images: pd.DataFrame
    scores: pd.DataFrame
    per_class: pd.DataFrame
    operating: pd.DataFrame | None
    calibration: pd.DataFrame
    subgroups: pd.DataFrame | None
    notes: tuple[str, ...]

    @property
    def sections(self) -> dict[str, pd.DataFrame]:
        """The tables that there are, by name."""
        tables = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "notes"}
        return {name: table for name, table in tables.items() if table is not None}

    def frame(self) -> pd.DataFrame:
        """Return everything in one tidy table, one row per number: ``section`` and the columns of the sections."""
        import pandas as pd

        counts = self.images.melt(id_vars="class", var_name="metric").assign(section="images")
        scored = [table.assign(section=name) for name, table in self.sections.items() if name != "images"]
        table = pd.concat([counts, *scored], ignore_index=True)
        first = ["section", "class", "metric", "value", "low", "high", "n"]
        return table[first + [name for name in table.columns if name not in first]]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the sections as a reader wants them: one row per class, value and interval in one cell."""
        return {HEADINGS[name]: _for_readers(table) for name, table in self.sections.items()}

    def to_markdown(self) -> str:
        """Return the report in Markdown."""
        parts = [f"**{heading}**\n\n{_markdown(table)}" for heading, table in self.tables().items()]
        return "\n\n".join([*parts, *self.notes]) + "\n"

    def to_latex(self) -> str:
        """Return the report in LaTeX; the tables need the package booktabs."""
        parts = [_latex(heading, table) for heading, table in self.tables().items()]
        return "\n\n".join([*parts, *map(_escape, self.notes)]) + "\n"

    def _repr_html_(self) -> str:
        parts = [f"<h4>{heading}</h4>{table.to_html(index=False)}" for heading, table in self.tables().items()]
        return "".join([*parts, *(f"<p>{note}</p>" for note in self.notes)])

    def __str__(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return f"EvaluationReport of {', '.join(self.sections)}"


def evaluate(
    predictions: Predictions,
    *,
    validation: Predictions | None = None,
    rule: Rule = "youden",
    at_least: float | None = None,
    subgroups: Sequence[str] | Mapping[str, Sequence[float] | None] = (),
    unit: Unit = "patient",
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> EvaluationReport:
    """Return the minimum report on predictions of test images. Introduced in chapter 15.

    Parameters
    ----------
    predictions : Predictions
        Of two patients or more.
    validation : Predictions, optional
        Other images, on which a threshold is chosen for every class.
    rule, at_least
        How; see :func:`choose_thresholds`.
    subgroups : sequence of str, or mapping of str to edges
        Columns of the metadata; those of numbers with the edges to cut them at, as in
        ``{"sex": None, "age": (0, 40, 65, 120)}``.
    unit, seed, resamples, level
        As in :func:`bootstrap_interval`.

    Raises
    ------
    ValueError
        If there are fewer than two patients, a column is not there, or validation shares images with the test.
    """
    import pandas as pd

    check_draw(resamples, level)
    how = {"unit": unit, "seed": seed, "resamples": resamples, "level": level}
    cuts = subgroups if isinstance(subgroups, Mapping) else dict.fromkeys(subgroups)
    task = "many-label" if predictions.many_label else "multi-class"
    names = [name for name, metric in METRICS.items() if task in metric.tasks]
    scores = bootstrap_table(predictions, names, **how)  # type: ignore[arg-type]
    main = "macro_auroc" if predictions.many_label else "balanced_accuracy"
    tables = [subgroup_table(predictions, name, main, edges=edges, **how) for name, edges in cuts.items()]  # type: ignore[arg-type]
    return EvaluationReport(
        images=images_per_class(predictions),
        scores=pd.DataFrame([{"metric": name, **estimate.as_dict()} for name, estimate in scores.items()]),
        per_class=per_class_intervals(predictions, **how),  # type: ignore[arg-type]
        operating=_operating(predictions, validation, rule, at_least, how),
        calibration=_calibration(predictions, how),
        subgroups=pd.concat(tables, ignore_index=True) if tables else None,
        notes=_notes(predictions, scores[names[0]].method, level),
    )


def images_per_class(predictions: Predictions) -> pd.DataFrame:
    """Return the number of images and patients of every class, and of all: ``class``, ``images``, ``patients``."""
    import pandas as pd

    pairs = zip(predictions.classes, predictions.one_hot.T, strict=True)
    rows = [(name, int(has.sum()), len(np.unique(predictions.group[has]))) for name, has in pairs]
    rows.append(("all", len(predictions), len(np.unique(predictions.group))))
    return pd.DataFrame(rows, columns=["class", "images", "patients"])


def per_class_intervals(
    predictions: Predictions,
    *,
    unit: Unit = "patient",
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return six scores of every class against the rest, with bootstrap intervals. Introduced in chapter 16.

    Parameters
    ----------
    predictions : Predictions
        Of two patients or more.
    unit, seed, resamples, level
        As in :func:`bootstrap_interval`.

    Returns
    -------
    DataFrame
        ``class``, ``metric``, ``value``, ``low``, ``high``, ``n`` (images of the class), ``method``. A class without
        images has NaN for a score and 0 for n.
    """
    import pandas as pd

    check_draw(resamples, level)
    statistic = _six_scores(predictions)
    sampling = make_sampling(predictions, unit)
    values = value_of(statistic, len(predictions))
    low, high = percentile_ends(resample(statistic, sampling, resamples, seed), level)
    support, how = predictions.one_hot.sum(axis=0), f"bootstrap over {sampling.what}, {resamples}"
    rows = [
        (name, metric, values[k, m], low[k, m], high[k, m], int(support[k]), how)
        for k, name in enumerate(predictions.classes)
        for m, metric in enumerate(PER_CLASS)
    ]
    return pd.DataFrame(rows, columns=["class", "metric", "value", "low", "high", "n", "method"])


def _six_scores(predictions: Predictions) -> Statistic:
    count = count_statistic(predictions)
    auroc, precision = auroc_statistic(predictions), average_precision_statistic(predictions)
    measures = (Counts.recall, Counts.specificity, Counts.precision, Counts.f1)

    def score(weights: Floats) -> NDArray[np.float64]:
        counts = count(weights)
        six = [*(measure(counts) for measure in measures), auroc(weights), precision(weights)]
        return np.stack([counts.of_present(values) for values in six], axis=-1)

    return score


def _operating(
    predictions: Predictions,
    validation: Predictions | None,
    rule: Rule,
    at_least: float | None,
    how: dict[str, Any],
) -> pd.DataFrame | None:
    if validation is None:
        return None
    shared = len(np.intersect1d(predictions.image_id, validation.image_id))
    if shared:
        raise ValueError(
            f"Expected validation images that are not judged, but {shared:,} are in both: a threshold chosen on the "
            "test images flatters the model."
        )
    thresholds = choose_thresholds(validation, rule, at_least=at_least)
    return at_thresholds(predictions, thresholds, **{k: how[k] for k in ("seed", "resamples", "level")})


def _calibration(predictions: Predictions, how: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    kinds: tuple[Kind, ...] = ("classwise",) if predictions.many_label else ("top", "classwise")
    rows = []
    for kind in kinds:
        error = calibration_error(predictions, kind=kind)
        drawn = drawn_errors(predictions, 15, "width", kind, seed=how["seed"], draws=500)
        chance = ((drawn >= error).sum() + 1) / (len(drawn) + 1)
        row = {"metric": "ece" if kind == "top" else "classwise_ece", "value": error, "floor": drawn.mean()}
        rows.append(row | {"floor high": np.quantile(drawn, 0.95), "p": chance, "n": len(predictions)})
    return pd.DataFrame(rows)


def _notes(predictions: Predictions, method: str, level: float) -> tuple[str, ...]:
    patients = len(np.unique(predictions.group))
    what = f"n = {len(predictions):,} images of {patients:,} patients" if patients < len(predictions) else ""
    n = what or f"n = {len(predictions):,} images, each taken as a patient of its own"
    scored = "" if predictions.calibrated is None else " Probabilities are calibrated."
    absent = [name for name, has in zip(predictions.classes, predictions.one_hot.T, strict=True) if not has.any()]
    left_out = f" Without images, and left out of every mean: {', '.join(absent)}." if absent else ""
    return (f"{n}. Intervals are {100 * level:g} %: {method}, where no other way is named.{scored}{left_out}",)


def _for_readers(table: pd.DataFrame) -> pd.DataFrame:
    if "value" not in table:
        return table
    if "floor" in table:
        return _calibration_rows(table)
    return _one_row_per_class(table) if "class" in table else _one_row_per_score(table)


def _one_row_per_class(table: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in ("class", "threshold") if name in table]
    long = table.assign(cell=_cells(table, "value", "low", "high"))
    wide = long.pivot_table(index=keys, columns="metric", values="cell", aggfunc="first", sort=False)
    wide = wide.reset_index().rename_axis(columns=None)
    counts = table.drop_duplicates(["class", "metric"]).pivot_table(index="class", columns="metric", values="n")
    if "threshold" not in keys:
        return wide.assign(n=wide["class"].map(counts.iloc[:, 0]).astype(int))
    n_of = {"positive": "sensitivity", "negative": "specificity"}
    numbers = {name: wide["class"].map(counts[rate]).astype(int) for name, rate in n_of.items()}
    return wide.assign(threshold=wide["threshold"].map("{:.3f}".format), **numbers)


def _one_row_per_score(table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    columns = {name: table[name] for name in ("column", "group") if name in table}
    columns |= {"metric": table["metric"].map(_title), "score": _cells(table, "value", "low", "high")}
    if "gap" in table:
        columns |= {"gap to the others": _cells(table, "gap", "gap low", "gap high"), "patients": table["patients"]}
    return pd.DataFrame(columns | {"n": table["n"]})


def _calibration_rows(table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    floors = zip(table["floor"], table["floor high"], strict=True)
    columns = {
        "metric": table["metric"].map(_title),
        "error": table["value"].map("{:.3f}".format),
        "if calibrated": [f"{mean:.3f}, 95 % below {high:.3f}" for mean, high in floors],
        "p": table["p"].map("{:.3f}".format),
    }
    return pd.DataFrame(columns | {"n": table["n"]})


def _cells(table: pd.DataFrame, *names: str) -> pd.Series[str]:
    import pandas as pd

    return pd.Series([_cell(row) for row in table[list(names)].to_numpy()], index=table.index, dtype=str)


def _title(name: str) -> str:
    known = METRICS[name].title if name in METRICS else name
    return {"ece": "ECE", "classwise_ece": "class-wise ECE"}.get(name, known)


def _cell(row: NDArray[np.float64]) -> str:
    value, low, high = row
    if not np.isfinite(value):
        return "not defined"
    return f"{value:.3f}" + (f" ({low:.3f} to {high:.3f})" if np.isfinite(low) else " (too few)")


def _markdown(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _latex(heading: str, table: pd.DataFrame) -> str:
    rows = [" & ".join(map(_escape, row)) + r" \\" for row in table.astype(str).to_numpy().tolist()]
    head = " & ".join(map(_escape, table.columns)) + r" \\"
    lines = [r"\begin{table}", rf"\caption{{{_escape(heading)}}}", rf"\begin{{tabular}}{{{'l' * len(table.columns)}}}"]
    return "\n".join([*lines, r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _escape(text: str) -> str:
    for character, written in (("\\", r"\textbackslash "), *((c, "\\" + c) for c in "&%$#_{}")):
        text = text.replace(character, written)
    return text
