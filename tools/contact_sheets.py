"""Draw a contact sheet of every phantom, to be looked at: a row of patients per class, their lesions outlined below.

Run ``python -m tools.contact_sheets [NAME ...] [--real] [--size PX]``. The sheets go to ``_build/contact_sheets``,
which git ignores. With ``--real`` a second sheet shows real images, where the archive lies under ``MEDXAI_DATA``; it is
for your eyes only and must not be published.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from medxai_helpers import load_dataset, runtime
from medxai_helpers.phantoms import PHANTOMS, build_phantom
from medxai_helpers.runtime import log
from tools.project import BUILD

FOLDER = BUILD / "contact_sheets"
COLUMNS, GAP_PX, LABEL_PX = 8, 4, 18
MANY_LABEL_ROWS = 4
LESION_RGB = (255, 210, 0)
Image = NDArray[np.uint8]


def in_colour(image: Image, size: int) -> Image:
    """Bring an image to RGB and to a square of ``size`` pixels."""
    rgb = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image
    return np.asarray(cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def outlined(image: Image, mask: NDArray[np.bool_]) -> Image:
    """Draw the border of a mask into an RGB image."""
    contours = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    return np.asarray(cv2.drawContours(image.copy(), contours, -1, LESION_RGB, 1), np.uint8)


def strip(images: list[Image], label: str) -> Image:
    """Put images side by side under a line of text."""
    size = images[0].shape[0]
    page = np.full((LABEL_PX + size + GAP_PX, COLUMNS * (size + GAP_PX), 3), 255, np.uint8)
    cv2.putText(page, label, (2, LABEL_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    for column, image in enumerate(images):
        left = column * (size + GAP_PX)
        page[LABEL_PX : LABEL_PX + size, left : left + size] = image
    return page


def phantom_strips(name: str, size: int) -> list[Image]:
    """Rows of a phantom: for each class its pictures, and the same with the lesions outlined."""
    phantom = PHANTOMS[name]
    per_class = COLUMNS * phantom.frames
    made = build_phantom(name, per_class=per_class, size=size, cache=runtime.current().cache)
    strips = []
    for label, rows in line_rows(name, made.table["label"].to_numpy(), made.table["frame"].to_numpy()).items():
        pictures = [in_colour(made.images[row], size) for row in rows]
        strips.append(strip(pictures, f"{name}: {label}"))
        if made.masks is not None and made.masks[rows].any():
            marked = [outlined(picture, made.masks[row]) for picture, row in zip(pictures, rows, strict=True)]
            strips.append(strip(marked, "   lesions: " + ", ".join(made.table["label"][rows]) * (label == "any")))
    return strips


def line_rows(name: str, labels: NDArray[np.object_], frames: NDArray[np.int64]) -> dict[str, list[int]]:
    """Rows of each line of a sheet: one class, or in a many-label phantom simply the next patients."""
    first = np.flatnonzero(frames == 0)
    if PHANTOMS[name].task == "multi-label":
        return {"any" + " " * line: list(first[line * COLUMNS :][:COLUMNS]) for line in range(MANY_LABEL_ROWS)}
    return {label: list(first[labels[first] == label][:COLUMNS]) for label in PHANTOMS[name].classes}


def real_strips(name: str, size: int) -> list[Image]:
    """Rows of real images, spread over each class."""
    cohort = load_dataset(name, source="real", on_error="raise")
    strips = []
    for label in cohort.classes:
        rows = cohort.table.index[cohort.table["label"] == label]
        places = [round(place) for place in np.linspace(0, len(rows) - 1, COLUMNS)] if len(rows) else []
        pictures = [in_colour(cohort.image(int(rows[place])), size) for place in places]
        strips += [strip(pictures, f"REAL, do not publish: {label}")] if pictures else []
    return strips


def draw(name: str, strips_of: Callable[[str, int], list[Image]], size: int, suffix: str) -> Path:
    """Write one sheet and return its path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}{suffix}.png"
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(strips_of(name, size)), cv2.COLOR_RGB2BGR))
    log.info("%s", path)
    return path


def main() -> None:
    """Draw the sheets that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(PHANTOMS))
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--size", type=int, default=128)
    wanted = parser.parse_args()
    for name in wanted.names:
        draw(name, phantom_strips, wanted.size, "")
        if wanted.real:
            draw(name, real_strips, wanted.size, "-real")


if __name__ == "__main__":
    main()
