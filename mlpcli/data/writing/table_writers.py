"""Tables out, chunk after chunk, in the format that the ending of the path names."""

import gzip
from collections.abc import Sequence
from decimal import Decimal
from pathlib import PurePath
from typing import Any, BinaryIO, Protocol

import numpy as np
import orjson

from mlpcli.data.reading.faults import escaped, escaped_path
from mlpcli.data.reading.typed.arrow import load_pyarrow
from mlpcli.data.reading.typed.columns import text_of
from mlpcli.data.writing.csv import Cells, Labels, format_header, format_rows
from mlpcli.errors import OutputError

DELIMITERS = {"": ",", ".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
ARROW = (".parquet", ".feather", ".arrow")


class Writer(Protocol):
    """Writes one table into a binary file, which stays open: `begin`, then the chunks in order, then `end`.

    `is_typed` says that numbers are told from texts.
    """

    @property
    def is_typed(self) -> bool:
        """Whether a reader knows the type of a cell from the file."""

    def begin(self, file: BinaryIO, names: Sequence[str], has_header: bool = True) -> None:
        """Start the table; `has_header` is for CSV."""

    def encode(self, names: Sequence[str], columns: Sequence[Cells]) -> Any:
        """A chunk, made of columns of equal length in whatever thread, also before `begin`, for `write`."""

    def write(self, chunk: Any) -> None:
        """Write what `encode` gave; raises OutputError where a column has another type than before."""

    def end(self) -> None:
        """Write what belongs at the end."""


def writer_for(path: str) -> Writer:
    """The writer for an ending; a path without one, such as "-", is CSV."""
    name = PurePath(path).name.lower()
    plain = name.removesuffix(".gz")
    suffix = PurePath(plain).suffix
    if suffix in DELIMITERS or suffix in JSON_LINES:
        return _TextWriter(DELIMITERS.get(suffix), is_gzip=name != plain)
    if suffix in ARROW and name == plain:
        return _ArrowWriter(f"-o {escaped_path(path)}", is_parquet=suffix == ".parquet")
    raise OutputError(
        f"-o {escaped_path(path)}: cannot write {escaped(PurePath(name).suffix)}; use .csv, .jsonl or .parquet "
        "(or .tsv, .feather, .csv.gz, .jsonl.gz)."
    )


class _TextWriter:
    """CSV with a delimiter, or JSON Lines (None); each chunk is a member of a gzip file."""

    def __init__(self, delimiter: str | None, is_gzip: bool) -> None:
        self._delimiter, self._is_gzip = delimiter, is_gzip
        self.is_typed = delimiter is None

    def begin(self, file: BinaryIO, names: Sequence[str], has_header: bool = True) -> None:
        self._file, self._names = file, list(names)
        self.write(self._packed(format_header(names, self._delimiter) if has_header and self._delimiter else ""))

    def encode(self, names: Sequence[str], columns: Sequence[Cells]) -> bytes:
        if self._delimiter is None:
            return self._packed(format_objects(names, columns))
        return self._packed(format_rows(columns, self._delimiter))

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def end(self) -> None:
        pass

    def _packed(self, text: str) -> bytes:
        return gzip.compress(text.encode(), 6, mtime=0) if self._is_gzip else text.encode()


class _ArrowWriter:
    """Parquet, or an Arrow file (Feather); a chunk is a row group, missing cells are null."""

    is_typed = True

    def __init__(self, name: str, is_parquet: bool) -> None:
        self._name, self._is_parquet = name, is_parquet
        self._pa = load_pyarrow(name)
        self._writer: Any = None

    def begin(self, file: BinaryIO, names: Sequence[str], has_header: bool = True) -> None:
        self._file, self._names = file, list(names)

    def encode(self, names: Sequence[str], columns: Sequence[Cells]) -> Any:
        return self._pa.RecordBatch.from_arrays([_array(self._pa, column) for column in columns], names=list(names))

    def write(self, chunk: Any) -> None:
        self._open(chunk.schema)
        for first, now in zip(self._schema, chunk.schema, strict=True):
            if first != now:
                raise OutputError(
                    f"{self._name}: column {escaped(now.name)} is of type {first.type} in the first rows and "
                    f"{now.type} in later ones. Write .csv or .jsonl."
                )
        self._writer.write_batch(chunk)

    def end(self) -> None:
        self._open(self._pa.schema([(name, self._pa.string()) for name in self._names]))
        self._writer.close()

    def _open(self, schema: Any) -> None:
        if self._writer is None:
            self._schema = schema
            opens = self._pa.parquet.ParquetWriter if self._is_parquet else self._pa.ipc.new_file
            self._writer = opens(self._file, schema)


def format_objects(names: Sequence[str], columns: Sequence[Cells]) -> str:
    """A JSON object per row; a missing or infinite number is null."""
    pairs = (orjson.dumps(name).decode().replace("%", "%%") + ":%s" for name in names)
    template = "{" + ",".join(pairs) + "}\n"
    return "".join(map(template.__mod__, zip(*map(_json_texts, columns), strict=True)))


def _json_texts(column: Cells) -> list[str]:
    if isinstance(column, Labels):
        texts = [orjson.dumps(_plain(value)).decode() for value in (*column.values, None)]
        return list(np.asarray(texts, object)[column.codes])
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
        joined = orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1]
        return joined.split(",") if joined else []
    return [orjson.dumps(_plain(cell)).decode() for cell in column]


def _plain(cell: Any) -> str | bool | int | float | None:
    """A cell as JSON has it; "" is a missing one."""
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool | np.bool_):
        return bool(cell)
    if isinstance(cell, int | np.integer):
        return int(cell)
    if isinstance(cell, float | np.floating | Decimal):
        return float(str(cell))
    return text_of(cell) or None


def _array(pa: Any, column: Cells) -> Any:
    if isinstance(column, Labels):
        is_text = isinstance(column.values, Sequence)
        values = pa.array([text or None for text in column.values], pa.string()) if is_text else pa.array(column.values)
        return values.take(pa.array(column.codes, mask=column.codes < 0))
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
        return pa.array(column, from_pandas=True)
    return pa.array([None if cell is None or cell != cell else str(cell) for cell in column], pa.string())
