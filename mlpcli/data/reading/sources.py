"""Sources of table bytes: files, globs, standard input, compressed or not."""

import bz2
import difflib
import glob
import gzip
import hashlib
import importlib
import io
import lzma
import os
import re
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from mlpcli.data.reading.byte_stream import ByteStream, Kind
from mlpcli.data.reading.faults import escape_path, join_names
from mlpcli.data.reading.held import Held
from mlpcli.errors import DataError

STANDARD_INPUT = "standard input"

# What a file is by its first bytes: a format, ...
KINDS: dict[bytes, Kind] = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff" * 4: "arrow"}
KINDS[b"\xd0\xcf\x11\xe0"] = "workbook"
JSON_LINES_NAME = re.compile(r"\.(jsonl|ndjson)(\.\w+)?$", re.IGNORECASE)
JSON_LINES_TEXT = re.compile(rb"(\xef\xbb\xbf)?\s*\{")
PARQUET_PART = re.compile(r"[^_.].*\.parquet", re.IGNORECASE)  # what begins with _ or . is about the others
OPEN_DOCUMENT = b"application/vnd.oasis.opendocument.spreadsheet"
# ... compressed, or no table, and what to do with it.
COMPRESSED = re.compile(rb"\x1f\x8b|BZh.1AY&SY|\xfd7zXZ\x00|\x28\xb5\x2f\xfd|PK\x03\x04|PK\x05\x06", re.DOTALL)
FOREIGN = {
    rb"PAR1|ARROW1|\xd0\xcf\x11\xe0": "a table of another format, compressed. Unpack it and name what was in it.",
    rb"\x89HDF": "an HDF5 file. Write the table as CSV.",
    rb"SQLite format 3\x00": 'a database. Write the table as CSV: sqlite3 -csv -header FILE "select * from TABLE".',
    rb"\x93NUMPY": "a NumPy array file. Write it as CSV with numpy.savetxt.",
    rb"\x80[\x02-\x05]": "a pickle. Write the table as CSV.",
    rb"%PDF-": "a PDF file. Write the table as CSV.",
    rb"\x89PNG|\xff\xd8\xff": "an image. Write the table as CSV.",
    rb"7z\xbc\xaf\x27\x1c": "a 7z archive. Unpack it and name the CSV file.",
    rb"\x7fELF": "an executable. Name a CSV file.",
    rb"[\s\S]{257}ustar": "a tar archive. Unpack it and name the CSV file.",
    rb"\s*\[\s*\{": "a JSON array. Write one object per line (JSON Lines): jq -c '.[]' FILE.",
}


@dataclass(frozen=True)
class Source:
    """One input: `path` is "-" for standard input; `content` buffers a pipe, `looked_at` its stream until then."""

    path: str
    content: Held | None = None
    looked_at: "list[ByteStream]" = field(default_factory=list, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The name in messages."""
        return STANDARD_INPUT if self.path == "-" else escape_path(self.path)

    @property
    def is_pipe(self) -> bool:
        """Whether it can be read only once."""
        is_special = self.path == "-" or (os.path.exists(self.path) and not os.path.isfile(self.path))
        return self.content is None and is_special


def find_sources(source: str | Sequence[str]) -> tuple[Source, ...]:
    """List the inputs of a path, a glob, "-" or a list of these; at least one."""
    names = [source] if isinstance(source, str) else list(source)
    if not names or "" in names:
        raise DataError("No data file is named. Name a CSV file, or - for standard input.")
    return tuple(found for name in names for found in _expanded(name))


def kind_of(source: str | Source) -> Kind:
    """Detect the kind of a file from its content; the bytes read from a pipe are read again when it is opened."""
    source = Source(source) if isinstance(source, str) else source
    stream = open_source(source)
    if source.is_pipe:
        source.looked_at.append(stream)
    else:
        stream.close()
    return stream.kind


def open_source(source: Source) -> ByteStream:
    """Open an input and decompress it if it is text; other formats are returned as stored."""
    if source.looked_at:
        return source.looked_at.pop()
    file = open_stored(source)
    stream = ByteStream(source.name, file, file)
    try:
        return _plain(source, stream, file)
    except BaseException:
        stream.close()
        raise


def open_stored(source: Source) -> BinaryIO:
    """Open the stored bytes of an input; seekable unless it is a pipe."""
    if source.content is not None:
        return source.content.open()
    if source.path == "-":
        return sys.stdin.buffer
    try:
        return open(source.path, "rb")
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) or os.path.isdir(source.path):
            raise DataError(_absence(source.path)) from error
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{source.name}: cannot be read ({reason}).") from error


def held(source: Source) -> Source:
    """Make a source that can be opened again: a pipe is buffered, text is decompressed."""
    if not source.is_pipe:
        return source
    stream = open_source(source)
    try:
        return Source(source.path, Held(source.name, stream.chunks()))
    finally:
        stream.close()


def sha256_of(source: str | Sequence[str]) -> str:
    """The hash of the files of a table, without parsing them."""
    digests = []
    for found in find_sources(source):
        digest = hashlib.sha256()
        stream = open_source(found)
        for chunk in stream.chunks():
            digest.update(chunk)
        stream.close()
        digests.append(digest.hexdigest())
    return sha256_together(digests)


def sha256_together(digests: Sequence[str]) -> str:
    """The hash of a table: of its uncompressed bytes; for several files, of their concatenated hashes."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _expanded(name: str) -> list[Source]:
    """The inputs of one name: itself, or sorted by name the files of a glob or of a folder of Parquet files."""
    if os.path.isdir(name):
        parts = [part for part in _names_in(name) or [] if PARQUET_PART.fullmatch(part)]
        return [Source(os.path.join(name, part)) for part in parts] or [Source(name)]
    if name == "-" or os.path.exists(name) or not glob.has_magic(name):
        return [Source(name)]
    paths = sorted(path for path in glob.glob(name, recursive=True) if not os.path.isdir(path))
    if not paths:
        raise DataError(f"{escape_path(name)}: no file matches. Paths are relative to the current folder.")
    return [Source(path) for path in paths]


def _plain(source: Source, stream: ByteStream, file: BinaryIO) -> ByteStream:
    """The decompressed stream with its kind; raises DataError if it is not a table."""
    name, head = source.name, stream.look()
    for magic, kind in KINDS.items():
        if head.startswith(magic):
            stream.kind = kind
            return stream
    if head.startswith(b"PK"):
        if not file.seekable():
            file = io.BytesIO(b"".join(stream.chunks()))
            stream.close()
        member = _zip_member(name, file)
        stream = ByteStream(name, member or file, file)
        if member is None:
            file.seek(0)
            stream.kind = "workbook"
            return stream
        head = stream.look()
    elif COMPRESSED.match(head):
        raw, damages = _decompressed(name, stream, head)
        stream = ByteStream(name, raw, file, damages)
        head = stream.look()
    for pattern, description in FOREIGN.items():
        if re.match(pattern, head):
            raise DataError(f"{name}: {description}")
    if JSON_LINES_NAME.search(source.path) or JSON_LINES_TEXT.match(head):
        stream.kind = "jsonl"
    return stream


def _decompressed(name: str, raw: Any, head: bytes) -> tuple[Any, tuple[type[Exception], ...]]:
    """The stream behind a compression, and what else it raises where it is damaged."""
    if head.startswith(b"\x1f"):
        return gzip.GzipFile(fileobj=raw), ()
    if head.startswith(b"B"):
        return bz2.BZ2File(raw), ()
    if head.startswith(b"\xfd"):
        return lzma.LZMAFile(raw), ()
    package = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        zstd = importlib.import_module(package)
    except ImportError as error:
        raise DataError(
            f'{name}: reading .zst files needs the package {package}. Install it with: pip install "mlp-train[zstd]"'
        ) from error
    return zstd.ZstdFile(raw), (zstd.ZstdError,)


def _zip_member(name: str, file: BinaryIO) -> Any:
    """The one file inside a zip archive; None where the archive is a workbook."""
    try:
        archive = zipfile.ZipFile(file)
        names = [member.filename for member in archive.infolist() if not member.is_dir()]
        names = [inner for inner in names if not inner.startswith("__MACOSX/")]
        is_open_document = "mimetype" in names and archive.read("mimetype").startswith(OPEN_DOCUMENT)
        if "[Content_Types].xml" in names or is_open_document:
            return None
        if names and all(inner.endswith(".npy") for inner in names):
            raise DataError(f"{name}: a NumPy archive (perhaps a model file). Name a CSV file.")
        if len(names) != 1:
            raise DataError(
                f"{name}: a zip archive of {len(names)} files ({join_names(names)}). Unpack it and name one."
            )
        return archive.open(names[0])
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{name}: the zip archive is damaged or truncated. Fetch it again.") from error
    except RuntimeError as error:
        raise DataError(f"{name}: the zip archive is locked with a password. Unpack it and name one file.") from error


def _absence(path: str) -> str:
    """What is said of a folder that stands for a file, and of a file that is not there."""
    shown, (folder, name) = escape_path(path), os.path.split(path)
    if os.path.isdir(path):
        names = _names_in(path)
        if names is None:
            return f"{shown}: a folder that cannot be read. Name a file in it, or change its permissions."
        table = next((name for name in names if ".csv" in name or ".tsv" in name), "train.csv")
        one, several = (escape_path(os.path.join(path, name)) for name in (table, "*.csv"))
        return f"{shown}: a folder. Name a file in it ({one}), or several: '{several}'."
    if "://" in path:
        return f"{shown}: an address, not a file. Download it first, or pipe it in: curl -sL URL | mlp ... -"
    if folder and not os.path.isdir(folder):
        return f"{shown}: no such file (there is no folder {escape_path(folder)})."
    near = difflib.get_close_matches(name, _names_in(folder or os.curdir) or [], n=1, cutoff=0.75)
    hint = (
        f"Did you mean {escape_path(os.path.join(folder, near[0]))}?"
        if near
        else "Paths are relative to the current folder."
    )
    return f"{shown}: no such file. {hint}"


def _names_in(folder: str) -> list[str] | None:
    """The names in a folder in order; None where it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return None
