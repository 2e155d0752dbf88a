"""Models that were trained once."""

import pytest

from mlpcli.storage.model_file import load_model
from tests.export.models import train_each


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """weights.npz of every config, by its name."""
    return dict(train_each(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="session")
def loaded(models):
    """Every model, by the name of its config."""
    return {name: load_model(str(path)) for name, path in models.items()}
