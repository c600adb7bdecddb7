"""Reader of Kvasir-SEG: polyps with segmentation masks and boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.cohorts.cohort import BOX_COLUMNS, Cohort, FilePixels
from medxai_helpers.datasets.readers import scanning
from medxai_helpers.datasets.readers.scanning import OnError, Refusals

if TYPE_CHECKING:
    import pandas as pd

BOX_FILES = ("kavsir_bboxes.json", "kvasir_bboxes.json")
"""The archive spells it "kavsir"."""


def read_kvasir_seg(folder: Path, card: DatasetCard, *, on_error: OnError = "raise") -> Cohort:
    """Read ``images/NAME.jpg``, ``masks/NAME.jpg`` and, if there, ``kavsir_bboxes.json``. Introduced in chapter 20.

    Raises
    ------
    ValueError
        If there is no ``images`` folder, a file is no image, or the box file is damaged.

    Source: https://datasets.simula.no/kvasir-seg/: images and masks carry the same name, boxes are
    ``{"NAME": {"height", "width", "bbox": [{"label", "xmin", "ymin", "xmax", "ymax"}]}}``.
    """
    import pandas as pd

    refusals = Refusals(on_error)
    root = scanning.find_layout(folder, lambda place: (place / "images").is_dir(), "the folder 'images'")
    names = scanning.list_images(root / "images", refusals)
    ids = [scanning.stem(name) for name in names]
    columns = {"image_id": ids, "group": ids, "path": [f"images/{name}" for name in names]}
    table = pd.DataFrame(columns, dtype=str).assign(label=card.classes[0])
    table = scanning.drop_duplicates(table, root, refusals)
    table["mask_path"] = scanning.match_masks(table["path"], root / "masks", "masks/", refusals)
    without = int((table["mask_path"] == "").sum())
    boxes = _boxes(root, table, refusals)
    missing = [f"masks of {without:,} images"] if without else []
    return scanning.finish(
        card,
        table,
        scanning.files(root, table, card),
        refusals,
        folder=root,
        origin="real images with polyp masks",
        masks=FilePixels(root, tuple(table["mask_path"]), 1) if without < len(table) else None,
        boxes=boxes,
        missing=[*missing, *([BOX_FILES[0]] if boxes is None else [])],
    )


def _boxes(root: Path, table: pd.DataFrame, refusals: Refusals) -> pd.DataFrame | None:
    import pandas as pd

    path = next((root / name for name in BOX_FILES if (root / name).is_file()), None)
    if path is None:
        return None
    try:
        rows = [
            row for name, facts in json.loads(path.read_text(encoding="utf-8")).items() for row in _rows(name, facts)
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        refusals.refuse(path, f"is damaged ({error!r})", expected="a JSON file of boxes")
        return None
    boxes = pd.DataFrame(rows, columns=list(BOX_COLUMNS))
    return boxes[boxes["image_id"].isin(table["image_id"])].reset_index(drop=True)


def _rows(name: str, facts: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (name, box["label"], box["xmin"], box["ymin"], box["xmax"] - box["xmin"], box["ymax"] - box["ymin"])
        for box in facts["bbox"]
    ]
