"""sandoval2024 on Medical MNIST, whole: the paper's compact CNN with the paper's settings, three seeds.

Run with ``make results STUDY=sandoval2024``; it needs the real archive under ``MEDXAI_DATA``. The split is fixed, the
seed decides initial weights, order, augmentation and dropout. Nothing is chosen by looking at the validation images.
"""

from __future__ import annotations

from pathlib import Path

import medxai_helpers as mx
from medxai_helpers import records, runtime
from medxai_helpers.augmentation import SANDOVAL2024
from medxai_helpers.cohorts import Cohort, Split
from medxai_helpers.datasets import archives

STUDY, ARM, SEEDS, SPLIT_SEED = "sandoval2024", "compact-cnn", (0, 1, 2), 0
RESULTS = Path(__file__).resolve().parents[2] / "results"


def settings(seed: int, device: str) -> mx.TrainingSettings:
    """The paper's settings; ranges of the augmentation, precision and seeds are not stated there."""
    return mx.TrainingSettings(
        epochs=5,
        batch_size=32,
        learning_rate=1e-3,
        augmentation=SANDOVAL2024,
        precision="bfloat16",
        device=device,
        seed=seed,
    )


def run_one(seed: int, cohort: Cohort, split: Split, store: mx.PixelStore, checksum: str) -> records.RunRecord:
    """Train with one seed and describe the run."""
    model = mx.build_model("compact-cnn", classes=len(cohort.classes), seed=seed)
    run = mx.fit(
        model,
        store,
        cohort.targets,
        train=split["train"],
        validation=split["validation"],
        settings=settings(seed, runtime.current().device),
    )
    return records.make_record(
        study=STUDY,
        arm=ARM,
        paper="sandoval2024",
        cohort=cohort,
        split=split,
        run=run,
        predictions=mx.predict(run, cohort, store, split["validation"]),
        checksum=checksum,
    )


def main(folder: Path = RESULTS) -> None:
    """Run the seeds whose records are missing."""
    session = runtime.current()
    cohort = mx.load_dataset("medical-mnist", source="real")
    place = archives.find(cohort.card, session.data_root) if session.data_root else None
    checksum = records.file_sha256(place) if place is not None and place.is_file() else ""
    store = mx.build_store(cohort, mx.Preprocessing(size=64), session.cache)
    split = mx.make_split(cohort, {"train": 0.8, "validation": 0.2}, seed=SPLIT_SEED)
    for seed in SEEDS:
        if not (folder / STUDY / f"{ARM}-seed{seed}.json").exists():
            record = run_one(seed, cohort, split, store, checksum)
            record.save(folder)
            runtime.log.info("%s", record)


if __name__ == "__main__":
    main()
