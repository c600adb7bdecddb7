"""Pages of the book that are written from data: each function returns the Markdown of one page or of a part of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.project import ROOT

if TYPE_CHECKING:
    from medxai_helpers.cohorts import DatasetCard
    from medxai_helpers.models import ModelSpec

PACKAGE = ROOT / "medxai_helpers"


def results() -> str:
    """Return the tables of every run record in ``results/``, and of the leaks found in published splits."""
    from medxai_helpers.records import results_markdown

    return f"{results_markdown(ROOT / 'results')}\n\n{_leaks()}"


def _leaks() -> str:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "results/leaks").glob("*.json"))]
    rows = [
        (
            leak["title"],
            f"{leak['sizes']['train']:,} and {leak['sizes']['test']:,}",
            f"{leak['exact_copies']:,}",
            f"{leak['exact_or_near']:,}",
            f"{leak['test_images_of_shared_groups']:,}" if "group" in leak else "the set names none",
            f"`{leak['sha256'][:16]}`",
        )
        for leak in found
    ]
    head = ("archive", "training and test images", "exact copies", "exact or near", "of a shared patient", "SHA-256")
    table = "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))
    return (
        "## Leaks in published splits\n\nTest images of the official split that are copies of a training image, or "
        "show a "
        f"patient who is in the training part, counted on the real archives.\n\n{table}\n\n**Again:** `make results "
        "STUDY=leaks`"
    )


def claims() -> str:
    """Return the ledger of the five papers' claims, every verdict computed now."""
    from medxai_helpers.papers import papers_markdown

    return papers_markdown()


def benchmarks() -> str:
    """Return one section per measurement in ``results/benchmarks/``."""
    files = sorted((ROOT / "results" / "benchmarks").glob("*.json"))
    return "\n\n".join(_benchmark(json.loads(path.read_text(encoding="utf-8"))) for path in files)


def _benchmark(content: dict[str, Any]) -> str:
    rows, machine = content["rows"], content["hardware"]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = [columns, ["---"] * len(columns), *([_cell(row.get(name, "")) for name in columns] for row in rows)]
    facts = "; ".join(f"{name.replace('_', ' ')}: {_cell(value)}" for name, value in content["facts"].items())
    lines = [
        f"## {content['title']}",
        "\n".join("| " + " | ".join(row) + " |" for row in table),
        f"{facts}. Measured on {machine['processor']}, {machine['cores']} cores, accelerator: "
        f"{machine['accelerator']}; PyTorch {machine['torch']}. Again: `python -m benchmarks.{content['benchmark']}`.",
    ]
    return "\n\n".join(lines)


def _cell(value: object) -> str:
    shown = f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
    return shown.replace("|", "\\|")


def datasets() -> str:
    """Return one section per data set of the catalogue."""
    from medxai_helpers.datasets import CATALOGUE

    return "\n\n".join(_dataset(card) for card in CATALOGUE.values())


def _dataset(card: DatasetCard) -> str:
    counts = ", ".join(f"{name} {card.counts[name]:,}" if name in card.counts else name for name in card.classes)
    rows = [
        ("name", f"`{card.name}`"),
        ("modality, task", f"{card.modality}; {card.task}"),
        ("classes", counts.replace("|", "\\|")),
        ("kept together", card.group or "the set names nothing that ties images together"),
        ("licence", card.licence),
        ("home", f"<{card.home}>"),
        ("how to get it", card.how_to_get.replace("|", "\\|")),
        ("put it here", f"`{card.archive}`, or its folder, under the folder that `MEDXAI_DATA` names"),
        ("know before use", card.notes or "nothing beyond the above"),
    ]
    lines = [f"| **{name}** | {text} |" for name, text in rows]
    return "\n".join([f"## {card.title}", "", "| | |", "|---|---|", *lines])


def models() -> str:
    """Return a table of all architectures, and a card for each."""
    from medxai_helpers.models import MODELS, model_cost

    costs = {spec.name: model_cost(spec.name, classes=spec.counted_with) for spec in MODELS.values()}
    lines = ["| name | million parameters | million multiplications an image | pixels |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {cost.parameters / 1e6:.2f} | {cost.multiplications / 1e6:,.0f} | {MODELS[name].size} |"
        for name, cost in costs.items()
    ]
    return "\n\n".join(["\n".join(lines), *(_model(spec) for spec in MODELS.values())])


def _model(spec: ModelSpec) -> str:
    attention = spec.attention
    tokens = (
        f"{len(attention.layers)} layers, {attention.grid[0]} x {attention.grid[1]} tokens" if attention else "none"
    )
    published = {"": "none published", "backbone": "those of its backbone"}
    rows = [
        ("name", f"`{spec.name}`"),
        ("source", f"{{cite:t}}`{spec.reference}`"),
        ("input", f"{spec.size} x {spec.size} pixels, channels: {spec.channels}; 1 or 3 can be built"),
        ("sizes", f"from {spec.smallest} pixels" + (f", multiples of {spec.multiple}" if spec.multiple > 1 else "")),
        ("parameters", f"{spec.parameters:,} with {spec.counted_with:,} classes"),
        ("standardised with", f"mean {_shown(spec.mean)}, standard deviation {_shown(spec.std)}"),
        ("dropout", f"{spec.dropout:g}"),
        ("ImageNet weights", published.get(spec.weights, f"`{spec.weights}`")),
        ("Grad-CAM looks at", f"`{spec.cam_layer}`"),
        ("attention", tokens),
        ("stages to freeze", str(len(spec.stages))),
        ("know before use", spec.note or "nothing beyond the above"),
    ]
    lines = [f"| **{name}** | {text} |" for name, text in rows]
    return "\n".join([f"## {spec.title}", "", "| | |", "|---|---|", *lines])


def _shown(values: float | tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in (values if isinstance(values, tuple) else (values,)))


def api() -> str:
    """Return one section per module of the package, in alphabetical order."""
    modules = _modules()
    names = "\n".join(f"   {name}" for name in modules)
    table = f"```{{eval-rst}}\n.. autosummary::\n\n{names}\n```\n"
    return "\n".join([table, *(_section(name, path) for name, path in modules.items())])


def _modules() -> dict[str, Path]:
    """Return import name and file of each public room of the package: a module, or a folder as one."""
    modules = {f"medxai_helpers.{path.stem}": path for path in PACKAGE.glob("[!_]*.py")}
    folders = {f"medxai_helpers.{path.parent.name}": path for path in PACKAGE.glob("[!_]*/__init__.py")}
    return dict(sorted((modules | folders).items()))


def _section(name: str, path: Path) -> str:
    exports = path.name == "__init__.py" and "__all__" in path.read_text(encoding="utf-8")
    members = "   :members:\n" + ("   :imported-members:\n" if exports else "")
    return f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n{members}```\n"


PAGES: dict[str, Callable[[], str]] = {
    "generated/benchmarks.md": benchmarks,
    "generated/claims.md": claims,
    "generated/datasets.md": datasets,
    "generated/models.md": models,
    "generated/results.md": results,
    "generated/api.md": api,
}
"""Where each generated page lies in the source tree of the book, and what writes it."""
