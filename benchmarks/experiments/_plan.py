"""What all studies share: arms times seeds, each run recorded when it ends, and none run twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import medxai_helpers as mx
from medxai_helpers import records, runtime
from medxai_helpers.cohorts import Cohort, Split
from medxai_helpers.datasets import archives

RESULTS = Path(__file__).resolve().parents[2] / "results"
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Arm:
    """One variant of a study: a model, a split, a recipe and settings; the seed comes from the plan.

    The run is scored on ``part`` of the split, which training never sees. Without a part of that name for watching,
    the scored part is watched too, as in a paper without a test set; nothing may then be chosen by it.
    """

    name: str
    model: str
    split: Split
    recipe: mx.Preprocessing
    settings: mx.TrainingSettings
    part: str = "test"


def run_study(
    study: str, cohort: Cohort, arms: Sequence[Arm], seeds: Sequence[int] = SEEDS, folder: Path = RESULTS
) -> list[records.RunRecord]:
    """Run what has no record yet, seed by seed, so that a study that is broken off has whole comparisons."""
    made = []
    checksum = archive_checksum(cohort)
    for seed in seeds:
        for arm in arms:
            if not (folder / study / f"{arm.name}-seed{seed}.json").exists():
                record = run_one(study, cohort, arm, seed, checksum)
                record.save(folder)
                runtime.log.info("%s", record)
                made.append(record)
    return made


def run_one(study: str, cohort: Cohort, arm: Arm, seed: int, checksum: str) -> records.RunRecord:
    """Train one arm with one seed and describe the run."""
    store = mx.build_store(cohort, arm.recipe, runtime.current().cache)
    spec, rows = mx.MODELS[arm.model], arm.split
    model = mx.build_model(arm.model, classes=len(cohort.classes), channels=store.channels, size=store.size, seed=seed)
    settings = replace(arm.settings, seed=seed, device=runtime.current().device, **spec.normalisation(store.channels))
    watched = "validation" if "validation" in rows.sizes else arm.part
    run = mx.fit(model, store, cohort.targets, train=rows["train"], validation=rows[watched], settings=settings)
    record = records.make_record(
        study=study,
        arm=arm.name,
        paper=study,
        cohort=cohort,
        split=arm.split,
        run=run,
        predictions=mx.predict(run, cohort, store, rows[arm.part]),
        part=arm.part,
        checksum=checksum,
    )
    return replace(record, settings=record.settings | {"model": arm.model, "recipe": arm.recipe.as_dict()})


def archive_checksum(cohort: Cohort) -> str:
    """SHA-256 of the archive that the cohort was read from, where it is one file."""
    root = runtime.current().data_root
    place = archives.find(cohort.card, root) if root else None
    return records.file_sha256(place) if place is not None and place.is_file() else ""
