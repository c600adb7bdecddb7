"""Which findings a patient of the many-label chest phantom has, and which germ a child with pneumonia."""

from __future__ import annotations

import numpy as np

CHESTXRAY14_FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
)
"""Eleven of the fourteen official findings, in the official order. Left out: Pneumonia (on a film it is consolidation
or infiltration; the label needs the clinic), Pleural_Thickening (thinner than a pixel here), Hernia
(not in the lung)."""

OFFICIAL_COUNTS = (11_559, 2_776, 13_317, 19_894, 5_782, 6_331, 5_302, 4_667, 2_303, 2_516, 1_686)
"""Images with each finding among the 112,120 of ChestX-ray14 (Wang et al., CVPR 2017, and the released table)."""
FINDINGS_ODDS = (0.22, 0.28, 0.28, 0.22)
"""Odds of 0, 1, 2 and 3 findings; the real set has none in 54 % of its images."""
COMPANIONS = frozenset(
    frozenset(pair)
    for pair in (
        ("Effusion", "Atelectasis"),
        ("Cardiomegaly", "Effusion"),
        ("Edema", "Effusion"),
        ("Edema", "Cardiomegaly"),
        ("Emphysema", "Pneumothorax"),
    )
)
"""Findings that come together: fluid presses on the lung, a failing heart leaks, a bulla bursts."""
COMPANION_FACTOR = 3.0
APART = frozenset({"Pneumothorax"})
"""A lung that has left its place cannot be drawn with lesions planted in that place: alone or with these:"""
APART_BUT_WITH = frozenset({"Cardiomegaly", "Emphysema"})
VIRUS_ODDS = 0.35
"""Share of viral pneumonia among the ill children: 1,493 of 4,273 (Kermany et al., 2018)."""

_FINDINGS, _GERM = 31, 32  # purposes of the random streams


def _factor(candidate: str, present: list[str]) -> float:
    """How much likelier a finding becomes by those already there; 0 where they cannot be drawn together."""
    factor = 1.0
    for other in present:
        pair = frozenset((candidate, other))
        if candidate == other or (pair & APART and not pair & APART_BUT_WITH):
            return 0.0
        factor *= COMPANION_FACTOR if pair in COMPANIONS else 1.0
    return factor


def draw_findings(patient_seed: int) -> str:
    """Return the findings of a patient, joined by ``|`` in the official order; empty for none.

    The odds of a finding follow the square root of its official count, so that the rare ones can be learned from a
    small cohort; findings that come together in patients are three times as likely to do so here.

    Examples
    --------
    >>> sorted({len(draw_findings(seed).split("|")) for seed in range(50)})
    [1, 2, 3]

    Introduced in chapter 13.
    """
    rng = np.random.default_rng([patient_seed, _FINDINGS])
    present: list[str] = []
    base = np.sqrt(OFFICIAL_COUNTS)
    for _ in range(int(rng.choice(len(FINDINGS_ODDS), p=FINDINGS_ODDS))):
        odds = base * [_factor(name, present) for name in CHESTXRAY14_FINDINGS]
        if odds.sum() > 0:
            present.append(str(rng.choice(CHESTXRAY14_FINDINGS, p=odds / odds.sum())))
    return "|".join(name for name in CHESTXRAY14_FINDINGS if name in present)


def draw_germ(patient_seed: int) -> str:
    """Return ``"virus"`` or ``"bacteria"`` for a child with pneumonia. Introduced in chapter 09."""
    return "virus" if np.random.default_rng([patient_seed, _GERM]).random() < VIRUS_ODDS else "bacteria"
