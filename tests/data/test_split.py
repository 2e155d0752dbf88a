import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlpcli.data import split
from mlpcli.data.split import split_rows
from mlpcli.errors import DataError

shares = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**32)


@given(n_rows=st.integers(2, 300), fraction=shares, seed=seeds)
def test_a_split_partitions_the_rows_and_has_the_requested_fraction(n_rows, fraction, seed):
    train, validation = split_rows(n_rows, fraction, None, np.random.default_rng(seed))
    assert sorted([*train, *validation]) == list(range(n_rows))
    assert train.dtype == validation.dtype == np.int32
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert len(validation) == min(max(round(n_rows * fraction), 1), n_rows - 1)


@given(codes=st.lists(st.integers(0, 6), min_size=2, max_size=200), fraction=shares, seed=seeds)
def test_a_stratified_split_partitions_the_rows_and_keeps_every_class_in_training(codes, fraction, seed):
    codes = np.asarray(codes, np.int64)
    assume(np.bincount(codes).max() > 1)
    train, validation = split_rows(len(codes), fraction, codes, np.random.default_rng(seed))
    assert sorted([*train, *validation]) == list(range(len(codes)))
    assert set(codes[train]) == set(codes)
    n_classes = len(set(codes.tolist()))
    assert len(validation) == min(max(round(len(codes) * fraction), 1), len(codes) - n_classes)
    quotas = np.bincount(codes) * len(validation) / len(codes)
    n_held_out = np.bincount(codes[validation], minlength=len(quotas))
    unbounded = np.floor(quotas) < np.bincount(codes) - 1
    if unbounded[np.bincount(codes) > 0].all():
        assert (np.abs(n_held_out - quotas) < 1).all()


@given(codes=st.lists(st.integers(0, 3), min_size=2, max_size=60), seed=seeds)
def test_the_held_out_rows_are_the_first_of_each_class_in_one_random_order(codes, seed):
    codes = np.asarray(codes, np.int8)
    assume(np.bincount(codes).max() > 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "ROWS_PER_CHUNK", 7)
        _, validation = split_rows(len(codes), 0.3, codes, np.random.default_rng(seed))
    order = np.random.default_rng(seed).permutation(len(codes))
    for code in range(4):
        class_rows = order[codes[order] == code]
        n_held_out = int(np.count_nonzero(codes[validation] == code))
        assert sorted(class_rows[:n_held_out].tolist()) == validation[codes[validation] == code].tolist()


def test_each_class_is_held_out_in_proportion():
    codes = np.repeat([0, 1, 2], [100, 50, 10])
    _, validation = split_rows(160, 0.2, codes, np.random.default_rng(0))
    assert np.bincount(codes[validation]).tolist() == [20, 10, 2]


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    first, again, other = (split_rows(100, 0.3, None, np.random.default_rng(seed))[1] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_row_is_held_out_with_equal_probability():
    rng = np.random.default_rng(0)
    counts = np.zeros(10)
    for _ in range(2000):
        counts[split_rows(10, 0.3, None, rng)[1]] += 1
    np.testing.assert_allclose(counts / 2000, 0.3, atol=0.05)


@pytest.mark.parametrize(("n_rows", "strata"), [(0, None), (1, None), (3, np.array([0, 1, 2]))])
def test_rows_that_cannot_be_split_are_an_error(n_rows, strata):
    with pytest.raises(DataError, match="nothing can be held out"):
        split_rows(n_rows, 0.5, strata, np.random.default_rng(0))
