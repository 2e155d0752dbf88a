"""Memory-mapped columns: arrays in an unlinked temporary file, whose pages are released when they exceed a limit.

The file has no name, so nothing is left behind however the process ends. A mapped array has the interface of any other
array; a thread drops its pages from the memory of this process whenever they exceed the limit.
"""

import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mlpcli.errors import OutputError

ALIGNMENT = 64
# Elements of an array per write: a multiple of ALIGNMENT, so that chunks of any dtype are aligned.
ENTRIES_PER_WRITE = 1 << 18
# Seconds between two measurements of the mapped memory.
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Segment:
    """Offset, dtype and length of a one-dimensional array in the file."""

    start: int
    dtype: "np.dtype[Any]"
    length: int


class SpillFile:
    """Arrays appended to a temporary file and read back one at a time."""

    def __init__(self, folder: str | None) -> None:
        self._file = temporary_file(folder)
        weakref.finalize(self, self._file.close)  # also after an error
        self._end = 0

    def append(self, array: NDArray[Any]) -> Segment:
        """Write an array (n,); raises OutputError if the disk is full."""
        segment = Segment(self._end, array.dtype, len(array))
        self._file.seek(self._end)
        self._end += write_all(self._file, np.ascontiguousarray(array))
        return segment

    def read(self, segments: Sequence[Segment], dtype: "np.dtype[Any]") -> NDArray[Any]:
        """Concatenate the arrays of the segments into one (n,) of `dtype`."""
        values = np.empty(sum(segment.length for segment in segments), dtype)
        start = 0
        for segment in segments:
            self._file.seek(segment.start)
            part = values[start : start + segment.length]
            if segment.dtype == dtype:
                read_all(self._file, part)
            else:
                part[:] = np.fromfile(self._file, segment.dtype, segment.length)
            start += segment.length
        return values

    def close(self) -> None:
        """Release the disk space."""
        self._file.close()


class MappedFile:
    """A temporary file of known size, mapped as a whole."""

    def __init__(self, folder: str | None, n_bytes: int) -> None:
        self._file = temporary_file(folder)
        try:
            # Allocated in full at once: writing to a mapped page when the disk is full would kill the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, max(n_bytes, 1))
            else:
                self._file.truncate(max(n_bytes, 1))
        except OSError as error:
            self._file.close()
            raise OutputError(
                f"not enough space for {n_bytes / 1e9:.1f} GB of temporary data ({error.strerror})."
            ) from error
        self._map = mmap.mmap(self._file.fileno(), max(n_bytes, 1))
        self._end = 0
        PAGE_WATCHER.add(self._map)

    def write(self, array: NDArray[Any], order: NDArray[Any] | None = None) -> NDArray[Any]:
        """Append an array (n,), permuted or selected by `order` if given; returns the mapped array."""
        self._file.seek(self._end)
        start, chunk_size = self._end, ENTRIES_PER_WRITE
        size = array.size if order is None else order.size
        for first in range(0, size, chunk_size):
            chunk = slice(first, first + chunk_size)
            self._end += write_all(self._file, array[chunk] if order is None else array[order[chunk]])
        return np.frombuffer(self._map, array.dtype, size, start)

    def array(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """The whole file as one writable array."""
        self.close()
        return np.frombuffer(self._map, dtype, int(np.prod(shape))).reshape(shape)

    def close(self) -> None:
        """Close for writing; the mapping lives as long as its arrays, then releases the disk space."""
        self._file.close()


class _PageWatcher:
    """Releases the pages of mapped files whenever the process holds more than `limit` bytes of them."""

    def __init__(self) -> None:
        self.limit = 1 << 25
        self._files: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, file: mmap.mmap) -> None:
        """Watch a mapping as long as it is referenced elsewhere."""
        with self._lock:
            self._files.add(file)
            is_watched = self._thread is not None and self._thread.is_alive()
            if not is_watched and os.path.exists("/proc/self/statm"):
                self._thread = threading.Thread(target=self._watch, name="mapped-pages", daemon=True)
                self._thread.start()

    def release(self) -> None:
        """Drop the pages of all files now."""
        with self._lock:  # another thread may add a file
            files = list(self._files)
        for file in files:
            if hasattr(file, "madvise"):
                file.madvise(mmap.MADV_DONTNEED)  # written pages are in the file

    def _watch(self) -> None:
        baseline, pause = mapped_bytes(), threading.Event()
        while not pause.wait(POLL_SECONDS):
            with self._lock:
                if not self._files:
                    self._thread = None
                    return
            if mapped_bytes() - baseline > self.limit:
                self.release()


PAGE_WATCHER = _PageWatcher()


def mapped_bytes() -> int:
    """Resident bytes of mapped files in this process, shared libraries included."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[2]) * mmap.PAGESIZE


def temporary_file(folder: str | None) -> BinaryIO:
    """An unnamed file in the nearest existing parent of `folder`; raises OutputError."""
    while folder and not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    try:
        return tempfile.TemporaryFile(dir=folder or None, buffering=0)
    except OSError as error:
        raise OutputError(
            f"no temporary file can be made in {folder or tempfile.gettempdir()} ({error.strerror}). "
            "Name a folder with more space: data.cache."
        ) from error


def write_all(file: BinaryIO, array: NDArray[Any]) -> int:
    """Write the bytes of an array, padded to the alignment; returns the number of bytes."""
    try:
        view = memoryview(array.reshape(-1).view(np.uint8).data)
        while len(view):
            view = view[file.write(view) :]
        padding = align_up(array.nbytes) - array.nbytes
        file.write(b"\0" * padding)
    except OSError as error:
        raise OutputError(
            f"temporary data cannot be written ({error.strerror}). Name a folder with more space: data.cache."
        ) from error
    return align_up(array.nbytes)


def read_all(file: BinaryIO, array: NDArray[Any]) -> None:
    """Fill an array with the next bytes of a file. Raises EOFError if they are fewer."""
    view = memoryview(array.view(np.uint8).data)
    while len(view):
        n_read = file.readinto(view)  # type: ignore[attr-defined]  # an unbuffered file
        if not n_read:
            raise EOFError(f"{len(view)} bytes are missing at the end of a temporary file")
        view = view[n_read:]


def align_up(n_bytes: int) -> int:
    """Round up to a multiple of ALIGNMENT."""
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT
