"""A stream of the uncompressed bytes of an input, which reports its progress."""

import gzip
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from mlpcli.errors import DataError
from mlpcli.progress import has_listeners, report_progress

Kind = Literal["text", "jsonl", "parquet", "arrow", "workbook"]

HEAD_SIZE = 512
CHUNK_SIZE = 1 << 20
DECOMPRESSION_ERRORS: tuple[type[Exception], ...] = (
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zipfile.BadZipFile,
)


class ByteStream:
    """The uncompressed bytes of an input; raises DataError if they are damaged.

    `raw` is the decompressed stream, `file` the stored one, and `errors` are further exceptions of the decompressor.
    """

    def __init__(self, name: str, raw: Any, file: Any = None, errors: Sequence[type[Exception]] = ()) -> None:
        self.name = name
        self.kind: Kind = "text"
        self._raw = raw
        self._file = file
        self._errors = (*DECOMPRESSION_ERRORS, *errors)
        self._head = b""
        self._n_returned = 0
        self._n_stored = _stored_size(file)

    @property
    def n_read(self) -> int:
        """Bytes read so far: stored bytes of a file, so that its size is 100%; uncompressed bytes of a pipe."""
        return int(self._file.tell()) if self._file is not None and self._file.seekable() else self._n_returned

    def read(self, size: int) -> bytes:
        """Read `size` bytes, fewer only at the end of the input."""
        chunks, self._head = [self._head[:size]] * bool(self._head), self._head[size:]
        n_left = size - sum(map(len, chunks))
        while n_left:
            try:
                chunk = self._raw.read(n_left)
            except self._errors as error:
                raise DataError(f"{self.name}: the compressed file is damaged or truncated. Fetch it again.") from error
            except OSError as error:
                raise DataError(f"{self.name}: cannot be read ({error.strerror or error}).") from error
            if not chunk:
                break
            chunks.append(chunk)
            n_left -= len(chunk)
        self._n_returned += size - n_left
        if has_listeners() and self._file is not None:
            report_progress(
                "bytes", self.name, self._n_stored or self._n_returned if n_left else self.n_read, self._n_stored
            )
        return b"".join(chunks)

    def chunks(self) -> Iterator[bytes]:
        """The remaining bytes, in chunks."""
        return iter(lambda: self.read(CHUNK_SIZE), b"")

    def peek(self) -> bytes:
        """Peek at the first bytes; `read` returns them again."""
        self._head = self.read(HEAD_SIZE)
        self._n_returned = 0
        return self._head

    def close(self) -> None:
        """Close the underlying file; standard input stays open."""
        self._n_returned, file, self._file = self.n_read, self._file, None
        if file is not None and file is not sys.stdin.buffer:
            file.close()


def _stored_size(file: Any) -> int:
    """The size of a file in bytes; 0 for a pipe."""
    try:
        return os.fstat(file.fileno()).st_size if file.seekable() else 0
    except (AttributeError, OSError, ValueError):
        return 0
