"""The command ``medxai``: what the package does, without writing Python.

A command is a function that takes the parsed arguments and returns lines to print; it is entered in ``COMMANDS``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    except (ValueError, OSError, ImportError) as error:
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


COMMANDS = (
    Command("list", "List the data sets, how to get them and which are here.", _no_arguments, _list),
    Command("fetch", "Download a data set, or say how to get it.", _fetch_arguments, _fetch),
)
"""Every command of ``medxai``."""


if __name__ == "__main__":
    sys.exit(main())
