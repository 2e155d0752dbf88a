"""Rates by kind of parameter: what they freeze, how they lie over the vector, and what NTK makes of them."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from mlpcli.nn.architecture import KINDS, Front, Network, Periodic, tensors
from mlpcli.nn.blocks import Stretch
from mlpcli.nn.initialization import initialize_members
from mlpcli.nn.losses import CrossEntropy
from mlpcli.nn.network import Workspace, backward, forward
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from mlpcli.nn.parameters import allocate_parameters, count_parameters, view_parameters
from mlpcli.nn.rates import Rates, stretches
from mlpcli.nn.stepping import bind

PLAIN = Network((5, 7, 4, 3), "tanh", "softmax")
FRONT = Front(
    is_scaled=True, periodic=Periodic(frequencies=3, outputs=2), numbers=(0, 1), blocks=((2, 5),), embedding=2
)
WHOLE = replace(PLAIN, front=FRONT, learns_slopes=True, is_normalized=True)
OPTIMIZERS = [SGD(momentum=0.9, weight_decay=0.1), Adam(weight_decay=0.1), AdamW(), RMSprop(momentum=0.5), Adagrad()]


def start(network, seed=0):
    rngs = [np.random.default_rng(seed + member) for member in range(network.members)]
    return initialize_members(network, "lecun_normal", rngs, np.float64)


def batches(network, n_steps, seed=1):
    rng = np.random.default_rng(seed)
    leading = (network.members,) if network.members > 1 else ()
    for _ in range(n_steps):
        yield rng.normal(size=(*leading, 6, network.sizes[0])), rng.dirichlet(np.ones(3), size=(*leading, 6))


def trained(network, parameters, optimizer, rates=None, is_ntk=False, n_steps=12):
    """The vector after some steps; `parameters` stay as they are."""
    moved = view_parameters(network, parameters.flat.copy())
    gradient, workspace = allocate_parameters(network, np.float64), Workspace(network, 6, np.float64)
    parts = stretches(network, optimizer, rates or Rates(), is_ntk)
    take_step = bind(optimizer, moved.flat, gradient.flat, optimizer.start(moved.flat), moved.n_weights, parts)
    for X, y in batches(network, n_steps):
        forward(moved, X, workspace)
        backward(moved, gradient, X, y, CrossEntropy(), workspace)
        take_step(optimizer.learning_rate)
    return moved


def ntk_written_out(network, parameters, optimizer, n_steps=12):
    """The same steps on v, where W = v / sqrt(fan_in), by the chain rule; `optimizer` knows nothing of it."""
    roots = np.ones(parameters.flat.size)
    laid = view_parameters(network, roots)
    for W in laid.W:
        W[...] = np.sqrt(W.shape[-1])
    v = parameters.flat * roots
    used, gradient = allocate_parameters(network, np.float64), allocate_parameters(network, np.float64)
    workspace, grad_v = Workspace(network, 6, np.float64), np.zeros_like(v)
    take_step = bind(optimizer, v, grad_v, optimizer.start(v), parameters.n_weights)
    for X, y in batches(network, n_steps):
        used.flat[...] = v / roots
        forward(used, X, workspace)
        backward(used, gradient, X, y, CrossEntropy(), workspace)
        grad_v[...] = gradient.flat / roots
        take_step(optimizer.learning_rate)
    return v / roots


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(learning_rate=0.5),
        SGD(learning_rate=0.5, momentum=0.9, nesterov=True),
        Adam(learning_rate=0.02, epsilon=1e-3),
        AdamW(learning_rate=0.02, epsilon=1e-3, weight_decay=0.3),
        RMSprop(learning_rate=0.02, epsilon=1e-3, momentum=0.5),
        Adagrad(learning_rate=0.02, epsilon=1e-3),
    ],
    ids=lambda optimizer: optimizer.name,
)
def test_ntk_as_rates_is_the_parametrization_by_v_over_the_root_of_the_inputs(optimizer, members):
    network = replace(PLAIN, members=members)
    parameters = start(network)
    expected = ntk_written_out(network, parameters, optimizer)
    np.testing.assert_allclose(trained(network, parameters, optimizer, is_ntk=True).flat, expected, rtol=1e-9)
    assert not np.allclose(trained(network, parameters, optimizer).flat, expected, rtol=1e-3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_of_0_freezes_its_kind_and_no_other(kind, optimizer):
    parameters = start(WHOLE)
    moved = trained(WHOLE, parameters, optimizer, Rates(**{kind: 0.0}), is_ntk=True, n_steps=3)
    for tensor in tensors(WHOLE):
        is_still = np.array_equal(moved.tensors[tensor.name], parameters.tensors[tensor.name])
        assert is_still == (tensor.kind == kind), tensor


def test_every_kind_of_parameter_has_a_rate():
    assert {tensor.kind for tensor in tensors(WHOLE)} == set(KINDS) == {field.name for field in fields(Rates)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_of_half_is_half_the_step(kind):
    parameters, optimizer = start(WHOLE), SGD(learning_rate=0.1)
    whole = trained(WHOLE, parameters, optimizer, n_steps=1).flat - parameters.flat
    half = trained(WHOLE, parameters, optimizer, Rates(**{kind: 0.5}), n_steps=1).flat - parameters.flat
    factors = view_parameters(WHOLE, np.ones(whole.size))
    for tensor in tensors(WHOLE):
        if tensor.kind == kind:
            factors.tensors[tensor.name][...] = 0.5
    np.testing.assert_allclose(half, whole * factors.flat, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("is_ntk", [False, True])
@pytest.mark.parametrize("rates", [Rates(), Rates(biases=0.1, scale=6.0), Rates(weights=0.0, slopes=2.0)])
@pytest.mark.parametrize("network", [PLAIN, WHOLE, replace(WHOLE, members=3)], ids=["plain", "whole", "members"])
def test_stretches_cover_the_vector_once_and_neighbours_differ(network, rates, is_ntk):
    parts = stretches(network, AdamW(), rates, is_ntk)
    assert parts[0].start == 0
    assert parts[-1].stop == count_parameters(network)
    for before, after in pairwise(parts):
        assert before.stop == after.start > before.start
        assert (before.rate, before.decay_rate, before.epsilon) != (after.rate, after.decay_rate, after.epsilon)


def test_where_all_learn_alike_there_is_one_stretch():
    assert stretches(PLAIN, SGD(), Rates(), is_ntk=False) == (Stretch(0, count_parameters(PLAIN)),)
    assert stretches(WHOLE, Adam(), Rates(), is_ntk=False) == (Stretch(0, count_parameters(WHOLE)),)


def test_layers_of_equal_width_share_a_stretch_under_ntk():
    network = Network((4, 4, 4, 2), "relu", "softmax")
    weights, biases = stretches(network, AdamW(), Rates(), is_ntk=True)
    assert (weights.stop, weights.rate, weights.decay_rate, weights.epsilon) == (40, 0.5, 1.0, 2.0)
    assert biases == Stretch(40, 50)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
def test_a_step_does_not_depend_on_where_the_vector_is_cut(optimizer):
    rng = np.random.default_rng(0)
    ends, results = [], []
    for cuts in ((0, 100), (0, 1, 37, 99, 100)):
        flat, grad = rng.normal(size=100), rng.normal(size=100)
        ends.append((flat, grad))
        flat, grad = ends[0][0].copy(), ends[0][1].copy()
        parts = [Stretch(begin, end) for begin, end in pairwise(cuts)]
        take_step = bind(optimizer, flat, grad, optimizer.start(flat), 60, parts)
        for _ in range(3):
            take_step(0.1)
        results.append(flat)
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:3], ids=lambda optimizer: optimizer.name)
def test_the_factor_of_decay_multiplies_decay_and_nothing_else(optimizer):
    results = []
    for made, factor in ((replace(optimizer, weight_decay=0.2), 0.25), (replace(optimizer, weight_decay=0.05), 1.0)):
        flat, grad = np.linspace(-1, 1, 20), np.linspace(2, -2, 20)
        bind(made, flat, grad, made.start(flat), 12)(0.1, factor)
        results.append(flat)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)
