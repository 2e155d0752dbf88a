"""Weighted quantiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.evaluation.metrics.averages import SortedColumn, weighted_quantile

ROWS = st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 5)), min_size=1, max_size=40).filter(
    lambda rows: any(weight for _, weight in rows)
)
UNITS = st.sampled_from([1.0, 1 / 3, 0.7, 1e-6, 1234.5])


@settings(deadline=None, max_examples=200)
@given(ROWS, UNITS, st.sampled_from([0.5, 0.8, 0.1, 0.25, 0.7, 0.29]))
def test_a_weighted_quantile_is_that_of_repeated_rows_in_any_unit_of_weight(rows, unit, quantile):
    values, weights = np.array([float(value) for value, _ in rows]), np.array([weight for _, weight in rows])
    of_copies = weighted_quantile(np.repeat(values, weights)[:, None], quantile, None)
    of_weights = weighted_quantile(values[:, None], quantile, weights * unit)
    assert of_weights == pytest.approx(of_copies)
    if quantile in (0.5, 0.25):  # of which multiples have no rounding
        of_numpy = np.quantile(np.repeat(values, weights), quantile, method="averaged_inverted_cdf")
        assert of_copies == pytest.approx(of_numpy)


@settings(deadline=None, max_examples=100)
@given(ROWS, UNITS)
def test_the_median_of_a_sorted_column_is_its_weighted_quantile_at_one_half(rows, unit):
    values, weights = np.array([float(value) for value, _ in rows]), np.array([weight for _, weight in rows]) * unit
    (median,) = SortedColumn(values).medians(weights[None])
    assert median == weighted_quantile(values[:, None], 0.5, weights)[0]


@settings(deadline=None, max_examples=100)
@given(ROWS, st.sampled_from([0.5, 0.8, 0.1]))
def test_no_constant_has_a_smaller_pinball_loss_than_the_quantile(rows, quantile):
    values, weights = np.array([float(value) for value, _ in rows]), np.array([weight for _, weight in rows])

    def loss(constant):
        error = values - constant
        return float(weights @ np.maximum(quantile * error, (quantile - 1) * error))

    best = loss(weighted_quantile(values[:, None], quantile, weights)[0])
    assert all(best <= loss(value) + 1e-9 for value in values)
