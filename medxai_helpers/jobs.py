"""Whole jobs from a name to a folder: train, evaluate, predict. The command line calls these; so can a script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medxai_helpers.cohorts import Cohort, Split, make_split
from medxai_helpers.datasets import CATALOGUE, load_dataset
from medxai_helpers.evaluation import Estimate, bootstrap_table
from medxai_helpers.losses import Loss
from medxai_helpers.models import build_model, freeze, spec_of
from medxai_helpers.pixels import PixelStore, build_store
from medxai_helpers.predictions import predict
from medxai_helpers.preprocessing import Preprocessing
from medxai_helpers.runtime import Runtime, current
from medxai_helpers.training import TrainingRun, TrainingSettings, fit

JOB_FILE, PREDICTIONS_FILE = "job.json", "predictions-{part}.npz"
FRACTIONS = {"train": 0.7, "validation": 0.15, "test": 0.15}
SCORES = {
    "multi-class": ("accuracy", "balanced_accuracy", "macro_f1", "macro_auroc"),
    "multi-label": ("macro_auroc", "macro_ap"),
}


@dataclass(frozen=True)
class Job:
    """What to train on what: everything that data, split and network depend on, beside the training settings.

    Introduced in chapter 06.

    Parameters
    ----------
    dataset, model : str
        Keys of ``CATALOGUE`` and ``MODELS``.
    size : int
        Side of the images in pixels.
    channels : int
        Input channels of the network.
    source : {"auto", "real", "phantom"}
        As in :func:`load_dataset`.
    per_class : int
        Images per class of a phantom cohort.
    weights : str, optional
        ``"imagenet"`` or a file to start from.
    frozen : int
        Stages that do not learn.
    seed : int
        Of phantom, split and initial weights.
    """

    dataset: str
    model: str
    size: int
    channels: int
    source: str = "auto"
    per_class: int = 100
    weights: str | None = None
    frozen: int = 0
    seed: int = 0

    def save(self, folder: Path) -> None:
        """Write ``job.json`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / JOB_FILE).write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Job:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the folder holds no job.
        """
        try:
            return cls(**json.loads((folder / JOB_FILE).read_text()))
        except (OSError, TypeError, ValueError) as error:
            raise ValueError(f"Expected a folder that `medxai train` wrote, but {folder} is none. ({error})") from error


class Prepared(NamedTuple):
    """A job's images, parts and pixels."""

    cohort: Cohort
    split: Split
    store: PixelStore


class Answer(NamedTuple):
    """What the network says about one image file: class, probability, and where the overlay was written."""

    image: Path
    name: str
    probability: float
    overlay: Path


def make_job(dataset: str, model: str, *, size: int | None = None, weights: str | None = None, **choices: Any) -> Job:
    """Fill in what follows from data set and model: the size, and the channels of the network.

    Introduced in chapter 06.

    Parameters
    ----------
    dataset, model : str
        Keys of ``CATALOGUE`` and ``MODELS``.
    size : int, optional
        Default: what the model was published for.
    weights : str, optional
        With weights the network keeps the channels it was published for; else it has those of the images.
    **choices
        More fields of :class:`Job`.

    Raises
    ------
    ValueError
        If data set or model is unknown.
    """
    if dataset not in CATALOGUE:
        raise ValueError(f"Expected a data set among {tuple(CATALOGUE)}, but got {dataset!r}.")
    spec = spec_of(model)
    channels = spec.channels if weights else CATALOGUE[dataset].channels
    return Job(dataset, model, size or spec.size, channels, weights=weights, **choices)


def prepare(job: Job, session: Runtime | None = None) -> Prepared:
    """Load, split and decode a job's images; the same job gives the same rows. Introduced in chapter 06."""
    session = session or current()
    chosen: Any = job.source
    cohort = load_dataset(job.dataset, source=chosen, per_class=job.per_class, seed=job.seed, runtime=session)
    split = make_split(cohort, FRACTIONS, seed=job.seed)
    return Prepared(cohort, split, build_store(cohort, Preprocessing(size=job.size), session.cache))


def settings_of(job: Job, settings: TrainingSettings) -> TrainingSettings:
    """Return the settings with the model's mean and std, and a loss that suits the task. Introduced in chapter 06."""
    statistics: Any = spec_of(job.model).normalisation(job.channels)
    many = CATALOGUE[job.dataset].task == "multi-label"
    loss = Loss("binary") if many and not settings.loss.many_labels else settings.loss
    return replace(settings, loss=loss, **statistics)


def train_job(
    job: Job, settings: TrainingSettings, folder: Path, *, session: Runtime | None = None, save_every: int | None = None
) -> TrainingRun:
    """Train a job into a folder; one that was broken off there goes on. Introduced in chapter 06.

    Parameters
    ----------
    job : Job
        What on what.
    settings : TrainingSettings
        How; mean, std and the loss of many labels are filled in.
    folder : Path
        Gets the job, checkpoints and the finished run.
    session : Runtime, optional
        Default: the environment's.
    save_every : int, optional
        As in :func:`fit`.

    Raises
    ------
    ValueError
        If the folder holds another job, or as :func:`fit`.
    """
    if (folder / JOB_FILE).is_file() and Job.load(folder) != job:
        raise ValueError(f"Expected {job}, but {folder} holds {Job.load(folder)}: choose another folder.")
    cohort, split, store = prepare(job, session)
    model = build_model(
        job.model, classes=len(cohort.classes), channels=job.channels, size=job.size, weights=job.weights, seed=job.seed
    )
    freeze(model, job.frozen)
    job.save(folder)
    return fit(
        model,
        store,
        cohort.targets,
        train=split["train"],
        validation=split["validation"],
        settings=settings_of(job, settings),
        classes=cohort.classes,
        folder=folder,
        save_every=save_every,
    )


def evaluate_job(folder: Path, part: str = "test", *, session: Runtime | None = None) -> dict[str, Estimate]:
    """Score a trained job on a part of its own split, each score with n and interval. Introduced in chapter 06.

    The predictions are written beside the run.

    Parameters
    ----------
    folder : Path
        From :func:`train_job`.
    part : {"test", "validation", "train"}
        Which.
    session : Runtime, optional
        Default: the environment's.

    Raises
    ------
    ValueError
        If there is no such part, or the folder holds no finished job.
    """
    session = session or current()
    job = Job.load(folder)
    cohort, split, store = prepare(job, session)
    if part not in split.parts:
        raise ValueError(f"Expected a part among {tuple(split.parts)}, but got {part!r}.")
    run = TrainingRun.load(folder, classes=cohort.classes, device=session.device)
    predictions = predict(run, cohort, store, split[part])
    predictions.save(folder / PREDICTIONS_FILE.format(part=part))
    return bootstrap_table(predictions, SCORES[cohort.card.task])


def predict_files(
    folder: Path, images: Sequence[Path], *, out: Path | None = None, session: Runtime | None = None
) -> Iterator[Answer]:
    """Classify image files with a trained job, and draw where each answer comes from. Introduced in chapter 06.

    Parameters
    ----------
    folder : Path
        From :func:`train_job`.
    images : sequence of Path
        Files in any format that the data sets come in.
    out : Path, optional
        Where overlays go; default: the folder.
    session : Runtime, optional
        Default: the environment's.

    Yields
    ------
    Answer
        One per file: the likeliest class or label, its probability, and the overlay's path.

    Raises
    ------
    ValueError
        If a file does not decode, or the folder holds no finished job.
    """
    from medxai_helpers.cohorts.decoding import decode_file

    job, session = Job.load(folder), session or current()
    card, recipe = CATALOGUE[job.dataset], Preprocessing(size=job.size)
    run = TrainingRun.load(folder, device=session.device)
    for image in images:
        pixels = recipe(decode_file(image, card.channels))
        overlay = (out or folder) / f"{image.stem}-heatmap.png"
        yield _answer(run, pixels, image, overlay)


def _answer(run: TrainingRun, pixels: np.ndarray[Any, Any], image: Path, overlay: Path) -> Answer:
    import torch
    from matplotlib.figure import Figure

    from medxai_helpers import plots
    from medxai_helpers.explanation import explain
    from medxai_helpers.training import to_input

    batch = pixels[None, None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)[None]
    inputs = to_input(np.ascontiguousarray(batch), run.settings)
    with torch.no_grad():
        logits = run.model(inputs).float().cpu()
    scores = logits.sigmoid() if run.settings.loss.many_labels else logits.softmax(dim=1)
    guess = int(scores.argmax())
    maps = explain(run.model, inputs, targets=guess)
    name, probability = run.classes[guess], float(scores[0, guess])
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    plots.draw_explanation(figure, pixels, maps, f"{name}, probability {probability:.3f}")
    overlay.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(overlay, dpi=150)
    return Answer(image, name, probability, overlay)
