"""Statistics of weighted rows are those of their copies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.features.bin_edges import quantile_edges, split_targets, tree_edges
from mlpcli.data.features.scaling import MeanFill, MedianFill, Quantile, Robust, Standardize, fit_imputed_value
from mlpcli.data.features.weighted_statistics import (
    normalize_weights,
    sort_non_missing,
    total_weight,
    values_at_ranks,
    weighted_mean,
    weights_below,
)

columns = st.lists(st.tuples(st.integers(-20, 20), st.integers(1, 5), st.integers(0, 3)), min_size=2, max_size=60).map(
    lambda rows: tuple(np.asarray(column, np.float64) for column in zip(*rows, strict=True))
)


@given(columns)
@settings(max_examples=60, deadline=None)
def test_what_is_learnt_of_a_column_is_what_its_copies_teach(column):
    values, weights, _ = column
    ordered, counted = sort_non_missing(values.copy(), weights)
    copies = np.sort(np.repeat(values, weights.astype(int)))
    assert total_weight(ordered, counted) == len(copies)
    assert weighted_mean(ordered, counted) == pytest.approx(copies.mean())
    assert np.array_equal(values_at_ranks(ordered, np.arange(len(copies)), counted), copies)
    below, upto = weights_below(ordered, ordered, counted)
    assert np.array_equal(upto - below, [(copies == value).sum() for value in ordered])
    assert Standardize().fit(ordered, counted) == pytest.approx(Standardize().fit(copies))
    assert Robust().fit(ordered, counted) == Robust().fit(copies)
    assert fit_imputed_value(MedianFill(), ordered, counted) == fit_imputed_value(MedianFill(), copies)
    assert fit_imputed_value(MeanFill(), ordered, counted) == pytest.approx(fit_imputed_value(MeanFill(), copies))
    for of_rows, of_copies in zip(
        Quantile(points=7).knots(ordered, counted), Quantile(points=7).knots(copies), strict=True
    ):
        assert np.array_equal(of_rows, of_copies)
    assert np.array_equal(quantile_edges(ordered, 6, counted), quantile_edges(copies, 6))


@given(columns, st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_tree_splits_weighted_rows_where_it_splits_their_copies(column, is_classes):
    values, weights, targets = column
    n_copies = weights.astype(int)
    targets = targets.astype(int) if is_classes else targets[:, None]
    by_weight = tree_edges(values, split_targets(targets, weights), 5)
    by_copies = tree_edges(np.repeat(values, n_copies), split_targets(np.repeat(targets, n_copies, axis=0)), 5)
    assert sorted(by_weight) == sorted(by_copies)


def test_whole_weights_are_copies_and_others_relative():
    assert normalize_weights(np.asarray([1.0, 1.0])) is None
    assert normalize_weights(np.asarray([2.0, 2.0])).tolist() == [2.0, 2.0]
    assert normalize_weights(np.asarray([0.2, 0.2, 0.2])) is None
    assert normalize_weights(np.asarray([0.5, 1.0])).tolist() == pytest.approx([2 / 3, 4 / 3])
    for unit in (1e300, 1e-300):
        assert normalize_weights(unit * np.asarray([1.0, 2.0])).tolist() == pytest.approx([2 / 3, 4 / 3])
    assert normalize_weights(np.full(100, 1.7e308)) is None


def test_missing_cells_and_their_weights_are_left_out():
    values = np.asarray([3.0, np.nan, 1.0, 2.0, 1.0])
    ordered, counted = sort_non_missing(values, np.asarray([5.0, 9.0, 4.0, 1.0, 2.0]))
    assert ordered.tolist() == [1.0, 1.0, 2.0, 3.0]
    assert counted.tolist() == [2.0, 4.0, 1.0, 5.0]
