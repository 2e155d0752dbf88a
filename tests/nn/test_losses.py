"""Every loss: values worked by hand, the gradient, and the two ways in (outputs and logits)."""

import math
from typing import get_args

import numpy as np
import pytest

from mlpcli.nn.activations import ACTIVATIONS, softmax
from mlpcli.nn.losses import (
    TINY,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SquaredError,
)

LOSSES = {
    "cross_entropy": CrossEntropy(),
    "binary_cross_entropy": BinaryCrossEntropy(),
    "squared_error": SquaredError(),
    "absolute_error": AbsoluteError(),
    "huber": Huber(delta=0.7),
    "poisson": Poisson(),
    "quantile": Quantile(quantile=0.8),
}
LIKELIHOODS = ["cross_entropy", "binary_cross_entropy", "poisson"]


def test_every_loss_is_checked_here():
    assert {*LOSSES} == {loss.name for loss in get_args(Loss)}


def targets_for(name, n_rows, n_out, rng):
    """Targets a user of the loss could have: one class per row, yes/no, counts or numbers."""
    if name == "cross_entropy":
        return np.eye(n_out)[rng.integers(n_out, size=n_rows)]
    if name == "binary_cross_entropy":
        return rng.integers(2, size=(n_rows, n_out)).astype(float)
    if name == "poisson":
        return rng.poisson(2.0, size=(n_rows, n_out)).astype(float)
    return rng.normal(size=(n_rows, n_out))


def outputs_of(activation, z):
    a = np.empty_like(z)
    if activation == "softmax":
        softmax(z, a)
    else:
        ACTIVATIONS[activation].evaluate(z, a, None, np.empty_like(z))
    return a


def from_logits(loss, z, y):
    """The loss of each row from logits."""
    return loss.losses_and_delta(z, y, np.empty_like(z))


@pytest.mark.parametrize(
    ("loss", "a", "y", "expected"),
    [
        (CrossEntropy(), [0.2, 0.5, 0.3], [0, 1, 0], math.log(2)),
        (CrossEntropy(), [1e-6, 1.0 - 1e-6], [1, 0], -math.log(1e-6)),
        (CrossEntropy(), [0.25, 0.75], [0.5, 0.5], -0.5 * math.log(0.25) - 0.5 * math.log(0.75)),
        (BinaryCrossEntropy(), [0.8, 0.1], [1, 0], -math.log(0.8) - math.log(0.9)),
        (SquaredError(), [1.0, 4.0], [3.0, 1.0], 0.5 * (4 + 9)),
        (AbsoluteError(), [1.0, 4.0], [3.0, 1.0], 5.0),
        (Huber(delta=1.0), [0.5, 3.0], [0.0, 0.0], 0.125 + 2.5),
        (Huber(delta=2.0), [3.0], [0.0], 2.0 * (3.0 - 1.0)),
        (Poisson(), [2.0, 0.5], [3.0, 0.0], 2.0 - 3 * math.log(2.0) + 0.5),
        (Quantile(quantile=0.9), [1.0, 4.0], [3.0, 1.0], 0.9 * 2 + 0.1 * 3),
        (Quantile(), [1.0], [3.0], 1.0),
        (Quantile(quantile=(0.1, 0.5, 0.9)), [1.0, 2.0, 3.0], [3.0, 3.0, 3.0], 0.1 * 2 + 0.5 * 1),
        (Quantile(quantile=(0.1, 0.5, 0.9)), [1.0, 9.0, 2.0, 9.0, 3.0, 9.0], [0, 9, 0, 9, 0, 9], 0.9 + 1.0 + 0.3),
    ],
)
def test_a_row_costs_what_the_formula_says(loss, a, y, expected):
    values = loss.values(np.array([a], float), np.array([y], float))
    np.testing.assert_allclose(values, [expected], rtol=1e-12)


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_the_slope_of_the_values(name, n_out):
    rng = np.random.default_rng(0)
    loss, h = LOSSES[name], 1e-6
    a, y = rng.uniform(0.1, 0.9, (6, n_out)), targets_for(name, 6, n_out, rng)
    grad = np.empty_like(a)
    loss.gradient(a, y, grad)
    for output in range(n_out):
        move = h * np.eye(n_out)[output]
        slope = (loss.values(a + move, y) - loss.values(a - move, y)) / (2 * h)
        np.testing.assert_allclose(grad[:, output], slope, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_three_quantiles_have_the_gradient_of_each_alone(n_targets):
    rng, levels = np.random.default_rng(3), (0.05, 0.5, 0.9)
    a, y = rng.normal(size=(8, 3 * n_targets)), np.tile(rng.normal(size=(8, n_targets)), (1, 3))
    grad, values = np.empty_like(a), np.zeros(8)
    Quantile(quantile=levels).gradient(a, y, grad)
    for place, level in enumerate(levels):
        own = slice(place * n_targets, (place + 1) * n_targets)
        alone = np.empty((8, n_targets))
        Quantile(quantile=level).gradient(a[:, own], y[:, own], alone)
        np.testing.assert_array_equal(grad[:, own], alone)
        values += Quantile(quantile=level).values(a[:, own], y[:, own])
    np.testing.assert_allclose(Quantile(quantile=levels).values(a, y), values)


@pytest.mark.parametrize("name", LOSSES)
def test_outputs_outside_the_range_of_a_logarithm_have_a_value_and_its_slope(name):
    loss, h = LOSSES[name], 1e-9
    a, y = np.array([[-0.4], [0.0], [TINY / 2], [1.3]]), np.array([[0.3], [1.0], [1.0], [0.6]])
    grad = np.empty_like(a)
    loss.gradient(a, y, grad)
    slope = (loss.values(a + h, y) - loss.values(a - h, y)) / (2 * h)
    assert np.isfinite(loss.values(a, y)).all()
    np.testing.assert_allclose(grad[:, 0], slope, rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_logits_and_outputs_agree_where_both_are_well_conditioned(name):
    rng = np.random.default_rng(1)
    loss = LOSSES[name]
    z, y = rng.normal(scale=2.0, size=(20, 3)), targets_for(name, 20, 3, rng)
    a = outputs_of(loss.canonical_activation, z)
    np.testing.assert_allclose(from_logits(loss, z, y), loss.values(a, y), rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "poisson"])
def test_logits_of_a_thousand_give_finite_losses_without_a_warning(name, dtype):
    z = np.array([[1000.0, -1000.0, 0.0], [-1000.0, 1000.0, 1000.0]], dtype)
    y = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert np.isfinite(from_logits(LOSSES[name], z, y)).all()


def test_a_confident_mistake_costs_its_logit():
    z, y = np.array([[1000.0, -1000.0]]), np.array([[0.0, 1.0]])
    np.testing.assert_allclose(from_logits(CrossEntropy(), z, y), [2000.0])
    np.testing.assert_allclose(from_logits(BinaryCrossEntropy(), z, y), [2000.0])


def test_poisson_on_logits_costs_nothing_for_a_count_of_zero_far_below():
    np.testing.assert_allclose(from_logits(Poisson(), np.array([[-1000.0]]), np.array([[0.0]])), [0.0])


def test_a_confident_hit_keeps_its_digits_in_single_precision():
    z = np.array([[20.0], [-20.0]], np.float32)
    y = np.array([[1.0], [0.0]], np.float32)
    np.testing.assert_allclose(from_logits(BinaryCrossEntropy(), z, y), math.log1p(math.exp(-20.0)), rtol=1e-5)


def test_a_shift_of_all_logits_costs_nothing_in_single_precision():
    z, y = np.array([[0.25, 0.5, -1.0]], np.float32), np.array([[0.0, 1.0, 0.0]], np.float32)
    shifted = from_logits(CrossEntropy(), z + np.float32(4096.0), y)
    np.testing.assert_allclose(shifted, from_logits(CrossEntropy(), z, y), rtol=1e-6)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_with_its_partner_a_likelihood_has_the_gradient_a_minus_y(name):
    rng = np.random.default_rng(2)
    z, y = rng.normal(size=(12, 3)), targets_for(name, 12, 3, rng)
    delta = np.empty_like(z)
    LOSSES[name].losses_and_delta(z, y, delta)
    np.testing.assert_allclose(delta, outputs_of(LOSSES[name].canonical_activation, z) - y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_the_delta_is_the_slope_of_the_losses_from_logits(name):
    rng = np.random.default_rng(5)
    loss, z = LOSSES[name], rng.normal(size=(8, 3))
    y, delta = targets_for(name, 8, 3, rng), np.empty_like(z)
    loss.losses_and_delta(z, y, delta)
    for output in range(3):
        move = 1e-6 * np.eye(3)[output]
        slope = (from_logits(loss, z + move, y) - from_logits(loss, z - move, y)) / 2e-6
        np.testing.assert_allclose(delta[:, output], slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", LOSSES)
def test_single_precision_stays_single_and_agrees_with_double(name):
    rng = np.random.default_rng(3)
    loss = LOSSES[name]
    z = rng.normal(size=(10, 3)).astype(np.float32)
    a = outputs_of(loss.canonical_activation, z)
    y = targets_for(name, 10, 3, rng).astype(np.float32)
    grad, wide_grad = np.empty_like(a), np.empty(a.shape)
    loss.gradient(a, y, grad)
    loss.gradient(a.astype(float), y.astype(float), wide_grad)
    assert loss.values(a, y).dtype == np.float32
    assert from_logits(loss, z, y).dtype == np.float32
    np.testing.assert_allclose(loss.values(a, y), loss.values(a.astype(float), y.astype(float)), rtol=1e-5)
    np.testing.assert_allclose(grad, wide_grad, rtol=1e-5)


def test_the_mean_of_the_targets_costs_least_under_the_square_and_the_median_under_the_absolute_error():
    y = np.array([[0.0], [1.0], [2.0], [3.0], [100.0]])
    guesses = np.linspace(-5, 105, 1101)
    for loss, best in [(SquaredError(), y.mean()), (AbsoluteError(), 2.0), (Quantile(quantile=0.7), 3.0)]:
        costs = [loss.values(np.full_like(y, guess), y).sum() for guess in guesses]
        assert guesses[np.argmin(costs)] == pytest.approx(best, abs=0.06)


def test_huber_is_the_square_near_the_target_and_the_scaled_absolute_error_far_away():
    a, y = np.array([[0.3], [50.0]]), np.zeros((2, 1))
    near, far = Huber(delta=2.0).values(a, y)
    assert near == pytest.approx(SquaredError().values(a, y)[0])
    assert far == pytest.approx(2.0 * AbsoluteError().values(a, y)[1] - 2.0)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_finite_where_the_outputs_are_saturated_and_not_where_a_logit_is_nan(name):
    z = np.array([[60.0, -60.0], [-60.0, 60.0]], np.float32)
    y = np.eye(2, dtype=np.float32)
    with np.errstate(over="ignore"):
        assert np.isfinite(from_logits(LOSSES[name], z, y)).all()
    z[0, 0] = np.nan
    with np.errstate(invalid="ignore", over="ignore"):
        assert not np.isfinite(from_logits(LOSSES[name], z, y)[0])
