"""Addresses of functions that compiled loops call: the matrix product of NumPy's own BLAS, and a short sleep."""

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from threadpoolctl import threadpool_info

from mlpcli.compiled.arguments import Blas, Sleep
from mlpcli.compiled.codes import AS_IT_IS, ROW_MAJOR

NO_BLAS, NO_SLEEP = Blas(0, False), Sleep(0, 0)
# Names of the product of single or double precision, and whether its integers have 64 bits: NumPy's wheels, older ones,
# others.
NAMES = {"scipy_cblas_{}gemm64_": True, "cblas_{}gemm64_": True, "scipy_cblas_{}gemm": False, "cblas_{}gemm": False}


def find_blas(dtype: DTypeLike) -> Blas:
    """The product for float32 or float64; `NO_BLAS` where NumPy's library has none by a known name."""
    return _find_blas(np.dtype(dtype).name)


@cache
def _find_blas(dtype: str) -> Blas:
    letter, library = {"float32": "s", "float64": "d"}[dtype], _numpys_library()
    for name, is_wide in NAMES.items():
        function = _function(library, name.format(letter)) if library else None
        if function and _multiplies(function, is_wide, np.dtype(dtype)):
            return Blas(_address(function), is_wide)
    return NO_BLAS


@cache
def find_sleep() -> Sleep:
    """The function by which a thread gives its core away: for 20 us, or on Windows to whoever waits for it.

    `NO_SLEEP` where there is none.
    """
    library, name, duration = (None, "usleep", 20) if os.name == "posix" else ("kernel32", "Sleep", 0)
    address = _address(_function(library, name))
    return Sleep(address, duration) if address else NO_SLEEP


def _numpys_library() -> str | None:
    """The path of the BLAS that NumPy itself calls: one that came with it, or else the only one, if nobody brought it.

    What another package has brought along is only there where that package happens to be imported.
    """
    found = [Path(info["filepath"]) for info in threadpool_info() if info.get("user_api") == "blas"]
    package = Path(np.__file__).parent
    own = [path for path in found if package in path.parents or package.with_name("numpy.libs") in path.parents]
    others = [path for path in found if package.parent not in path.parents]
    chosen = own or (others if len(found) == 1 else [])
    return str(chosen[0]) if chosen else None


def _function(library: str | None, name: str) -> Any:
    """A function of a loaded library, None if there is none of that name; the library None is C's."""
    try:
        return getattr(ctypes.CDLL(library), name)
    except (AttributeError, OSError):
        return None


def _address(function: Any) -> int:
    return 0 if function is None else ctypes.cast(function, ctypes.c_void_p).value or 0


def _multiplies(function: Any, is_wide: bool, dtype: "np.dtype[Any]") -> bool:
    """Whether the function does multiply, (2, 3) by (3, 4), when it is called in this way."""
    whole = ctypes.c_int64 if is_wide else ctypes.c_int32
    real = ctypes.c_float if dtype == np.float32 else ctypes.c_double
    A, B, C = np.arange(6, dtype=dtype).reshape(2, 3), np.arange(12, dtype=dtype).reshape(3, 4), np.zeros((2, 4), dtype)
    a, b, c = (ctypes.c_void_p(array.ctypes.data) for array in (A, B, C))
    order = (ctypes.c_int(ROW_MAJOR), ctypes.c_int(AS_IT_IS), ctypes.c_int(AS_IT_IS))
    sizes = (whole(2), whole(4), whole(3))
    function.restype = None
    function(*order, *sizes, real(1.0), a, whole(3), b, whole(4), real(0.0), c, whole(4))
    return bool((A @ B == C).all())
