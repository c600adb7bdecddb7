import pytest

from tests.explanation.small_networks import TinyViT, built, small_cnn


@pytest.fixture
def cnn():
    return built(small_cnn)


@pytest.fixture
def vit():
    return built(TinyViT)
