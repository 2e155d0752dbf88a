"""Values that act as levels are found, and those on a smooth curve or without any effect are not."""

import numpy as np
import pytest

from mlpcli.data.features.lack_of_fit import lack_of_fit
from mlpcli.workflows.starter.level_detection import LEAST_GAIN, ROWS_PER_LEVEL

N_ROWS = 10_000


def drawn(n_values, effect, seed=0):
    """Values 0, 1, 2, ... and a target of variance 1, of which `effect(value)` is a part."""
    rng = np.random.default_rng(seed)
    values = rng.integers(n_values, size=N_ROWS).astype(np.float64)
    signal = effect(values, rng)
    return values, (signal + rng.normal(size=N_ROWS) * np.sqrt(max(1 - signal.var(), 0)))[:, None]


def jumps(share, n_values=100):
    def effect(values, rng):
        return rng.normal(size=n_values)[values.astype(np.int64)] * np.sqrt(share)

    return effect


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_an_effect_of_each_value_is_found_to_its_size(share):
    assert 0.5 * share < lack_of_fit(*drawn(100, jumps(share))) < 1.1 * share


@pytest.mark.parametrize("period", [100, 300])
def test_a_smooth_curve_is_none(period):
    def wave(values, rng):
        return 1.2 * np.sin(values * 2 * np.pi / period)

    assert lack_of_fit(*drawn(100, wave)) < LEAST_GAIN


@pytest.mark.parametrize("n_values", [3, 50, N_ROWS // ROWS_PER_LEVEL])
def test_a_target_that_depends_on_nothing_never_makes_levels(n_values):
    assert max(lack_of_fit(*drawn(n_values, jumps(0, n_values), seed)) for seed in range(50)) < LEAST_GAIN


def test_classes_are_judged_as_numbers_of_0_and_1_are():
    values, target = drawn(50, jumps(0.3, 50))
    codes = (target[:, 0] > 0).astype(np.int64)
    assert lack_of_fit(values, codes) == pytest.approx(lack_of_fit(values, codes[:, None].astype(np.float64)), rel=1e-3)
    assert lack_of_fit(values, codes) > 10 * LEAST_GAIN


def test_units_of_values_and_targets_do_not_matter():
    values, target = drawn(60, jumps(0.1, 60))
    assert lack_of_fit(3 * values - 7, 1000 * target + 1e7) == pytest.approx(lack_of_fit(values, target), rel=1e-6)


def test_a_constant_target_has_none():
    assert lack_of_fit(np.arange(200.0) % 4, np.ones((200, 1))) == 0.0
    assert lack_of_fit(np.arange(200.0) % 4, np.zeros(200, np.int64)) == 0.0
