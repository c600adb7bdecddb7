"""The official tables of ChestX-ray14, which an installable package carries: labels and boxes without the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medxai_helpers.datasets.readers.tables import BOXES, ENTRIES, chest_boxes, chest_table
from medxai_helpers.files import packaged_file

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = "torchxrayvision"


def chestxray14_labels() -> pd.DataFrame:
    """Return the official label table of ChestX-ray14: 112,120 rows, one an image. Introduced in chapter 01.

    Columns: ``image_id``; ``label``, findings joined by ``|``, empty for none; ``group``, the patient; ``age`` in
    years, ``sex``, ``view`` ("PA" or "AP") and ``follow_up``, the number of the visit.

    Raises
    ------
    ImportError
        If the package torchxrayvision, which ships the table, is missing. It is read, not imported.

    Examples
    --------
    >>> chestxray14_labels()["group"].nunique()
    30805

    Source: Wang et al., CVPR 2017; ``Data_Entry_2017_v2020.csv`` as packaged in torchxrayvision.
    """
    import pandas as pd

    path = packaged_file(PACKAGE, f"data/{ENTRIES[0]}.gz")
    listed = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    return chest_table(listed).assign(follow_up=listed["Follow-up #"].astype(int))


def chestxray14_boxes() -> pd.DataFrame:
    """Return the 984 official boxes of ChestX-ray14, in pixels of the 1024 x 1024 images. Introduced in chapter 01.

    Columns: ``image_id``, ``label``, ``x``, ``y``, ``width``, ``height``.

    Raises
    ------
    ImportError
        If the package torchxrayvision, which ships the list, is missing. It is read, not imported.

    Examples
    --------
    >>> len(chestxray14_boxes())
    984

    Source: Wang et al., CVPR 2017; ``BBox_List_2017.csv`` as packaged in torchxrayvision.
    """
    return chest_boxes(packaged_file(PACKAGE, f"data/{BOXES}.gz"))
