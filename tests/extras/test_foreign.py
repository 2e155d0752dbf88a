"""What compiled loops call by address: found where it is, and left alone where it is not."""

import ctypes
import os

import numpy as np
import pytest

from mlpcli.extras import foreign
from mlpcli.extras.foreign import NO_BLAS, find_blas, find_nap


@pytest.fixture(autouse=True)
def forgotten():
    find_blas.cache_clear()
    yield
    find_blas.cache_clear()


def test_numpys_own_library_comes_before_those_of_other_packages(monkeypatch):
    libraries = [{"user_api": "blas", "filepath": path} for path in ("/lib/scipy.libs/a.so", "/lib/numpy.libs/b.so")]
    asked = []
    monkeypatch.setattr(foreign, "threadpool_info", lambda: [{"user_api": "openmp", "filepath": "omp"}, *libraries])
    monkeypatch.setattr(foreign, "_address", lambda path, name: asked.append((path, name)) or 5)
    assert find_blas(np.dtype("float32")) == (5, True)
    assert find_blas(np.dtype("float64")) == (5, True)
    assert asked == [("/lib/numpy.libs/b.so", f"scipy_cblas_{letter}gemm64_") for letter in "sd"]


def test_integers_have_32_bits_where_the_name_does_not_say_64(monkeypatch):
    monkeypatch.setattr(foreign, "threadpool_info", lambda: [{"user_api": "blas", "filepath": "mkl"}])
    monkeypatch.setattr(foreign, "_address", lambda path, name: 7 if name == "cblas_sgemm" else 0)
    assert find_blas(np.dtype("float32")) == (7, False)
    assert find_blas(np.dtype("float64")) == NO_BLAS


def test_a_library_that_is_not_known_has_no_product(monkeypatch):
    monkeypatch.setattr(foreign, "threadpool_info", lambda: [])
    assert find_blas(np.dtype("float32")) == NO_BLAS


def test_a_library_that_cannot_be_opened_has_no_product(monkeypatch):
    monkeypatch.setattr(foreign, "threadpool_info", lambda: [{"user_api": "blas", "filepath": "/no/such/library"}])
    assert find_blas(np.dtype("float32")) == NO_BLAS


@pytest.mark.skipif(os.name != "posix", reason="the C library is found another way")
def test_the_nap_is_a_function_that_returns():
    nap = find_nap()
    assert ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint)(nap.address)(nap.duration) == 0
