"""Splits and folds of rows with several boolean targets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.stratify import fold_multilabel, split_multilabel
from mlpcli.errors import DataError

rngs = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def tables(draw):
    """Boolean columns as 0 and 1 that are balanced, rare or nearly all true, and may be correlated."""
    n_rows, rng = draw(st.integers(40, 120)), draw(rngs)
    rates = draw(st.lists(st.sampled_from([0.02, 0.05, 0.3, 0.5, 0.97]), min_size=1, max_size=4))
    y = rng.random((n_rows, len(rates))) < np.array(rates)
    if draw(st.booleans()):
        y = np.hstack([y, y[:, :1] & (rng.random((n_rows, 1)) < 0.8)])
    return y.astype(float)


@settings(max_examples=150, deadline=None)
@given(tables(), st.floats(0.1, 0.5), rngs)
def test_a_label_of_two_rows_is_in_both_splits(y, fraction, rng):
    train, validation = split_multilabel(y, fraction, rng)
    assert sorted([*train, *validation]) == list(range(len(y)))
    assert len(validation) == round(len(y) * fraction)
    for column in y.T:
        for label in (0.0, 1.0):
            n = int((column == label).sum())
            if n:
                assert label in column[train]
            if n > 1:
                assert label in column[validation]
                assert abs((column[validation] == label).sum() - n * fraction) <= max(2.0, 0.1 * n)


@settings(max_examples=80, deadline=None)
@given(tables(), st.integers(2, 5), rngs)
def test_folds_are_of_equal_size_and_rows_of_a_label_are_distributed_over_them(y, n_folds, rng):
    folds = fold_multilabel(y, n_folds, rng)
    sizes = np.bincount(folds, minlength=n_folds)
    assert sizes.max() - sizes.min() <= 1
    for column in y.T:
        for label in (0.0, 1.0):
            n_label_folds = len(set(folds[column == label]))
            assert n_label_folds >= min(2, int((column == label).sum()))  # so each training set has the label


@pytest.mark.parametrize("seed", range(20))
def test_a_single_positive_is_in_training_whatever_the_fraction(seed):
    y = np.zeros((30, 2))
    y[7, 1] = 1.0
    y[:15, 0] = 1.0
    train, validation = split_multilabel(y, 0.9, np.random.default_rng(seed))
    assert 7 in train
    assert len(validation) == 27


def test_rows_are_assigned_at_random_and_equally_for_equal_seeds():
    y = (np.random.default_rng(0).random((200, 3)) < 0.3).astype(float)
    again = [split_multilabel(y, 0.2, np.random.default_rng(seed))[1] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(again[0], again[1])
    assert len(set(again[0]) & set(again[2])) < 25


def test_many_rows_of_many_combinations_are_split_in_proportion():
    """Fast, because rows with equal labels are assigned together."""
    y = (np.random.default_rng(0).random((200_000, 6)) < 0.4).astype(float)
    _, validation = split_multilabel(y, 0.2, np.random.default_rng(0))
    np.testing.assert_allclose(y[validation].mean(axis=0), y.mean(axis=0), atol=1e-4)


def test_a_single_row_cannot_be_split():
    with pytest.raises(DataError, match="a single row"):
        split_multilabel(np.ones((1, 2)), 0.2, np.random.default_rng(0))
