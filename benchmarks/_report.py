"""Print a benchmark's table and write it as JSON under ``results/benchmarks``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from medxai_helpers import runtime

FOLDER = Path(__file__).resolve().parents[1] / "results" / "benchmarks"


def seconds(action: Callable[[], Any], repeats: int = 3) -> float:
    """The best wall time of a few calls: the least disturbed by whatever else runs."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def publish(name: str, rows: list[dict[str, Any]], *, title: str, **facts: Any) -> None:
    """Print the rows as a table and write them, with the hardware they were measured on, for the book's page.

    ``title`` says in a few words what was measured; ``facts`` (sizes, source, goals) stand below the table.
    """
    print(pd.DataFrame(rows).to_string(index=False))
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = {"benchmark": name, "title": title, "facts": facts, "rows": rows, "hardware": runtime.hardware()}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
