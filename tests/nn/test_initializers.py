"""How weights start: variance, shape of the distribution, and the choice that `auto` makes."""

import numpy as np
import pytest

from mlpcli.nn import initializers
from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.build import HiddenSpec, perceptron
from mlpcli.nn.initializers import BY_FAN_NAMES, ByFan, DataDriven, Normal, Uniform
from mlpcli.nn.network import Network, predict

N_IN, N_OUT = 400, 100
VARIANCES = {"glorot": 2 / (N_IN + N_OUT), "he": 2 / N_IN, "lecun": 1 / N_IN}


def initialize(start, dtype=np.float64, seed=0):
    W, b = np.full((N_OUT, N_IN), np.nan, dtype), np.full(N_OUT, np.nan, dtype)
    start = ByFan(name=start) if isinstance(start, str) else start
    initializers.initialize(start, W, b, np.random.default_rng(seed), None)
    return W, b


def network_of(sizes, activation, output, start, seed=0, X=None):
    """A perceptron in double precision, and its tensors by name."""
    spec = HiddenSpec(start=start)
    network = Network(
        sizes[0], perceptron(sizes[0], sizes[1:-1], sizes[-1], [activation] * (len(sizes) - 2), output, spec), output
    )
    flat = network.init(np.random.default_rng(seed), np.float64, X)
    return network, flat, network.named_views(flat)


@pytest.mark.parametrize("name", BY_FAN_NAMES)
def test_the_variance_is_the_one_of_the_paper(name):
    W, b = initialize(name)
    assert W.var() == pytest.approx(VARIANCES[name.split("_")[0]], rel=0.03)
    assert abs(W.mean()) < 5 * W.std() / np.sqrt(W.size)
    np.testing.assert_array_equal(b, 0.0)


@pytest.mark.parametrize("name", [name for name in BY_FAN_NAMES if name.endswith("uniform")])
def test_a_uniform_draw_fills_its_interval_evenly(name):
    W, _ = initialize(name)
    limit = np.sqrt(3 * VARIANCES[name.split("_")[0]])
    assert 0.999 * limit < np.abs(W).max() <= limit
    assert (np.abs(W) < limit / 2).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", [name for name in BY_FAN_NAMES if name.endswith("normal")])
def test_a_normal_draw_has_the_tails_of_a_normal_distribution(name):
    W, _ = initialize(name)
    assert (np.abs(W) > 2 * W.std()).mean() == pytest.approx(0.0455, abs=0.005)


def test_the_glorot_interval_is_the_formula_of_the_paper():
    W, _ = initialize("glorot_uniform")
    assert np.abs(W).max() == pytest.approx(np.sqrt(6 / (N_IN + N_OUT)), rel=1e-3)


def test_a_fixed_scale_is_used_as_given():
    W, b = initialize(Normal(scale=0.5, bias_scale=2.0))
    assert W.std() == pytest.approx(0.5, rel=0.02)
    assert b.std() == pytest.approx(2.0, rel=0.25)
    W, b = initialize(Uniform(scale=0.5, bias_scale=2.0))
    assert 0.499 < np.abs(W).max() <= 0.5
    assert 1.8 < np.abs(b).max() <= 2.0


@pytest.mark.parametrize("initializer", [Normal(), Uniform()])
def test_biases_start_at_zero_unless_asked_for(initializer):
    np.testing.assert_array_equal(initialize(initializer)[1], 0.0)


@pytest.mark.parametrize("initializer", [*BY_FAN_NAMES, Normal(bias_scale=1.0), Uniform(bias_scale=1.0)])
def test_the_seed_decides_every_number(initializer):
    W, b = initialize(initializer, seed=1)
    again, b_again = initialize(initializer, seed=1)
    other, _ = initialize(initializer, seed=2)
    np.testing.assert_array_equal(W, again)
    np.testing.assert_array_equal(b, b_again)
    assert not (other == W).any()


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if not ACTIVATIONS[name].is_for_outputs_only])
def test_auto_goes_by_the_activation_of_each_layer(activation):
    _, _, tensors = network_of((20, 30, 10), activation, "softmax", "auto", 3)
    rng = np.random.default_rng(3)
    for number, name in enumerate([ACTIVATIONS[activation].initializer, "glorot_uniform"], start=1):
        W, b = np.empty_like(tensors[f"W{number}"]), np.empty_like(tensors[f"b{number}"])
        initializers.initialize(ByFan(name=name), W, b, rng, None)
        np.testing.assert_array_equal(tensors[f"W{number}"], W)
        np.testing.assert_array_equal(tensors[f"b{number}"], b)


def test_the_usual_pairs_of_activation_and_initializer_hold():
    chosen = {name: ACTIVATIONS[name].initializer for name in ("sigmoid", "tanh", "relu", "selu")}
    assert chosen == {
        "sigmoid": "glorot_uniform",
        "tanh": "glorot_uniform",
        "relu": "he_uniform",
        "selu": "lecun_normal",
    }


def test_single_precision_is_double_precision_rounded():
    np.testing.assert_array_equal(initialize("he_normal", np.float32)[0], initialize("he_normal")[0].astype(np.float32))


@pytest.mark.parametrize("activation", ["relu", "selu", "tanh"])
def test_a_signal_neither_dies_nor_explodes_in_a_deep_network(activation):
    network, flat, _ = network_of((200,) * 12, activation, activation, "auto", 4)
    a = predict(network, flat, np.random.default_rng(4).normal(size=(300, 200)))
    assert 0.1 < np.sqrt(np.square(a).mean()) < 3.0


@pytest.mark.parametrize("name", BY_FAN_NAMES)
def test_a_name_with_options_draws_the_weights_of_the_name_alone(name):
    W, b = initialize(ByFan(name=name))
    np.testing.assert_array_equal(W, initialize(name)[0])
    np.testing.assert_array_equal(b, 0.0)
    W, b = initialize(ByFan(name=name, bias_scale=2.0))
    np.testing.assert_array_equal(W, initialize(name)[0])
    assert b.std() == pytest.approx(2.0, rel=0.25)


def test_only_hidden_biases_are_spread_and_only_the_last_layer_starts_at_zero():
    sizes = (6, 40, 30, 3)
    _, _, spread = network_of(sizes, "selu", "softmax", ByFan(bias_scale=1.0))
    assert [bool(spread[name].any()) for name in ("b1", "b2", "b3", "W3")] == [True, True, False, True]
    network, flat, zeroed = network_of(sizes, "selu", "softmax", ByFan(bias_scale=1.0, zero_last=True))
    assert [bool(zeroed[name].any()) for name in ("W1", "W2", "W3", "b3")] == [True, True, False, False]
    for name in ("W1", "W2"):
        np.testing.assert_array_equal(zeroed[name], spread[name])
    X = np.random.default_rng(1).normal(size=(9, 6))
    np.testing.assert_allclose(predict(network, flat, X), 1 / 3, rtol=1e-12)


def test_the_bias_of_a_data_driven_start_is_a_mixture_of_rows():
    """The bend w h + b = 0 passes through a convex mixture of the rows, for each neuron."""
    h = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4))
    W, b = np.empty((200, 4)), np.empty(200)
    initializers.initialize(DataDriven(points=5), W, b, np.random.default_rng(1), h)
    products = h @ W.T
    assert (products.min(axis=0) < -b).all()
    assert (-b < products.max(axis=0)).all()
    np.testing.assert_allclose(products.std(axis=0), 1.0, rtol=1e-10)
    initializers.initialize(DataDriven(points=1), W, b, np.random.default_rng(1), h)
    products = h @ W.T
    assert np.abs(products + b).min(axis=0).max() < 1e-12  # of one row: that row itself


def test_a_data_driven_start_sees_what_each_layer_sees():
    X = np.random.default_rng(0).normal(2.0, 3.0, size=(300, 6))
    network, flat, tensors = network_of((6, 40, 30, 3), "selu", "identity", DataDriven(), X=X)
    hidden = network.chain.forward(X, network.unflatten(flat), network.buffers(300, np.float64, is_training=False))
    np.testing.assert_allclose((hidden - tensors["b3"]).std(axis=0), 1.0, rtol=1e-6)
    with pytest.raises(ValueError, match="needs rows"):
        network_of((6, 4, 3), "selu", "identity", DataDriven())
