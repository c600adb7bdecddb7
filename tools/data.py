"""Say which real data sets are there, and how to get the others: ``python -m tools.data``."""

from __future__ import annotations

import sys

from medxai_helpers.cohorts import DatasetCard
from medxai_helpers.datasets import CATALOGUE, archives
from medxai_helpers.runtime import current


def describe(card: DatasetCard) -> str:
    """Return a few lines on one data set: where it lies, or what to do."""
    root = current().data_root
    place = archives.find(card, root) if root else None
    status = f"found: {place}" if place else f"not here. {card.how_to_get} Archive: {card.archive}"
    return f"{card.title}\n  {status}\n  Licence: {card.licence}\n  Home: {card.home}\n"


def main() -> int:
    """Print the state of every data set in the catalogue."""
    root = current().data_root
    print(f"MEDXAI_DATA: {root or 'not set; the chapters use the embedded default'}\n")
    for card in CATALOGUE.values():
        print(describe(card))
    return 0


if __name__ == "__main__":
    sys.exit(main())
