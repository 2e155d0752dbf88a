"""Integrated gradients: the sum of contributions, and contributions with a known value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.explain.contributions import contributions
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.layers import Activation, Dense
from mlpcli.nn.network import Network, predict
from tests.nn.staging import N_IN, SMOOTH, networks, rows, start


def network_of(n_in, *widths, function="tanh", output="identity"):
    layers = []
    for width in widths:
        layers += [Dense(width=width), Activation(function=function)]
    return Network(n_in, tuple(layers[:-1]), output)


def ensemble_of(*members, seed=0):
    rng = np.random.default_rng(seed)
    return Ensemble(members, tuple(one.init(rng, np.float64) for one in members))


def test_members_contribute_in_proportion_to_their_counts():
    some = ensemble_of(network_of(4, 8, 3), network_of(4, 5, 6, 3), seed=2)
    a, b = some.networks
    repeated = Ensemble((a, b, b, b), (some.flats[0], *[some.flats[1]] * 3))
    rng = np.random.default_rng(1)
    X, baseline = rng.normal(size=(9, 4)), rng.normal(size=4)
    counted = Ensemble(some.networks, some.flats, (1, 3))
    np.testing.assert_allclose(
        contributions(counted, first, X, baseline), contributions(repeated, first, X, baseline), rtol=1e-10
    )


def first(outputs):
    return outputs[:, 0]


@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax", "exp"])
def test_contributions_sum_to_the_prediction_minus_that_of_the_baseline(output):
    ensemble = ensemble_of(network_of(4, 8, 3, output=output), network_of(4, 5, 6, 3, output=output))
    rng = np.random.default_rng(1)
    X, baseline = rng.normal(size=(20, 4)), rng.normal(size=4)
    found = contributions(ensemble, first, X, baseline)
    expected = first(ensemble.outputs(X)) - first(ensemble.outputs(baseline[None]))
    np.testing.assert_allclose(found.sum(axis=1), expected, rtol=1e-9, atol=1e-12)


def test_contributions_of_a_linear_network_are_weight_times_difference():
    ensemble = ensemble_of(network_of(3, 1))
    W = ensemble.tensors()["W1"]
    X, baseline = np.array([[1.0, -2.0, 3.0]]), np.array([0.5, 0.0, 1.0])
    np.testing.assert_allclose(contributions(ensemble, first, X, baseline), W * (X - baseline), rtol=1e-9)


def test_the_midpoint_sum_is_near_the_integral():
    """Before the remaining error is distributed; more steps hardly change the contributions."""
    ensemble = ensemble_of(network_of(5, 16, 16, 1, function="relu"))
    rng = np.random.default_rng(2)
    X = rng.normal(size=(30, 5))
    few, many = (contributions(ensemble, first, X, np.zeros(5), steps) for steps in (64, 1024))
    assert np.abs(few - many).max() < 0.01 * np.abs(many).max()


def test_an_input_equal_to_the_baseline_contributes_almost_nothing():
    ensemble = ensemble_of(network_of(3, 8, 1))
    X, baseline = np.array([[1.0, 2.0, 3.0]]), np.array([0.0, 2.0, 0.0])
    assert contributions(ensemble, first, X, baseline)[0, 1] == 0.0


def test_a_row_equal_to_the_baseline_has_zero_contributions():
    ensemble = ensemble_of(network_of(3, 8, 1))
    np.testing.assert_allclose(contributions(ensemble, first, np.ones((1, 3)), np.ones(3)), 0.0, atol=1e-12)


def test_contributions_include_the_decoding_of_outputs():
    ensemble = ensemble_of(network_of(3, 8, 2))

    def decode(outputs):
        return np.exp(outputs[:, 0]) + outputs[:, 1] ** 2

    X, baseline = np.random.default_rng(3).normal(size=(10, 3)), np.zeros(3)
    found = contributions(ensemble, decode, X, baseline, steps=512)
    expected = decode(ensemble.outputs(X)) - decode(ensemble.outputs(baseline[None]))
    np.testing.assert_allclose(found.sum(axis=1), expected, rtol=1e-6, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(networks(SMOOTH), st.integers(0, 2**16))
def test_near_the_baseline_contributions_are_gradient_times_difference(network, seed):
    X, *_ = rows(seed, 2)
    flat = start(network, seed)
    ensemble, size = Ensemble((network,), (flat,)), 1e-4
    found = contributions(ensemble, first, X + size, X[0], steps=1)[0]
    slopes = [
        (predict(network, flat, X[:1] + size / 2 + step) - predict(network, flat, X[:1] + size / 2 - step))[0, 0]
        for step in 1e-5 * np.eye(N_IN)
    ]
    np.testing.assert_allclose(
        found / size, np.asarray(slopes) / 2e-5, rtol=1e-3, atol=1e-4 * np.abs(slopes).max() / 2e-5 + 1e-9
    )
