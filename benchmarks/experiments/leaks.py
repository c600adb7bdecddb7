"""Leaks of two published splits, counted on the real archives: copies of brain scans, shared patients of chest films.

Run with ``make results STUDY=leaks``; it needs the archives under ``MEDXAI_DATA``. Nothing is trained. Each count goes
into ``results/leaks/NAME.json``, which chapter 02 shows; a record that exists is not made again.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import medxai_helpers as mx
from medxai_helpers import records, runtime
from medxai_helpers.cohorts import Cohort, LeakageReport, Split
from medxai_helpers.datasets import archives

STUDY, COMMAND = "leaks", "make results STUDY=leaks"
DATASETS = ("brain-tumor-mri", "chest-xray-pneumonia")
RESULTS = Path(__file__).resolve().parents[2] / "results"


def copies(report: LeakageReport, part: str = "test") -> dict[str, Any]:
    """Images of a part that are copies of an image in an earlier part."""
    exact = set(report.exact.loc[report.exact["second_part"] == part, "second_id"])
    return {
        "exact_copies": len(exact),
        "same_file": int((report.exact["same"] == "file").sum()),
        "exact_or_near": len(report.images(part)),
    }


def shared_patients(cohort: Cohort, split: Split, report: LeakageReport) -> dict[str, Any]:
    """Groups on both sides and the test images that belong to them; empty where the set names no groups."""
    if cohort.card.group is None:
        return {}
    of_test = cohort.table["group"].iloc[split["test"]]
    return {
        "group": cohort.card.group,
        "groups_in_test": int(of_test.nunique()),
        "shared_groups": int(report.groups["group"].nunique()),
        "test_images_of_shared_groups": int(of_test.isin(report.groups["group"]).sum()),
    }


def measure(name: str) -> dict[str, Any]:
    """Everything that one record holds."""
    started = time.perf_counter()
    cohort = mx.load_dataset(name, source="real")
    split = mx.official_split(cohort)
    report = mx.check_leakage(cohort, split)
    root = runtime.current().data_root
    place = archives.find(cohort.card, root) if root else None
    return {
        "dataset": name,
        "title": cohort.card.title,
        "split": split.scheme,
        "sizes": split.sizes,
        **copies(report),
        **shared_patients(cohort, split, report),
        "sha256": records.file_sha256(place) if place is not None and place.is_file() else "",
        "command": COMMAND,
        "seconds": round(time.perf_counter() - started, 1),
        "hardware": dict(runtime.hardware()),
        "date": datetime.now(UTC).date().isoformat(),
    }


def main(folder: Path = RESULTS) -> None:
    """Measure the data sets whose records are missing."""
    for name in DATASETS:
        path = folder / STUDY / f"{name}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(measure(name), indent=1) + "\n")
            runtime.log.info("%s", path.name)


if __name__ == "__main__":
    main()
