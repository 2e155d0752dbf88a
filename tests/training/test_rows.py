"""Which rows each member trains on: folds that leave each out evenly, draws with replacement, orders of their own."""

import numpy as np
import pytest

from mlpcli.training.rows import assign_folds, member_rows, shuffle_rows
from mlpcli.training.seeding import rng_of


@pytest.mark.parametrize(("n_members", "n_folds"), [(4, 4), (8, 4), (6, 2), (3, 3)])
@pytest.mark.parametrize("n_rows", [16, 41])
def test_every_row_is_left_out_by_members_over_folds_of_them(n_members, n_folds, n_rows):
    folds = assign_folds(n_folds, None, n_rows, seed=0)
    rows = member_rows("folds", n_members, n_rows, 0, folds)
    for member, own in enumerate(rows):
        left_out = np.setdiff1d(np.arange(n_rows), own)
        np.testing.assert_array_equal(left_out, np.flatnonzero(folds == member % n_folds))
        assert len(own) + len(left_out) == n_rows
    n_seen = np.bincount(np.concatenate(rows), minlength=n_rows)
    np.testing.assert_array_equal(n_seen, n_members - n_members // n_folds)


@pytest.mark.parametrize("n_folds", [2, 4, 5])
@pytest.mark.parametrize("counts", [(50,), (20, 20, 20), (3, 90), (1, 2, 7, 31)])
def test_folds_are_of_equal_size_and_so_is_every_class_in_them(n_folds, counts):
    strata = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    folds = assign_folds(n_folds, strata, len(strata), seed=3)
    assert set(folds) == set(range(n_folds))
    assert np.ptp(np.bincount(folds)) <= 1
    for code in range(len(counts)):
        assert np.ptp(np.bincount(folds[strata == code], minlength=n_folds)) <= 1


def test_folds_follow_the_seed_and_are_not_the_order_of_the_table():
    first, again, other = (assign_folds(4, None, 100, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, np.arange(100) % 4)


def test_a_bootstrap_draws_as_many_rows_with_replacement_and_others_for_each_member():
    n_rows = 2000
    rows = member_rows("bootstrap", 3, n_rows, seed=5)
    for own in rows:
        assert len(own) == n_rows
        assert own.min() >= 0
        assert own.max() < n_rows
        # A row is missed with probability (1 - 1/n)^n, about 1/e.
        assert len(np.unique(own)) / n_rows == pytest.approx(1 - np.exp(-1), abs=0.04)
    assert not np.array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(member_rows("bootstrap", 2, n_rows, seed=5)[1], rows[1])
    assert not np.array_equal(member_rows("bootstrap", 1, n_rows, seed=6)[0], rows[0])


def test_all_rows_go_to_every_member_and_are_not_listed():
    assert member_rows("all", 3, 7, seed=0) == (7, 7, 7)
    listed = shuffle_rows(np.arange(7), rng_of(1, "order", 2))
    np.testing.assert_array_equal(shuffle_rows(7, rng_of(1, "order", 2)), listed)


@pytest.mark.parametrize("n_rows", [1, 2, 9, 1000])
def test_the_order_is_the_same_in_either_type(n_rows):
    long, short = (shuffle_rows(n_rows, rng_of(3, "order", 1), few) for few in (n_rows, 0))
    assert (long.dtype, short.dtype) == (np.int64, np.int32)
    np.testing.assert_array_equal(long, short)
    np.testing.assert_array_equal(long, rng_of(3, "order", 1).permutation(n_rows))
