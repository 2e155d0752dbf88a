"""From the bytes of a file to text: UTF-8 without byte order mark, every line end one newline.

A byte order mark names UTF-8, UTF-16 or UTF-32. Without one the file is UTF-8 until a byte is not. When all before it
was ASCII, the charset is detected from there on and named in a note; otherwise the file is damaged or mixed, which is
an error. So nothing is read twice.

Windows-1252 (Latin-1) comes first where its letters are those of one Western language and most letters are ASCII;
among so few letters a detection by frequencies takes German for Chinese.
"""

import codecs
import importlib
import re
from typing import Protocol

import numpy as np

from mlpcli.data.reading.byte_stream import ByteStream
from mlpcli.data.reading.faults import NUL_BYTE, UNDECODABLE, WRONG_ENCODING, escape_text, quote_text, table_error
from mlpcli.errors import DataError

BLOCK_SIZE = 1 << 20
# Bytes looked at together: they and what is made of them stay in the cache.
SIGNS_AT_ONCE = 1 << 16
NEWLINE = ord("\n")
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

FIELDS_BEYOND_ASCII = re.compile(rb'[^\n\r,;\t"]*[\x80-\xff][^\n\r,;\t"]*')
MOST_SAMPLED = 1 << 16
# Of so few letters beyond ASCII nothing can be told: a text of Latin letters is the likeliest.
FEW_LETTERS = 6
LONGEST_WORD = 64
# The letters beyond ASCII of German, French, Spanish, Portuguese, Italian, Nordic; of Polish, Czech, Slovak, Hungarian,
# Croatian and Slovene, Romanian; of Turkish.
WESTERN = ("äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúü", "áâãàçéêíóôõú", "àèéìòù", "åäöæøé")
CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "čćđšž", "ăâîşţ")
TURKISH = ("çğı\u0307öşüâîû",)
ALPHABETS = (("cp1252", WESTERN), ("cp1250", CENTRAL), ("iso8859_2", CENTRAL), ("cp1254", TURKISH))
# What other charsets have letters for: in a word it is one of them; but not in m³ and ¿Qué.
SYMBOL_IN_WORD = re.compile(r"[^\W\d_mM][¡¢£¥¦¬±³¶¹¼¾¿](?!\d)|[¢£¥¦¬®±³¶¹¼¾¿]+[^\W\d_A-Z]|[\x80-\x9f]")
LATIN = ["cp1252", "cp1250", "iso8859_2", "cp1254", "cp1257", "cp850"]
OTHERS = ["cp1251", "cp1253", "cp1255", "cp1256", "koi8_r", "cp932", "euc_jp", "gb18030", "big5", "cp949"]


class Digest(Protocol):
    """What hashlib gives."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""


def count_sign(text: bytes, sign: int) -> int:
    """How often a byte occurs: NumPy counts ten times as fast as bytes.count, of what is in the cache."""
    signs = np.frombuffer(text, np.uint8)
    starts = range(0, len(signs), SIGNS_AT_ONCE)
    return sum(int(np.count_nonzero(signs[start : start + SIGNS_AT_ONCE] == sign)) for start in starts)


class TextBlocks:
    """The text of a byte stream, block by block. `encoding` and `notes` are final when the stream is read."""

    def __init__(self, stream: ByteStream, encoding: str | None, digest: Digest | None = None) -> None:
        self.name = stream.name
        self.notes: list[str] = []
        self.is_done = False
        self._stream = stream
        self._digest = digest
        self._is_given = encoding is not None
        self._is_ascii = self._is_first = True
        self.n_lines = 0  # that were given
        self._held_return = self._word = b""  # what ends the block before
        self._set_encoding("utf-8" if encoding is None else _known_encoding(encoding))

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
            if self._is_first:  # programs that add a mark do so to files that have one
                text = text.removeprefix(codecs.BOM_UTF8).removeprefix(codecs.BOM_UTF8)
            self._is_first = False
            text = self._with_plain_line_ends(text, is_last)
            if b"\0" in text:
                raise table_error(self.name, self.n_lines + 1 + text.count(b"\n", 0, text.index(b"\0")), NUL_BYTE)
            self.n_lines += count_sign(text, NEWLINE)
            if text:
                return text
        return b""

    @property
    def n_read(self) -> int:
        """Bytes read so far (see `ByteStream`)."""
        return self._stream.n_read

    def close(self) -> None:
        """Close the file below."""
        self._stream.close()

    def _set_encoding(self, encoding: str) -> None:
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def _decoded(self, raw: bytes, is_last: bool) -> bytes:
        """The block as UTF-8; bytes that are half a character wait in the decoder for the next block."""
        if self.encoding == "utf-8" and raw.isascii() and not self._decoder.getstate()[0]:
            self._word = (self._word + raw[-LONGEST_WORD:])[-LONGEST_WORD:]
            return raw
        try:
            text = self._decoder.decode(raw, is_last).encode("utf-8")
        except UnicodeDecodeError as error:
            whole, start = error.object, error.start
            if self._is_given or self.encoding != "utf-8" or not (self._is_ascii and whole[:start].isascii()):
                raise self._fault(whole, start) from error
            if b"\0" in whole:
                raise self._fault(whole, start) from error
        except UnicodeError as error:
            raise self._fault(raw, 0) from error
        else:
            self._is_ascii = self._is_ascii and text.isascii()
            self._word = (self._word + text[-LONGEST_WORD:])[-LONGEST_WORD:]
            return text
        sample = self._word + whole
        self._set_encoding(detected_encoding(sample))
        line = self._line(whole[:start])
        field = FIELDS_BEYOND_ASCII.search(sample)
        example = escape_text(field[0].decode(self.encoding, "replace").strip()) if field else ""
        self.notes.append(
            f"{self.name}: read as {self.encoding}, which is a guess ({example}): "
            f"not valid UTF-8 at line {line} (see data.encoding)."
        )
        return self._decoded(whole, is_last)

    def _fault(self, data: bytes, position: int) -> DataError:
        """What is said of a byte that cannot be decoded; binary files are known by their NUL bytes."""
        if b"\0" in data and not self._is_given:
            return table_error(self.name, self._line(data[: data.index(b"\0")]), NUL_BYTE)
        is_detected = not self._is_given and not self.encoding.startswith("utf")
        tried = f"utf-8 or {self.encoding}" if is_detected else self.encoding
        sentence = WRONG_ENCODING if self._is_given else UNDECODABLE
        found = f"byte 0x{data[position]:02x} is not valid {tried}"
        return table_error(self.name, self._line(data[:position]), sentence, found=found)

    def _line(self, before: bytes) -> int:
        """The line of what follows `before` in the block that is being read."""
        text = self._held_return + before
        return self.n_lines + 1 + text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")

    def _with_plain_line_ends(self, text: bytes, is_last: bool) -> bytes:
        """The block with newlines only; a carriage return at its end waits for what follows."""
        text = self._held_return + text
        self._held_return = b""
        if b"\r" not in text:
            return text
        if text.endswith(b"\r") and not is_last:
            text, self._held_return = text[:-1], b"\r"
        return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def detected_encoding(data: bytes) -> str:
    """The likeliest charset of a text that is ASCII but for some bytes; "cp1252" where nothing speaks for another."""
    whole_lines = data[: data.rfind(b"\n") + 1]
    fields = FIELDS_BEYOND_ASCII.findall(whole_lines) or FIELDS_BEYOND_ASCII.findall(data)
    sample = b"\n".join(fields)[:MOST_SAMPLED]
    n_foreign, n_letters = len(re.findall(rb"[\x80-\xff]", sample)), len(re.findall(rb"[A-Za-z0-9]", sample))
    is_latin = n_foreign <= max(n_letters, FEW_LETTERS)
    alphabets = [(name, one) for name, several in ALPHABETS for one in several]
    if is_latin and (encoding := next((name for name, one in alphabets if _is_written_in(sample, name, one)), "")):
        return encoding
    detection = importlib.import_module("charset_normalizer")
    found = detection.from_bytes(sample, cp_isolation=LATIN * is_latin + OTHERS).best()
    if found is None or found.encoding in LATIN:
        # Names of many countries have the letters of no single language.
        all_letters = [(name, "".join(several)) for name, several in ALPHABETS]
        guess = "cp1252" if found is None else str(found.encoding)
        return next((name for name, letters in all_letters if _is_written_in(sample, name, letters)), guess)
    return str(found.encoding)


def _is_written_in(sample: bytes, encoding: str, alphabet: str) -> bool:
    """Whether the letters beyond ASCII are those of an alphabet, and no symbol stands in a word."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    letters = {sign for sign in text.lower() if not sign.isascii() and sign.isalpha()} - set("µªº")
    return letters <= set(alphabet) and not SYMBOL_IN_WORD.search(text)


def _known_encoding(encoding: str) -> str:
    """The name Python has for an encoding of text."""
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
