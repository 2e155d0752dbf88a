"""Where the bytes of a table come from: files, globs, standard input, compressed or not."""

import bz2
import difflib
import glob
import gzip
import hashlib
import importlib
import io
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, BinaryIO

from mlpcli.data.faults import escaped_path, listed
from mlpcli.dataclass import dataclass
from mlpcli.errors import DataError

HEAD_SIZE = 512
STANDARD_INPUT = "standard input"

# What a file is that is no text table, by its first bytes, and what to do with it.
FOREIGN = {
    b"PAR1": "a Parquet file. Write it as CSV: pandas.read_parquet(...).to_csv(..., index=False).",
    b"ARROW1": "an Arrow (Feather) file. Write it as CSV: pandas.read_feather(...).to_csv(..., index=False).",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office file (.xls). Save the sheet as CSV.",
    b"\x89HDF": "an HDF5 file. Write the table as CSV.",
    b"SQLite format 3\0": 'a database. Write the table as CSV: sqlite3 -csv -header FILE "select * from TABLE".',
    b"\x93NUMPY": "a NumPy array file. Write it as CSV with numpy.savetxt.",
    b"\x80\x02": "a pickle. Write the table as CSV.",
    b"\x80\x03": "a pickle. Write the table as CSV.",
    b"\x80\x04": "a pickle. Write the table as CSV.",
    b"\x80\x05": "a pickle. Write the table as CSV.",
    b"%PDF-": "a PDF file. Write the table as CSV.",
    b"\x89PNG": "a picture. Write the table as CSV.",
    b"\xff\xd8\xff": "a picture. Write the table as CSV.",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive. Unpack it and name the CSV file.",
    b"\x7fELF": "a program. Name a CSV file.",
}


@dataclass(frozen=True)
class Source:
    """One input: `path` is "-" for standard input; `content` holds the bytes of what can be read only once."""

    path: str
    content: bytes | None = None

    @property
    def name(self) -> str:
        """The name in messages."""
        return STANDARD_INPUT if self.path == "-" else escaped_path(self.path)


class ByteStream:
    """The uncompressed bytes of a source, its damages told as DataError."""

    def __init__(self, name: str, raw: Any, file: Any = None) -> None:
        self.name = name
        self._raw = raw
        self._file = file

    def read(self, size: int) -> bytes:
        """Give `size` bytes, fewer only at the end of the input."""
        parts: list[bytes] = []
        n_left = size
        while n_left:
            try:
                part = self._raw.read(n_left)
            except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile) as error:
                raise DataError(f"{self.name}: the compressed file is damaged or cut short. Fetch it again.") from error
            except OSError as error:
                raise DataError(f"{self.name}: cannot be read ({error.strerror or error}).") from error
            if not part:
                break
            parts.append(part)
            n_left -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file below; standard input stays open."""
        if self._file is not None:
            self._file.close()


def find_sources(source: str | Sequence[str]) -> tuple[Source, ...]:
    """List the inputs a path, a glob, "-" or a list of these stands for; at least one."""
    names = [source] if isinstance(source, str) else list(source)
    if not names or "" in names:
        raise DataError("No data file is named. Name a CSV file, or - for standard input.")
    return tuple(part for name in names for part in _expanded(name))


def open_source(source: Source) -> ByteStream:
    """Open an input and undo its compression, which its first bytes tell."""
    raw = _open_raw(source)
    file = None if source.path == "-" else raw
    try:
        head = ByteStream(source.name, raw).read(HEAD_SIZE)
        joined = io.BufferedReader(_Rejoined(head, raw))
        plain = _decompressed(source.name, joined, head)
        if plain is not joined:
            stream = ByteStream(source.name, plain)
            head = stream.read(HEAD_SIZE)
            plain = io.BufferedReader(_Rejoined(head, stream))
        _refuse_foreign(source.name, head)
    except BaseException:
        ByteStream(source.name, raw, file).close()
        raise
    return ByteStream(source.name, plain, file)


def held(source: Source) -> Source:
    """Give a source that can be opened again: what comes from a pipe is taken into memory."""
    if source.path != "-" and (os.path.isfile(source.path) or not os.path.exists(source.path)):
        return source
    raw = _open_raw(source)
    stream = ByteStream(source.name, raw, None if source.path == "-" else raw)
    content = b"".join(iter(lambda: stream.read(1 << 20), b""))
    stream.close()
    return Source(source.path, content)


def sha256_of(source: str | Sequence[str]) -> str:
    """The hash of the uncompressed bytes of all files in order: that of the table they make, without parsing it."""
    digest = hashlib.sha256()
    for part in find_sources(source):
        stream = open_source(part)
        while block := stream.read(1 << 20):
            digest.update(block)
        stream.close()
    return digest.hexdigest()


class _Rejoined(io.RawIOBase):
    """The first bytes of a stream, taken for a look, in front of the rest of it."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head and hasattr(self._rest, "readinto"):
            return int(self._rest.readinto(buffer))
        size = len(buffer)
        part = self._head[:size] if self._head else self._rest.read(size)
        self._head = self._head[size:]
        buffer[: len(part)] = part
        return len(part)


class _ZstdReader:
    """Zstandard frames, one after the other; unlike the package's own reader it notices a file that is cut short."""

    def __init__(self, raw: Any, zstandard: Any) -> None:
        self._raw = raw
        self._zstandard = zstandard
        self._frame: Any = None
        self._ready = b""

    def read(self, size: int) -> bytes:
        """Give up to `size` bytes, none at the end."""
        while not self._ready:
            compressed = self._raw.read(1 << 14)
            if not compressed and self._frame is not None:
                raise EOFError
            if not compressed:
                return b""
            self._ready = self._decompressed(compressed)
        part, self._ready = self._ready[:size], self._ready[size:]
        return part

    def _decompressed(self, compressed: bytes) -> bytes:
        parts = []
        while compressed:
            self._frame = self._frame or self._zstandard.ZstdDecompressor().decompressobj()
            try:
                parts.append(self._frame.decompress(compressed))
            except self._zstandard.ZstdError as error:
                raise EOFError from error
            compressed = self._frame.unused_data if self._frame.eof else b""
            self._frame = None if self._frame.eof else self._frame
        return b"".join(parts)


def _expanded(name: str) -> list[Source]:
    """The inputs of one name: itself, or the files of a glob in the order of their names."""
    if name == "-" or os.path.exists(name) or not glob.has_magic(name):
        return [Source(name)]
    paths = sorted(path for path in glob.glob(name, recursive=True) if not os.path.isdir(path))
    if not paths:
        raise DataError(f"{escaped_path(name)}: no file matches. Paths start at the current folder.")
    return [Source(path) for path in paths]


def _open_raw(source: Source) -> Any:
    """The stored bytes of a source."""
    if source.content is not None:
        return io.BytesIO(source.content)
    if source.path == "-":
        return sys.stdin.buffer
    if os.path.isdir(source.path):
        raise DataError(_folder_fault(source.path))
    try:
        return open(source.path, "rb")
    except FileNotFoundError as error:
        raise DataError(_missing_fault(source.path)) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{source.name}: cannot be read ({reason}).") from error


def _folder_fault(path: str) -> str:
    """What is said of a folder that stands for a file."""
    tables = sorted(name for name in os.listdir(path) if ".csv" in name or ".tsv" in name)
    example = os.path.join(path, tables[0] if tables else "train.csv")
    return (
        f"{escaped_path(path)}: a folder. Name a file in it ({escaped_path(example)}), "
        f"or several: '{escaped_path(os.path.join(path, '*.csv'))}'."
    )


def _missing_fault(path: str) -> str:
    """What is said of a file that is not there, with the nearest name in its folder."""
    if "://" in path:
        return (
            f"{escaped_path(path)}: an address, not a file. Download it first, or pipe it in: curl -sL URL | mlp ... -"
        )
    folder, name = os.path.split(path)
    if folder and not os.path.isdir(folder):
        return f"{escaped_path(path)}: no such file (there is no folder {escaped_path(folder)})."
    near = difflib.get_close_matches(name, sorted(os.listdir(folder or os.curdir)), n=1, cutoff=0.75)
    hint = (
        f" Did you mean {escaped_path(os.path.join(folder, near[0]))}?"
        if near
        else " Paths start at the current folder."
    )
    return f"{escaped_path(path)}: no such file.{hint}"


def _refuse_foreign(name: str, head: bytes) -> None:
    """Say of a file that is no text what it is."""
    for magic, description in FOREIGN.items():
        if head.startswith(magic):
            raise DataError(f"{name}: {description}")
    if head[257:262] == b"ustar":
        raise DataError(f"{name}: a tar archive. Unpack it and name the CSV file.")


def _decompressed(name: str, raw: Any, head: bytes) -> Any:
    """The stream behind a compression, or the stream itself."""
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return bz2.BZ2File(raw)
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(raw)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _ZstdReader(raw, _zstandard(name))
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return _zip_member(name, io.BytesIO(raw.read()))
    return raw


def _zstandard(name: str) -> Any:
    """The optional package for .zst files, asked for only where one is read."""
    try:
        return importlib.import_module("zstandard")
    except ImportError as error:
        raise DataError(
            f'{name}: reading .zst files needs the package zstandard. Install it with: pip install "mlp-train[zstd]"'
        ) from error


def _zip_member(name: str, raw: BinaryIO) -> Any:
    """The one file inside a zip archive."""
    try:
        archive = zipfile.ZipFile(raw)
        members = [member for member in archive.infolist() if not member.is_dir()]
        names = [member.filename for member in members if not member.filename.startswith("__MACOSX/")]
        if "[Content_Types].xml" in names:
            raise DataError(f"{name}: an Excel or Office file. Save the sheet as CSV.")
        if names and all(inner.endswith(".npy") for inner in names):
            raise DataError(f"{name}: a NumPy archive (a model file perhaps). Name a CSV file.")
        if len(names) != 1:
            raise DataError(f"{name}: a zip archive of {len(names)} files ({listed(names)}). Unpack it and name one.")
        return archive.open(names[0])
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{name}: the zip archive is damaged or cut short. Fetch it again.") from error
    except RuntimeError as error:
        raise DataError(
            f"{name}: the zip archive is locked with a password. Unpack it and name the CSV file."
        ) from error
