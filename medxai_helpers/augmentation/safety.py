"""Which change keeps the label in which kind of picture: one table, for people to read and for code to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from medxai_helpers.augmentation.policy import AugmentationPolicy

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["yes", "with care", "no"]


class Verdict(NamedTuple):
    """Whether a change keeps the label, and why. Introduced in chapter 04."""

    safe: Kind
    why: str


MODALITIES = {
    "chest radiograph": ("covid19-radiography", "chest-xray-pneumonia", "chestxray14"),
    "endoscopy": ("kvasir-v2", "kvasir-seg"),
    "dermoscopy": ("ham10000",),
    "brain MRI, axial": ("brain-tumor-mri", "brats"),
    "CT nodule patch": ("lidc-idri",),
    "scans of mixed kinds": ("medical-mnist",),
}
"""The kinds of picture in this book, with the names of their data sets."""

FIELDS: dict[str, tuple[str, ...]] = {
    "horizontal flip": ("horizontal_flip",),
    "vertical flip": ("vertical_flip",),
    "rotation": ("rotation",),
    "zoom, shift": ("zoom", "translation"),
    "elastic": ("elastic",),
    "brightness, contrast": ("brightness", "contrast"),
    "colour": ("saturation", "tint"),
}
"""Which settings of a policy belong to which row of the table."""

_GREY = Verdict("yes", "a grey picture has no colour to change")
SAFETY: dict[str, dict[str, Verdict]] = {
    "chest radiograph": {
        "horizontal flip": Verdict("with care", "puts the heart on the right; wrong where a label has a side"),
        "vertical flip": Verdict("no", "nobody is filmed upside down: the network learns to expect what never comes"),
        "rotation": Verdict("yes", "up to about 10 degrees, as patients stand"),
        "zoom, shift": Verdict("with care", "may push the edges of the lungs, and a finding there, out of the picture"),
        "elastic": Verdict("with care", "can change the width of the heart, which is itself a sign"),
        "brightness, contrast": Verdict("yes", "exposure differs between machines; keep faint opacities visible"),
        "colour": _GREY,
    },
    "endoscopy": {
        "horizontal flip": Verdict("yes", "the scope turns freely in its tube"),
        "vertical flip": Verdict("yes", "the scope turns freely in its tube"),
        "rotation": Verdict("yes", "any angle inside a round view; corners of a square one are invented"),
        "zoom, shift": Verdict("with care", "a small polyp at the edge may leave the picture"),
        "elastic": Verdict("with care", "shape and folds tell polyps and landmarks"),
        "brightness, contrast": Verdict("yes", "light falls off with distance; avoid burnt-out highlights"),
        "colour": Verdict("with care", "redness tells inflammation, blue tells dye"),
    },
    "dermoscopy": {
        "horizontal flip": Verdict("yes", "skin has no fixed orientation"),
        "vertical flip": Verdict("yes", "skin has no fixed orientation"),
        "rotation": Verdict("yes", "any angle"),
        "zoom, shift": Verdict("with care", "size and border of a lesion count in its diagnosis"),
        "elastic": Verdict("no", "asymmetry and border are what the diagnosis rests on"),
        "brightness, contrast": Verdict("yes", "lamps differ"),
        "colour": Verdict("with care", "the number of colours is a criterion; light jitter imitates lamps"),
    },
    "brain MRI, axial": {
        "horizontal flip": Verdict("with care", "nearly symmetric; wrong where a label has a side"),
        "vertical flip": Verdict("no", "puts the face at the back of the head"),
        "rotation": Verdict("yes", "up to about 15 degrees, as heads lie"),
        "zoom, shift": Verdict("yes", "heads and fields of view differ; keep the skull inside"),
        "elastic": Verdict("with care", "a tumour is recognised by how it displaces tissue"),
        "brightness, contrast": Verdict("with care", "units are arbitrary; which tissue is brighter is not"),
        "colour": _GREY,
    },
    "CT nodule patch": {
        "horizontal flip": Verdict("yes", "a patch has lost its place in the body"),
        "vertical flip": Verdict("yes", "a patch has lost its place in the body"),
        "rotation": Verdict("yes", "any angle"),
        "zoom, shift": Verdict("with care", "diameter is the first criterion of malignancy"),
        "elastic": Verdict("no", "spicules and a smooth border are what readers rate"),
        "brightness, contrast": Verdict("no", "Hounsfield units are a measurement: they tell calcium from soft tissue"),
        "colour": _GREY,
    },
    "scans of mixed kinds": {
        "horizontal flip": Verdict("yes", "a mirrored hand is still a hand"),
        "vertical flip": Verdict("yes", "the label survives, though no archive holds such pictures"),
        "rotation": Verdict("yes", "a turned hand is still a hand"),
        "zoom, shift": Verdict("yes", "within what still shows the organ"),
        "elastic": Verdict("yes", "within what still shows the organ"),
        "brightness, contrast": Verdict("yes", "within what still shows the organ"),
        "colour": _GREY,
    },
}
"""Modality, change, verdict. Ours, from anatomy and from how the pictures are made; a task of your own may differ."""


def safety_table() -> pd.DataFrame:
    """Return the whole table: one row per modality and change, with verdict and reason. Introduced in chapter 04."""
    import pandas as pd

    rows = [(modality, change, *verdict) for modality, part in SAFETY.items() for change, verdict in part.items()]
    return pd.DataFrame(rows, columns=["modality", "change", "safe", "why"])


def doubts(policy: AugmentationPolicy, modality: str) -> dict[str, Verdict]:
    """Return those changes of a policy that are not plainly safe for a modality. Introduced in chapter 04.

    Parameters
    ----------
    policy : AugmentationPolicy
        What may be drawn.
    modality : str
        A key of ``MODALITIES``, or the name of a data set.

    Raises
    ------
    ValueError
        If the modality is unknown.

    Examples
    --------
    >>> from medxai_helpers.augmentation import SANDOVAL2024
    >>> {change: verdict.safe for change, verdict in doubts(SANDOVAL2024, "brain MRI, axial").items()}
    {'horizontal flip': 'with care', 'vertical flip': 'no'}
    """
    kind = next((key for key, sets in MODALITIES.items() if modality in (key, *sets)), None)
    if kind is None:
        raise ValueError(f"Expected a modality among {tuple(MODALITIES)}, or a data set, but got {modality!r}.")
    used = {change for change, names in FIELDS.items() if any(getattr(policy, name) for name in names)}
    return {change: verdict for change, verdict in SAFETY[kind].items() if change in used and verdict.safe != "yes"}
