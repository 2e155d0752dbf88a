"""The file format of mlp: an .npz with named arrays and JSON bytes in an array named `header`.

Writing is deterministic, so that equal models give equal bytes: entries in the given order, uncompressed, without
dates, C order, little-endian. Reading trusts nothing: neither the directory of the zip, the sizes it declares, the
header of an array, nor the JSON. Arrays are in NumPy's own format, written and read by `lib.format`; allocations are
bounded by the size of the file, and nothing in it is ever executed.
"""

import glob
import io
import math
import os
import re
import stat
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.errors import ModelFileError, OutputError
from mlpcli.messages import format_size
from mlpcli.storage.strict_json import format_json, parse_json

Array = NDArray[Any]
Kind = Literal["model", "checkpoint", "fold"]

# The format version of each kind of file, which is written and read.
FORMATS: dict[Kind, int] = {"model": 1, "checkpoint": 1, "fold": 1}
HEADER = "header"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}(?<!\.npy)")
_MAX_DIRECTORY = 1 << 20
MAX_ENTRIES = 4096  # arrays, the header among them
_MAX_HEADER = 16 << 20
_MAX_ARRAY_HEADER = 512  # NumPy's own take 118 bytes
_DTYPES = ("<f4", "<f8", "<i8", "|u1", "|b1")
_MAX_TOTAL = 8 << 30
_MAX_RATIO = 20
_CHUNK_SIZE = 1 << 18

_TRAIN = {
    "model": "Train one with: mlp train CONFIG",
    "checkpoint": "Start the training again without --resume.",
    "fold": "Start the cross-validation again without --resume.",
}
# Exceptions raised for hostile bytes: by zipfile and zlib (including RuntimeErrors such as NotImplementedError), and by
# NumPy for the header of an array, a Python literal (with a warning for one written by Python 2).
_ERRORS = (ValueError, LookupError, OverflowError, RuntimeError)
_ZIP_ERRORS = (*_ERRORS, zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError)
_ARRAY_ERRORS = (*_ERRORS, TypeError, SyntaxError, tokenize.TokenError, Warning)


class _Refused(Exception):
    """The reason why a file is rejected, which the message puts between the file name and the advice."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.advice = advice


def encode_npz(arrays: Mapping[str, Array], header: Mapping[str, Any]) -> bytes:
    """Bytes of an .npz with `header` and these arrays; equal input in equal order gives equal bytes.

    The header must have `kind` and `format` (see FORMATS). Raises OutputError if it is too large; ValueError for an
    invalid name or dtype or NaN in the header, which is a bug.
    """
    text = format_json(header)
    if len(text) > _MAX_HEADER:
        raise OutputError(
            f"the header of the model takes {format_size(len(text))}, more than {format_size(_MAX_HEADER)}: "
            "too many columns or category levels. Leave columns out with data.drop."
        )
    if HEADER in arrays or len(arrays) >= MAX_ENTRIES:
        raise ValueError(f"{len(arrays)} arrays; at most {MAX_ENTRIES - 1}, and none named {HEADER!r}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in {HEADER: np.frombuffer(text, np.uint8), **arrays}.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"not a name for an array: {name!r}")
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # the same on every system
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, _encode_array(array))
    return buffer.getvalue()


def _encode_array(array: Array) -> bytes:
    """The bytes of a .npy file in version 1.0. Raises ValueError for an unsupported dtype."""
    # asarray instead of ascontiguousarray, which turns a 0-d array into a vector.
    converted, buffer = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C"), io.BytesIO()
    if converted.dtype.str not in _DTYPES:
        raise ValueError(f"not a dtype of the format: {array.dtype}")
    np.lib.format.write_array(buffer, converted, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def read_npz(path: str, kind: Kind) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays (without `header`, in order) of a file of mlp.

    Checks kind, format version, the zip, every checksum, dtype, shape and the JSON, but not whether numbers are finite,
    nor the contents of the header (see `records.from_plain`). Every failure is a ModelFileError with advice.
    """
    try:
        with _open(path, kind) as file, _open_zip(file) as archive:
            _check_end(file, len(archive.infolist()))
            return _read_archive(archive, os.fstat(file.fileno()).st_size, kind)
    except _Refused as error:
        raise ModelFileError(f"{path}: {error}. {error.advice or _TRAIN[kind]}") from error
    except MemoryError as error:
        raise ModelFileError(f"{path}: needs more memory than there is. Use a machine with more of it.") from error
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}. Check the disk.") from error


class _BoundedFile(io.BufferedReader):
    """A file that rejects long reads, because zipfile reads the whole directory, of whatever length the file claims."""

    def read(self, n_bytes: int | None = -1, /) -> bytes:
        if n_bytes is None or n_bytes < 0:
            n_bytes = _MAX_DIRECTORY
        if n_bytes > _MAX_DIRECTORY:
            raise zipfile.BadZipFile
        return super().read(n_bytes)


def _file_in(folder: str, name: str) -> str:
    """Advice on a folder: its file of this name, or that of the first run in it; "" if there is none."""
    files = glob.glob(name, root_dir=folder) + sorted(glob.glob(f"*/{name}", root_dir=folder))
    return f"Name a file in it: {os.path.join(folder, files[0])}" if files else ""


def _open(path: str, kind: Kind) -> _BoundedFile:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise _Refused("is a folder", _file_in(path, "weights.npz" if kind == "model" else "checkpoint.npz"))
        if not stat.S_ISREG(mode):
            raise _Refused("is not a regular file", "Save it to a file first.")
        file = _BoundedFile(io.FileIO(path))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        partial = os.path.dirname(path) + ".partial"
        advice = f"The run is unfinished: see {partial}" if os.path.isdir(partial) else ""
        raise _Refused("no such file", advice) from error
    except OSError as error:
        raise _Refused(f"cannot be read: {error.strerror}", "Check the permissions and the disk.") from error
    try:
        _check_start(file, kind)
    except BaseException:
        file.close()
        raise
    return file


def _check_start(file: BinaryIO, kind: Kind) -> None:
    start = file.read(8)
    file.seek(0)
    if not start:
        raise _Refused("is empty")
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise _Refused(f"is a pickle, which mlp never loads, not a {kind} of mlp")
    if not b"PK\x03\x04".startswith(start[:4]):
        raise _Refused(f"not a {kind} of mlp (not an npz file)")


def _open_zip(file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except _ZIP_ERRORS as error:
        raise _damaged("not a whole zip file") from error


def _check_end(file: BinaryIO, n_entries: int) -> None:
    """Check the number of entries, because a wrong length of one directory entry can hide later ones."""
    file.seek(-22, os.SEEK_END)
    end = file.read(22)
    if end[:4] != b"PK\x05\x06" or int.from_bytes(end[10:12], "little") != n_entries:
        raise _damaged("number of entries")


def _read_archive(archive: zipfile.ZipFile, n_bytes: int, kind: Kind) -> tuple[dict[str, Any], dict[str, Array]]:
    entries = _check_directory(archive.infolist(), n_bytes, kind)
    # Read the header first, because a newer format may have arrays that this version cannot check.
    header = _parse_header(_read_array(archive, HEADER, entries.pop(HEADER)), kind)
    return header, {name: _read_array(archive, name, entry) for name, entry in entries.items()}


def _check_directory(infos: list[zipfile.ZipInfo], n_bytes: int, kind: Kind) -> dict[str, zipfile.ZipInfo]:
    """The entries by array name, with sizes checked."""
    entries: dict[str, zipfile.ZipInfo] = {}
    if len(infos) > MAX_ENTRIES:
        raise _Refused(f"not a {kind} of mlp ({len(infos)} entries)")
    for info in infos:
        name = info.orig_filename.removesuffix(".npy")
        if info.orig_filename != f"{name}.npy" or not _NAME.fullmatch(name):
            raise _Refused(f"not a {kind} of mlp (it holds {_show(info.orig_filename)})")
        if name in entries:
            raise _damaged(f"two entries named {name}")
        if info.flag_bits & 1:
            raise _Refused("is encrypted, which mlp never does")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Refused(f"{name} is compressed in a way mlp does not read")
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise _damaged(f"size of {name}")
        entries[name] = info
    # Before allocating: the compressed sizes must fit into the file (overlapping entries do not), and the declared
    # uncompressed sizes must be within a factor of it.
    if sum(info.compress_size for info in infos) > n_bytes:
        raise _damaged("the entries are larger than the file")
    total = sum(info.file_size for info in infos)
    if total > min(_MAX_RATIO * n_bytes, _MAX_TOTAL):
        raise _Refused(f"refused: {format_size(n_bytes)} that unpack to {format_size(total)}")
    if HEADER not in entries:
        raise _Refused(f"not a {kind} of mlp (no header)")
    if entries[HEADER].file_size > _MAX_HEADER + 128:
        raise _Refused(f"refused: a header of {format_size(entries[HEADER].file_size)}")
    return entries


def _read_array(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Array:
    try:
        with archive.open(info) as entry:
            shape, dtype = _read_array_header(entry, name)
            # Count 0 as 1, because the other dimensions of an empty array must be valid, too.
            largest = math.prod(max(length, 1) for length in shape) * dtype.itemsize
            n_bytes = math.prod(shape) * dtype.itemsize
            is_shape = len(shape) <= 8 and min(shape, default=0) >= 0 and largest <= _MAX_TOTAL
            if not is_shape or entry.tell() + n_bytes != info.file_size:
                raise _damaged(f"shape of {name}")
            array = np.empty(shape, dtype)
            data = array.reshape(-1).view(np.uint8)
            position = 0
            while chunk := entry.read(_CHUNK_SIZE):  # to the end, where zipfile checks the checksum
                data[position : position + len(chunk)] = np.frombuffer(chunk, np.uint8)
                position += len(chunk)
    except _ZIP_ERRORS as error:
        raise _damaged(f"contents of {name}") from error
    if position != data.size or (dtype == np.bool_ and data.size and data.max() > 1):
        raise _damaged(f"contents of {name}")
    return array


def _read_array_header(entry: IO[bytes], name: str) -> tuple[tuple[int, ...], "np.dtype[Any]"]:
    """Shape and dtype; the dtype is supported, the shape only guaranteed to be integers."""
    try:
        with warnings.catch_warnings(action="error"):
            if np.lib.format.read_magic(entry) != (1, 0):
                raise _damaged(f"{name} is an unknown kind of array")
            fields = np.lib.format.read_array_header_1_0(entry, max_header_size=_MAX_ARRAY_HEADER)
            shape, is_fortran_order, dtype = fields
    except _ARRAY_ERRORS as error:
        raise _damaged(f"{name} is not an array") from error
    if dtype.hasobject:
        raise _Refused(f"holds a pickle ({name}), which mlp never loads")
    if dtype.str not in _DTYPES:
        raise _damaged(f"{name} has numbers of type {_show(dtype.str)}")
    if is_fortran_order:
        raise _damaged(f"{name} is stored by columns")
    return shape, dtype


def _parse_header(array: Array, kind: Kind) -> dict[str, Any]:
    if array.dtype != np.uint8 or array.ndim != 1:
        raise _Refused(f"not a {kind} of mlp (no header)")
    try:
        header = parse_json(array.tobytes())
    except ValueError as error:
        raise _damaged("the header is not JSON") from error
    file_kind = header.get("kind") if isinstance(header, dict) else None
    if not isinstance(header, dict) or file_kind not in tuple(FORMATS):
        raise _Refused(f"not a {kind} of mlp (a header of something else)")
    if file_kind != kind:
        advice = f"Name the {'weights' if kind == 'model' else 'checkpoint'}.npz beside it."
        raise _Refused(f"is a {file_kind}, not a {kind}", advice)
    version = header.get("format")
    if type(version) is not int or version < 1:
        raise _damaged("no format number")
    if version > FORMATS[kind]:
        raise _Refused(
            f"format {_show(version)} is newer than this mlp reads ({FORMATS[kind]})",
            "Upgrade with: pip install -U mlp-train",
        )
    if version < FORMATS[kind]:
        raise _Refused(f"format {version} is of an earlier mlp (this one reads {FORMATS[kind]})", _TRAIN[kind])
    return header


def _damaged(detail: str) -> _Refused:
    return _Refused(f"truncated or damaged ({detail})", "Copy it again, or train again with: mlp train CONFIG")


def _show(value: object) -> str:
    """A value from an untrusted file as short ASCII text."""
    text = ascii(value)
    return text if len(text) <= 40 else text[:37] + "..."
