"""Addresses of functions that compiled loops call: gemm of NumPy's BLAS, and yielding a core."""

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from threadpoolctl import threadpool_info

from mlpcli.compiled.arguments import Blas
from mlpcli.compiled.codes import NO_TRANS, ROW_MAJOR

NO_BLAS, NO_SLEEP = Blas(0, False), 0
# Names of gemm, and whether its integers have 64 bits (ILP64): in NumPy's wheels, in older wheels, in other builds.
NAMES = {"scipy_cblas_{}gemm64_": True, "cblas_{}gemm64_": True, "scipy_cblas_{}gemm": False, "cblas_{}gemm": False}


def find_blas(dtype: DTypeLike) -> Blas:
    """gemm for float32 or float64; `NO_BLAS` if NumPy's BLAS has none by a known name."""
    return _find_blas(np.dtype(dtype).name)


@cache
def _find_blas(dtype: str) -> Blas:
    letter, library = {"float32": "s", "float64": "d"}[dtype], _numpy_blas()
    for name, is_ilp64 in NAMES.items():
        function = _function(library, name.format(letter)) if library else None
        if function and _is_gemm(function, is_ilp64, np.dtype(dtype)):
            return Blas(_address(function), is_ilp64)
    return NO_BLAS


@cache
def find_sleep() -> int:
    """The address of a function by which a thread yields its core, called with 0; `NO_SLEEP` if there is none."""
    library, name = (None, "sched_yield") if os.name == "posix" else ("kernel32", "Sleep")
    return _address(_function(library, name))


def _numpy_blas() -> str | None:
    """The path of the BLAS that NumPy calls: the one in its wheel, else the only one loaded and in no other package.

    The BLAS of another package is loaded only while that package is imported.
    """
    found = [Path(info["filepath"]) for info in threadpool_info() if info.get("user_api") == "blas"]
    package = Path(np.__file__).parent
    own = [path for path in found if package in path.parents or package.with_name("numpy.libs") in path.parents]
    others = [path for path in found if package.parent not in path.parents]
    chosen = own or (others if len(found) == 1 else [])
    return str(chosen[0]) if chosen else None


def _function(library: str | None, name: str) -> Any:
    """A function of a loaded library, None if it has none of that name; `library` None is the C library."""
    try:
        return getattr(ctypes.CDLL(library), name)
    except (AttributeError, OSError):
        return None


def _address(function: Any) -> int:
    return 0 if function is None else ctypes.cast(function, ctypes.c_void_p).value or 0


def _is_gemm(function: Any, is_ilp64: bool, dtype: "np.dtype[Any]") -> bool:
    """Whether the function multiplies (2, 3) by (3, 4) when it is called with this signature."""
    integer = ctypes.c_int64 if is_ilp64 else ctypes.c_int32
    real = ctypes.c_float if dtype == np.float32 else ctypes.c_double
    A, B, C = np.arange(6, dtype=dtype).reshape(2, 3), np.arange(12, dtype=dtype).reshape(3, 4), np.zeros((2, 4), dtype)
    a, b, c = (ctypes.c_void_p(array.ctypes.data) for array in (A, B, C))
    order = (ctypes.c_int(ROW_MAJOR), ctypes.c_int(NO_TRANS), ctypes.c_int(NO_TRANS))
    sizes = (integer(2), integer(4), integer(3))
    function.restype = None
    function(*order, *sizes, real(1.0), a, integer(3), b, integer(4), real(0.0), c, integer(4))
    return bool((A @ B == C).all())
