"""What the five papers print, entered once as data: accuracies, tables, claims."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxai_helpers.evaluation.audit import Printed, PublishedTable

PAPERS = ("aragon2025", "abarna", "abboud2025", "verma2023", "sandoval2024")
"""Keys of the five papers, in the book's bibliography too."""

SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
CONTRADICTED, UNTESTED = "contradicted by its own table", "cannot be tested here"
VERDICTS = (SUPPORTED, NOT_SUPPORTED, CONTRADICTED, UNTESTED)
FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Claim:
    """One claim of a paper, in our words, and what became of it. Introduced in chapter 22.

    Parameters
    ----------
    id : str
        ``paper-topic``.
    claim : str
        What the paper says.
    verdict : str
        One of ``VERDICTS``.
    evidence : str or None
        Name of the computation that gives the verdict (see :func:`medxai_helpers.papers.finding_of`); ``None`` where it
        cannot be tested here.
    why : str
        Without evidence: what is missing.
    command : str
        Without evidence: what would answer it; empty as long as no plan for it is written.

    Raises
    ------
    ValueError
        If the verdict is unknown, or a claim has neither evidence nor a reason for having none.
    """

    id: str
    claim: str
    verdict: str
    evidence: str | None = None
    why: str = ""
    command: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"Expected a verdict among {VERDICTS}, but claim {self.id!r} has {self.verdict!r}.")
        answered = self.evidence is not None
        if answered == (self.verdict == UNTESTED) or not (answered or self.why):
            raise ValueError(f"Expected claim {self.id!r} to have evidence, or to be {UNTESTED!r} with a reason.")


@dataclass(frozen=True)
class PrintedAccuracy:
    """An accuracy as printed: model, part of the data, the number, and n where the paper lets one know it."""

    model: str
    part: str
    printed: Printed
    n: int | None


@dataclass(frozen=True)
class Paper:
    """What one paper prints and claims. Introduced in chapter 22.

    Parameters
    ----------
    key, title : str
        Bibliography key, and what it is about.
    accuracies : tuple of PrintedAccuracy
        Every accuracy it prints.
    tables : dict of str to PublishedTable
        Per-class reports, by model.
    averages : tuple of dict
        Precision, recall and F1 printed without classes.
    claims : tuple of Claim
        What it says about them.
    """

    key: str
    title: str
    accuracies: tuple[PrintedAccuracy, ...]
    tables: dict[str, PublishedTable]
    averages: tuple[dict[str, str], ...]
    claims: tuple[Claim, ...]


def load_paper(key: str) -> Paper:
    """Read what one of the five papers prints and claims. Introduced in chapter 22.

    Raises
    ------
    ValueError
        If the key is not one of ``PAPERS``.

    Examples
    --------
    >>> load_paper("aragon2025").tables["ResNet18"].recall[2].text
    '0.43'
    """
    if key not in PAPERS:
        raise ValueError(f"Expected a paper among {PAPERS}, but got {key!r}.")
    content = json.loads((FOLDER / f"{key}.json").read_text(encoding="utf-8"))
    accuracies = tuple(
        PrintedAccuracy(each["model"], each["part"], Printed(each["printed"]), each["n"])
        for each in content["accuracies"]
    )
    return Paper(
        key,
        content["title"],
        accuracies,
        {table["model"]: _table(table) for table in content["tables"]},
        tuple(content.get("averages", ())),
        tuple(Claim(**claim) for claim in content["claims"]),
    )


def _table(content: dict[str, Any]) -> PublishedTable:
    def printed(name: str) -> tuple[Printed, ...]:
        return tuple(map(Printed, content[name]))

    def means(name: str) -> dict[str, Printed]:
        return {score: Printed(text) for score, text in content[name].items()}

    return PublishedTable(
        content["model"],
        tuple(content["classes"]),
        printed("precision"),
        printed("recall"),
        printed("f1"),
        tuple(content["support"]),
        means("macro"),
        means("weighted"),
        Printed(content["accuracy"]),
    )
