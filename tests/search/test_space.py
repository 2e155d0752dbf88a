"""Assigning points of a space to a config, and errors of spaces before the first trial."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.config.loading import without_search
from mlpcli.errors import ConfigError
from mlpcli.search.space import space_of, value_at
from tests.search.conftest import config


class RandomTrial:
    """Draws random values with the interface of a trial."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def suggest_float(self, name, low, high, *, log=False):
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))) if log else self.rng.uniform(low, high))

    def suggest_int(self, name, low, high, *, log=False):
        return int(self.rng.integers(low, high + 1))

    def suggest_categorical(self, name, choices):
        return choices[self.rng.integers(len(choices))]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_a_point_is_assigned_to_the_config(seed):
    loaded = config()
    trial = RandomTrial(seed)
    assigned, values = space_of(loaded).assign(loaded, lambda parameter: parameter.suggest(trial))
    name = assigned.config.training.optimizer.name
    assert value_at(assigned, "training.optimizer.learning_rate") == values["training.optimizer.learning_rate"]
    assert 1e-4 <= values["training.optimizer.learning_rate"] <= 0.3
    assert 8 <= assigned.config.training.batch_size <= 64
    assert list(assigned.config.model.layers) == values["model.layers"]
    # A key with a condition is there where it holds, and nowhere else.
    assert ("training.optimizer.momentum" in values) == (name == "sgd")
    assert values["training.optimizer"] in ("sgd", {"name": "adam", "beta2": 0.95})
    # What is not searched is as it was.
    assert assigned.config.data == loaded.config.data
    assert assigned.config.preprocess == loaded.config.preprocess


def test_keys_are_sorted_after_those_they_depend_on():
    space = {
        "model.dropout": {"uniform": [0, 0.5], "when": {"training.batch_size": [16, 32]}},
        "training.batch_size": {"choice": [16, 32, 64]},
    }
    parameters = space_of(config(space)).parameters
    assert [parameter.key for parameter in parameters] == ["training.batch_size", "model.dropout"]


def test_the_config_as_written_is_a_point_of_the_space():
    point = space_of(config()).as_drawn(config())
    assert point["training.optimizer"] == "sgd"
    assert point["training.optimizer.learning_rate"] == 0.05
    assert point["model.layers"] == "[auto, 16, auto]"
    assert "training.optimizer.momentum" not in point  # 0 is outside


@pytest.mark.parametrize(
    ("key", "domain", "says"),
    [
        ("model.dropuot", {"uniform": [0, 0.5]}, "Did you mean dropout?"),
        ("model.dropout", {"uniform": [0, 1.5]}, "below 1, got 1.5"),
        ("model.dropout", {"uniform": [0.5, 0]}, "the lower bound first: [0, 0.5]"),
        ("model.dropout", {}, "Write one of uniform, log_uniform, int, log_int, choice"),
        ("model.dropout", {"uniform": [0, 0.5], "log": [0.1, 0.5]}, "uniform and log cannot be combined"),
        ("model.dropout", {"uniform": [0.5, 0.5]}, "two different bounds, got 0.5 twice"),
        ("training.epochs", {"log_int": [0, 9]}, "greater than 0"),
        ("training.optimizer", {"choice": ["sgd", "adm"]}, "Did you mean adam?"),
        ("training.optimizer", {"choice": ["sgd"]}, "at least two different values"),
        ("training.optimizer.beta2", {"uniform": [0.9, 0.99]}, "sgd has"),
        ("data.validation", {"choice": [0.1, 0.2]}, "must be the same for all trials"),
        ("training", {"choice": [{}, {"epochs": 3}]}, "must be the same for all trials"),
        ("model.dropout", {"uniform": [0, 0.5], "when": {"training.optimizer": "adam"}}, "never holds"),
    ],
)
def test_a_key_that_cannot_be_searched_is_an_error_with_its_line(key, domain, says):
    loaded = config({key: domain})
    with pytest.raises(ConfigError) as refused:
        space_of(loaded)
    assert says in str(refused.value)
    assert str(refused.value).startswith("c.yaml:")


def test_a_config_without_a_space_is_an_error_with_an_example():
    with pytest.raises(ConfigError, match=r"space: \{model.dropout"):
        space_of(config({}))


def test_circular_conditions_are_an_error():
    space = {
        "model.dropout": {"uniform": [0, 0.5], "when": {"model.layer_norm": True}},
        "model.layer_norm": {"choice": [True, False], "when": {"model.dropout": 0.1}},
    }
    with pytest.raises(ConfigError, match="depends on itself"):
        space_of(config(space))


def test_a_config_without_its_search_is_that_of_a_training():
    loaded = config()
    plain = without_search(loaded)
    assert plain.config.search is None
    assert plain.config.model == loaded.config.model
    assert not any(key.startswith("search") for key in plain.origins)
    with pytest.raises(ConfigError, match="no key to search"):
        space_of(plain)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_log_is_an_alias_of_log_uniform(seed):
    drawn = []
    for word in ("log", "log_uniform"):
        (parameter,) = space_of(config({"training.optimizer.learning_rate": {word: [1e-4, 0.1]}})).parameters
        drawn.append(parameter.suggest(RandomTrial(seed)))
    assert drawn[0] == drawn[1]
