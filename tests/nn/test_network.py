"""The forward pass, prediction in blocks, dropout, and agreement with an independent perceptron."""

import tracemalloc

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.initialization import initialize
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from mlpcli.nn.network import (
    SCORING_ROWS,
    Dropout,
    Network,
    Workspace,
    backward,
    forward,
    mean_loss,
    output_blocks,
    predict,
)
from mlpcli.nn.optimizers import SGD
from mlpcli.nn.parameters import allocate_parameters, view_parameters
from mlpcli.nn.stepping import bind

PEER_NAMES = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sizes_of(peer):
    return (peer.coefs_[0].shape[0], *(coef.shape[1] for coef in peer.coefs_))


def from_peer(peer):
    """Parameters of a scikit-learn network, whose `coefs_` are (n_in, n_out)."""
    return view_parameters(
        sizes_of(peer), np.concatenate([*(coef.T.ravel() for coef in peer.coefs_), *peer.intercepts_])
    )


def step_of_peer(peer, X, y, **classes):
    """Parameters before one full-batch step of gradient descent, and the gradient it took."""
    peer.partial_fit(X, y, **classes)
    before = from_peer(peer)
    peer.partial_fit(X, y)
    return before, (before.flat - from_peer(peer).flat) / peer.learning_rate_init, peer.loss_


def plain_gradient_descent(kind, activation, n_rows):
    return kind(
        hidden_layer_sizes=(7, 5), activation=PEER_NAMES[activation], solver="sgd", learning_rate_init=0.01,
        momentum=0.0, nesterovs_momentum=False, alpha=0.0, batch_size=n_rows, shuffle=False, random_state=0,
    )  # fmt: skip


def our_step(network, parameters, X, y, loss):
    workspace, gradient = Workspace(network, len(X), np.float64), allocate_parameters(network, np.float64)
    z, a = forward(parameters, X, workspace)
    cost = mean_loss(network, loss, z, a, y)
    backward(parameters, gradient, X, y, loss, workspace)
    return gradient.flat, cost


def test_the_output_is_the_formula():
    rng = np.random.default_rng(0)
    network = Network((3, 4, 2), "tanh", "sigmoid")
    parameters = initialize(network, "auto", rng, np.float64)
    parameters.b[0][:], parameters.b[1][:] = rng.normal(size=4), rng.normal(size=2)
    X = rng.normal(size=(6, 3))
    (W1, W2), (b1, b2) = parameters.W, parameters.b
    for x, a in zip(X, predict(network, parameters, X), strict=True):
        np.testing.assert_allclose(a, sigmoid(W2 @ np.tanh(W1 @ x + b1) + b2), rtol=1e-12)


def test_logits_are_what_the_output_activation_sees():
    rng = np.random.default_rng(1)
    network = Network((3, 4, 2), "relu", "sigmoid")
    z, a = forward(initialize(network, "auto", rng, np.float64), rng.normal(size=(6, 3)), Workspace(network, 6, "f8"))
    np.testing.assert_allclose(a, sigmoid(z), rtol=1e-12)


@pytest.mark.parametrize("n_rows", [0, 1, SCORING_ROWS - 1, SCORING_ROWS, SCORING_ROWS + 1, 2 * SCORING_ROWS + 5])
def test_prediction_in_blocks_gives_every_row_its_output_in_order(n_rows):
    rng = np.random.default_rng(2)
    network = Network((3, 4, 2), "relu", "softmax")
    parameters = initialize(network, "auto", rng)
    X = rng.normal(size=(n_rows, 3)).astype(np.float32)
    outputs = predict(network, parameters, X)
    assert outputs.shape == (n_rows, 2)
    assert outputs.dtype == np.float32
    _, a = forward(parameters, X, Workspace(network, max(n_rows, 1)))
    np.testing.assert_allclose(outputs, a, rtol=1e-5, atol=1e-7)


def test_blocks_cover_the_rows_once():
    network = Network((2, 2), "relu", "identity")
    parameters, X = allocate_parameters((2, 2)), np.zeros((10, 2), np.float32)
    rows = [rows for rows, _, _ in output_blocks(network, parameters, X, Workspace(network, 4))]
    assert rows == [slice(0, 4), slice(4, 8), slice(8, 10)]


def test_neither_inputs_nor_parameters_are_changed():
    rng = np.random.default_rng(3)
    network = Network((3, 4, 2), "silu", "softmax", dropout=0.5)
    parameters, X, y = initialize(network, "auto", rng), rng.normal(size=(8, 3)).astype("f4"), np.eye(2, dtype="f4")
    flat, inputs, targets = parameters.flat.copy(), X.copy(), y[[0, 1] * 4]
    workspace, gradient = Workspace(network, 8), allocate_parameters(network)
    forward(parameters, X, workspace, Dropout(network.dropout, (rng,)))
    backward(parameters, gradient, X, targets, CrossEntropy(), workspace, uses_dropout=True)
    np.testing.assert_array_equal(parameters.flat, flat)
    np.testing.assert_array_equal(X, inputs)
    np.testing.assert_array_equal(targets, y[[0, 1] * 4])


@pytest.mark.parametrize("output_activation", ACTIVATIONS)
@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if not ACTIVATIONS[name].is_for_outputs_only])
def test_single_precision_stays_single(activation, output_activation):
    rng = np.random.default_rng(4)
    network = Network((3, 4, 2), activation, output_activation)
    parameters, X = initialize(network, "auto", rng), rng.normal(size=(5, 3)).astype(np.float32)
    workspace = Workspace(network, 5)
    z, a = forward(parameters, X, workspace)
    assert {z.dtype, a.dtype, parameters.flat.dtype, predict(network, parameters, X).dtype} == {np.dtype(np.float32)}


def test_an_output_too_large_for_its_type_is_infinite_not_wrong():
    network = Network((1, 1), "relu", "exp")
    parameters = view_parameters((1, 1), np.array([1.0, 0.0], np.float32))
    with np.errstate(over="ignore"):
        outputs = predict(network, parameters, np.array([[200.0], [1.0]], np.float32))
    np.testing.assert_allclose(outputs, [[np.inf], [np.e]], rtol=1e-6)


def test_row_weights_make_a_weighted_mean():
    network = Network((1, 1), "relu", "identity")
    a, y = np.array([[1.0], [2.0]]), np.zeros((2, 1))
    assert mean_loss(network, SquaredError(), a, a, y) == pytest.approx((0.5 + 2.0) / 2)
    assert mean_loss(network, SquaredError(), a, a, y, np.array([1.5, 0.5])) == pytest.approx((0.75 + 1.0) / 2)


def test_dropout_switches_off_its_share_and_scales_the_rest_up():
    network = Network((1, 2000, 1), "identity", "identity", dropout=0.25)
    parameters = view_parameters(network, np.ones(6001, np.float64))
    parameters.W[1][...] = 1 / 2000
    parameters.b[1][...] = 0.0
    workspace = Workspace(network, 50, np.float64)
    X, rng = np.ones((50, 1)), np.random.default_rng(5)
    _, a = forward(parameters, X, workspace, Dropout(network.dropout, (rng,)))
    n_kept = a * 0.75 / 2 * 2000
    np.testing.assert_allclose(n_kept, np.round(n_kept), rtol=1e-9)
    assert n_kept.mean() / 2000 == pytest.approx(0.75, abs=0.01)
    assert n_kept.std() == pytest.approx(np.sqrt(2000 * 0.25 * 0.75), rel=0.35)
    np.testing.assert_allclose(predict(network, parameters, X), 2.0)


def test_dropout_is_the_generators_and_only_in_training():
    rng = np.random.default_rng(6)
    network = Network((3, 20, 2), "tanh", "identity", dropout=0.5)
    parameters, X = initialize(network, "auto", rng), rng.normal(size=(4, 3)).astype(np.float32)

    def output(seed):
        return forward(parameters, X, Workspace(network, 4), Dropout(0.5, (np.random.default_rng(seed),)))[1]

    np.testing.assert_array_equal(output(1), output(1))
    assert not np.array_equal(output(1), output(2))
    without = Network((3, 20, 2), "tanh", "identity")
    np.testing.assert_array_equal(predict(network, parameters, X), predict(without, parameters, X))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_step_allocates_no_array_of_the_batch(dropout):
    rng = np.random.default_rng(7)
    network = Network((64, 512, 512, 4), "relu", "softmax", dropout)
    parameters, gradient = initialize(network, "auto", rng), allocate_parameters(network)
    X, y = rng.normal(size=(256, 64)).astype("f4"), np.eye(4, dtype="f4")[rng.integers(4, size=256)]
    workspace, weights = Workspace(network, 256), np.ones(256, np.float32)
    optimizer = SGD(momentum=0.9)
    state = optimizer.start(parameters.flat)
    take_step = bind(optimizer, parameters.flat, gradient.flat, state, parameters.n_weights)

    def step():
        forward(parameters, X, workspace, Dropout(dropout, (rng,)) if dropout else None)
        backward(parameters, gradient, X, y, CrossEntropy(), workspace, weights, uses_dropout=dropout > 0)
        take_step(0.01)

    step()
    tracemalloc.start()
    try:
        step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size_of_a_layer = 256 * 512 * 4
    assert peak < size_of_a_layer / 2


@pytest.mark.parametrize("activation", PEER_NAMES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_classifier_of_scikit_learn_gives_the_same_probabilities_loss_and_gradient(activation, n_classes):
    rng = np.random.default_rng(8)
    X, codes = rng.normal(size=(40, 4)), rng.integers(n_classes, size=40)
    peer = plain_gradient_descent(MLPClassifier, activation, len(X))
    parameters, gradient, cost = step_of_peer(peer, X, codes, classes=np.arange(n_classes))
    is_binary = n_classes == 2
    network = Network(sizes_of(peer), activation, "sigmoid" if is_binary else "softmax")
    loss = BinaryCrossEntropy() if is_binary else CrossEntropy()
    y = codes[:, None].astype(float) if is_binary else np.eye(3)[codes]
    our_gradient, our_cost = our_step(network, parameters, X, y, loss)
    np.testing.assert_allclose(our_gradient, gradient, rtol=1e-7, atol=1e-11)
    assert our_cost == pytest.approx(cost, rel=1e-10)

    outputs = predict(network, from_peer(peer), X)
    probabilities = np.column_stack([1 - outputs, outputs]) if is_binary else outputs
    np.testing.assert_allclose(probabilities, peer.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("activation", PEER_NAMES)
@pytest.mark.parametrize("n_out", [1, 2])
def test_a_regressor_of_scikit_learn_gives_the_same_outputs(activation, n_out):
    rng = np.random.default_rng(9)
    X, y = rng.normal(size=(40, 4)), rng.normal(size=(40, n_out))
    peer = plain_gradient_descent(MLPRegressor, activation, len(X))
    peer.partial_fit(X, y if n_out > 1 else y[:, 0])
    parameters = from_peer(peer)
    outputs = predict(Network(sizes_of(peer), activation, "identity"), parameters, X)
    np.testing.assert_allclose(outputs, peer.predict(X).reshape(40, n_out), rtol=1e-9, atol=1e-12)


def test_a_regressor_of_scikit_learn_with_one_output_takes_the_same_step():
    rng = np.random.default_rng(10)
    X, y = rng.normal(size=(40, 4)), rng.normal(size=(40, 1))
    peer = plain_gradient_descent(MLPRegressor, "tanh", len(X))
    parameters, gradient, cost = step_of_peer(peer, X, y[:, 0])
    our_gradient, our_cost = our_step(Network(sizes_of(peer), "tanh", "identity"), parameters, X, y, SquaredError())
    np.testing.assert_allclose(our_gradient, gradient, rtol=1e-7, atol=1e-11)
    assert our_cost == pytest.approx(cost, rel=1e-10)
