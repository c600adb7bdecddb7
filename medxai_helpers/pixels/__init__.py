"""The pixel store: every image decoded and prepared once, then read from one memory-mapped array.

Opening a finished store and reading batches from it needs NumPy alone; streaming to a device needs torch.
"""

from medxai_helpers.pixels.build import build_store, store_key
from medxai_helpers.pixels.store import PixelStore
from medxai_helpers.pixels.streaming import stream

__all__ = ["PixelStore", "build_store", "store_key", "stream"]
