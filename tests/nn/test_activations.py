"""Every activation: its values, its derivative, its manners at the ends of the number range."""

import math
import tracemalloc

import numpy as np
import pytest

from mlpcli.nn.activations import ACTIVATIONS, softmax
from mlpcli.nn.initializers import BY_FAN_NAMES

OF_ONE_NUMBER = list(ACTIVATIONS)
BOUNDED_OR_LINEAR = [name for name in ACTIVATIONS if name != "exp"]

POINTS = np.array([-30.0, -5.0, -2.0, -1.0, -0.3, -1e-3, 1e-3, 0.3, 1.0, 2.0, 5.0, 30.0])


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


# Each written a second time, plainly, as the papers print it.
BY_DEFINITION = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z)),
    "softplus": lambda z: math.log1p(math.exp(z)),
    "silu": lambda z: z * sigmoid(z),
    "gelu": lambda z: 0.5 * z * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))),
    "exp": math.exp,
}


def apply(name, z):
    z = np.asarray(z)
    a, scratch = np.full_like(z, np.nan), np.full_like(z, np.nan)
    ACTIVATIONS[name].evaluate(z, a, None, scratch)
    with_slope = np.full_like(z, np.nan)
    ACTIVATIONS[name].evaluate(z, with_slope, np.full_like(z, np.nan), scratch)
    np.testing.assert_allclose(with_slope, a, rtol=1e-6, atol=1e-30)
    return a


def slope_of(name, z):
    z = np.array(z)
    slope = np.full_like(z, np.nan)
    ACTIVATIONS[name].evaluate(z, np.full_like(z, np.nan), slope, np.full_like(z, np.nan))
    return slope


def test_every_activation_has_a_definition_here():
    assert set(BY_DEFINITION) == set(OF_ONE_NUMBER)


@pytest.mark.parametrize("name", OF_ONE_NUMBER)
def test_the_values_are_those_of_the_definition(name):
    expected = [[BY_DEFINITION[name](z)] for z in POINTS]
    np.testing.assert_allclose(apply(name, POINTS[:, None]), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "z", "expected"),
    [
        ("sigmoid", [0.0, 1.0, -2.0], [0.5, 0.731059, 0.119203]),
        ("tanh", [0.5], [0.462117]),
        ("leaky_relu", [-2.0, 3.0], [-0.02, 3.0]),
        ("elu", [-1.0, 1.0], [-0.632121, 1.0]),
        ("selu", [-1.0, 1.0], [-1.111331, 1.050701]),
        ("softplus", [0.0, 1.0], [0.693147, 1.313262]),
        ("silu", [-1.0, 1.0], [-0.268941, 0.731059]),
        ("gelu", [-1.0, 1.0, 2.0], [-0.158808, 0.841192, 1.954598]),
        ("mish", [-1.0, 1.0, 2.0], [-0.303401, 0.865098, 1.943959]),
    ],
)
def test_published_values_are_met(name, z, expected):
    np.testing.assert_allclose(apply(name, np.array([z])), [expected], atol=5e-7)


@pytest.mark.parametrize("name", OF_ONE_NUMBER)
def test_the_derivative_is_the_slope_of_the_function(name):
    h = 1e-5
    slope = (apply(name, POINTS[:, None] + h) - apply(name, POINTS[:, None] - h)) / (2 * h)
    np.testing.assert_allclose(slope_of(name, POINTS[:, None]), slope, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BOUNDED_OR_LINEAR)
def test_huge_inputs_give_finite_values_and_gradients_without_a_warning(name, dtype):
    z = np.array([[-1e4, -200.0, -90.0, 0.0, 90.0, 200.0, 1e4]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        a, delta = apply(name, z), slope_of(name, z)
    assert np.isfinite(a).all()
    assert np.isfinite(delta).all()


@pytest.mark.parametrize(
    ("name", "at_minus", "at_plus"),
    [
        ("sigmoid", 0, 1), ("tanh", -1, 1), ("relu", 0, 1e4), ("leaky_relu", -100, 1e4), ("elu", -1, 1e4),
        ("selu", -1.7580993, 10507.01), ("softplus", 0, 1e4), ("silu", 0, 1e4), ("gelu", 0, 1e4), ("mish", 0, 1e4),
    ],
)  # fmt: skip
def test_huge_inputs_reach_the_limits_of_the_function(name, at_minus, at_plus):
    a = apply(name, np.array([[-1e4, 1e4]], np.float32))
    np.testing.assert_allclose(a, [[at_minus, at_plus]], rtol=1e-6, atol=1e-25)


@pytest.mark.parametrize(
    ("name", "at_minus", "at_plus"),
    [
        ("sigmoid", 0, 0), ("tanh", 0, 0), ("relu", 0, 1), ("leaky_relu", 0.01, 1), ("elu", 0, 1),
        ("selu", 0, 1.0507010), ("softplus", 0, 1), ("silu", 0, 1), ("gelu", 0, 1), ("mish", 0, 1),
    ],
)  # fmt: skip
def test_huge_inputs_reach_the_limits_of_the_slope(name, at_minus, at_plus):
    slope = slope_of(name, np.array([[-1e4, 1e4]], np.float32))
    np.testing.assert_allclose(slope, [[at_minus, at_plus]], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "exp"])
def test_small_outputs_keep_their_digits_in_single_precision(name):
    z = np.array([[-40.0, -20.0, 0.0]], np.float32)
    np.testing.assert_allclose(apply(name, z), apply(name, z.astype(np.float64)), rtol=5e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_is_passed_on_so_that_the_loop_can_see_it(name):
    z = np.array([[np.nan, 1.0]], np.float32)
    with np.errstate(invalid="ignore"):
        assert np.isnan(apply(name, z)[0, 0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_single_precision_agrees_with_double(name):
    z = np.random.default_rng(2).normal(scale=3.0, size=(20, 3)).astype(np.float32)
    wide = z.astype(np.float64)
    np.testing.assert_allclose(apply(name, z), apply(name, wide), rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(slope_of(name, z), slope_of(name, wide), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_leaves_z_alone_and_allocates_no_array(name):
    z, a, slope, scratch = (np.ones((256, 512), np.float32) for _ in range(4))
    tracemalloc.start()
    try:
        ACTIVATIONS[name].evaluate(z, a, slope, scratch)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < z.nbytes / 8
    np.testing.assert_array_equal(z, 1.0)


def test_softmax_gives_fractions_that_a_shift_does_not_change():
    z = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, math.log(2)]])
    a, shifted = np.empty_like(z), np.empty_like(z)
    softmax(z, a)
    softmax(z + 500.0, shifted)
    np.testing.assert_allclose(a[1], [0.25, 0.25, 0.5])
    np.testing.assert_allclose(a.sum(axis=1), 1.0)
    np.testing.assert_allclose(shifted, a, rtol=1e-12)


def test_auto_names_an_initializer_that_exists():
    assert {activation.initializer for activation in ACTIVATIONS.values()} <= set(BY_FAN_NAMES)
