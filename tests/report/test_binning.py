"""Curves, bins and quantiles that represent many rows by few numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from mlpcli.report.binning import density, quantile_band, ranking, reliability, thinned


@pytest.fixture(params=[False, True], ids=["unweighted", "weighted"])
def scored(request):
    """Truth, probabilities with ties, and weights."""
    rng = np.random.default_rng(3)
    truth = rng.random(2000) < 0.3
    p = np.round(np.clip(rng.normal(0.35 + 0.25 * truth, 0.2), 0, 1), 2)
    return truth, p, rng.exponential(size=2000) if request.param else None


def test_the_areas_are_those_of_scikit_learn(scored):
    truth, p, weights = scored
    curve = ranking(truth, p, weights)
    assert curve.area == pytest.approx(roc_auc_score(truth, p, sample_weight=weights), abs=1e-12)
    expected = average_precision_score(truth, p, sample_weight=weights)
    assert curve.average_precision == pytest.approx(expected, abs=1e-12)


def test_the_rates_at_each_threshold_are_those_of_scikit_learn(scored):
    truth, p, weights = scored
    curve = ranking(truth, p, weights)
    precision, recall, thresholds = precision_recall_curve(truth, p, sample_weight=weights)
    np.testing.assert_allclose(curve.thresholds[1:][::-1], thresholds)
    np.testing.assert_allclose(curve.recall[1:][::-1], recall[:-1])
    np.testing.assert_allclose(curve.precision[1:][::-1], precision[:-1])


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.3, 0.305, 0.99, 1.0, 2.0])
def test_the_point_of_a_threshold_has_the_rates_of_the_rows_above_it(scored, threshold):
    truth, p, weights = scored
    counted = np.ones(len(p)) if weights is None else weights
    curve = ranking(truth, p, weights)
    place = curve.at(threshold)
    assert curve.recall[place] == pytest.approx(counted[truth & (p > threshold)].sum() / counted[truth].sum())
    assert curve.false_rate[place] == pytest.approx(counted[~truth & (p > threshold)].sum() / counted[~truth].sum())


def test_a_thinned_curve_has_few_points_of_the_curve_and_its_ends():
    x = np.linspace(0, 1, 100_000)
    y = np.sqrt(x)
    few_x, few_y = thinned(x, y, 100)
    assert len(few_x) <= 102
    np.testing.assert_array_equal(few_y, np.sqrt(few_x))
    assert (few_x[0], few_x[-1]) == (0.0, 1.0)
    assert np.abs(np.interp(x, few_x, few_y) - y).max() < 0.01


def test_reliability_has_the_observed_frequency_of_each_bin(scored):
    _, p, weights = scored
    rng = np.random.default_rng(0)
    found = reliability(p, rng.random(len(p)) < p, weights)
    counted = np.ones(len(p)) if weights is None else weights
    assert found.n_rows.sum() == pytest.approx(counted.sum())
    assert (found.predicted * found.n_rows).sum() == pytest.approx((p * counted).sum())
    assert found.calibration_error < 0.07
    shifted = reliability(p, np.ones(len(p), np.bool_), weights)
    assert shifted.calibration_error == pytest.approx(1 - np.average(p, weights=weights))


numbers = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=60), st.booleans())
def test_every_row_of_a_density_is_in_the_grid_or_counted_outside(pairs, has_one_range):
    x, y = np.asarray(pairs).T
    grid = density(x, y, has_one_range)
    assert grid.counts.sum() + grid.n_outside == len(x)
    assert (np.diff(grid.x_edges) > 0).all()
    assert (np.diff(grid.y_edges) > 0).all()
    if has_one_range:
        assert (grid.x_edges[0], grid.x_edges[-1]) == (grid.y_edges[0], grid.y_edges[-1])


def test_an_outlier_does_not_widen_the_range_of_a_density():
    rng = np.random.default_rng(0)
    x, y = np.append(rng.normal(size=(2, 5000)), [[1e6], [0.0]], axis=1)
    grid = density(x, y)
    assert grid.x_edges[-1] < 10
    assert 1 <= grid.n_outside <= 25


@given(st.lists(numbers, min_size=1, max_size=80))
def test_the_groups_of_a_band_have_all_rows_in_order(values):
    x = np.asarray(values)
    band = quantile_band(x, x, (0.0, 0.5, 1.0), 5)
    assert band.n.sum() == len(x)
    assert len(band.n) <= 5
    assert (band.low[1:] > band.high[:-1]).all()
    np.testing.assert_array_equal(band.quantiles[:, 0], band.low)
    np.testing.assert_array_equal(band.quantiles[:, -1], band.high)
