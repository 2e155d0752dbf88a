"""BLAS called by its address multiplies as NumPy does, however its factors lie in memory."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from mlpcli.extras.foreign import NO_BLAS, find_blas
from mlpcli.extras.loops.arguments import Blas
from mlpcli.extras.loops.products import multiply_blas

sizes = st.integers(1, 9)
WHOLE, REAL = {True: ctypes.c_int64, False: ctypes.c_int32}, {"float32": ctypes.c_float, "float64": ctypes.c_double}


def laid(draw, shape, rng):
    """A matrix of whole numbers: by itself, turned over, or a part of a larger one."""
    kind = draw(st.sampled_from(["whole", "turned", "part", "part turned"]))
    stored = shape[::-1] if "turned" in kind else shape
    larger = tuple(n + 3 * ("part" in kind) for n in stored)
    array = rng.integers(-9, 9, larger).astype(draw(st.shared(st.sampled_from(["float32", "float64"]), key="dtype")))
    array = array[: stored[0], 2 : 2 + stored[1]] if "part" in kind else array
    return array.T if "turned" in kind else array


@settings(deadline=None, max_examples=150)
@given(data=st.data(), m=st.integers(0, 9), n=st.integers(0, 9), k=sizes, seed=st.integers(0, 99))
def test_products_are_numpys(data, m, n, k, seed):
    rng = np.random.default_rng(seed)
    A, B = laid(data.draw, (m, k), rng), laid(data.draw, (k, n), rng)
    blas = find_blas(A.dtype)
    if blas == NO_BLAS:
        pytest.skip("NumPy's BLAS has no product by a known name")
    whole = np.full((m + 2, n + 2), np.nan, A.dtype)
    multiply_blas(blas, A, B, whole[1:-1, 1:-1])
    np.testing.assert_array_equal(whole[1:-1, 1:-1], A @ B)
    whole[1:-1, 1:-1] = np.nan
    assert np.isnan(whole).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_wide", [False, True])
def test_blas_is_called_with_integers_of_its_width(is_wide, dtype):
    """A function in its place, which keeps what it was given."""
    seen, whole, real, enum = [], WHOLE[is_wide], REAL[dtype], ctypes.c_int
    kinds = (enum, enum, enum, whole, whole, whole, real, ctypes.c_void_p, whole, ctypes.c_void_p, whole, real)
    function = ctypes.CFUNCTYPE(None, *kinds, ctypes.c_void_p, whole)(lambda *given: seen.append(given))
    A, B, C = np.zeros((7, 9), dtype)[:5, :4], np.zeros((6, 8), dtype)[:, :4].T, np.zeros((5, 11), dtype)[:, :6]
    multiply_blas(Blas(ctypes.cast(function, ctypes.c_void_p).value, is_wide), A, B, C)
    a, b, c = A.ctypes.data, B.ctypes.data, C.ctypes.data
    assert seen == [(101, 111, 112, 5, 6, 4, 1.0, a, 9, b, 8, 0.0, c, 11)]
