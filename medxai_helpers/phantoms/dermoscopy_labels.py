"""How frequent the seven classes of HAM10000 are, and how frequent they are made in a phantom cohort."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

HAM10000_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
COUNTS: Mapping[str, int] = MappingProxyType(
    {"akiec": 327, "bcc": 514, "bkl": 1_099, "df": 115, "mel": 1_113, "nv": 6_705, "vasc": 142}
)
"""Images of each class in HAM10000 (10,015 in all)."""
PREVALENCE: Mapping[str, float] = MappingProxyType({label: n / sum(COUNTS.values()) for label, n in COUNTS.items()})
"""Share of each class in HAM10000."""
SMALLEST_SHARE = 0.05


def softened(prevalence: Mapping[str, float], smallest: float = SMALLEST_SHARE) -> dict[str, float]:
    """Raise rare classes to the smallest share and scale the others down to make room.

    A cohort of 600 images with the true shares would hold seven dermatofibromas, too few to learn from and to be judged
    on.

    Parameters
    ----------
    prevalence : mapping of class name to share
        Summing to 1.
    smallest : float
        At most 1 / number of classes.

    Raises
    ------
    ValueError
        If the smallest share is too large to be given to every class.

    Examples
    --------
    >>> softened({"a": 0.9, "b": 0.09, "c": 0.01}, smallest=0.1)
    {'a': 0.8, 'b': 0.1, 'c': 0.1}

    Introduced in chapter 10.
    """
    if not 0 <= smallest * len(prevalence) <= 1:
        raise ValueError(
            f"Expected smallest to be 0 to 1 / {len(prevalence)}, but got {smallest}. Choose a smaller one."
        )
    rare = {label for label, share in prevalence.items() if share < smallest}
    while True:
        room = (1 - smallest * len(rare)) / sum(share for label, share in prevalence.items() if label not in rare)
        scaled = {label: share * room for label, share in prevalence.items() if label not in rare}
        sunk = {label for label, share in scaled.items() if share < smallest - 1e-12}
        if not sunk:
            return {label: round(scaled.get(label, smallest), 12) for label in prevalence}
        rare |= sunk
