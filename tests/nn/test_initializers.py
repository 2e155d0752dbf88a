"""How weights start: variance, shape of the distribution, and the choice that `auto` makes."""

import numpy as np
import pytest

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.initialization import initialize
from mlpcli.nn.initializers import INITIALIZERS, ByFan, DataDriven, Normal, Uniform, draw_layer, draw_on_data
from mlpcli.nn.network import Network, Workspace, forward

N_IN, N_OUT = 400, 100
VARIANCES = {"glorot": 2 / (N_IN + N_OUT), "he": 2 / N_IN, "lecun": 1 / N_IN}


def draw(initializer, dtype=np.float64, seed=0):
    W, b = np.full((N_OUT, N_IN), np.nan, dtype), np.full(N_OUT, np.nan, dtype)
    draw_layer(initializer, W, b, np.random.default_rng(seed))
    return W, b


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_variance_is_the_one_of_the_paper(name):
    W, b = draw(name)
    assert W.var() == pytest.approx(VARIANCES[name.split("_")[0]], rel=0.03)
    assert abs(W.mean()) < 5 * W.std() / np.sqrt(W.size)
    np.testing.assert_array_equal(b, 0.0)


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if name.endswith("uniform")])
def test_a_uniform_draw_fills_its_interval_evenly(name):
    W, _ = draw(name)
    limit = np.sqrt(3 * VARIANCES[name.split("_")[0]])
    assert 0.999 * limit < np.abs(W).max() <= limit
    assert (np.abs(W) < limit / 2).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if name.endswith("normal")])
def test_a_normal_draw_has_the_tails_of_a_normal_distribution(name):
    W, _ = draw(name)
    assert (np.abs(W) > 2 * W.std()).mean() == pytest.approx(0.0455, abs=0.005)


def test_the_glorot_interval_is_the_formula_of_the_paper():
    W, _ = draw("glorot_uniform")
    assert np.abs(W).max() == pytest.approx(np.sqrt(6 / (N_IN + N_OUT)), rel=1e-3)


def test_a_fixed_scale_is_used_as_given():
    W, b = draw(Normal(scale=0.5, bias_scale=2.0))
    assert W.std() == pytest.approx(0.5, rel=0.02)
    assert b.std() == pytest.approx(2.0, rel=0.25)
    W, b = draw(Uniform(scale=0.5, bias_scale=2.0))
    assert 0.499 < np.abs(W).max() <= 0.5
    assert 1.8 < np.abs(b).max() <= 2.0


@pytest.mark.parametrize("initializer", [Normal(), Uniform()])
def test_biases_start_at_zero_unless_asked_for(initializer):
    np.testing.assert_array_equal(draw(initializer)[1], 0.0)


@pytest.mark.parametrize("initializer", [*INITIALIZERS, Normal(bias_scale=1.0), Uniform(bias_scale=1.0)])
def test_the_seed_decides_every_number(initializer):
    W, b = draw(initializer, seed=1)
    again, b_again = draw(initializer, seed=1)
    other, _ = draw(initializer, seed=2)
    np.testing.assert_array_equal(W, again)
    np.testing.assert_array_equal(b, b_again)
    assert not (other == W).any()


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if not ACTIVATIONS[name].is_for_outputs_only])
def test_auto_goes_by_the_activation_of_each_layer(activation):
    network = Network((20, 30, 10), activation, "softmax")
    parameters = initialize(network, "auto", np.random.default_rng(3), np.float64)
    rng = np.random.default_rng(3)
    for layer, name in enumerate([ACTIVATIONS[activation].initializer, ACTIVATIONS["softmax"].initializer]):
        W, b = np.empty_like(parameters.W[layer]), np.empty_like(parameters.b[layer])
        draw_layer(name, W, b, rng)
        np.testing.assert_array_equal(parameters.W[layer], W)
        np.testing.assert_array_equal(parameters.b[layer], b)


def test_the_usual_pairs_of_activation_and_initializer_hold():
    chosen = {name: ACTIVATIONS[name].initializer for name in ("sigmoid", "tanh", "relu", "selu", "softmax")}
    assert chosen == {
        "sigmoid": "glorot_uniform",
        "tanh": "glorot_uniform",
        "relu": "he_uniform",
        "selu": "lecun_normal",
        "softmax": "glorot_uniform",
    }


def test_single_precision_is_double_precision_rounded():
    np.testing.assert_array_equal(draw("he_normal", np.float32)[0], draw("he_normal")[0].astype(np.float32))


@pytest.mark.parametrize("activation", ["relu", "selu", "tanh"])
def test_a_signal_neither_dies_nor_explodes_in_a_deep_network(activation):
    network = Network((200,) * 12, activation, activation)
    rng = np.random.default_rng(4)
    X = rng.normal(size=(300, 200))
    _, a = forward(initialize(network, "auto", rng, np.float64), X, Workspace(network, 300, np.float64))
    assert 0.1 < np.sqrt(np.square(a).mean()) < 3.0


@pytest.mark.parametrize("name", INITIALIZERS)
def test_a_name_with_options_draws_the_weights_of_the_name_alone(name):
    W, b = draw(ByFan(name=name))
    np.testing.assert_array_equal(W, draw(name)[0])
    np.testing.assert_array_equal(b, 0.0)
    W, b = draw(ByFan(name=name, bias_scale=2.0))
    np.testing.assert_array_equal(W, draw(name)[0])
    assert b.std() == pytest.approx(2.0, rel=0.25)


def test_only_hidden_biases_are_spread_and_only_the_last_layer_starts_at_zero():
    network = Network((6, 40, 30, 3), "selu", "softmax")
    spread = initialize(network, ByFan(bias_scale=1.0), np.random.default_rng(0), np.float64)
    assert [bool(b.any()) for b in spread.b] == [True, True, False]
    assert spread.W[2].any()
    zeroed = initialize(network, ByFan(bias_scale=1.0, zero_last=True), np.random.default_rng(0), np.float64)
    assert [bool(W.any()) for W in zeroed.W] == [True, True, False]
    assert not zeroed.b[2].any()
    for layer in (0, 1):
        np.testing.assert_array_equal(zeroed.W[layer], spread.W[layer])
    X = np.random.default_rng(1).normal(size=(9, 6))
    _, a = forward(zeroed, X, Workspace(network, 9, np.float64))
    np.testing.assert_allclose(a, 1 / 3, rtol=1e-12)


def test_the_bias_of_a_data_driven_start_is_a_mixture_of_rows():
    """The bend w h + b = 0 passes through a convex mixture of the rows, for each neuron."""
    h = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4))
    W, b = np.empty((200, 4)), np.empty(200)
    draw_on_data(DataDriven(points=5), W, b, h, np.random.default_rng(1))
    products = h @ W.T
    assert (products.min(axis=0) < -b).all()
    assert (-b < products.max(axis=0)).all()
    draw_on_data(DataDriven(points=1), W, b, h, np.random.default_rng(1))
    products = h @ W.T
    assert np.abs(products + b).min(axis=0).max() < 1e-12  # of one row: that row itself
