import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpcli.data.features.scaling import (
    Divide,
    MeanFill,
    MedianFill,
    MinMax,
    NoScaling,
    Quantile,
    Robust,
    Standardize,
    _quantile,
    count_distinct,
    fit_imputed_value,
)
from mlpcli.data.features.weighted_statistics import sort_non_missing

SCALERS = (Standardize(), Robust(), MinMax(), Quantile(), Divide(by=255.0), NoScaling())
numbers = st.floats(-1e150, 1e150, allow_nan=False)
columns = arrays(np.float64, st.integers(1, 30), elements=numbers)


def sorted_non_missing(values):
    return sort_non_missing(values.copy())[0]


def measured(scaler, values):
    return scaler.fit(sorted_non_missing(values))


@pytest.mark.parametrize("scaler", SCALERS, ids=lambda scaler: scaler.name)
@given(values=columns)
def test_scaling_can_be_undone(scaler, values):
    center, scale = measured(scaler, values)
    assert np.isfinite(center)
    assert np.isfinite(scale)
    assert scale > 0
    back = (values - center) / scale * scale + center
    np.testing.assert_allclose(back, values, rtol=1e-12, atol=1e-12 * np.abs(values).max() + 1e-12)


@given(values=columns)
def test_standardized_columns_have_mean_0_and_standard_deviation_1_or_0(values):
    center, scale = measured(Standardize(), values)
    scaled = (values - center) / scale
    if values.min() == values.max():
        assert (scaled == 0).all()
    elif scale != 1.0 and np.ptp(values) > 1e-150:  # squares of smaller distances are denormal
        assert scaled.mean() == pytest.approx(0.0, abs=1e-2)
        assert scaled.std() == pytest.approx(1.0, abs=1e-2)


def test_standardize_on_ordinary_numbers():
    values = np.random.default_rng(0).normal(50, 7, 1000)
    center, scale = measured(Standardize(), values)
    scaled = (values - center) / scale
    assert scaled.mean() == pytest.approx(0, abs=1e-12)
    assert scaled.std() == pytest.approx(1, abs=1e-12)


@given(values=columns)
def test_minmax_gives_0_to_1(values):
    center, scale = measured(MinMax(), values)
    scaled = (values - center) / scale
    assert scaled.min() == 0
    assert scaled.max() <= 1 + 1e-9


def test_robust_takes_median_and_interquartile_range():
    assert measured(Robust(), np.array([1.0, 2.0, 3.0, 4.0, 1000.0])) == (3.0, 2.0)


@given(values=columns, fraction=st.floats(0, 1))
def test_quantiles_of_sorted_values_are_those_of_numpy(values, fraction):
    assert _quantile(np.sort(values), fraction) == np.quantile(values, fraction)


def test_a_long_column_is_standardized_as_numpy_does():
    values = np.random.default_rng(0).normal(50, 7, 300_000)
    center, scale = measured(Standardize(), values)
    assert center == pytest.approx(values.mean(), rel=1e-14)
    assert scale == pytest.approx(values.std(), rel=1e-14)


def test_robust_takes_half_the_distance_of_the_others_when_most_values_are_equal():
    assert measured(Robust(), np.array([0.0] * 9 + [8.0])) == (0.0, 4.0)


def test_an_outlier_does_not_determine_the_scale_if_most_values_are_equal():
    others = [2000.0, 3000.0, 4000.0, 5000.0, 99999.0]
    assert measured(Robust(), np.array([0.0] * 95 + others)) == (0.0, 2000.0)
    assert measured(Robust(), np.array([-x for x in others] + [0.0] * 95)) == (0.0, 2000.0)


@given(values=columns, weights=arrays(np.float64, 30, elements=st.integers(1, 3)))
def test_a_row_of_some_weight_is_scaled_robustly_as_so_many_copies(values, weights):
    ordered, counted = sort_non_missing(np.round(values / 1e150), weights[: len(values)])
    copies = np.repeat(ordered, counted.astype(int))
    assert Robust().fit(ordered, counted) == pytest.approx(Robust().fit(copies), rel=1e-12)


@pytest.mark.parametrize("scaler", [Standardize(), Robust(), MinMax()], ids=lambda scaler: scaler.name)
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e-300, 1e140])
def test_a_constant_column_gets_scale_1(scaler, value):
    center, scale = measured(scaler, np.full(7, value))
    assert center == pytest.approx(value, rel=1e-12)
    assert scale == 1.0


@pytest.mark.parametrize("scaler", SCALERS, ids=lambda scaler: scaler.name)
def test_missing_cells_do_not_count(scaler):
    values = np.array([1.0, 5.0, 9.0])
    assert measured(scaler, np.array([np.nan, 1.0, 5.0, np.nan, 9.0])) == measured(scaler, values)


def test_divide_divides():
    assert measured(Divide(by=255.0), np.array([3.0, 200.0])) == (0.0, 255.0)


def test_normal_scores_of_distinct_values_are_the_quantiles_of_the_middles_of_their_ranks():
    values, scores = Quantile().knots(np.array([10.0, 20.0, 30.0]))
    assert values.tolist() == [10, 20, 30]
    # Quantiles of the normal distribution at 1/6, 1/2 and 5/6.
    assert scores == pytest.approx([-0.967421566101701, 0, 0.967421566101701], abs=1e-12)


def test_equal_values_share_one_score():
    values, scores = Quantile().knots(np.array([0.0, 0.0, 0.0, 7.0]))
    assert values.tolist() == [0, 7]
    # At 3/8 and 7/8.
    assert scores == pytest.approx([-0.318639363964375, 1.15034938037601], abs=1e-12)
    assert [knots.tolist() for knots in Quantile().knots(np.full(9, 3.5))] == [[3.5], [0]]


@given(values=columns, points=st.integers(2, 12))
def test_knots_are_training_values_that_rise_with_their_scores(values, points):
    knots, scores = Quantile(points=points).knots(np.sort(values))
    assert len(knots) == len(scores) <= points
    assert np.isin(knots, values).all()
    assert (np.diff(knots) > 0).all()
    assert (np.diff(scores) > 0).all()
    assert knots[0] == values.min()
    distances = np.diff(np.unique(values) / 2)
    if len(np.unique(values)) <= points and distances.min(initial=1) > 1e-290:
        assert len(knots) == len(np.unique(values))


@given(values=columns)
def test_scores_do_not_depend_on_the_unit_of_a_column(values):
    values = np.sort(values[np.abs(values) > 1e-100])
    if len(values):
        assert np.array_equal(Quantile().knots(values)[1], Quantile().knots(values * 1024)[1])


def test_many_values_become_normal():
    values = np.random.default_rng(0).exponential(size=50_000)
    knots = Quantile(points=200).knots(np.sort(values))
    scores = np.interp(values, *knots)
    assert len(knots[0]) == 200
    assert scores.mean() == pytest.approx(0, abs=0.01)
    assert scores.std() == pytest.approx(1, abs=0.02)


def test_imputed_values_are_median_and_mean_of_the_non_missing_cells():
    values = np.array([1.0, np.nan, 2.0, 9.0])
    ordered = sorted_non_missing(values)
    assert fit_imputed_value(MedianFill(), ordered) == 2.0
    assert fit_imputed_value(MeanFill(), ordered) == 4.0


@given(values=arrays(np.float64, st.integers(1, 30), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_a_median_is_the_middle_of_the_values_in_whatever_order_they_come(values):
    fill = fit_imputed_value(MedianFill(), sorted_non_missing(values))
    assert fit_imputed_value(MedianFill(), sorted_non_missing(np.append(np.nan, values))) == fill
    if np.abs(values).max() < 1e100:
        assert fill == np.median(values)
    else:  # the mean of two may be beyond the range
        assert np.isfinite(fill)


@given(values=arrays(np.float64, st.integers(1, 30), elements=st.sampled_from([np.nan, -1.5, -0.0, 0.0, 1e-300, 7.0])))
def test_distinct_values_are_counted_and_missing_ones_are_not(values):
    ordered = sorted_non_missing(values)
    assert ordered.tolist() == sorted(value for value in values.tolist() if value == value)
    if len(ordered):
        assert count_distinct(ordered) == len(set(ordered.tolist()))


def test_distinct_values_are_counted_up_to_a_thousand():
    assert count_distinct(np.arange(999.0)) == 999
    assert count_distinct(np.arange(5000.0)) == 1000


def test_a_column_without_any_value_is_filled_with_0():
    values = np.full(3, np.nan)
    assert fit_imputed_value(MedianFill(), sorted_non_missing(values)) == 0.0


@pytest.mark.parametrize("kind", ["few values", "mostly one value", "no ties"])
def test_normal_scores_are_those_of_noisy_quantiles_without_their_noise(kind):
    """TabM fits them on values plus N(0, 1e-5), which spreads ties over their ranks: here ties have the mean rank."""
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    rng, n_rows = np.random.default_rng(0), 6000
    values = {
        "few values": rng.integers(0, 8, n_rows).astype(float),
        "mostly one value": np.where(rng.random(n_rows) < 0.7, 0, rng.exponential(size=n_rows).round(2)),
        "no ties": rng.normal(size=n_rows),
    }[kind]
    knots, scores = Quantile().knots(np.sort(values))
    ours = np.interp(values, knots, scores)
    noisy = preprocessing.QuantileTransformer(n_quantiles=200, output_distribution="normal", subsample=n_rows)
    noisy.fit((values + rng.normal(0, 1e-5, n_rows))[:, None])
    theirs = noisy.transform(values[:, None])[:, 0]
    is_inner = np.abs(ours) < 2  # its extreme values have the score 5.2
    assert np.abs(ours - theirs)[is_inner].max() < 0.1
    assert np.abs(ours - theirs)[is_inner].mean() < 0.02
