"""What compiled loops call by address: NumPy's own, proved, and nothing where it is not found."""

import ctypes
import os
from pathlib import Path

import numpy as np
import pytest

from mlpcli.compiled import blas
from mlpcli.compiled.blas import NO_BLAS, NO_SLEEP, find_blas, find_sleep

PACKAGES = Path(np.__file__).parent.parent
OWN, SCIPYS, SYSTEM = PACKAGES / "numpy.libs" / "b.so", PACKAGES / "scipy.libs" / "a.so", Path("/usr/lib/libblas.so")
INSIDE = PACKAGES / "numpy" / ".dylibs" / "c.dylib"


@pytest.fixture(autouse=True)
def forgotten():
    blas._find_blas.cache_clear()
    yield
    blas._find_blas.cache_clear()


@pytest.fixture
def with_libraries(monkeypatch):
    """Says which libraries are loaded; each has any function, by its name, that multiplies."""

    def load(*paths, names=blas.NAMES):
        pools = [{"user_api": "blas", "filepath": str(path)} for path in paths]
        monkeypatch.setattr(blas, "threadpool_info", lambda: [{"user_api": "openmp", "filepath": "omp"}, *pools])
        known = {name.format(letter) for name in names for letter in "sd"}
        monkeypatch.setattr(blas, "_function", lambda path, name: (path, name) if name in known else None)
        monkeypatch.setattr(blas, "_is_gemm", lambda *_: True)
        monkeypatch.setattr(blas, "_address", lambda function: function)

    return load


@pytest.mark.parametrize(
    ("loaded", "chosen"),
    [
        ((SCIPYS, OWN), OWN),
        ((INSIDE, SCIPYS), INSIDE),
        ((SYSTEM,), SYSTEM),
        ((SCIPYS,), None),  # NumPy's own, macOS's Accelerate perhaps, is not among them
        ((SCIPYS, SYSTEM), None),
        ((), None),
    ],
)
def test_the_library_is_numpys_own_or_the_only_one(with_libraries, loaded, chosen):
    with_libraries(*loaded)
    found = find_blas("float32")
    assert found == (NO_BLAS if chosen is None else ((str(chosen), "scipy_cblas_sgemm64_"), True))


def test_integers_have_32_bits_where_the_name_does_not_say_64(with_libraries):
    with_libraries(SYSTEM, names=["cblas_{}gemm"])
    assert find_blas(np.float64) == ((str(SYSTEM), "cblas_dgemm"), False)


def test_a_function_that_does_not_multiply_is_not_believed(with_libraries, monkeypatch):
    with_libraries(OWN)
    monkeypatch.setattr(blas, "_is_gemm", lambda *_: False)
    assert find_blas("float32") == NO_BLAS


def test_a_product_is_proved_with_its_own_numbers():
    """A function of the same arguments that does nothing, and one that is there."""
    nothing = ctypes.CFUNCTYPE(None)(lambda: None)
    assert not blas._is_gemm(nothing, True, np.dtype("float32"))
    found = find_blas("float32")
    if found != NO_BLAS:
        assert blas._is_gemm(ctypes.CFUNCTYPE(None)(found.address), found.is_ilp64, np.dtype("float32"))


def test_a_library_that_cannot_be_opened_has_no_product(monkeypatch):
    monkeypatch.setattr(blas, "_numpy_blas", lambda: "/no/such/library")
    assert find_blas("float32") == NO_BLAS


def test_where_no_function_sleeps_there_is_no_address_to_call(monkeypatch):
    monkeypatch.setattr(blas, "_function", lambda *_: None)
    assert find_sleep.__wrapped__() == NO_SLEEP


@pytest.mark.skipif(os.name != "posix", reason="the C library is found another way")
def test_the_sleep_is_a_function_that_returns():
    assert ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint)(find_sleep())(0) == 0
