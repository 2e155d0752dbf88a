"""A buffer for input that can be read only once, such as a pipe."""

import io
import os
import tempfile
import threading
import weakref
from collections.abc import Iterable
from typing import Any, BinaryIO

from mlpcli.errors import DataError

MAX_IN_MEMORY = 64 << 20


class InputBuffer:
    """Bytes in memory or, above MAX_IN_MEMORY, in an unnamed temporary file; raises DataError if the disk is full."""

    def __init__(self, name: str, chunks: Iterable[bytes]) -> None:
        self.lock = threading.Lock()
        self.file = tempfile.SpooledTemporaryFile(MAX_IN_MEMORY)  # noqa: SIM115
        weakref.finalize(self, self.file.close)
        try:
            for chunk in chunks:
                self.file.write(chunk)
        except OSError as error:
            raise DataError(
                f"{name}: not enough space for it in {tempfile.gettempdir()} ({error.strerror})."
            ) from error

    def open(self) -> BinaryIO:
        """Open the bytes as a file with its own position; files may be read from several threads."""
        return io.BufferedReader(_View(self))


class _View(io.RawIOBase):
    def __init__(self, buffer: InputBuffer) -> None:
        self._buffer = buffer
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with self._buffer.lock:
            self._buffer.file.seek(self._position)
            self._buffer.file.seek(offset, whence)
            self._position = self._buffer.file.tell()
        return self._position

    def readinto(self, target: Any) -> int:
        with self._buffer.lock:
            self._buffer.file.seek(self._position)
            data = self._buffer.file.read(len(target))
        target[: len(data)] = data
        self._position += len(data)
        return len(data)
