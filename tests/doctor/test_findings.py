"""Which problems are reported, and that sampling variation is not."""

import numpy as np
import pytest

from mlpcli.doctor.columns import column_codes, drifted, explained_alone, leaking_columns
from mlpcli.doctor.curves import Curve, rate_too_high, rate_too_low
from mlpcli.doctor.predictions import (
    Losses,
    biased,
    gap,
    miscalibrated,
    never_predicted,
    no_better_than_constant,
    off_quantile,
)
from mlpcli.doctor.units import UnitCounts, gradient_sizes, idle_units, uneven_gradient
from mlpcli.nn.build import HiddenSpec, perceptron
from mlpcli.nn.losses import SquaredError
from mlpcli.nn.network import Network

KEY = "training.optimizer.learning_rate"
NONE = np.array([])


def curve(train, validation=NONE, rates=None, start=1.0, cut=False):
    train = np.asarray(train, float)
    return Curve(train, np.asarray(validation, float), start, np.ones(len(train)) if rates is None else rates, cut)


def test_a_loss_that_falls_has_no_rate_too_high_however_small_its_last_steps():
    falling = 0.7 ** np.arange(40)
    assert not rate_too_high(curve(falling), 0.1, KEY)
    near_zero = np.where(np.arange(40) > 20, falling * (1 + np.arange(40) % 2), falling)
    assert not rate_too_high(curve(near_zero), 0.1, KEY)


def test_rises_of_the_loss_count_unless_the_learning_rate_rises():
    jumping = 0.5 + 0.1 * (np.arange(40) % 2)
    assert "rises by more than 10% in 20 of 40 epochs" in rate_too_high(curve(jumping), 0.1, KEY)[0].fact
    assert not rate_too_high(curve(jumping, rates=1.0 + np.arange(40) % 2), 0.1, KEY)


@pytest.mark.parametrize(("speed", "is_slow"), [(1.0, True), (2.0, True), (4.0, False), (10.0, False)])
def test_a_training_is_too_short_if_its_last_quarter_still_gains(speed, is_slow):
    losses = np.exp(-speed * np.arange(1, 41) / 40)
    assert bool(rate_too_low(curve(losses, losses), 0.01, KEY)) == is_slow
    assert not rate_too_low(curve(losses, losses, cut=True), 0.01, KEY)


def test_progress_is_measured_along_the_sum_of_learning_rates():
    rates = np.cos(np.arange(40) / 40 * np.pi / 2)
    way = np.cumsum(rates) / rates.sum()
    slow, quick = np.exp(-way), np.exp(-8 * way)
    assert rate_too_low(curve(slow, slow, rates), 0.01, KEY)
    assert not rate_too_low(curve(quick, quick, rates), 0.01, KEY)


def test_overfitting_is_a_significant_loss_of_the_gain_on_held_out_rows():
    assert not gap(Losses("log_loss", "test", 0.3, 0.4, 0.7), "x")
    assert "25% of the gain" in gap(Losses("log_loss", "test", 0.3, 0.6, 0.7), "x")[0].fact
    assert not gap(Losses("log_loss", "test", 0.3, 0.6, 0.7, error=0.2), "x")
    assert not gap(Losses("log_loss", "test", 0.8, 0.9, 0.7), "x")


def test_r2_is_displayed_instead_of_the_unexplained_fraction():
    fact = gap(Losses("r2", "validation", 0.1, 0.8, 1.0), "x")[0].fact
    assert fact.startswith("r2: train 0.900, validation 0.200, constant 0.000")
    assert "r2 on the test rows is -0.200" in no_better_than_constant(Losses("r2", "test", 0.1, 1.2, 1.0))[0].fact


def test_a_class_that_is_never_predicted_is_reported_from_five_rows_on():
    assert not never_predicted("ab", np.array([90, 4]), np.array([94, 0]), "x")
    assert "b (5 of 95 rows, 5.3%)" in never_predicted("ab", np.array([90, 5]), np.array([95, 0]), "x")[0].fact


def test_miscalibration_is_a_large_and_significant_temperature():
    assert "overconfident" in miscalibrated(2.0, 0.1, 1000, "test")[0].fact
    assert "underconfident" in miscalibrated(0.5, 0.1, 1000, "test")[0].fact
    assert not miscalibrated(2.0, 0.1, 20, "test")
    assert not miscalibrated(1.1, 0.1, 1000, "test")


def test_bias_and_wrong_quantiles_are_reported_only_if_significant():
    rng = np.random.default_rng(0)
    assert not any(biased("y", rng.normal(size=200), "test") for _ in range(200))
    assert "predicted 0.499 too high" in biased("y", rng.normal(size=2000) + 0.5, "test")[0].fact
    assert not any(off_quantile("y", 0.9, int(rng.binomial(200, 0.9)), 200, "test") for _ in range(200))
    assert "75% of the test rows" in off_quantile("y", 0.9, 1500, 2000, "test")[0].fact


def test_a_column_alone_explains_the_variance_between_its_levels_or_bins():
    rng = np.random.default_rng(0)
    levels = rng.integers(4, size=(2, 500, 1)).astype(np.float32)
    truth = [(one == 2).astype(float) for one in levels]
    codes, others, _ = column_codes(levels[0], levels[1])
    assert explained_alone(codes, truth[0], others, truth[1]) == 1.0
    noise = rng.normal(size=(2, 500, 1)).astype(np.float32)
    found = leaking_columns({"a": (levels[0], levels[1]), "b": (noise[0], noise[1])}, truth[0], truth[1], "y")
    assert [one.values["column"] for one in found] == ["a"]
    numbers = rng.normal(size=(2, 5000, 1)).astype(np.float32)
    assert (
        explained_alone(*column_codes(*numbers)[:1], 3 * numbers[0], column_codes(*numbers)[1], 3 * numbers[1]) > 0.99
    )


def test_an_unseen_level_is_predicted_as_the_mean():
    codes, others, _ = column_codes(np.array([[0.0], [1.0]] * 5), np.array([[7.0]]))
    assert others.tolist() == [-1]
    assert explained_alone(codes, np.arange(10.0)[:, None], others, np.array([[4.5]])) == 0.0


def test_a_shift_is_drift_and_sampling_variation_is_not():
    rng = np.random.default_rng(0)
    names = "abcdefgh"
    for _ in range(20):
        assert not drifted({name: (rng.normal(size=(800, 1)), rng.normal(size=(200, 1))) for name in names}, "test")
    shifted = {
        "a": (rng.normal(size=(800, 1)), rng.normal(size=(200, 1)) + 1),
        "b": (np.zeros((800, 1)), np.ones((200, 1))),
    }
    (finding,) = drifted(shifted, "test")
    assert finding.values["columns"] == 2


def network(activation, n_hidden=8, depth=1):
    hidden = (n_hidden,) * depth
    return Network(3, perceptron(3, hidden, 1, (activation,) * depth, "identity", HiddenSpec()))


def test_dead_and_saturated_units_are_the_same_counted_in_blocks():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 3)).astype(np.float32)
    for activation, word in (("relu", "dead"), ("tanh", "saturated"), ("sigmoid", "saturated")):
        net = network(activation)
        flat = net.init(rng)
        views = net.named_views(flat)
        views["b1"][:5] = -1000.0
        views["W1"][4] = 0.0
        whole, parts = UnitCounts(net, flat), UnitCounts(net, flat)
        whole.add(X)
        for part in np.array_split(X, 7):
            parts.add(part)
        assert [getattr(whole, word)[0].tolist()] == [[True] * 5 + [False] * 3]
        assert [one.tolist() for one in getattr(parts, word)] == [one.tolist() for one in getattr(whole, word)]
        assert "5 of 8 units of hidden layer 1" in idle_units([whole], KEY, activation)[0].fact


def test_a_vanishing_gradient_of_deep_sigmoids_is_reported_unless_training_recovered():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(500, 3)).astype(np.float32), rng.normal(size=(500, 1)).astype(np.float32)
    sizes = {}
    for name, activation, factor in (("even", "relu", 1.0), ("small", "sigmoid", 0.3)):
        net = network(activation, depth=6)
        flat = net.init(rng)
        flat *= factor
        sizes[name] = gradient_sizes(net, SquaredError(), flat, X, y)
        assert sizes[name].shape == (7,)
    assert not uneven_gradient(sizes["even"], sizes["even"], "relu")
    assert "vanishes" in uneven_gradient(sizes["small"], sizes["small"], "sigmoid")[0].fact
    assert not uneven_gradient(sizes["small"], sizes["even"], "sigmoid")
    assert "explodes" in uneven_gradient(sizes["small"][::-1], sizes["small"][::-1], "relu")[0].fact
