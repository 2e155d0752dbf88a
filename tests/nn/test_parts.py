"""Parts beside the plain layers: each has the gradient of its cost, in one network and in several members at once."""

from dataclasses import replace

import numpy as np
import pytest

from mlpcli.nn.architecture import Front, Network, Periodic
from mlpcli.nn.folding import fold
from mlpcli.nn.groups import member_of
from mlpcli.nn.initialization import initialize, initialize_members
from mlpcli.nn.initializers import DataDriven
from mlpcli.nn.losses import CrossEntropy, SquaredError
from mlpcli.nn.network import Dropout, Workspace, backward, batch_losses, forward, predict
from mlpcli.nn.parameters import allocate_parameters, count_parameters, view_parameters

PLAIN = Network((6, 4, 4, 3), "mish", "softmax")
SCALED = Front(is_scaled=True)
COSINES = Front(periodic=Periodic(frequencies=5, outputs=2, sigma=0.5), numbers=(0, 2))
EMBEDDED = Front(blocks=((3, 6),), embedding=2)
EVERYTHING = Front(
    is_scaled=True,
    periodic=Periodic(frequencies=3, outputs=2, sigma=0.5),
    numbers=(0, 1),
    blocks=((2, 4), (4, 6)),
    embedding=2,
)
VIEWS = Front(
    is_scaled=True,
    periodic=Periodic(frequencies=3, outputs=2, sigma=0.5),
    numbers=(0, 1),
    bins=(2, 4),
    sees_cosines=(True,),
)
SQUARE = Network((4, 4, 4, 3), "tanh", "softmax")
PARTS = {
    "scaled inputs": replace(PLAIN, front=SCALED),
    "cosines": replace(PLAIN, front=COSINES),
    "embeddings": replace(PLAIN, front=EMBEDDED),
    "whole front": replace(PLAIN, front=EVERYTHING),
    "sees cosines, no bins": replace(PLAIN, front=VIEWS),
    "sees bins, no cosines": replace(PLAIN, front=replace(VIEWS, sees_cosines=(False,))),
    "slopes": replace(PLAIN, learns_slopes=True),
    "slopes of relu": replace(PLAIN, activation="leaky_relu", learns_slopes=True),
    "layer norm": replace(PLAIN, is_normalized=True),
    "residual": replace(SQUARE, is_residual=True),
    "residual behind a front": replace(SQUARE, is_residual=True, front=SCALED),
    "everything": replace(PLAIN, front=EVERYTHING, learns_slopes=True, is_normalized=True, is_residual=True),
    "everything, dropped": replace(
        PLAIN, front=EVERYTHING, learns_slopes=True, is_normalized=True, is_residual=True, dropout=0.3
    ),
}
N_ROWS, N_MEMBERS = 5, 3


def draw(network, seed=0, members=1):
    """Parameters away from their special starting values, rows (members, N_ROWS, n_in) and targets."""
    rng = np.random.default_rng(seed)
    if network.front.sees_cosines:
        network = replace(network, front=replace(network.front, sees_cosines=network.front.sees_cosines * members))
    network = replace(network, members=members)
    parameters = initialize_members(network, "auto", [np.random.default_rng(m) for m in range(members)], np.float64)
    parameters.flat[...] += rng.normal(scale=0.2, size=parameters.flat.size)
    leading = (members,) if members > 1 else ()
    X = rng.normal(size=(*leading, N_ROWS, network.sizes[0]))
    y = rng.dirichlet(np.ones(network.sizes[-1]), size=(*leading, N_ROWS))
    return network, parameters, X, y


def cost_and_gradient(network, parameters, X, y, weights=None, seed=None):
    workspace = Workspace(network, N_ROWS + 3, np.float64)
    gradient = allocate_parameters(network, np.float64)
    dropout = None if seed is None else Dropout(network.dropout, (np.random.default_rng(seed),))
    forward(parameters, X, workspace, dropout)
    cost = np.mean(batch_losses(workspace, CrossEntropy(), y, weights))
    backward(parameters, gradient, X, y, CrossEntropy(), workspace, weights, uses_dropout=seed is not None)
    return cost, gradient


@pytest.mark.parametrize("name", PARTS)
def test_every_part_has_the_gradient_of_its_cost(name):
    network, parameters, X, y = draw(PARTS[name])
    seed = 4 if network.dropout else None
    weights = np.random.default_rng(2).uniform(0.5, 2.0, N_ROWS)
    _, gradient = cost_and_gradient(network, parameters, X, y, weights, seed)
    step, numeric = 1e-6, np.empty_like(parameters.flat)
    for i, value in enumerate(parameters.flat):
        costs = []
        for moved in (value + step, value - step):
            parameters.flat[i] = moved
            costs.append(cost_and_gradient(network, parameters, X, y, weights, seed)[0])
        parameters.flat[i] = value
        numeric[i] = (costs[0] - costs[1]) / (2 * step)
    np.testing.assert_allclose(gradient.flat, numeric, rtol=1e-5, atol=3e-8)
    assert all(np.abs(tensor).max() > 1e-6 for tensor in gradient.tensors.values())


@pytest.mark.parametrize("name", PARTS)
def test_members_together_do_what_each_does_alone(name):
    network, parameters, X, y = draw(PARTS[name], members=N_MEMBERS)
    network = replace(network, dropout=0.0)
    weights = np.random.default_rng(3).uniform(0.5, 2.0, (N_MEMBERS, N_ROWS))
    cost, gradient = cost_and_gradient(network, parameters, X, y, weights)
    costs = []
    for member in range(N_MEMBERS):
        own = member_of(network, parameters, member)
        own_cost, own_gradient = cost_and_gradient(network.member(member), own, X[member], y[member], weights[member])
        costs.append(own_cost)
        np.testing.assert_allclose(member_of(network, gradient, member).flat, own_gradient.flat, rtol=1e-10, atol=1e-14)
    assert cost == pytest.approx(np.mean(costs), rel=1e-12)


@pytest.mark.parametrize("name", PARTS)
def test_a_prediction_is_the_mean_over_the_members(name):
    network, parameters, X, _ = draw(PARTS[name], members=N_MEMBERS)
    alone = [
        predict(network.member(member), member_of(network, parameters, member), X[0]) for member in range(N_MEMBERS)
    ]
    np.testing.assert_allclose(predict(network, parameters, X[0]), np.mean(alone, axis=0), rtol=1e-12)


def test_members_that_see_the_numbers_in_different_ways_are_folded_into_one_network():
    front = replace(VIEWS, sees_cosines=(True, False, True))
    network, X = replace(PLAIN, members=N_MEMBERS, front=front), np.random.default_rng(0).normal(size=(N_ROWS, 6))
    parameters = initialize_members(network, "auto", [np.random.default_rng(m) for m in range(N_MEMBERS)], np.float64)
    folded, plain = fold(network, parameters)
    each = [predict(network.member(m), member_of(network, parameters, m), X) for m in range(N_MEMBERS)]
    np.testing.assert_allclose(predict(folded, plain, X), np.mean(each, axis=0), rtol=1e-10)
    bins, cosines = slice(2, 4), slice(6, None)
    for member, sees_cosines in enumerate(front.sees_cosines):
        assert not plain.W[0][member][:, bins if sees_cosines else cosines].any()
        assert plain.W[0][member][:, cosines if sees_cosines else bins].all()


@pytest.mark.parametrize("members", [1, N_MEMBERS])
@pytest.mark.parametrize(
    "front", [SCALED, COSINES, EMBEDDED, EVERYTHING, VIEWS], ids=["scaled", "cosines", "table", "all", "views"]
)
def test_folding_leaves_the_function_and_takes_the_linear_parts_away(front, members):
    network, parameters, X, _ = draw(replace(PLAIN, front=front), members=members)
    X = X.reshape(-1, 6)
    folded, plain = fold(network, parameters)
    np.testing.assert_allclose(predict(folded, plain, X), predict(network, parameters, X), rtol=1e-10)
    assert not folded.front.is_scaled
    assert not folded.front.blocks
    assert not folded.front.sees_cosines
    assert folded.front.periodic == front.periodic
    assert folded.is_plain == (members == 1 and front.periodic is None)


def test_a_front_says_how_wide_the_first_layer_is():
    network = replace(PLAIN, front=EVERYTHING)
    assert network.widths == (2 + 2 * 2 + 2 * 2, 4, 4, 3)
    parameters = allocate_parameters(network)
    assert parameters.W[0].shape == (4, 10)
    assert parameters.tensors["table2"].shape == (2, 2)
    assert parameters.flat.size == count_parameters(network) == sum(t.size for t in parameters.tensors.values())


def test_members_lie_one_after_the_other_in_each_tensor():
    network = Network((2, 3, 1), "tanh", "identity", members=2)
    parameters = view_parameters(network, np.arange(26.0))
    assert [W.shape for W in parameters.W] == [(2, 3, 2), (2, 1, 3)]
    assert [b.shape for b in parameters.b] == [(2, 3), (2, 1)]
    np.testing.assert_array_equal(parameters.W[0][1], [[6, 7], [8, 9], [10, 11]])
    assert parameters.n_weights == 18


def test_slopes_of_one_and_gains_of_one_change_nothing_at_the_start():
    rng = np.random.default_rng(3)
    plain = initialize(PLAIN, "auto", np.random.default_rng(0), np.float64)
    sloped = initialize(replace(PLAIN, learns_slopes=True), "auto", np.random.default_rng(0), np.float64)
    X = rng.normal(size=(4, 6))
    np.testing.assert_allclose(
        predict(replace(PLAIN, learns_slopes=True), sloped, X), predict(PLAIN, plain, X), rtol=1e-12
    )


def test_layer_norm_gives_rows_of_mean_0_and_variance_1():
    network = Network((5, 50, 1), "identity", "identity", is_normalized=True)
    parameters = initialize(network, "auto", np.random.default_rng(1), np.float64)
    X = np.random.default_rng(2).normal(3.0, 10.0, size=(7, 5))
    workspace = Workspace(network, 7, np.float64)
    forward(parameters, X, workspace)
    hidden = workspace.entries(1, X)
    np.testing.assert_allclose(hidden.mean(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(hidden.var(axis=1), 1.0, rtol=1e-4)


@pytest.mark.parametrize("name", PARTS)
def test_a_data_driven_start_gives_every_product_variance_1_on_the_data(name):
    network = replace(PARTS[name], dropout=0.0)
    X = np.random.default_rng(5).normal(2.0, 3.0, size=(200, network.sizes[0]))
    parameters = initialize(network, DataDriven(), np.random.default_rng(6), np.float64, X)
    workspace = Workspace(network, len(X), np.float64)
    forward(parameters, X, workspace)
    for layer, W in enumerate(parameters.W):
        products = workspace.entries(layer, X) @ W.T
        np.testing.assert_allclose(products.std(axis=0), 1.0, rtol=1e-6)
        # The bend lies inside the data: some rows on either side of it.
        above = (products + parameters.b[layer] > 0).mean(axis=0)
        assert ((above > 0) & (above < 1)).all()


def test_a_data_driven_start_leaves_a_neuron_alone_that_sees_constants():
    network = Network((3, 4, 1), "relu", "identity")
    parameters = initialize(network, DataDriven(points=0), np.random.default_rng(0), np.float64, np.ones((10, 3)))
    assert np.isfinite(parameters.flat).all()
    assert not parameters.b[0].any()


def test_members_start_apart_and_the_first_as_a_single_network():
    network = Network((3, 4, 2), "tanh", "identity", members=2)
    both = initialize_members(network, "auto", [np.random.default_rng(m) for m in (0, 1)])
    alone = initialize(replace(network, members=1), "auto", np.random.default_rng(0))
    np.testing.assert_array_equal(member_of(network, both, 0).flat, alone.flat)
    assert not np.array_equal(both.W[0][0], both.W[0][1])


def test_shared_rows_go_to_every_member():
    network, parameters, X, _ = draw(replace(PLAIN, front=EVERYTHING), members=N_MEMBERS)
    shared, repeated = Workspace(network, N_ROWS, np.float64), Workspace(network, N_ROWS, np.float64)
    _, a = forward(parameters, X[0], shared)
    _, b = forward(parameters, np.broadcast_to(X[0], X.shape), repeated)
    np.testing.assert_allclose(a, b, rtol=1e-12)


def test_each_member_has_the_cost_of_its_own_outputs():
    network = Network((2, 1), "identity", "identity", members=2)
    parameters = view_parameters(network, np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]))
    X = np.array([[1.0, 3.0]])
    workspace = Workspace(network, 1, np.float64)
    forward(parameters, X, workspace)
    assert batch_losses(workspace, SquaredError(), np.zeros((2, 1, 1))) == pytest.approx([0.5, 4.5])


@pytest.mark.parametrize("front", [SCALED, EMBEDDED, VIEWS], ids=["scaled", "table", "views"])
def test_folding_leaves_a_residual_network_as_it_is_whatever_the_first_layer_sees(front):
    network = Network((front.width(6), 1), "identity", "identity")  # how wide the first hidden layer would have to be
    for width in (6, network.sizes[0]):
        network = Network((6, width, width, 3), "mish", "softmax", front=front, is_residual=True)
        network, parameters, X, _ = draw(network)
        folded, plain = fold(network, parameters)
        np.testing.assert_allclose(predict(folded, plain, X), predict(network, parameters, X), rtol=1e-10)
