"""Arrays that several processes of this machine share: written once into a file, and memory-mapped by each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.store import align_up, write_all

MIN_BYTES = 1 << 14  # smaller arrays go along with what refers to them


@dataclass(frozen=True)
class SharedArray:
    """Where an array stands in its file."""

    path: str
    start: int
    dtype: str
    shape: tuple[int, ...]

    def open(self) -> NDArray[Any]:
        """The array; what is written into it stays in this process."""
        mapped = np.memmap(self.path, np.dtype(self.dtype), "c", self.start, self.shape)
        return np.asarray(mapped)


class ArrayFile:
    """The file `path`, which is made anew and grows; raises OutputError where the disk is full."""

    def __init__(self, path: str) -> None:
        self._path, self._file, self._end = path, open(path, "xb", buffering=0), 0  # noqa: SIM115

    def share(self, value: Any) -> Any:
        """A value whose large arrays are in the file."""
        return _map_arrays(value, self._written)

    def close(self) -> None:
        """Nothing more is written."""
        self._file.close()

    def _written(self, array: Any) -> Any:
        if not isinstance(array, np.ndarray) or array.nbytes < MIN_BYTES or array.dtype.hasobject:
            return array
        start = self._end
        self._end += write_all(self._file, np.ascontiguousarray(array))
        assert self._end == align_up(self._end)
        return SharedArray(self._path, start, array.dtype.str, array.shape)


def open_arrays(value: Any) -> Any:
    """A shared value with its arrays mapped."""
    return _map_arrays(value, lambda one: one.open() if isinstance(one, SharedArray) else one)


def _map_arrays(value: Any, swap: Callable[[Any], Any]) -> Any:
    """A value, or the fields, items and values in it, with each array swapped for what stands for it."""
    if isinstance(value, np.ndarray | SharedArray):
        return swap(value)
    if isinstance(value, Mapping):
        return {key: _map_arrays(item, swap) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        found = {one.name: _map_arrays(getattr(value, one.name), swap) for one in fields(value) if one.init}
        return replace(value, **found)
    return value
