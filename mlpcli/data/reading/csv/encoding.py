"""Decoding of text files: bytes to UTF-8 without byte order mark, each line ending in a newline only.

A byte order mark selects UTF-8, UTF-16 or UTF-32. A file without one is decoded as UTF-8 up to the first invalid byte.
If all bytes before it are ASCII, the encoding is detected from there on and reported in a note; otherwise the file is
damaged or has mixed encodings, which is an error. The file is read once.
"""

import codecs
from typing import Protocol

import numpy as np

from mlpcli.data.reading.byte_stream import ByteStream
from mlpcli.data.reading.csv.charset import NON_ASCII_FIELD, detected_encoding
from mlpcli.data.reading.faults import NUL_BYTE, UNDECODABLE, WRONG_ENCODING, escape_text, quote_text, table_error
from mlpcli.errors import DataError

BLOCK_SIZE = 1 << 20
# Bytes per NumPy operation: small enough for the chunk and its mask to stay in the processor's cache.
BYTES_PER_CHUNK = 1 << 18
NEWLINE = ord("\n")
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

CONTEXT_SIZE = 64  # bytes before a block that detection also examines


class Digest(Protocol):
    """A hash object of hashlib."""

    def update(self, data: bytes, /) -> None:
        """Hash more bytes."""


def count_byte(text: bytes, byte: int) -> int:
    """Count a byte in a text, ten times as fast as bytes.count: NumPy compares chunks that fit the cache."""
    data = np.frombuffer(text, np.uint8)
    starts = range(0, len(data), BYTES_PER_CHUNK)
    return sum(int(np.count_nonzero(data[start : start + BYTES_PER_CHUNK] == byte)) for start in starts)


class TextBlocks:
    """Iterates over the decoded text of a byte stream in blocks.

    `n_lines` counts the lines returned so far. `encoding` and `notes` are final at the end of the stream. `digest` is
    updated with the undecoded bytes.
    """

    def __init__(self, stream: ByteStream, encoding: str | None, digest: Digest | None = None) -> None:
        self.name = stream.name
        self.notes: list[str] = []
        self.is_done = False
        self._stream = stream
        self._digest = digest
        self._is_explicit = encoding is not None
        self._is_ascii = self._is_first = True
        self.n_lines = 0
        self._pending_return = self._context = b""  # a final carriage return, and the last bytes, of the previous block
        self._set_encoding("utf-8" if encoding is None else _python_encoding(encoding))

    def read(self) -> bytes:
        """Decode the next block to UTF-8; returns b"" at the end."""
        while not self.is_done:
            raw = self._stream.read(BLOCK_SIZE)
            self.is_done = is_last = len(raw) < BLOCK_SIZE
            if self._digest is not None:
                self._digest.update(raw)
            if self._is_first and not self._is_explicit:
                marked = (name for mark, name in BYTE_ORDER_MARKS.items() if raw.startswith(mark))
                self._set_encoding(next(marked, "utf-8"))
            text = self._decode(raw, is_last)
            if self._is_first:  # some programs add a byte order mark to a file that already has one
                text = text.removeprefix(codecs.BOM_UTF8).removeprefix(codecs.BOM_UTF8)
            self._is_first = False
            text = self._normalize_line_ends(text, is_last)
            if b"\0" in text:
                raise table_error(self.name, self.n_lines + 1 + text.count(b"\n", 0, text.index(b"\0")), NUL_BYTE)
            self.n_lines += count_byte(text, NEWLINE)
            if text:
                return text
        return b""

    @property
    def n_read(self) -> int:
        """Number of bytes read so far, as counted by `ByteStream.n_read`."""
        return self._stream.n_read

    def close(self) -> None:
        """Close the byte stream."""
        self._stream.close()

    def _set_encoding(self, encoding: str) -> None:
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def _decode(self, raw: bytes, is_last: bool) -> bytes:
        """Decode a block to UTF-8; an incomplete character at its end stays in the decoder until the next block."""
        if self.encoding == "utf-8" and raw.isascii() and not self._decoder.getstate()[0]:
            self._context = (self._context + raw[-CONTEXT_SIZE:])[-CONTEXT_SIZE:]
            return raw
        try:
            text = self._decoder.decode(raw, is_last).encode("utf-8")
        except UnicodeDecodeError as error:
            data, start = error.object, error.start
            if self._is_explicit or self.encoding != "utf-8" or not (self._is_ascii and data[:start].isascii()):
                raise self._error(data, start) from error
            if b"\0" in data:
                raise self._error(data, start) from error
        except UnicodeError as error:
            raise self._error(raw, 0) from error
        else:
            self._is_ascii = self._is_ascii and text.isascii()
            self._context = (self._context + text[-CONTEXT_SIZE:])[-CONTEXT_SIZE:]
            return text
        sample = self._context + data
        encoding, alternative = detected_encoding(sample)
        self._set_encoding(encoding)
        line = self._line_after(data[:start])
        field = NON_ASCII_FIELD.search(sample)
        example, other = (
            escape_text(field[0].decode(name, "replace").strip()) if field and name else ""
            for name in (encoding, alternative)
        )
        unsure = f" It may as well be {alternative} ({other})." if alternative else ""
        self.notes.append(
            f"{self.name}: read as {self.encoding}, which is a guess ({example}): "
            f"not valid UTF-8 at line {line} (see data.encoding).{unsure}"
        )
        return self._decode(data, is_last)

    def _error(self, data: bytes, position: int) -> DataError:
        """Build the error for a byte that cannot be decoded; NUL bytes identify binary files."""
        if b"\0" in data and not self._is_explicit:
            return table_error(self.name, self._line_after(data[: data.index(b"\0")]), NUL_BYTE)
        is_detected = not self._is_explicit and not self.encoding.startswith("utf")
        encodings = f"utf-8 or {self.encoding}" if is_detected else self.encoding
        template = WRONG_ENCODING if self._is_explicit else UNDECODABLE
        problem = f"byte 0x{data[position]:02x} is not valid {encodings}"
        return table_error(self.name, self._line_after(data[:position]), template, found=problem)

    def _line_after(self, preceding: bytes) -> int:
        """Line number (from 1) of the byte that follows `preceding` in the current block."""
        text = self._pending_return + preceding
        return self.n_lines + 1 + text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")

    def _normalize_line_ends(self, text: bytes, is_last: bool) -> bytes:
        """Convert all line ends to newlines; a carriage return at the end is kept until the next block."""
        text = self._pending_return + text
        self._pending_return = b""
        if b"\r" not in text:
            return text
        if text.endswith(b"\r") and not is_last:
            text, self._pending_return = text[:-1], b"\r"
        return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _python_encoding(encoding: str) -> str:
    """Normalize the name of a text encoding to Python's; raises DataError for an unknown one."""
    try:
        codec = codecs.lookup(encoding)
        "".encode(encoding)
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError) as error:
        raise DataError(
            f"{quote_text(encoding)} is not a known encoding. --encoding / data.encoding is for example utf-8, cp1252 "
            f"or utf-16."
        ) from error
    return {"utf-8-sig": "utf-8"}.get(codec.name, codec.name)
