"""One array as NumPy's .npy bytes (version 1.0): C order, little-endian, and only the dtypes our files need.

NumPy evaluates the header of an array as Python; here it is matched against the one form NumPy writes.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_DTYPES = {"<f4": np.float32, "<f8": np.float64, "<i8": np.int64, "|u1": np.uint8, "|b1": np.bool_}
_START = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([^']{1,20})', 'fortran_order': (True|False), 'shape': \(((?:\d{1,12}, ?)*(?:\d{1,12})?)\), \} *\n"
)


class UnknownArrayError(ValueError):
    """Bytes that are no array of our files; the text continues "array W1 ..."."""


def encode_array(array: Array) -> bytes:
    """The bytes of a .npy file; equal arrays give equal bytes. Raises ValueError for a dtype that is not ours."""
    # asarray and not ascontiguousarray, which makes a number without dimensions a vector.
    plain = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    if plain.dtype.str not in _DTYPES:
        raise ValueError(f"not a dtype of the format: {array.dtype}")
    text = f"{{'descr': '{plain.dtype.str}', 'fortran_order': False, 'shape': {plain.shape}, }}"
    text += " " * (-(len(_START) + 2 + len(text) + 1) % 64) + "\n"
    return _START + len(text).to_bytes(2, "little") + text.encode("ascii") + plain.tobytes()


def read_array_header(read: Callable[[int], bytes]) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Dtype, shape and the number of bytes taken from `read`; the shape is only promised to be whole numbers.

    The dtype is one of ours or, for an array of pickled objects, `object`. Raises UnknownArrayError.
    """
    start = read(len(_START) + 2)
    if len(start) != len(_START) + 2 or not start.startswith(_START):
        raise UnknownArrayError("is no array")
    n_header = int.from_bytes(start[-2:], "little")
    found = _HEADER.fullmatch(read(n_header))
    if not found:
        raise UnknownArrayError("is an unknown kind of array")
    descr, is_fortran, shape = found[1].decode("ascii", "replace"), found[2] == b"True", found[3]
    lengths = tuple(int(length) for length in shape.replace(b" ", b"").split(b",") if length)
    if descr == "|O":
        return np.dtype(object), lengths, len(start) + n_header
    if descr not in _DTYPES:
        raise UnknownArrayError(f"has numbers of type {descr!a}")
    if is_fortran:
        raise UnknownArrayError("is stored by columns")
    return np.dtype(_DTYPES[descr]), lengths, len(start) + n_header
