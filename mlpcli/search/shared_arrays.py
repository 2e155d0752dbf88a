"""Shares arrays between processes on this machine: they are written to a file once, and each process maps it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.store import align_up, write_all

MIN_BYTES = 1 << 14  # smaller arrays are pickled with the object that has them


@dataclass(frozen=True)
class SharedArray:
    """The location of an array in a file; `start` is a byte offset."""

    path: str
    start: int
    dtype: str
    shape: tuple[int, ...]

    def open(self) -> NDArray[Any]:
        """Map the array copy-on-write: changes are visible in this process only."""
        mapped = np.memmap(self.path, np.dtype(self.dtype), "c", self.start, self.shape)
        return np.asarray(mapped)


class ArrayFile:
    """A new file `path` to which arrays are appended; raises FileExistsError, and OutputError if the disk is full."""

    def __init__(self, path: str) -> None:
        self._path, self._file, self._end = path, open(path, "xb", buffering=0), 0  # noqa: SIM115

    def share(self, value: Any) -> Any:
        """Write the large arrays of a value to the file; returns the value with a SharedArray for each."""
        return _map_arrays(value, self._write)

    def close(self) -> None:
        """Close the file; the arrays can still be mapped."""
        self._file.close()

    def _write(self, array: Any) -> Any:
        if not isinstance(array, np.ndarray) or array.nbytes < MIN_BYTES or array.dtype.hasobject:
            return array
        start = self._end
        self._end += write_all(self._file, np.ascontiguousarray(array))
        assert self._end == align_up(self._end)
        return SharedArray(self._path, start, array.dtype.str, array.shape)


def open_arrays(value: Any) -> Any:
    """The inverse of `ArrayFile.share`: replace each SharedArray by its mapped array."""
    return _map_arrays(value, lambda array: array.open() if isinstance(array, SharedArray) else array)


def _map_arrays(value: Any, replace_array: Callable[[Any], Any]) -> Any:
    """Apply `replace_array` to each array in a value, recursively in mappings and dataclasses."""
    if isinstance(value, np.ndarray | SharedArray):
        return replace_array(value)
    if isinstance(value, Mapping):
        return {key: _map_arrays(item, replace_array) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.init]
        return replace(value, **{name: _map_arrays(getattr(value, name), replace_array) for name in names})
    return value
