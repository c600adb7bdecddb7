"""Run records: small JSON files that say what was measured, on what, how, and how sure it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medxai_helpers import runtime
from medxai_helpers.evaluation import (
    Estimate,
    bootstrap_interval,
    confusion_matrix,
    mean_interval,
    most_confused,
    per_class_report,
    wilson_interval,
)

if TYPE_CHECKING:
    import pandas as pd

    from medxai_helpers.cohorts import Cohort, Split
    from medxai_helpers.predictions import Predictions
    from medxai_helpers.training import TrainingRun


@dataclass(frozen=True)
class RunRecord:
    """Everything about one finished run that a reader needs to believe or repeat it. Introduced in chapter 05.

    Parameters
    ----------
    study, arm, paper : str
        Which study, which model and variant of it, and the paper it stands beside (bibliography key).
    data : dict
        Name, source (``"real"`` or ``"phantom"``), images, checksum.
    split : dict
        Scheme, seed, sizes.
    settings : dict
        Model, parameters and every training setting.
    scores : dict
        Name to estimate: value, low, high, n, method.
    details : dict
        Confusion matrix, history, whatever the study adds.
    hardware : dict
        Processor, accelerator, versions.
    seconds : float
        Wall time of training and scoring.
    predictions_sha256 : str
        Checksum of the saved predictions.
    date : str
        Day of the run, ISO 8601.
    """

    study: str
    arm: str
    paper: str
    data: dict[str, Any]
    split: dict[str, Any]
    settings: dict[str, Any]
    scores: dict[str, dict[str, Any]]
    details: dict[str, Any]
    hardware: dict[str, Any]
    seconds: float
    predictions_sha256: str
    date: str

    def __post_init__(self) -> None:
        bare = [name for name, score in self.scores.items() if not {"value", "low", "high", "n"} <= set(score)]
        if bare:
            raise ValueError(f"Expected every score with value, low, high and n, but {bare} lack some.")

    @property
    def name(self) -> str:
        """File name without suffix: ``arm-seedN``."""
        return f"{self.arm}-seed{self.settings['seed']}"

    def save(self, folder: Path) -> Path:
        """Write ``folder/study/arm-seedN.json`` in one step and return its path."""
        path = folder / self.study / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return scratch.replace(path)

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Read what :meth:`save` wrote; a file that is no run record raises ValueError with its path."""
        try:
            return cls(**json.loads(path.read_text()))
        except (TypeError, json.JSONDecodeError) as error:
            names = [field.name for field in fields(cls)]
            raise ValueError(f"Expected a run record with the fields {names} in {path}: {error}") from error

    def __str__(self) -> str:
        scores = ", ".join(f"{name} {score['value']:.4f}" for name, score in self.scores.items())
        return f"{self.study}/{self.name}: {scores} ({self.data['name']}, {self.data['source']})"


def make_record(
    *,
    study: str,
    arm: str,
    paper: str,
    cohort: Cohort,
    split: Split,
    run: TrainingRun,
    predictions: Predictions,
    part: str = "validation",
    checksum: str = "",
) -> RunRecord:
    """Describe a finished run: its scores on ``part`` with intervals, and all that they depend on.

    Parameters
    ----------
    study, arm, paper : str
        Names of the study and of this variant in it, and the paper it stands beside.
    cohort, split, run, predictions
        What was run.
    part : str
        The part of the split that the predictions are of.
    checksum : str
        SHA-256 of the archive, if there is one; else the fingerprint of the pixels is recorded.

    Introduced in chapter 05.
    """
    penalty = float(run.history["penalty"].iloc[-1])
    details = {
        "part": part,
        "classes": list(predictions.classes),
        "confusion": confusion_matrix(predictions).to_numpy().tolist(),
        "per_class": per_class_report(predictions).round(5).reset_index(names="class").to_dict("records"),
        "penalty": penalty,
        "history": run.history.round(5).reset_index().to_dict("records"),
    }
    data = {"name": cohort.card.name, "source": cohort.source, "images": len(cohort)}
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    plan = getattr(run.model, "architecture", None)
    built_as = asdict(plan) if is_dataclass(plan) and not isinstance(plan, type) else None
    return RunRecord(
        study=study,
        arm=arm,
        paper=paper,
        data=data | {"sha256": checksum or cohort.pixels.fingerprint()},
        split={"scheme": split.scheme, "seed": split.seed, "sizes": split.sizes},
        settings=run.settings.as_dict() | {"parameters": parameters, "architecture": built_as},
        scores={name: estimate.as_dict() for name, estimate in scores(predictions, penalty).items()},
        details=details,
        hardware=dict(runtime.hardware()),
        seconds=round(run.seconds, 1),
        predictions_sha256=predictions.sha256(),
        date=datetime.now(UTC).date().isoformat(),
    )


def scores(predictions: Predictions, penalty: float = 0.0) -> dict[str, Estimate]:
    """Accuracy, balanced accuracy, loss and loss with the model's penalty, each with its 95 % interval."""
    return {
        "accuracy": wilson_interval(int(predictions.correct.sum()), len(predictions)),
        "balanced_accuracy": bootstrap_interval(predictions),
        "loss": mean_interval(predictions.losses),
        "loss_with_penalty": mean_interval(predictions.losses + penalty),
    }


def load_records(folder: Path, study: str | None = None) -> list[RunRecord]:
    """Return the records of a results folder, sorted by study, arm and seed."""
    pattern = f"{study or '*'}/*-seed*.json"
    records = [RunRecord.load(path) for path in folder.glob(pattern)]
    return sorted(records, key=lambda record: (record.study, record.arm, record.settings["seed"]))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Study:
    """What a set of run records was made for, and the published numbers it stands beside.

    Parameters
    ----------
    title, paper, question : str
        Heading, bibliography key, and what the runs are to answer.
    published : dict
        Score name to the value the paper prints.
    published_note : str
        What the paper says, and does not say, about them.
    comparable : bool
        Whether the two may be set against each other at all.
    differences : list of str
        What differs all the same.
    command : str
        What repeats the runs.
    remarks : str
        What else a reader should know about the runs.
    records : tuple of RunRecord
        The finished runs.
    """

    title: str
    paper: str
    question: str
    published: dict[str, float]
    published_note: str
    comparable: bool
    differences: list[str]
    command: str
    remarks: str = ""
    records: tuple[RunRecord, ...] = ()

    @classmethod
    def load(cls, folder: Path) -> Study:
        """Read ``study.json`` and every run record of a study's folder."""
        facts = json.loads((folder / "study.json").read_text())
        return cls(**facts, records=tuple(load_records(folder.parent, folder.name)))

    def table(self) -> pd.DataFrame:
        """One row for the paper and one per run, as a reader wants them: scores with intervals, minutes."""
        import pandas as pd

        rows = [{"run": "the paper", **{name: f"{value:g}" for name, value in self.published.items()}}]
        for record in self.records:
            cells = {name: _with_interval(score) for name, score in record.scores.items()}
            rows.append({"run": record.name, **cells, "minutes": f"{record.seconds / 60:.1f}"})
        return pd.DataFrame(rows).set_index("run").rename(columns=lambda name: name.replace("_", " ")).fillna("")

    def confusions(self, top: int = 5) -> pd.DataFrame:
        """The most frequent mistakes, counted over all runs: true class, predicted class, count."""
        import pandas as pd

        classes = self.records[0].details["classes"]
        total = sum(np.array(record.details["confusion"]) for record in self.records)
        return most_confused(pd.DataFrame(total, index=classes, columns=classes), top)

    def __str__(self) -> str:
        return f"{self.title}: {len(self.records)} runs beside {self.paper}"


def _with_interval(score: dict[str, Any]) -> str:
    return f"{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"


def results_folder() -> Path:
    """Return the folder of committed run records; it exists in a checkout only."""
    root = runtime.project_root()
    if root is None:
        raise ValueError("Run records lie in the project's checkout: clone it and install the package from there.")
    return root / "results"


@dataclass(frozen=True)
class RealRuns:
    """What a chapter's closing section shows: the runs of a study on real images, or what would make them.

    Shown in a notebook it is a table with what differs from the paper; without runs, the command that fills the gap.
    Introduced in chapter 06.

    Parameters
    ----------
    name : str
        Of the study: a folder below ``results/``.
    study : Study or None
        With one finished run or more; ``None`` as long as there is none.
    planned : bool
        Whether the project holds a plan that ``make results`` can run.
    """

    name: str
    study: Study | None
    planned: bool

    @property
    def command(self) -> str:
        """What makes, or repeats, the runs."""
        return f"make results STUDY={self.name}"

    def __str__(self) -> str:
        if self.study is not None:
            return str(self.study)
        how = f"`{self.command}` makes them" if self.planned else "a plan for them is still to be written"
        return f"No run on the real images of the study {self.name!r} is recorded yet: {how}."

    def _repr_html_(self) -> str:
        if self.study is None:
            return f"<p>{_html(str(self))}</p>"
        differences = "".join(f"<li>{_html(line)}</li>" for line in self.study.differences)
        return (
            f"<p><b>{_html(self.study.title)}</b>. {_html(self.study.published_note)}</p>{self.study.table().to_html()}"
            f"<p>{_html(self.study.remarks)} What differs from the paper:</p><ul>{differences}</ul>"
            f"<p>Again: <code>{_html(self.command)}</code></p>"
        )


def _html(text: str) -> str:
    """Escape a text for HTML; what stands between backticks becomes code."""
    import html
    import re

    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text, quote=False))


def on_real_data(study: str, folder: Path | None = None) -> RealRuns:
    """Return the recorded runs of a study on real images, or what would make them. Introduced in chapter 06.

    Parameters
    ----------
    study : str
        Its name, for example ``"aragon2025"``.
    folder : Path, optional
        The folder of all studies; default: the project's ``results/``.

    Examples
    --------
    >>> print(on_real_data("sandoval2024"))
    The compact CNN on Medical MNIST: 3 runs beside sandoval2024
    """
    root = results_folder() if folder is None else folder
    planned = (root.parent / "benchmarks" / "experiments" / f"{study}.py").is_file()
    described = (root / study / "study.json").is_file() and Study.load(root / study)
    return RealRuns(study, described if described and described.records else None, planned)


def results_markdown(folder: Path) -> str:
    """Render every study below a results folder as Markdown, for the book's results page."""
    studies = [Study.load(path.parent) for path in sorted(folder.glob("*/study.json"))]
    return "\n\n".join(_study_markdown(study) for study in studies if study.records)


def _study_markdown(study: Study) -> str:
    first = study.records[0]
    data = f"{first.data['name']}, {first.data['source']}, {first.data['images']:,} images"
    data += f", SHA-256 `{first.data['sha256'][:16]}`"
    machine = f"{first.hardware['processor']}, {first.hardware['cores']} cores"
    machine += f", accelerator: {first.hardware['accelerator']}; PyTorch {first.hardware['torch']}"
    lines = [
        f"## {study.title}",
        f"{study.question} {{cite}}`{study.paper}`",
        _markdown_table(study.table().reset_index()),
        f"Intervals are 95 %, over the n = {next(iter(first.scores.values()))['n']:,} {first.details['part']} images. "
        f"{study.published_note} {study.remarks}".rstrip(),
        "**Most frequent mistakes**, all runs together:",
        _markdown_table(study.confusions()),
        f"**Comparable:** {'yes' if study.comparable else 'no'}. What differs:",
        "\n".join(f"- {difference}" for difference in study.differences),
        f"**Data:** {data}. **Split:** {_splits(study)}. **Hardware:** {machine}.",
        f"**Again:** `{study.command}`",
    ]
    return "\n\n".join(lines)


def _splits(study: Study) -> str:
    """Say how the images were cut; where the arms differ in it, which arm how."""
    arms: dict[str, list[str]] = {}
    for record in study.records:
        sizes = ", ".join(f"{size:,} {part}" for part, size in record.split["sizes"].items())
        arms.setdefault(f"{record.split['scheme']}, seed {record.split['seed']}: {sizes}", []).append(record.arm)
    if len(arms) == 1:
        return next(iter(arms))
    return "; ".join(f"{cut} ({', '.join(dict.fromkeys(names))})" for cut, names in arms.items())


def _markdown_table(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
