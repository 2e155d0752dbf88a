"""BLAS called by its address multiplies as NumPy does, however its factors lie in memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from mlpcli.extras.foreign import NO_BLAS, find_blas
from mlpcli.extras.kernels import multiply_blas

sizes = st.integers(1, 9)


def laid(draw, shape, rng):
    """A matrix of whole numbers: by itself, turned over, or a part of a larger one."""
    kind = draw(st.sampled_from(["whole", "turned", "part", "part turned"]))
    stored = shape[::-1] if "turned" in kind else shape
    larger = tuple(n + 3 * ("part" in kind) for n in stored)
    array = rng.integers(-9, 9, larger).astype(draw(st.shared(st.sampled_from(["float32", "float64"]), key="dtype")))
    array = array[: stored[0], 2 : 2 + stored[1]] if "part" in kind else array
    return array.T if "turned" in kind else array


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
@settings(deadline=None, max_examples=150)
@given(data=st.data(), m=st.integers(0, 9), n=sizes, k=sizes, seed=st.integers(0, 99))
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
