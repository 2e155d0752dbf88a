"""A config with a space of every kind of key."""

import json

import pytest

from mlpcli.config.loading import config_from_text

SPACE = {
    "training.optimizer": {"choice": ["sgd", {"name": "adam", "beta2": 0.95}]},
    "training.optimizer.learning_rate": {"log": [1e-4, 0.3]},
    "training.optimizer.momentum": {"uniform": [0.5, 0.95], "when": {"training.optimizer": "sgd"}},
    "model.layers": {"choice": [["auto", 16, "auto"], ["auto", 32, 16, "auto"]]},
    "training.batch_size": {"log_int": [8, 64]},
}


def config(space=None, **sections):
    """A config with that space; its data file does not exist."""
    content = {
        "data": {"train": "nothing.csv", "target": "y"},
        "model": {"layers": ["auto", 16, "auto"]},
        "search": {"space": SPACE if space is None else space},
        **sections,
    }
    return config_from_text(json.dumps(content, indent=1), "c.yaml")


@pytest.fixture
def searched():
    return config()
