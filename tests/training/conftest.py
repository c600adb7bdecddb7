import pytest

from tests.training.training_kit import parts_of, tiny_store


@pytest.fixture(scope="session")
def data():
    return tiny_store()


@pytest.fixture(scope="session")
def parts():
    return parts_of()
