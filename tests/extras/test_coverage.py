"""What the loop over whole epochs takes and what it leaves to the passes, known without Numba."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from mlpcli.extras.coverage import HIDDEN, MOMENTS, OPTIMIZERS, OUTPUTS, runs_whole_epochs
from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.averaging import ExponentialAverage
from mlpcli.nn.losses import CrossEntropy, Huber, SquaredError
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD, Optimizer
from mlpcli.nn.rates import Rates
from mlpcli.nn.schedules import Constant
from mlpcli.training.engine import Plan

NETWORK = Network((4, 8, 3), "relu", "softmax")
PLAN = Plan(CrossEntropy(), SGD(), Constant(), 32, 5)


@pytest.mark.parametrize("optimizer", get_args(Optimizer))
@pytest.mark.parametrize("activation", HIDDEN)
def test_plain_networks_run_in_the_loop(activation, optimizer):
    assert runs_whole_epochs(replace(NETWORK, activation=activation), replace(PLAN, optimizer=optimizer()))


@pytest.mark.parametrize(
    ("network", "plan"),
    [
        ({"dropout": 0.1}, {}),
        ({"members": 2}, {}),
        ({"is_normalized": True}, {}),
        ({}, {"rates": Rates(biases=0.5)}),
        ({}, {"averaging": ExponentialAverage()}),
        ({}, {"loss": Huber()}),
        ({"output_activation": "sigmoid"}, {"loss": SquaredError()}),
    ],
)
def test_what_is_special_is_left_to_the_passes(network, plan):
    assert not runs_whole_epochs(replace(NETWORK, **network), replace(PLAN, **plan))


def test_the_lists_have_every_activation_and_optimizer():
    assert set(HIDDEN) == {name for name, activation in ACTIVATIONS.items() if not activation.is_for_outputs_only}
    assert set(OPTIMIZERS) == set(get_args(Optimizer))
    assert set(OUTPUTS) == {"cross_entropy", "binary_cross_entropy", "squared_error"}


@pytest.mark.parametrize("optimizer", get_args(Optimizer))
def test_the_lists_name_the_state_of_every_optimizer(optimizer):
    momentum = {"momentum": 0.5} if hasattr(optimizer(), "momentum") else {}
    assert set(optimizer(**momentum).start(np.zeros(3))) == {"step", *MOMENTS[optimizer().name]}
