"""Models that were trained once."""

import os
from contextlib import suppress

import pytest

from mlpcli.storage.model.model_file import load_model
from tests.export.models import train_model
from tests.export.postgres import SERVER, run_server


class Made(dict):
    """Values by name, each made when it is first asked for."""

    def __init__(self, make):
        super().__init__()
        self._make = make

    def __missing__(self, name):
        self[name] = self._make(name)
        return self[name]


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """weights.npz of every config, by its name: trained by the first process that asks for it, for all of a run."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exported"
    shared.mkdir(exist_ok=True)

    def train(name):
        place = shared / name
        if not place.exists():
            own = tmp_path_factory.mktemp("model")
            train_model(own, name)
            with suppress(OSError):  # another process was quicker
                own.rename(place)
        return place / "run" / "weights.npz"

    return Made(train)


@pytest.fixture(scope="session")
def loaded(models):
    """Every model, by the name of its config."""
    return Made(lambda name: load_model(str(models[name])))


@pytest.fixture(scope="session")
def psql(tmp_path_factory):
    """A function that runs SQL in a PostgreSQL server of this process."""
    if SERVER is None:
        pytest.skip("no PostgreSQL server on this machine")
    yield from run_server(SERVER, tmp_path_factory.mktemp("postgres"))
