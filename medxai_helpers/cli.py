"""The command ``medxai``: what the package does, without writing Python.

A command is a function that takes the parsed arguments and returns lines to print; it is entered in ``COMMANDS``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FAILED, BROKEN_OFF = 2, 130


@dataclass(frozen=True)
class Command:
    """One subcommand: its name, one line of help, its arguments and what it does."""

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Iterable[str]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, or 2 after an error, which is one line on standard error.

    Introduced in chapter 01.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; default: those of the process.
    """
    parser = _parser()
    wanted = parser.parse_args(argv)
    if not hasattr(wanted, "run"):
        parser.print_help()
        return FAILED
    try:
        for line in wanted.run(wanted):
            sys.stdout.write(line + "\n")
    except BrokenPipeError:  # the reader of our lines, `head` for one, has had enough
        return FAILED
    except (ValueError, OSError, ImportError, FloatingPointError, MemoryError) as error:
        sys.stderr.write(f"medxai {wanted.command}: {' '.join(str(error).split())}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"medxai {wanted.command}: broken off; what has arrived is kept\n")
        return BROKEN_OFF
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="medxai", description="Medical image classification and its explanation.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help)
        command.arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def _list(_: argparse.Namespace) -> Iterable[str]:
    from medxai_helpers import runtime
    from medxai_helpers.datasets import CATALOGUE
    from medxai_helpers.datasets.addresses import SOURCES
    from medxai_helpers.datasets.archives import find

    root = runtime.current().data_root
    yield f"{'NAME':25}{'IMAGES':>9}  {'CLASSES':>7}  {'GET IT':8}  {'HERE':4}  TITLE"
    for name, card in CATALOGUE.items():
        images = f"{card.images:,}" if card.images else "-"
        way = "fetch" if name in SOURCES else "by hand"
        here = "yes" if root and find(card, root) else "no"
        yield f"{name:25}{images:>9}  {len(card.classes):>7}  {way:8}  {here:4}  {card.title}"


def _fetch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="a data set of `medxai list`; MedMNIST also with size: medmnist-pathmnist_224"
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="data root; default: MEDXAI_DATA")


def _fetch(wanted: argparse.Namespace) -> Iterable[str]:
    from medxai_helpers import runtime
    from medxai_helpers.datasets.download import fetch

    root = wanted.to or runtime.current().data_root
    if root is None:
        raise ValueError("Expected a folder to fetch into: give one with --to DIR, or set MEDXAI_DATA.")
    yield f"{fetch(wanted.name, root)}"


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", help="a data set of `medxai list`")
    parser.add_argument("model", metavar="MODEL", help="an architecture, for example resnet18")
    add = parser.add_argument
    add("--to", type=Path, metavar="DIR", help="folder of the run; default: runs/DATASET-MODEL-seedN")
    add("--profile", choices=("quick", "full"), help="quick: small images, few of them, few epochs; default: by device")
    add("--source", choices=("auto", "real", "phantom"), default="auto", help="insist on real images or phantoms")
    add("--per-class", type=int, metavar="N", help="phantom images per class")
    add("--size", type=int, metavar="PIXELS", help="side of the images")
    add("--weights", metavar="imagenet|FILE", help="start from these weights")
    add("--freeze", type=int, default=0, metavar="STAGES", help="stages that do not learn, counted from the image")
    add("--epochs", type=int, metavar="N")
    add("--batch-size", type=int, default=32, metavar="N", help="images per step, all devices together")
    add("--learning-rate", type=float, default=1e-3, metavar="RATE")
    add("--optimizer", choices=("adam", "adamw"), default="adamw")
    add("--weight-decay", type=float, default=0.01, metavar="DECAY")
    add("--schedule", choices=("constant", "cosine", "step"), default="cosine")
    add("--precision", choices=("auto", "float32", "bfloat16", "float16"), default="auto")
    add("--patience", type=int, metavar="EPOCHS", help="stop after so many epochs without a better validation loss")
    add("--devices", type=int, default=1, metavar="N", help="devices on each machine")
    add("--num-nodes", type=int, default=1, metavar="N", help="machines; start each with torchrun")
    add("--save-every", type=int, metavar="BATCHES", help="also keep a checkpoint after so many batches")
    add("--seed", type=int, metavar="N", help="default: MEDXAI_SEED, or 0")


def _train(wanted: argparse.Namespace) -> Iterable[str]:
    from dataclasses import replace

    from medxai_helpers import jobs, runtime
    from medxai_helpers.training import TrainingSettings

    session = runtime.current()
    session = replace(session, profile=wanted.profile or session.profile, seed=_given(wanted.seed, session.seed))
    job = jobs.make_job(
        wanted.dataset,
        wanted.model,
        size=_given(wanted.size, session.pick(quick=64, full=None)),
        source=wanted.source,
        per_class=_given(wanted.per_class, session.pick(quick=60, full=500)),
        weights=wanted.weights,
        frozen=wanted.freeze,
        seed=session.seed,
    )
    settings = TrainingSettings(
        epochs=_given(wanted.epochs, session.pick(quick=3, full=20)),
        device=session.device,
        seed=session.seed,
        **{name: getattr(wanted, name) for name in PASSED_ON},
    )
    folder = wanted.to or Path("runs") / f"{job.dataset}-{job.model}-seed{job.seed}"
    run = jobs.train_job(job, settings, folder, session=session, save_every=wanted.save_every)
    if runtime.is_first_process():
        yield f"{run}"
        yield f"Saved in {folder}. Next: medxai evaluate {folder}"


PASSED_ON = (
    "batch_size",
    "learning_rate",
    "optimizer",
    "weight_decay",
    "schedule",
    "precision",
    "patience",
    "devices",
    "num_nodes",
)


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder that `medxai train` wrote")
    parser.add_argument("--part", default="test", help="train, validation or test (default)")


def _evaluate(wanted: argparse.Namespace) -> Iterable[str]:
    from medxai_helpers import jobs

    for name, estimate in jobs.evaluate_job(wanted.folder, wanted.part).items():
        yield f"{name.replace('_', ' '):20}{estimate}"


def _predict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder that `medxai train` wrote")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where heat maps go; default: RUN")


def _predict(wanted: argparse.Namespace) -> Iterable[str]:
    from medxai_helpers import jobs

    for answer in jobs.predict_files(wanted.folder, wanted.images, out=wanted.to):
        yield f"{answer.image}: {answer.name}, probability {answer.probability:.3f}; heat map {answer.overlay}"


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder that `medxai train` wrote")
    parser.add_argument("--method", action="append", metavar="NAME", help="for example grad-cam; may be repeated")
    parser.add_argument("--part", default="test", help="train, validation or test (default)")
    parser.add_argument("--images", type=int, default=32, metavar="N", help="how many; default: 32")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where it goes; default: RUN/explained")


def _explain(wanted: argparse.Namespace) -> Iterable[str]:
    from medxai_helpers.contact_sheet import explain_job

    methods = wanted.method or ["grad-cam"]
    yield str(explain_job(wanted.folder, methods, part=wanted.part, count=wanted.images, out=wanted.to))


COMMANDS = (
    Command("list", "List the data sets, how to get them and which are here.", _no_arguments, _list),
    Command("fetch", "Download a data set, or say how to get it.", _fetch_arguments, _fetch),
    Command("train", "Train a model on a data set; a run that was broken off goes on.", _train_arguments, _train),
    Command("evaluate", "Score a run on images it was not trained on.", _evaluate_arguments, _evaluate),
    Command("explain", "Write maps, overlays, grades and a contact sheet of a run.", _explain_arguments, _explain),
    Command("predict", "Classify image files and draw where the answer comes from.", _predict_arguments, _predict),
)
"""Every command of ``medxai``."""


if __name__ == "__main__":
    sys.exit(main())
