"""CLAHE of the package against OpenCV called by hand: equal bytes, and what the checks cost.

Run with ``make bench``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from benchmarks._report import publish
from medxai_helpers.preprocessing import clahe
from medxai_helpers.preprocessing.images import Image

ROUNDS = 60


def by_hand(image: Image, clip: float = 2.0, tiles: int = 8) -> Image:
    """What a script would write."""
    equaliser = cv2.createCLAHE(clip, (tiles, tiles))
    if image.ndim == 2:
        return equaliser.apply(image)
    lightness, green_red, blue_yellow = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
    return cv2.cvtColor(cv2.merge([equaliser.apply(lightness), green_red, blue_yellow]), cv2.COLOR_LAB2RGB)


def pictures(size: int, colour: bool, count: int = 40) -> list[Image]:
    """Smooth random pictures with fine noise."""
    rng, shape = np.random.default_rng(0), (size, size, 3) if colour else (size, size)
    smooth = [cv2.GaussianBlur(rng.normal(128, 60, shape).astype(np.float32), (0, 0), 3) for _ in range(count)]
    return [np.clip(8 * (image - 128) + 128 + rng.normal(0, 5, shape), 0, 255).astype(np.uint8) for image in smooth]


def side_by_side(
    ours: Callable[[Image], Image], theirs: Callable[[Image], Image], images: list[Image]
) -> dict[str, float]:
    """Milliseconds an image, best of many rounds that take turns."""
    best = {"ours": np.inf, "theirs": np.inf}
    for _ in range(ROUNDS):
        for name, function in (("ours", ours), ("theirs", theirs)):
            started = time.perf_counter()
            for image in images:
                function(image)
            best[name] = min(best[name], time.perf_counter() - started)
    return {name: 1000 * value / len(images) for name, value in best.items()}


def main() -> None:
    """Measure and publish."""
    cv2.setNumThreads(1)
    rows = []
    for size, colour in ((64, False), (224, False), (224, True)):
        images = pictures(size, colour)
        assert all(np.array_equal(clahe(image), by_hand(image)) for image in images)
        took = side_by_side(clahe, by_hand, images)
        rows.append(
            {
                "image": f"{size} px, {'RGB' if colour else 'grey'}",
                "OpenCV by hand (ms)": round(took["theirs"], 4),
                "ours (ms)": round(took["ours"], 4),
                "ours / by hand": round(took["ours"] / took["theirs"], 3),
                "equal bytes": f"{len(images)} of {len(images)}",
            }
        )
    facts = {"opencv": cv2.__version__, "threads": 1, "goal": "1.05 or less"}
    publish("clahe", rows, title="CLAHE against OpenCV called by hand", **facts)


if __name__ == "__main__":
    main()
