"""A buffer of input that can be read only once, so that it can be read again."""

import io
import os
import tempfile
import threading
import weakref
from collections.abc import Iterable
from typing import Any, BinaryIO

from mlpcli.errors import DataError

MOST_IN_MEMORY = 64 << 20


class Held:
    """Bytes in memory or, above MOST_IN_MEMORY, in an unnamed temporary file."""

    def __init__(self, name: str, chunks: Iterable[bytes]) -> None:
        self.lock = threading.Lock()
        self.file = tempfile.SpooledTemporaryFile(MOST_IN_MEMORY)  # noqa: SIM115
        weakref.finalize(self, self.file.close)
        try:
            for chunk in chunks:
                self.file.write(chunk)
        except OSError as error:
            raise DataError(
                f"{name}: not enough space for it in {tempfile.gettempdir()} ({error.strerror})."
            ) from error

    def open(self) -> BinaryIO:
        """The bytes as an open file with its own position."""
        return io.BufferedReader(_View(self))


class _View(io.RawIOBase):
    def __init__(self, content: Held) -> None:
        self._content = content
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with self._content.lock:
            self._content.file.seek(self._position)
            self._content.file.seek(offset, whence)
            self._position = self._content.file.tell()
        return self._position

    def readinto(self, buffer: Any) -> int:
        with self._content.lock:
            self._content.file.seek(self._position)
            part = self._content.file.read(len(buffer))
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)
