"""What the tests of commands share: a folder to work in, and models that were trained once."""

import gc
import os
import re
import signal
import sys
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

from mlpcli.cli.main import GARBAGE_THRESHOLD
from tests.program import DATA, train

# How long an example takes is the machine's affair: a busy one must not fail a test. A run judges the code and not its
# luck, so examples are the same each time; `pytest -m hypothesis --hypothesis-profile=explore` draws many others.
settings.register_profile("mlpcli", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("mlpcli")


# Processes that share the tests are told the width of a terminal that they do not have.
os.environ.pop("COLUMNS", None)

# A process that a script starts in the background ignores SIGINT, and so would all that it starts; one with a handler
# starts others that do not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests, and the programs that they start, are compiled once, whatever the environment says: otherwise each of hundreds
# of processes compiles the whole package again, a third of the time of a small training.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What a test writes need not outlive a power cut, and waiting for the disk is a large part of a small training.
os.fsync = os.fstat  # type: ignore[assignment]

# As the program does for itself: what the tests import stays, and searching it for garbage is a seventh of their time.
gc.set_threshold(GARBAGE_THRESHOLD)


NUMBERS = count()  # of temporary folders

# Files that take longest.
LONGEST = (
    "test_agreement.py", "test_browser.py", "test_c.py", "test_ci.py", "test_cv.py", "test_distribution.py",
    "test_docs.py", "test_estimators.py", "test_init.py", "test_laws.py", "test_regions.py", "test_report.py",
    "test_screens.py", "test_search.py", "test_site.py", "test_soak.py", "test_train.py", "test_widths.py",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Keep the order of files: pytest-xdist would begin with those of most tests, and end with the longest."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that at the end no process waits for another."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer's terminal can do out of the tests."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder: pytest would search those of all earlier tests for a number that is free."""
    path = tmp_path_factory.getbasetemp() / f"{re.sub(r'[^0-9A-Za-z_]', '_', request.node.name)[:30]}{next(NUMBERS)}"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """weights.npz of the textbook network on the iris flowers: 4 -> 8 -> 3."""
    model = {"layers": [4, 8, 3], "activation": "sigmoid"}
    training = {"epochs": 20, "optimizer": {"name": "sgd", "learning_rate": 0.5}, "batch_size": 10}
    data = {"train": str(DATA / "iris.csv"), "target": "species"}
    return train(tmp_path_factory.mktemp("iris"), data, training, model=model)


@pytest.fixture(scope="session")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """weights.npz on the penguins: text columns and missing cells."""
    data = {"train": str(DATA / "penguins.csv"), "target": "species", "drop": ["year"]}
    return train(tmp_path_factory.mktemp("penguins"), data, {"epochs": 10, "optimizer": "adam"})


@pytest.fixture(scope="session")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """weights.npz of a regression."""
    data = {"train": str(DATA / "diabetes.csv"), "target": "progression"}
    return train(tmp_path_factory.mktemp("diabetes"), data, {"epochs": 5})
