"""Averages of the weights: each step by step equal to its definition."""

import numpy as np
import pytest

from mlpcli.nn.averaging import ExponentialAverage, StochasticAverage, update_average


def averaged(averaging, weights):
    """The running average after each of these weights (n_steps, n)."""
    average, scratch = np.zeros(weights.shape[1]), np.empty(weights.shape[1])
    found = []
    for step, flat in enumerate(weights, start=1):
        update_average(average, flat, averaging.weight(step, len(weights)), scratch)
        found.append(average.copy())
    return np.array(found)


WEIGHTS = np.random.default_rng(0).normal(size=(1000, 3))


def test_an_exponential_average_forgets_by_its_decay_once_it_is_warm():
    decay, found = 0.9, averaged(ExponentialAverage(decay=0.9), WEIGHTS)
    # From step 81 on, 9 / (step + 9) is below 1 - decay.
    for step in range(81, 1000):
        np.testing.assert_allclose(found[step], decay * found[step - 1] + (1 - decay) * WEIGHTS[step], rtol=1e-9)
    powers = decay ** np.arange(500)
    written_out = (1 - decay) * powers @ WEIGHTS[999:499:-1]
    np.testing.assert_allclose(found[-1], written_out, atol=1e-12)


def test_an_exponential_average_has_forgotten_its_start_early():
    still = np.concatenate([np.full((1, 1), 1e6), np.zeros((200, 1))])
    assert abs(averaged(ExponentialAverage(decay=0.999), still)[-1, 0]) < 1e-3
    weights = [ExponentialAverage(decay=0.999).weight(step, 10**5) for step in range(1, 10**4)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] <= 1.0
    assert weights[-1] == pytest.approx(0.001)


@pytest.mark.parametrize("start", [0.0, 0.1, 0.25, 0.333, 0.5, 0.7, 0.75, 0.99])
@pytest.mark.parametrize("n_steps", [1, 2, 3, 10, 97, 1000])
def test_a_stochastic_average_is_the_plain_mean_of_the_weights_behind_its_start(start, n_steps):
    found = averaged(StochasticAverage(start=start), WEIGHTS[:n_steps])
    first = int(start * n_steps)
    np.testing.assert_array_equal(found[:first], WEIGHTS[:first])
    for step in range(first, n_steps):
        np.testing.assert_allclose(found[step], WEIGHTS[first : step + 1].mean(axis=0), rtol=1e-9, atol=1e-12)


def test_blending_in_all_of_it_copies_the_bits():
    average, flat = np.zeros(2, np.float32), np.array([0.1, -3e30], np.float32)
    update_average(average, flat, 1.0, np.empty(2, np.float32))
    np.testing.assert_array_equal(average, flat)
