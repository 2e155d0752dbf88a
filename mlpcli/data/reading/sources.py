"""Inputs of tables: files, globs and standard input, compressed or not, and the detection of their format."""

import bz2
import glob
import gzip
import hashlib
import importlib
import io
import lzma
import os
import re
import stat
import sys
import zipfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from mlpcli.data.reading.byte_stream import ByteStream, Kind
from mlpcli.data.reading.faults import CHANGED, escape_path, join_names, table_error
from mlpcli.data.reading.input_buffer import InputBuffer
from mlpcli.errors import DataError, nearest_file

STANDARD_INPUT = "standard input"

# Device, inode, size in bytes and modification time in ns of each file; None for other inputs.
FileStats = dict["Source", tuple[int, int, int, int] | None]

# Signatures: the format of a file by its first bytes, ...
KINDS: dict[bytes, Kind] = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff" * 4: "arrow"}
KINDS[b"\xd0\xcf\x11\xe0"] = "workbook"
JSON_LINES_NAME = re.compile(r"\.(jsonl|ndjson)(\.\w+)?$", re.IGNORECASE)
JSON_LINES_TEXT = re.compile(rb"(\xef\xbb\xbf)?\s*\{")
PARQUET_PART = re.compile(r"[^_.].*\.parquet", re.IGNORECASE)  # names that begin with _ or . are metadata
OPEN_DOCUMENT = b"application/vnd.oasis.opendocument.spreadsheet"
# ... its compression, or why it is not a table, and what to do.
COMPRESSED = re.compile(rb"\x1f\x8b|BZh.1AY&SY|\xfd7zXZ\x00|\x28\xb5\x2f\xfd|PK\x03\x04|PK\x05\x06", re.DOTALL)
UNSUPPORTED = {
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
    """An input; `path` is "-" for standard input.

    `content` buffers a pipe; `peeked_streams` holds its stream if it has been opened only to detect its format.
    """

    path: str
    content: InputBuffer | None = None
    peeked_streams: "list[ByteStream]" = field(default_factory=list, compare=False, repr=False)

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
    return tuple(path_source for name in names for path_source in _expand_name(name))


def detect_kind(source: str | Source) -> Kind:
    """Detect the format of a file from its content; `open_source` returns the bytes read from a pipe again."""
    source = Source(source) if isinstance(source, str) else source
    stream = open_source(source)
    if source.is_pipe:
        source.peeked_streams.append(stream)
    else:
        stream.close()
    return stream.kind


def open_source(source: Source) -> ByteStream:
    """Open an input and decompress it if it is text; other formats are returned as stored."""
    if source.peeked_streams:
        return source.peeked_streams.pop()
    file = open_stored(source)
    stream = ByteStream(source.name, file, file)
    try:
        return _decompress(source, stream, file)
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
            raise DataError(_missing_file_message(source.path)) from error
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{source.name}: cannot be read ({reason}).") from error


def reopenable(source: Source) -> Source:
    """Make a source that can be opened repeatedly: a pipe is read, decompressed if it is text, and buffered."""
    if not source.is_pipe:
        return source
    stream = open_source(source)
    try:
        return Source(source.path, InputBuffer(source.name, stream.chunks()))
    finally:
        stream.close()


def stat_files(sources: Sequence[Source]) -> FileStats:
    """The state of the files, to be compared by `refuse_changed_files`."""
    return {source: _stat_file(source) for source in sources}


def refuse_changed_files(stats: FileStats) -> None:
    """Raise DataError for the first file that has changed since `stats` were taken."""
    for source, before in stats.items():
        if _stat_file(source) != before:
            raise table_error(source.name, None, CHANGED)


def sha256_of(source: str | Sequence[str]) -> str:
    """The SHA-256 of a table as in `Table.sha256`, without parsing its files."""
    return sha256_together(
        [hash_bytes(file_source, hashlib.sha256()).hexdigest() for file_source in find_sources(source)]
    )


def hash_bytes(source: Source, digest: "hashlib._Hash") -> "hashlib._Hash":
    """Update a digest with the uncompressed bytes of a file, and return it."""
    with closing(open_source(source)) as stream:
        for chunk in stream.chunks():
            digest.update(chunk)
    return digest


def sha256_together(digests: Sequence[str]) -> str:
    """Combine the hashes of the uncompressed files of a table; several are concatenated and hashed."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _stat_file(source: Source) -> tuple[int, int, int, int] | None:
    if source.path == "-" or source.content is not None:
        return None
    try:
        found = os.stat(source.path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _expand_name(name: str) -> list[Source]:
    """The inputs of a name: the files of a glob or of a folder of Parquet files, sorted, otherwise the file itself."""
    if os.path.isdir(name):
        file_names = [file_name for file_name in _list_folder(name) or [] if PARQUET_PART.fullmatch(file_name)]
        return [Source(os.path.join(name, file_name)) for file_name in file_names] or [Source(name)]
    if name == "-" or os.path.exists(name) or not glob.has_magic(name):
        return [Source(name)]
    paths = sorted(path for path in glob.glob(name, recursive=True) if not os.path.isdir(path))
    if not paths:
        raise DataError(f"{escape_path(name)}: no file matches. Paths are relative to the current folder.")
    return [Source(path) for path in paths]


def _decompress(source: Source, stream: ByteStream, file: BinaryIO) -> ByteStream:
    """The decompressed stream with its kind; raises DataError if it is not a table."""
    name, head = source.name, stream.peek()
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
        head = stream.peek()
    elif COMPRESSED.match(head):
        raw, errors = _decompressor(name, stream, head)
        stream = ByteStream(name, raw, file, errors)
        head = stream.peek()
    for pattern, description in UNSUPPORTED.items():
        if re.match(pattern, head):
            raise DataError(f"{name}: {description}")
    if JSON_LINES_NAME.search(source.path) or JSON_LINES_TEXT.match(head):
        stream.kind = "jsonl"
    return stream


def _decompressor(name: str, raw: Any, head: bytes) -> tuple[Any, tuple[type[Exception], ...]]:
    """The decompressed stream of a file with this `head`, and the further exceptions it raises if it is damaged."""
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
    """The only file in a zip archive, opened; None if the archive is a workbook. Raises DataError for anything else."""
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


def _missing_file_message(path: str) -> str:
    """The error message for a path that is a folder or does not exist."""
    shown_path, (folder, name) = escape_path(path), os.path.split(path)
    if os.path.isdir(path):
        names = _list_folder(path)
        if names is None:
            return f"{shown_path}: a folder that cannot be read. Name a file in it, or change its permissions."
        tables = (escape_path(os.path.join(path, name)) for name in names if ".csv" in name or ".tsv" in name)
        example, pattern = next((f" ({table})" for table in tables), ""), escape_path(os.path.join(path, "*.csv"))
        return f"{shown_path}: a folder. Name a file in it{example}, or several: '{pattern}'."
    if "://" in path:
        return f"{shown_path}: an address, not a file. Download it first, or pipe it in: curl -sL URL | mlp ... -"
    if folder and not os.path.isdir(folder):
        return f"{shown_path}: no such file (there is no folder {escape_path(folder)})."
    if os.path.islink(path):
        return f"{shown_path}: a link to {escape_path(os.readlink(path))}, which does not exist."
    found = nearest_file(name, _list_folder(folder or os.curdir) or [])
    hint = (
        f"Did you mean {escape_path(os.path.join(folder, found))}?"
        if found
        else "Paths are relative to the current folder."
    )
    return f"{shown_path}: no such file. {hint}"


def _list_folder(folder: str) -> list[str] | None:
    """The sorted names in a folder; None if it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return None
