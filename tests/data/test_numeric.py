import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpcli.data.numeric import (
    Divide,
    MeanFill,
    MedianFill,
    MinMax,
    NoScaling,
    Robust,
    Standardize,
    fit_fill,
    fit_scaler,
)

SCALERS = (Standardize(), Robust(), MinMax(), Divide(by=255.0), NoScaling())
numbers = st.floats(-1e150, 1e150, allow_nan=False)
columns = arrays(np.float64, st.integers(1, 30), elements=numbers)


@pytest.mark.parametrize("scaler", SCALERS, ids=lambda scaler: scaler.name)
@given(values=columns)
def test_scaling_can_be_undone(scaler, values):
    center, scale = fit_scaler(scaler, values)
    assert np.isfinite(center)
    assert np.isfinite(scale)
    assert scale > 0
    back = (values - center) / scale * scale + center
    np.testing.assert_allclose(back, values, rtol=1e-12, atol=1e-12 * np.abs(values).max() + 1e-12)


@given(values=columns)
def test_standardized_columns_have_mean_0_and_standard_deviation_1_or_0(values):
    center, scale = fit_scaler(Standardize(), values)
    scaled = (values - center) / scale
    if values.min() == values.max():
        assert (scaled == 0).all()
    elif scale != 1.0:
        assert scaled.mean() == pytest.approx(0.0, abs=1e-2)
        assert scaled.std() == pytest.approx(1.0, abs=1e-2)


def test_standardize_on_ordinary_numbers():
    values = np.random.default_rng(0).normal(50, 7, 1000)
    center, scale = fit_scaler(Standardize(), values)
    scaled = (values - center) / scale
    assert scaled.mean() == pytest.approx(0, abs=1e-12)
    assert scaled.std() == pytest.approx(1, abs=1e-12)


@given(values=columns)
def test_minmax_gives_0_to_1(values):
    center, scale = fit_scaler(MinMax(), values)
    scaled = (values - center) / scale
    assert scaled.min() == 0
    assert scaled.max() <= 1 + 1e-9


def test_robust_takes_median_and_interquartile_range():
    assert fit_scaler(Robust(), np.array([1.0, 2.0, 3.0, 4.0, 1000.0])) == (3.0, 2.0)


def test_robust_takes_half_the_range_when_most_values_are_equal():
    assert fit_scaler(Robust(), np.array([0.0] * 9 + [8.0])) == (0.0, 4.0)


@pytest.mark.parametrize("scaler", [Standardize(), Robust(), MinMax()], ids=lambda scaler: scaler.name)
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e-300, 1e140])
def test_a_constant_column_gets_scale_1(scaler, value):
    center, scale = fit_scaler(scaler, np.full(7, value))
    assert center == pytest.approx(value, rel=1e-12)
    assert scale == 1.0


@pytest.mark.parametrize("scaler", SCALERS, ids=lambda scaler: scaler.name)
def test_missing_cells_do_not_count(scaler):
    values = np.array([1.0, 5.0, 9.0])
    assert fit_scaler(scaler, np.array([np.nan, 1.0, 5.0, np.nan, 9.0])) == fit_scaler(scaler, values)


def test_divide_divides():
    assert fit_scaler(Divide(by=255.0), np.array([3.0, 200.0])) == (0.0, 255.0)


def test_fills_are_median_and_mean_of_the_known_cells():
    values = np.array([1.0, np.nan, 2.0, 9.0])
    assert fit_fill(MedianFill(), values) == 2.0
    assert fit_fill(MeanFill(), values) == 4.0


def test_a_column_without_any_value_is_filled_with_0():
    values = np.full(3, np.nan)
    assert fit_fill(MedianFill(), values) == 0.0
    assert fit_scaler(Standardize(), values) == (0.0, 1.0)
