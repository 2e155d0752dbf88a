"""The flat vector and the views over it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.nn.parameters import allocate_parameters, count_parameters, view_parameters

SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=5)


@pytest.mark.parametrize(("sizes", "count"), [((784, 30, 10), 23_860), ((2, 1), 3), ((4, 3, 3, 2), 35)])
def test_weights_and_biases_are_counted(sizes, count):
    assert count_parameters(sizes) == count


def test_weights_come_first_then_biases_layer_by_layer():
    parameters = view_parameters((2, 3, 1), np.arange(13.0))
    np.testing.assert_array_equal(parameters.W[0], [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(parameters.W[1], [[6, 7, 8]])
    np.testing.assert_array_equal(parameters.b[0], [9, 10, 11])
    np.testing.assert_array_equal(parameters.b[1], [12])
    assert parameters.n_weights == 9


@given(SIZES)
def test_the_views_cover_every_number_once(sizes):
    parameters = allocate_parameters(sizes)
    for view in (*parameters.W, *parameters.b):
        view += 1
    np.testing.assert_array_equal(parameters.flat, np.ones(count_parameters(sizes)))


@given(SIZES)
def test_a_weight_matrix_is_n_out_by_n_in_and_contiguous(sizes):
    parameters = allocate_parameters(sizes)
    assert [W.shape for W in parameters.W] == list(zip(sizes[1:], sizes[:-1], strict=True))
    assert [b.shape for b in parameters.b] == [(size,) for size in sizes[1:]]
    assert all(W.flags.c_contiguous for W in parameters.W)


@given(SIZES)
def test_the_weights_are_the_leading_entries(sizes):
    parameters = allocate_parameters(sizes)
    parameters.flat[: parameters.n_weights] = 1
    assert all((W == 1).all() for W in parameters.W)
    assert all((b == 0).all() for b in parameters.b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_views_share_memory_and_type_with_the_vector(dtype):
    parameters = allocate_parameters((3, 4, 2), dtype)
    assert parameters.flat.dtype == dtype
    assert all(np.shares_memory(view, parameters.flat) for view in (*parameters.W, *parameters.b))
    assert {view.dtype for view in (*parameters.W, *parameters.b)} == {np.dtype(dtype)}
