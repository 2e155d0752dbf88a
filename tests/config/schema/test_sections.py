from typing import get_args

import pytest

from mlpcli.config.schema.network import HiddenActivation, OutputActivation
from mlpcli.nn.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS
from mlpcli.nn.initializers import BY_FAN_NAMES, InitializerName
from mlpcli.nn.losses import Loss
from mlpcli.workflows.preparing.resolution import DEFAULT_LOSSES, TASK_LOSSES


def test_every_activation_can_be_chosen_where_it_belongs():
    hidden = {name for name, activation in ACTIVATIONS.items() if not activation.is_for_outputs_only}
    assert set(get_args(HiddenActivation)) == hidden
    assert set(get_args(OutputActivation)) == {"auto", *OUTPUT_ACTIVATIONS}


def test_every_initializer_can_be_chosen():
    assert set(get_args(InitializerName)) == {"auto", *BY_FAN_NAMES}


def test_what_auto_chooses_exists():
    assert {activation.initializer for activation in ACTIVATIONS.values()} <= set(BY_FAN_NAMES)
    assert {loss.canonical_activation for loss in get_args(Loss)} <= set(OUTPUT_ACTIVATIONS)


@pytest.mark.parametrize("loss", get_args(Loss), ids=lambda loss: loss.name)
def test_every_loss_goes_with_a_task(loss):
    assert any(loss.name in names for names in TASK_LOSSES.values())


def test_the_default_loss_of_a_task_goes_with_it():
    assert all(loss.name in TASK_LOSSES[task] for task, loss in DEFAULT_LOSSES.items())
