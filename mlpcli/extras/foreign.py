"""Addresses of functions that compiled loops call: the matrix product of NumPy's own BLAS, and a short sleep."""

import ctypes
import os
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from mlpcli.extras.arguments import Blas, Nap

NO_BLAS = Blas(0, False)
# Names of the product of single precision, and whether its integers have 64 bits: NumPy's wheels, older ones, others.
NAMES = {"scipy_cblas_{}gemm64_": True, "cblas_{}gemm64_": True, "scipy_cblas_{}gemm": False, "cblas_{}gemm": False}


@cache
def find_blas(dtype: "np.dtype[Any]") -> Blas:
    """The product for float32 or float64; `NO_BLAS` where NumPy's library has none by a known name."""
    letter = {"float32": "s", "float64": "d"}[dtype.name]
    for path in _libraries():
        for name, is_wide in NAMES.items():
            address = _address(path, name.format(letter))
            if address:
                return Blas(address, is_wide)
    return NO_BLAS


def find_nap() -> Nap:
    """The function by which a thread gives its core away: for 20 us, or on Windows to whoever waits for it."""
    if os.name == "posix":
        return Nap(_address(None, "usleep"), 20)
    return Nap(_address("kernel32", "Sleep"), 0)


def _libraries() -> list[str]:
    """Those that this process has loaded for linear algebra, NumPy's own before those of other packages."""
    found = [str(info["filepath"]) for info in threadpool_info() if info.get("user_api") == "blas"]
    return sorted(found, key=lambda path: "numpy" not in path)


def _address(library: str | None, name: str) -> int:
    """Where a function of a loaded library is, 0 if there is none of that name; None is the C library."""
    try:
        function = getattr(ctypes.CDLL(library), name)
    except (AttributeError, OSError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0
