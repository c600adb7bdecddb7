"""sandoval2024 on Medical MNIST, whole: the paper's compact CNN with the paper's settings, three seeds.

Run with ``make results STUDY=sandoval2024``; it needs the real archive under ``MEDXAI_DATA``. The split is fixed, the
seed decides initial weights, order, augmentation and dropout. Nothing is chosen by looking at the validation images.
"""

from __future__ import annotations

import medxai_helpers as mx
from benchmarks.experiments._plan import Arm, run_study
from medxai_helpers.augmentation import SANDOVAL2024
from medxai_helpers.cohorts import Cohort

STUDY = "sandoval2024"
SETTINGS = mx.TrainingSettings(
    epochs=5, batch_size=32, learning_rate=1e-3, augmentation=SANDOVAL2024, precision="bfloat16"
)
"""The paper's; ranges of the augmentation and the precision are not stated there."""


def arms(cohort: Cohort) -> list[Arm]:
    """The paper's network on four fifths of the images, scored on the rest."""
    split = mx.make_split(cohort, {"train": 0.8, "validation": 0.2}, seed=0)
    return [Arm("compact-cnn", "compact-cnn", split, mx.Preprocessing(size=64), SETTINGS, part="validation")]


def main() -> None:
    """Run the seeds whose records are missing."""
    cohort = mx.load_dataset("medical-mnist", source="real")
    run_study(STUDY, cohort, arms(cohort))


if __name__ == "__main__":
    main()
