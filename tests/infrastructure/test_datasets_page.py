from medxai_helpers.datasets import CATALOGUE
from medxai_helpers.phantoms import PHANTOMS
from tools.pages import datasets


def test_every_card_has_its_section():
    page = datasets()
    for card in CATALOGUE.values():
        assert f"## {card.title}" in page
        assert f"`{card.name}`" in page


def test_every_phantom_stands_for_a_card():
    assert set(PHANTOMS) <= set(CATALOGUE)
    without = set(CATALOGUE) - set(PHANTOMS)
    assert all(name.startswith("medmnist-") for name in without)
