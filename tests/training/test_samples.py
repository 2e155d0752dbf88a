"""Batches: the rows asked for, in the order asked for, in buffers that are reused."""

import numpy as np
import pytest

from mlpcli.training.samples import Batch, Samples

X = np.arange(12.0, dtype=np.float32).reshape(6, 2)
CODES = np.array([2, 0, 1, 1, 0, 2])
TABLE = np.array([[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.1, 0.0, 0.9]], np.float32)
WEIGHTS = np.array([0.5, 1.5, 1.0, 1.0, 0.25, 1.75], np.float32)
CODED = Samples(X, CODES, TABLE, WEIGHTS)
NUMBERS = Samples(X, X[:, :1] * 10)


@pytest.mark.parametrize("rows", [[0], [5, 0], [3, 3, 1], [4, 2, 0, 1]])
def test_a_batch_is_the_rows_asked_for_in_their_order(rows):
    inputs, targets, weights = Batch(CODED, 4, np.float32).gather(np.array(rows))
    np.testing.assert_array_equal(inputs, X[rows])
    np.testing.assert_array_equal(targets, TABLE[CODES[rows]])
    np.testing.assert_array_equal(weights, WEIGHTS[rows])


def test_targets_that_are_no_codes_are_copied_as_they_are():
    inputs, targets, weights = Batch(NUMBERS, 4, np.float32).gather(np.array([5, 1]))
    np.testing.assert_array_equal(inputs, X[[5, 1]])
    np.testing.assert_array_equal(targets, [[100.0], [20.0]])
    assert weights is None


def test_the_buffers_are_reused_and_contiguous():
    batch = Batch(CODED, 4, np.float32)
    first, second = batch.gather(np.array([0, 1, 2, 3])), batch.gather(np.array([4, 5]))
    for long, short in zip(first, second, strict=True):
        assert np.shares_memory(long, short)
        assert len(short) == 2
        assert short.flags.c_contiguous
        assert short.dtype == np.float32


def test_a_batch_is_a_copy_that_leaves_the_samples_alone():
    batch = Batch(CODED, 4, np.float32)
    for array in batch.gather(np.array([0, 1])):
        array[...] = -1
    np.testing.assert_array_equal(X, np.arange(12).reshape(6, 2))
    assert (TABLE >= 0).all()
    assert (WEIGHTS > 0).all()


def test_rows_and_outputs_are_counted():
    assert (CODED.n_rows, CODED.n_outputs) == (6, 3)
    assert (NUMBERS.n_rows, NUMBERS.n_outputs) == (6, 1)


def test_targets_of_consecutive_rows_are_written_out():
    np.testing.assert_array_equal(CODED.targets(slice(1, 4)), TABLE[[0, 1, 1]])
    np.testing.assert_array_equal(NUMBERS.targets(slice(4, 9)), [[80.0], [100.0]])
