"""Backpropagation against central differences of the cost, in double precision: every pairing a user can write."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.initialization import initialize
from mlpcli.nn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SquaredError,
)
from mlpcli.nn.network import Dropout, Network, Workspace, backward, forward, mean_loss
from mlpcli.nn.parameters import allocate_parameters, view_parameters

LOSSES = [
    CrossEntropy(),
    BinaryCrossEntropy(),
    SquaredError(),
    AbsoluteError(),
    Huber(delta=0.7),
    Poisson(),
    Quantile(quantile=0.8),
]
HIDDEN = [name for name, activation in ACTIVATIONS.items() if not activation.is_for_outputs_only]
N_ROWS = 5
MAX_ROWS = 8  # the workspace is larger than the batch, as for the last short batch of an epoch


def test_every_loss_is_checked_here():
    assert {loss.name for loss in LOSSES} == {loss.name for loss in get_args(Loss)}


STEP = 1e-6


def draw_targets(loss, n_out, rng):
    if isinstance(loss, CrossEntropy):  # shares that sum to one, as smoothed labels do
        return rng.dirichlet(np.ones(n_out), size=N_ROWS)
    if isinstance(loss, BinaryCrossEntropy):
        return rng.uniform(size=(N_ROWS, n_out))
    if isinstance(loss, Poisson):
        return rng.poisson(2.0, size=(N_ROWS, n_out)).astype(float)
    return rng.normal(size=(N_ROWS, n_out))


def check_gradient(network, loss, is_weighted, dropout_seed=None, seed=0):
    rng = np.random.default_rng(seed)
    parameters = initialize(network, "auto", rng, np.float64)
    parameters.flat[parameters.n_weights :] = rng.normal(scale=0.3, size=parameters.flat.size - parameters.n_weights)
    X, y = rng.normal(size=(N_ROWS, network.sizes[0])), draw_targets(loss, network.sizes[-1], rng)
    weights = rng.uniform(0.2, 2.0, N_ROWS) if is_weighted else None
    workspace = Workspace(network, MAX_ROWS, np.float64)

    def cost(flat):
        dropout = None if dropout_seed is None else Dropout(network.dropout, (np.random.default_rng(dropout_seed),))
        z, a = forward(view_parameters(network, flat), X, workspace, dropout)
        return mean_loss(network, loss, z, a, y, weights)

    cost(parameters.flat)
    gradient = allocate_parameters(network, np.float64)
    backward(parameters, gradient, X, y, loss, workspace, weights, uses_dropout=dropout_seed is not None)

    numeric = np.empty_like(parameters.flat)
    for i, value in enumerate(parameters.flat):
        moved = parameters.flat.copy()
        moved[i] = value + STEP
        above = cost(moved)
        moved[i] = value - STEP
        numeric[i] = (above - cost(moved)) / (2 * STEP)
    size = max(1.0, np.abs(numeric).max())
    np.testing.assert_allclose(gradient.flat / size, numeric / size, rtol=1e-5, atol=3e-8)
    return gradient


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("output_activation", ACTIVATIONS)
def test_every_output_activation_and_loss_have_the_gradient_of_their_cost(output_activation, loss, n_out):
    gradient = check_gradient(Network((3, 4, 3, n_out), "tanh", output_activation), loss, is_weighted=True)
    is_constant = output_activation == "softmax" and n_out == 1
    assert is_constant or np.abs(gradient.flat).max() > 1e-3  # zero would agree with zero


@pytest.mark.parametrize("is_weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("loss", [CrossEntropy(), Huber(delta=0.7)], ids=lambda loss: loss.name)
@pytest.mark.parametrize("activation", HIDDEN)
def test_every_hidden_activation_passes_the_gradient_down(activation, loss, is_weighted):
    gradient = check_gradient(Network((3, 4, 3, 3), activation, loss.partner), loss, is_weighted)
    assert all(np.abs(W).max() > 1e-4 for W in gradient.W)


@pytest.mark.parametrize("activation", HIDDEN)
def test_the_gradient_of_a_step_with_dropout_is_that_of_the_neurons_kept(activation):
    check_gradient(Network((3, 6, 5, 2), activation, "identity", 0.4), SquaredError(), is_weighted=True, dropout_seed=3)


@pytest.mark.parametrize("sizes", [(4, 2), (1, 1), (2, 1, 1), (3, 4, 4, 4, 4, 2)])
def test_any_depth_has_the_gradient_of_its_cost(sizes):
    check_gradient(Network(sizes, "silu", "sigmoid"), SquaredError(), is_weighted=False)


@pytest.mark.parametrize("loss", [CrossEntropy(), BinaryCrossEntropy(), Poisson()], ids=lambda loss: loss.name)
def test_the_fused_delta_of_a_likelihood_equals_the_chain_rule(loss):
    rng = np.random.default_rng(5)
    network = Network((3, 4, 3), "tanh", loss.partner)
    parameters = initialize(network, "auto", rng, np.float64)
    X, y = rng.normal(size=(N_ROWS, 3)), draw_targets(loss, 3, rng)
    workspace, gradient = Workspace(network, N_ROWS, np.float64), allocate_parameters(network, np.float64)
    z, a = forward(parameters, X, workspace)
    backward(parameters, gradient, X, y, loss, workspace)

    delta = np.empty_like(a)
    loss.gradient(a, y, delta)
    ACTIVATIONS[loss.partner].backward(delta, z, a, np.empty_like(a))
    np.testing.assert_allclose(gradient.b[-1], delta.mean(axis=0), rtol=1e-9, atol=1e-14)


def test_a_row_weight_of_two_counts_the_row_twice():
    rng = np.random.default_rng(6)
    network = Network((2, 3, 2), "tanh", "softmax")
    parameters = initialize(network, "auto", rng, np.float64)
    X, y = rng.normal(size=(3, 2)), np.eye(2)[[0, 1, 1]]

    def gradient_of(rows, weights):
        workspace, gradient = Workspace(network, len(rows), np.float64), allocate_parameters(network, np.float64)
        forward(parameters, X[rows], workspace)
        backward(parameters, gradient, X[rows], y[rows], CrossEntropy(), workspace, weights)
        return gradient.flat

    weighted = gradient_of([0, 1, 2], np.array([1.0, 2.0, 1.0]) * 3 / 4)
    np.testing.assert_allclose(weighted, gradient_of([0, 1, 1, 2], None), rtol=1e-12, atol=1e-15)


def test_a_short_batch_in_a_large_workspace_gives_the_gradient_of_a_workspace_of_its_size():
    rng = np.random.default_rng(7)
    network = Network((3, 5, 2), "mish", "sigmoid")
    parameters = initialize(network, "auto", rng, np.float64)
    X, y = rng.normal(size=(20, 3)), rng.uniform(size=(20, 2))
    large = Workspace(network, 20, np.float64)
    by_workspace = []
    for workspace in (large, Workspace(network, 7, np.float64)):
        forward(parameters, X, large)  # what an earlier, longer batch left behind must not matter
        gradient = allocate_parameters(network, np.float64)
        forward(parameters, X[:7], workspace)
        backward(parameters, gradient, X[:7], y[:7], BinaryCrossEntropy(), workspace)
        by_workspace.append(gradient.flat)
    np.testing.assert_array_equal(*by_workspace)


@pytest.mark.parametrize("activation", HIDDEN)
def test_in_single_precision_the_gradient_agrees_with_double(activation):
    rng = np.random.default_rng(8)
    network = Network((4, 6, 5, 3), activation, "softmax")
    X, y = rng.normal(size=(10, 4)), np.eye(3)[rng.integers(3, size=10)]
    start = initialize(network, "auto", rng, np.float64).flat
    flats = {}
    for dtype in (np.float32, np.float64):
        parameters = view_parameters(network, start.astype(dtype))
        workspace, gradient = Workspace(network, 10, dtype), allocate_parameters(network, dtype)
        forward(parameters, X.astype(dtype), workspace)
        backward(parameters, gradient, X.astype(dtype), y.astype(dtype), CrossEntropy(), workspace)
        flats[dtype] = gradient.flat
    np.testing.assert_allclose(flats[np.float32], flats[np.float64], rtol=1e-4, atol=2e-6)


def test_a_step_of_the_textbook_network_is_the_one_worked_by_hand():
    """A 2-2-1 network, sigmoid everywhere, cost 1/2 (a - y)^2, one sample, learning rate 0.5.

    z1 = (0.15*0.05 + 0.20*0.10 + 0.35, 0.25*0.05 + 0.30*0.10 + 0.35) = (0.3775, 0.3925)
    a1 = sigmoid(z1)                                                   = (0.593269992, 0.596884378)
    z2 = 0.40*0.593269992 + 0.45*0.596884378 + 0.60                    = 1.105905967
    a2 = sigmoid(z2)                                                   = 0.751365070
    cost = (0.751365070 - 0.01)^2 / 2                                  = 0.274811083
    delta2 = (a2 - y) a2 (1 - a2) = 0.741365070 * 0.186815602          = 0.138498562
    dW2 = delta2 a1                                                    = (0.082167041, 0.082667628)
    delta1 = delta2 W2 a1 (1 - a1) = (0.055399425 * 0.241300709, 0.062324353 * 0.240613417)
                                                                       = (0.013367920, 0.014996076)
    dW1 = delta1 x^T                          = ((0.000668396, 0.001336792), (0.000749804, 0.001499608))
    """
    network = Network((2, 2, 1), "sigmoid", "sigmoid")
    weights, biases = [0.15, 0.20, 0.25, 0.30, 0.40, 0.45], [0.35, 0.35, 0.60]
    parameters = view_parameters(network, np.array([*weights, *biases]))
    X, y = np.array([[0.05, 0.10]]), np.array([[0.01]])
    workspace, gradient = Workspace(network, 1, np.float64), allocate_parameters(network, np.float64)
    z, a = forward(parameters, X, workspace)
    assert z[0, 0] == pytest.approx(1.105905967, abs=1e-9)
    assert a[0, 0] == pytest.approx(0.751365070, abs=1e-9)
    assert mean_loss(network, SquaredError(), z, a, y) == pytest.approx(0.274811083, abs=1e-9)

    backward(parameters, gradient, X, y, SquaredError(), workspace)
    np.testing.assert_allclose(gradient.W[1], [[0.082167041, 0.082667628]], atol=1e-9)
    np.testing.assert_allclose(gradient.b[1], [0.138498562], atol=1e-9)
    np.testing.assert_allclose(gradient.W[0], [[0.000668396, 0.001336792], [0.000749804, 0.001499608]], atol=1e-9)
    np.testing.assert_allclose(gradient.b[0], [0.013367920, 0.014996076], atol=1e-9)

    parameters.flat[...] -= 0.5 * gradient.flat
    np.testing.assert_allclose(parameters.W[1], [[0.358916480, 0.408666186]], atol=1e-9)


def test_the_check_itself_can_fail():
    wrong = replace(ACTIVATIONS["tanh"], backward=lambda delta, z, a, scratch: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ACTIVATIONS, "tanh", wrong)
        with pytest.raises(AssertionError):
            check_gradient(Network((3, 4, 2), "tanh", "identity"), SquaredError(), is_weighted=False)
