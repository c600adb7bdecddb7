"""The catalogue: facts that must hold together."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from types import ModuleType

import pytest

from medxai_helpers.cohorts import DatasetCard
from medxai_helpers.datasets import CATALOGUE
from medxai_helpers.datasets.medmnist_facts import FACTS, SOURCE

PAPER_ORDER = {
    "kvasir-v2": "dyed-lifted-polyps dyed-resection-margins esophagitis normal-cecum normal-pylorus normal-z-line "
    "polyps ulcerative-colitis",
    "medical-mnist": "AbdomenCT BreastMRI CXR ChestCT Hand HeadCT",
}


@pytest.fixture(params=CATALOGUE)
def card(request: pytest.FixtureRequest) -> DatasetCard:
    return CATALOGUE[request.param]


def test_counts_belong_to_classes_and_add_up(card: DatasetCard) -> None:
    assert set(card.counts) <= set(card.classes)
    assert len(set(card.classes)) == len(card.classes)
    if card.counts:
        assert set(card.counts) == set(card.classes)
        assert (sum(card.counts.values()) == card.images) == (card.task == "multi-class")


def test_every_card_says_how_to_get_it_and_under_which_terms(card: DatasetCard) -> None:
    for text in (card.title, card.modality, card.licence, card.how_to_get, card.notes):
        assert len(text) > 4
    assert card.home.startswith("https://")
    assert "http" in card.how_to_get or "home page" in card.how_to_get
    assert re.fullmatch(r"[a-z]+\d{4}", card.citation)
    assert re.fullmatch(r"[a-z0-9-]+", card.name)
    assert card.channels in (1, 3)
    assert set(card.annotations) <= {"masks", "boxes", "official split"}


def test_checksums_and_addresses_look_like_ones(card: DatasetCard) -> None:
    assert card.sha256 is None or re.fullmatch("[0-9a-f]{64}", card.sha256)
    assert card.md5 is None or re.fullmatch("[0-9a-f]{32}", card.md5)
    assert card.url is None or (card.url.startswith("https://") and card.url.endswith(card.archive))


def test_cards_survive_json(card: DatasetCard) -> None:
    import json

    assert DatasetCard.from_dict(json.loads(json.dumps(card.as_dict()))) == card
    with pytest.raises(ValueError, match="Expected a card"):
        DatasetCard.from_dict({"name": "x"})


@pytest.mark.parametrize("name", PAPER_ORDER)
def test_classes_stand_in_the_order_of_the_paper(name: str) -> None:
    assert " ".join(CATALOGUE[name].classes) == PAPER_ORDER[name]


def test_names_and_places_are_unique() -> None:
    assert all(name == card.name for name, card in CATALOGUE.items())
    places = [place for card in CATALOGUE.values() for place in {card.archive, *card.aliases} if place != "medmnist"]
    assert len(places) == len(set(places))


def _medmnist_info() -> ModuleType | None:
    """Load ``medmnist/info.py`` alone: importing the package needs torch and makes a folder at home."""
    try:
        files = importlib.metadata.files("medmnist") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    path = next(file.locate() for file in files if file.name == "info.py")
    spec = importlib.util.spec_from_file_location("medmnist_info", str(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_medmnist_facts_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # the module makes a folder there
    module = _medmnist_info()
    if module is None:
        pytest.skip("medmnist is not installed")
    flat = {name: info for name, info in module.INFO.items() if not name.endswith("3d")}
    assert list(flat) == list(FACTS)
    for name, info in flat.items():
        facts = FACTS[name]
        assert facts.classes == tuple(info["label"].values())
        assert facts.images == tuple(info["n_samples"].values())
        assert (facts.channels, facts.licence) == (info["n_channels"], info["license"])
        assert facts.multi_label == ("multi-label" in info["task"])
        for size, md5 in facts.md5.items():
            suffix = "" if size == 28 else f"_{size}"
            assert md5 == info[f"MD5{suffix}"]
            assert info[f"url{suffix}"].startswith(f"{SOURCE}{name}{suffix}.npz")
