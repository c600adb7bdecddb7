"""A ``.npy`` file that threads fill row by row with ordinary writes.

Writing through a memory map would be shorter, but a disk that fills up under a map kills the process without a word.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ArrayFile:
    """An array on disk that is written in any order, a few rows at a time. Introduced in chapter 04.

    Parameters
    ----------
    path : Path
        The file; it is made anew.
    dtype : type
        Of the array.
    shape : tuple of int
        Of the array; the first axis counts the rows.
    """

    def __init__(self, path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.row_bytes = int(np.prod(shape[1:])) * self.dtype.itemsize
        self._lock = threading.Lock()
        self._file = path.open("wb")
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._start = self._file.tell()

    @property
    def bytes(self) -> int:
        """Bytes of the whole array."""
        return self.row_bytes * self.shape[0]

    def put(self, first: int, rows: Sequence[NDArray[Any]]) -> None:
        """Write rows from number ``first`` on."""
        block = np.stack(rows).astype(self.dtype, copy=False)
        with self._lock:
            self._file.seek(self._start + first * self.row_bytes)
            self._file.write(block.data)

    def close(self) -> None:
        """Close the file; what was not written yet is lost."""
        self._file.close()

    def finish(self) -> None:
        """Wait until the disk has everything, and close."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
