"""From the bytes of a file to text: UTF-8 without byte order mark, every line end one newline.

The encoding is found so: a byte order mark names UTF-8, UTF-16 or UTF-32. Without one the file is UTF-8 until a byte is
not. When all before it was ASCII, the file is read as cp1252 (Windows, with the letters of Latin-1) from there on, and
a note says so; otherwise the file is damaged or mixed: an error that names the line. So nothing is read twice.
"""

import codecs
from typing import Protocol

import numpy as np

from mlpcli.data.faults import nul_byte, quoted, undecodable
from mlpcli.data.sources import ByteStream
from mlpcli.errors import DataError

BLOCK_SIZE = 1 << 20
NEWLINE = ord("\n")
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Digest(Protocol):
    """What hashlib gives."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""


class TextBlocks:
    """The text of a byte stream, block by block. `encoding` and `notes` are final when the stream is read."""

    def __init__(self, stream: ByteStream, encoding: str | None, digest: Digest | None = None) -> None:
        self.name = stream.name
        self.notes: list[str] = []
        self._stream = stream
        self._digest = digest
        self._is_given = encoding is not None
        self._is_ascii = True
        self._is_first = True
        self.is_done = False
        self._n_lines = 0
        self._held_return = b""
        self._set_encoding(_known_encoding(encoding) if encoding is not None else "utf-8")

    def read(self) -> bytes:
        """Give the next block as UTF-8, b"" at the end."""
        while not self.is_done:
            raw = self._stream.read(BLOCK_SIZE)
            self.is_done = is_last = len(raw) < BLOCK_SIZE
            if self._digest is not None:
                self._digest.update(raw)
            if self._is_first and not self._is_given:
                self._set_encoding(next((name for mark, name in MARKS.items() if raw.startswith(mark)), "utf-8"))
            text = self._decoded(raw, is_last)
            if self._is_first:
                text = text.removeprefix(codecs.BOM_UTF8)
            self._is_first = False
            text = self._with_plain_line_ends(text, is_last)
            if b"\0" in text:
                raise nul_byte(self.name, self._n_lines + 1 + text.count(b"\n", 0, text.index(b"\0")))
            # NumPy counts ten times as fast as bytes.count.
            self._n_lines += int(np.count_nonzero(np.frombuffer(text, np.uint8) == NEWLINE))
            if text:
                return text
        return b""

    def close(self) -> None:
        """Close the file below."""
        self._stream.close()

    def _set_encoding(self, encoding: str) -> None:
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def _decoded(self, raw: bytes, is_last: bool) -> bytes:
        """The block as UTF-8; bytes that are half a character wait in the decoder for the next block."""
        if self.encoding == "utf-8" and raw.isascii() and not self._decoder.getstate()[0]:
            return raw
        try:
            text = self._decoder.decode(raw, is_last).encode("utf-8")
        except UnicodeDecodeError as error:
            whole, start = error.object, error.start
            if self._is_given or self.encoding != "utf-8" or not (self._is_ascii and whole[:start].isascii()):
                raise self._fault(whole, start) from error
        except UnicodeError as error:
            raise self._fault(raw, 0) from error
        else:
            self._is_ascii = self._is_ascii and text.isascii()
            return text
        self._set_encoding("cp1252")
        self.notes.append(f"{self.name}: read as cp1252: not valid UTF-8 at line {self._line(whole[:start])}.")
        return self._decoded(whole, is_last)

    def _fault(self, data: bytes, position: int) -> DataError:
        """What is said of a byte that cannot be decoded; binary files are known by their NUL bytes."""
        if b"\0" in data and not self._is_given:
            return nul_byte(self.name, self._line(data[: data.index(b"\0")]))
        tried = "utf-8 or cp1252" if self.encoding == "cp1252" and not self._is_given else self.encoding
        return undecodable(self.name, self._line(data[:position]), data[position], tried, self._is_given)

    def _line(self, before: bytes) -> int:
        """The line of what follows `before` in the block that is being read."""
        text = self._held_return + before
        return self._n_lines + 1 + text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")

    def _with_plain_line_ends(self, text: bytes, is_last: bool) -> bytes:
        """The block with newlines only; a carriage return at its end waits for what follows."""
        text = self._held_return + text
        self._held_return = b""
        if b"\r" not in text:
            return text
        if text.endswith(b"\r") and not is_last:
            text, self._held_return = text[:-1], b"\r"
        return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _known_encoding(encoding: str) -> str:
    """The name Python has for an encoding of text."""
    try:
        codec = codecs.lookup(encoding)
        "".encode(encoding)
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError) as error:
        raise DataError(
            f"{quoted(encoding)} is no encoding. --encoding / data.encoding is utf-8, cp1252, utf-16 or the like."
        ) from error
    return {"utf-8-sig": "utf-8"}.get(codec.name, codec.name)
