"""What the compiled engine takes and what it leaves to NumPy, known without Numba."""

from dataclasses import replace

import pytest

from mlpcli.extras.coverage import HIDDEN, OUTPUTS, unsupported
from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.losses import CrossEntropy, Huber, SquaredError
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD, Adam, AdamW, RMSprop
from mlpcli.nn.schedules import Constant
from mlpcli.training.engine import Plan

NETWORK = Network((4, 8, 3), "relu", "softmax")
PLAN = Plan(CrossEntropy(), SGD(), Constant(), 32, 5)


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), Adam(), AdamW()])
@pytest.mark.parametrize("activation", HIDDEN)
def test_what_is_on_the_lists_is_supported(activation, optimizer):
    assert unsupported(replace(NETWORK, activation=activation), replace(PLAN, optimizer=optimizer)) == ""


@pytest.mark.parametrize(
    ("network", "plan", "missing"),
    [
        ({"dropout": 0.1}, {}, "dropout"),
        ({"activation": "gelu"}, {}, "the activation gelu"),
        ({}, {"loss": Huber()}, "the loss huber"),
        ({"output_activation": "sigmoid"}, {"loss": SquaredError()}, "squared_error on sigmoid outputs"),
        ({}, {"optimizer": RMSprop()}, "the optimizer rmsprop"),
    ],
)
def test_what_is_missing_is_named(network, plan, missing):
    assert unsupported(replace(NETWORK, **network), replace(PLAN, **plan)) == missing


def test_a_network_without_hidden_layers_may_have_any_hidden_activation():
    assert unsupported(Network((4, 3), "gelu", "softmax"), PLAN) == ""


def test_the_lists_name_parts_that_exist():
    assert set(HIDDEN) <= set(ACTIVATIONS)
    assert set(OUTPUTS) == {"cross_entropy", "binary_cross_entropy", "squared_error"}
