import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpcli.data.features import bin_edges
from mlpcli.data.features.bin_edges import quantile_edges, split_targets, tree_edges
from mlpcli.data.features.bins import PiecewiseLinear, write_bins
from mlpcli.data.features.scaling import is_distinct

finite = st.floats(allow_nan=False, allow_infinity=False)
columns = arrays(np.float64, st.integers(20, 60), elements=st.one_of(finite, st.just(np.nan), st.integers(-3, 3)))


def edges_by(values, targets, **options):
    return PiecewiseLinear(edges="target", **options).find_edges(values, split_targets(targets))


def some_targets(kind, n_rows, rng):
    return {
        "two classes": rng.integers(0, 2, n_rows),
        "many classes": rng.integers(0, 40, n_rows),
        "amount": rng.normal(1e6, 1e-2, (n_rows, 1)),
        "amounts": rng.normal(size=(n_rows, 3)),
        "yes and no": rng.integers(0, 2, (n_rows, 2)).astype(np.float64),
    }[kind]


KINDS = ["two classes", "many classes", "amount", "amounts", "yes and no"]


@pytest.mark.parametrize(
    "target",
    [
        lambda x: (x > 0.7).astype(np.int64),
        lambda x: 1 + (x > 0.7).astype(np.int64),
        lambda x: np.where(x > 0.7, 5e200, -5e200)[:, None],
        lambda x: np.column_stack([np.zeros(len(x)), np.sin(40 * x) / 9, x > 0.7]).astype(np.float64),
    ],
)
def test_a_step_in_the_target_has_an_edge_at_the_step(target):
    values = np.random.default_rng(0).uniform(size=500)
    step = (values[values <= 0.7].max() + values[values > 0.7].min()) / 2
    for bins in (2, 16):
        assert np.abs(edges_by(values, target(values), bins=bins) - step).min() < 1e-15


def test_the_first_split_is_the_best_of_all_by_the_gini_impurity():
    rng = np.random.default_rng(1)
    values, codes = rng.integers(0, 30, 200).astype(np.float64), rng.integers(0, 4, 200)

    def impurity(rows):
        shares = np.bincount(codes[rows], minlength=4) / max(rows.sum(), 1)
        return rows.sum() * (1 - (shares**2).sum())

    middles = np.arange(0.5, 29)
    best = middles[np.argmin([impurity(values < middle) + impurity(values > middle) for middle in middles])]
    assert tree_edges(values, split_targets(codes), 2).tolist() == [best]


def test_two_classes_are_split_like_the_numbers_0_and_1():
    rng = np.random.default_rng(2)
    values, codes = rng.normal(size=400), rng.integers(0, 2, 400)
    amounts = codes[:, None].astype(np.float64)
    computed = [tree_edges(values, split_targets(targets), 8).tolist() for targets in (codes, amounts, 2 * codes)]
    assert computed[0] == computed[1] == computed[2]
    assert len(computed[0]) == 7


@settings(deadline=None)
@given(values=columns, bins=st.integers(2, 9), kind=st.sampled_from(KINDS))
def test_edges_increase_from_the_minimum_to_the_maximum_whatever_the_target(values, bins, kind):
    present = values[~np.isnan(values)]
    computed = edges_by(values, some_targets(kind, len(values), np.random.default_rng(0)), bins=bins)
    assert len(computed) == 0 or 3 <= len(computed) <= bins + 1
    assert (np.diff(computed / 2) > 0).all()
    if len(computed):
        assert present.min() == computed[0]
        assert computed[-1] == pytest.approx(present.max(), abs=1e-299)
    if is_distinct(np.sort(present)).sum() > bins:
        assert len(computed) == bins + 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edges", ["quantile", "target"])
def test_the_order_of_the_rows_changes_nothing(kind, edges):
    rng = np.random.default_rng(3)
    values = np.round(rng.normal(size=300), 1)
    values[::7] = np.nan
    targets, shuffled = some_targets(kind, 300, rng), rng.permutation(300)
    encoding = PiecewiseLinear(edges=edges)
    computed = encoding.find_edges(values, split_targets(targets))
    assert len(computed) == 17
    assert np.array_equal(encoding.find_edges(values[shuffled], split_targets(targets[shuffled])), computed)


def test_missing_cells_are_skipped():
    rng = np.random.default_rng(4)
    values, codes = rng.normal(size=100), rng.integers(0, 3, 100)
    with_gaps, of_gaps = np.append(values, np.full(50, np.nan)), np.append(codes, np.full(50, 2))
    assert np.array_equal(tree_edges(with_gaps, split_targets(of_gaps), 5), tree_edges(values, split_targets(codes), 5))


def test_no_leaf_is_smaller_than_five_rows():
    values = np.arange(14.0)
    (edge,) = tree_edges(values, split_targets(values[:, None]), 9)
    assert edge in np.arange(4.5, 9)
    assert len(tree_edges(values[:9], split_targets(values[:9, None]), 9)) == 0


def test_leaves_of_a_single_class_are_not_split_and_quantiles_of_the_values_are_added():
    values = np.arange(101.0)
    codes = (values > 50).astype(np.int64)
    assert tree_edges(values, split_targets(codes), 16).tolist() == [50.5]
    amounts = np.where(values > 50, 0.1, 0.7)[:, None]
    assert tree_edges(values, split_targets(amounts), 16).tolist() == [50.5]
    assert edges_by(values, codes, bins=4).tolist() == [0, 25, 50.5, 75, 100]


@pytest.mark.parametrize("edges", ["quantile", "target"])
def test_a_column_of_zeros_mostly_has_bins_elsewhere_too(edges):
    rng = np.random.default_rng(5)
    values = np.where(rng.uniform(size=2000) < 0.97, 0.0, rng.exponential(size=2000))
    computed = PiecewiseLinear(edges=edges).find_edges(values, split_targets(rng.integers(0, 2, 2000)))
    assert len(computed) == 17
    counts, _ = np.histogram(values[values > 0], computed)
    assert (counts > 0).sum() > 10


def test_quantile_bins_of_distinct_values_hold_equal_numbers_of_rows():
    for bins in (5, 8):
        computed = quantile_edges(np.sort(np.random.default_rng(0).normal(size=40 * bins + 1)), bins + 1)
        assert len(computed) == bins + 1
        ordered = np.sort(np.random.default_rng(0).normal(size=40 * bins + 1))
        assert np.array_equal(computed, ordered[::40])


@pytest.mark.parametrize("edges", ["quantile", "target"])
def test_columns_with_few_values_have_no_bins(edges):
    codes = np.arange(60) % 2
    for values, min_distinct, n_edges in [
        (np.full(60, 7.0), 0, 0),
        (np.arange(60.0) % 2, 0, 0),
        (np.arange(60.0) % 3, 3, 3),
        (np.arange(60.0) % 9, 10, 0),
        (np.arange(60.0) % 9, 9, 9),
        (np.full(60, np.nan), 0, 0),
    ]:
        computed = PiecewiseLinear(edges=edges, min_distinct=min_distinct).find_edges(values, split_targets(codes))
        assert len(computed) >= n_edges
        assert (len(computed) == 0) == (n_edges == 0)


def test_trees_subsample_very_many_classes_and_rows(monkeypatch):
    rng = np.random.default_rng(6)
    values = rng.uniform(size=5000)
    codes = np.floor(values * 8).astype(np.int64) * 50 + rng.integers(0, 50, 5000)
    monkeypatch.setattr(bin_edges, "MAX_TREE_ROWS", 2500)
    monkeypatch.setattr(bin_edges, "MAX_TREE_SUMS", 400 * 500)
    computed = np.sort(tree_edges(values, split_targets(codes), 8))
    assert computed == pytest.approx(np.arange(1, 8) / 8, abs=0.005)


@settings(deadline=None)
@given(values=columns, span=st.floats(1e-3, 1e3))
def test_a_span_maps_each_input_from_0_to_1_to_both_signs(values, span):
    edges = PiecewiseLinear(span=span).find_edges(values)
    if not len(edges):
        return
    present = values[~np.isnan(values)]
    plain, spanned = np.empty((2, len(present), len(edges) - 1))
    write_bins(plain, present, edges)
    write_bins(spanned, present, edges, span)
    assert spanned == pytest.approx((2 * plain - 1) * span)
    assert np.abs(spanned).max() <= span
