"""abarna on Kermany's chest radiographs: normal against abnormal, split by patient and, beside it, by image.

Run with ``make results STUDY=abarna``; it needs the real archive under ``MEDXAI_DATA``. The paper names no data set, no
layers, no split and no size, so every one of these choices is ours: it is a system of the same description, not the
same system. The test images are opened once, after the last epoch; no epoch is picked.
"""

from __future__ import annotations

import medxai_helpers as mx
from benchmarks.experiments._plan import Arm, run_study
from medxai_helpers.augmentation import ABARNA
from medxai_helpers.cohorts import Cohort

STUDY = "abarna"
PARTS = {"train": 0.8, "validation": 0.1, "test": 0.1}
SETTINGS = mx.TrainingSettings(epochs=10, batch_size=32, learning_rate=1e-3, augmentation=ABARNA, precision="bfloat16")
PLAIN, DENOISED = mx.Preprocessing(size=64), mx.Preprocessing(size=64, denoise=5.0)


def arms(cohort: Cohort) -> list[Arm]:
    """Two splits of the denoised images, and the patient split without denoising."""
    by_patient = mx.make_split(cohort, PARTS, seed=0, grouped=True)
    by_image = mx.make_split(cohort, PARTS, seed=0, grouped=False)
    return [
        Arm("patient-split", "compact-cnn", by_patient, DENOISED, SETTINGS),
        Arm("image-split", "compact-cnn", by_image, DENOISED, SETTINGS),
        Arm("patient-split-plain", "compact-cnn", by_patient, PLAIN, SETTINGS),
    ]


def main() -> None:
    """Run the arms and seeds whose records are missing."""
    cohort = mx.load_dataset("chest-xray-pneumonia", source="real")
    run_study(STUDY, cohort, arms(cohort))


if __name__ == "__main__":
    main()
