"""Splits that keep rows together, by group or by time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.split import cut_by_time, split_groups
from mlpcli.errors import DataError

RNG = np.random.default_rng


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=20, max_size=120), st.integers(2, 4), st.integers(0, 3))
def test_groups_stay_together_and_no_split_is_empty(groups, n_splits, seed):
    groups = np.asarray(groups)
    fractions = (1.0 / n_splits,) * n_splits
    if len(np.unique(groups)) < n_splits:
        with pytest.raises(DataError, match="as many groups"):
            split_groups(groups, None, fractions, RNG(seed))
        return
    split_of = split_groups(groups, RNG(1).integers(0, 3, len(groups)), fractions, RNG(seed))
    assert set(split_of.tolist()) == set(range(n_splits))
    assert all(len(set(split_of[groups == group].tolist())) == 1 for group in set(groups.tolist()))


@pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.7, 0.3), (0.25,) * 4])
def test_splits_have_their_fraction_of_the_rows_and_of_each_class(fractions):
    rng = RNG(0)
    groups = np.repeat(np.arange(300), rng.integers(1, 12, 300))
    classes = (rng.random(300) < 0.15).astype(int)[groups]
    split_of = split_groups(groups, classes, fractions, rng)
    for split, fraction in enumerate(fractions):
        assert np.mean(split_of == split) == pytest.approx(fraction, abs=0.01)
        assert np.mean(split_of[classes == 1] == split) == pytest.approx(fraction, abs=0.03)


@pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.25,) * 4])
@pytest.mark.parametrize("largest", [1, 12])
def test_splits_have_their_fraction_of_each_label(fractions, largest):
    """Labels are constant within groups, and one is rare; with `largest` 1 every group is a single row."""
    rng = RNG(0)
    groups = np.repeat(np.arange(300), rng.integers(1, largest + 1, 300))
    y = np.stack([(rng.random(300) < rate)[groups] for rate in (0.04, 0.3, 0.9)], axis=1).astype(float)
    split_of = split_groups(groups, y, fractions, rng)
    slack = 1.0 / 300 + (0.01 if largest == 1 else 0.0)
    for split, fraction in enumerate(fractions):
        is_in_split = split_of == split
        assert np.mean(is_in_split) == pytest.approx(fraction, abs=0.02)
        for column in y.T:
            for label in (0.0, 1.0):
                label_fraction = np.mean(is_in_split[column == label])
                n_groups = len(set(groups[column == label].tolist()))
                assert label_fraction == pytest.approx(fraction, abs=slack + 1.0 / n_groups), (split, label)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=20, max_size=120), st.integers(2, 4), st.integers(0, 3))
def test_groups_of_rows_with_several_labels_stay_together_and_no_split_is_empty(groups, n_splits, seed):
    rng = RNG(seed)
    groups = np.where(
        rng.random(len(groups)) < 0.5, groups, 100 + np.arange(len(groups))
    )  # half of the rows are single-row groups
    fractions = (1.0 / n_splits,) * n_splits
    if len(np.unique(groups)) < n_splits:
        return
    split_of = split_groups(groups, rng.integers(0, 2, (len(groups), 3)).astype(float), fractions, rng)
    assert set(split_of.tolist()) == set(range(n_splits))
    assert all(len(set(split_of[groups == group].tolist())) == 1 for group in set(groups.tolist()))


def test_single_row_groups_are_stratified():
    classes = np.array([0] * 9000 + [1] * 1000)
    split_of = split_groups(np.arange(10_000), classes, (0.8, 0.2), RNG(0))
    assert np.mean(split_of == 1) == pytest.approx(0.2, abs=0.001)
    assert np.mean(split_of[classes == 1] == 1) == pytest.approx(0.2, abs=0.002)
    other = split_groups(np.arange(10_000), classes, (0.8, 0.2), RNG(1))
    assert 0.5 < np.mean(split_of == other) < 0.9  # two independent draws


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 9), st.just(np.nan)), min_size=4, max_size=60), st.integers(2, 4))
def test_spans_of_time_follow_each_other_and_equal_times_stay_together(times, n_splits):
    times = np.asarray(times, float)
    distinct = np.unique(np.where(np.isnan(times), -np.inf, times))
    fractions = (1.0 / n_splits,) * n_splits
    if len(distinct) < n_splits:
        with pytest.raises(DataError, match="as many distinct times"):
            cut_by_time(times, fractions)
        return
    split_of = cut_by_time(times, fractions)
    assert set(split_of.tolist()) == set(range(n_splits))
    in_order = split_of[np.argsort(np.where(np.isnan(times), -np.inf, times), kind="stable")]
    assert (np.diff(in_order) >= 0).all()
    for time in distinct:
        assert len(set(split_of[np.where(np.isnan(times), -np.inf, times) == time].tolist())) == 1


def test_the_last_fraction_of_the_times_is_held_out():
    split_of = cut_by_time(RNG(0).permutation(1000).astype(float), (0.8, 0.2))
    assert np.count_nonzero(split_of == 1) == 200


@pytest.mark.parametrize("fraction", [0.001, 0.999])
@pytest.mark.parametrize("n_rows", [2, 60, 500])
def test_no_split_is_empty_however_small_its_fraction_of_single_row_groups(fraction, n_rows):
    split_of = split_groups(np.arange(n_rows), None, (1.0 - fraction, fraction), RNG(0))
    assert set(split_of.tolist()) == {0, 1}
