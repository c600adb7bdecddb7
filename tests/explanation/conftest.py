import pytest

from tests.explanation.small_networks import TinyViT, built, small_cnn, squares, taught


@pytest.fixture
def cnn():
    return built(small_cnn)


@pytest.fixture
def vit():
    return built(TinyViT)


@pytest.fixture(scope="session")
def seen():
    """Images with a square that the network was not taught on: images, twins, masks."""
    images, twins, masks, classes = squares(80, seed=5)
    ill = classes == 1
    return images[ill], twins[ill], masks[ill]


@pytest.fixture(scope="session")
def teacher():
    return taught()
