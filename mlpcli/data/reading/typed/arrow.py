"""The reader of Parquet and Arrow IPC (Feather) files, with pyarrow; the role of a column follows from its type."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from mlpcli.data.reading.csv.rows import unique_column_names, unnamed_column_notes
from mlpcli.data.reading.faults import escape_text, join_names
from mlpcli.data.reading.reader import Batch, Request
from mlpcli.data.reading.sources import Source, open_stored, reopenable
from mlpcli.data.reading.typed import columns as typed
from mlpcli.data.reading.typed.kept import KeptArray
from mlpcli.data.table import CategoricalColumn, Column, Table, TableFormat
from mlpcli.errors import DataError
from mlpcli.progress import report_progress

PARQUET = (b"PAR1", b"PARE")
# End marker of an Arrow stream. pyarrow does not require it, so a stream truncated between two batches looks complete.
STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"
INDEX_NAME = re.compile(r"__index_level_\d+__")  # pandas' names for an index without a name
MAX_DIGITS = 15  # decimal digits that float64 always preserves


def load_pyarrow(name: str) -> Any:
    """Import the optional package pyarrow; `name` is the file that needs it, for the error if it is not installed."""
    typed.load_optional(name, "pyarrow.parquet", "pyarrow", "arrow")
    return typed.load_optional(name, "pyarrow", "pyarrow", "arrow")


class ArrowReader:
    """Reader of a Parquet file, an Arrow file (Feather) or an Arrow stream."""

    def __init__(self, source: Source, format: TableFormat) -> None:
        self.name, self.format, self.notes = source.name, format, list[str]()
        self._source = source
        self._pa = load_pyarrow(self.name)
        self._stored = open_stored(reopenable(source))
        try:
            with self._readable():
                self._magic = self._stored.read(4)
                self._file = self._pa.PythonFile(self._stored, "r")
                file = self._open()
                schema = file.schema_arrow if self._is_parquet else file.schema
                self._n_rows = file.metadata.num_rows if self._is_parquet else 0
                self._size = self._stored.seek(0, os.SEEK_END)
                all_names: list[str] = schema.names
            self._indices = [index for index, name in enumerate(all_names) if not INDEX_NAME.fullmatch(name)]
            self._stored_names = [all_names[index] for index in self._indices]
            self._categories = _pandas_categories(schema)
            self.names = unique_column_names(self.name, None, self._stored_names)
            if not self.names:
                raise DataError(f"{self.name}: a table without columns. Name another file.")
            self.notes += unnamed_column_notes(self.name, self._stored_names, self.names)
            if len(self._indices) < len(all_names):
                omitted = join_names([name for name in all_names if INDEX_NAME.fullmatch(name)])
                self.notes.append(f"{self.name}: {omitted}: the index of a pandas data frame, left out.")
        except BaseException:
            self.close()
            raise

    def batches(self, request: Request) -> Iterator[Batch]:
        """The rows in batches of at most BATCH_ROWS."""
        # If no column is wanted, one is read nevertheless, to count the rows.
        columns = zip(self._indices, self.names, strict=True)
        wanted = [index for index, name in columns if request.wants(name)] or self._indices[:1]
        first_row = 0
        with self._readable():
            for rows in self._record_batches(wanted):
                for start in range(0, rows.num_rows, typed.BATCH_ROWS):
                    chunk = rows.slice(start, typed.BATCH_ROWS)
                    yield partial(self._table, chunk, first_row, request=request)
                    first_row += chunk.num_rows
                    self._report_progress(first_row)
        self._report_progress(first_row, is_done=True)

    def locate(self, row: int) -> str:
        """The location of a row as "file.parquet: row 17"."""
        return f"{self.name}: row {row + 1}"

    def close(self) -> None:
        """Close the file."""
        self._stored.close()

    def _report_progress(self, n_rows: int, is_done: bool = False) -> None:
        """Report the progress: in rows for Parquet, which stores their number, otherwise in bytes."""
        if self._is_parquet:
            report_progress("rows read", self.name, n_rows, self._n_rows)
        else:
            report_progress("bytes", self.name, self._size if is_done else self._stored.tell(), self._size)

    @property
    def _is_parquet(self) -> bool:
        return self._magic in PARQUET

    def _open(self, fields: Sequence[int] = ()) -> Any:
        """Open the file at its beginning; of an Arrow file only the fields with these indices, if there are any."""
        self._file.seek(0)
        if self._is_parquet:
            return self._pa.parquet.ParquetFile(self._file)
        open_file = self._pa.ipc.open_file if self._magic == b"ARRO" else self._pa.ipc.open_stream
        return open_file(self._file, options=self._pa.ipc.IpcReadOptions(included_fields=list(fields)))

    def _record_batches(self, wanted: Sequence[int]) -> Iterator[Any]:
        if self._magic not in (*PARQUET, b"ARRO"):
            self._stored.seek(-len(STREAM_END), os.SEEK_END)
            if self._stored.read() != STREAM_END:
                raise ValueError("the stream has no end marker")
        file = self._open(wanted)
        if self._is_parquet:
            names = [file.schema_arrow.names[index] for index in wanted]
            return file.iter_batches(typed.BATCH_ROWS, columns=names)  # type: ignore[no-any-return]
        return map(file.get_batch, range(file.num_record_batches)) if self._magic == b"ARRO" else iter(file)

    def _table(self, rows: Any, first_row: int, request: Request) -> Table:
        columns, kept = {}, {}
        stored = zip(self.names, self._stored_names, strict=True)
        if any(request.wants(name) and stored_name not in rows.schema.names for name, stored_name in stored):
            with closing(
                ArrowReader(self._source, self.format)
            ) as reader:  # columns beyond those of the original request
                return next(table for batch in reader.batches(request) if (table := batch()).first_row == first_row)
        with self._readable():
            rows.validate(full=True)  # offsets of a damaged Arrow file may be out of bounds, which nothing checks later
            for name, stored_name in zip(self.names, self._stored_names, strict=True):
                if request.wants(name):
                    array = rows.column(rows.schema.names.index(stored_name))
                    if request.keeps(name):
                        kept[name] = KeptArray(self._pa, array)
                    is_converted = request.converts(name)
                    if stored_name in self._categories and not self._pa.types.is_dictionary(array.type):
                        array = array.dictionary_encode()
                    column = arrow_column(self._pa, array if is_converted else array[:0], request.wants_text(name))
                    if column is None:
                        raise typed.unreadable_type(f"{self.name}: column {escape_text(name)}", array.type)
                    if is_converted:
                        columns[name] = column
        return typed.batch_table(self, columns, rows.num_rows, first_row, kept)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (self._pa.ArrowException, OSError, ValueError, MemoryError) as error:
            reason = escape_text(str(error).split("\n")[0].rstrip("."))
            raise DataError(
                f"{self.name}: damaged, truncated, or not a Parquet or Arrow file ({reason}). Write it again."
            ) from error


def _pandas_categories(schema: Any) -> frozenset[str]:
    """Columns that were categorical in pandas. The schema alone does not tell: Parquet stores categories as values."""
    try:
        columns = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("columns", [])
        return frozenset(column["field_name"] for column in columns if column["pandas_type"] == "categorical")
    except (ValueError, KeyError, TypeError, AttributeError):  # metadata may be arbitrary
        return frozenset()


def arrow_column(pa: Any, array: Any, as_text: bool) -> Column | None:
    """Convert an Arrow array to a column; None if its type is not supported."""
    types, arrow_type = pa.types, array.type
    if isinstance(arrow_type, pa.BaseExtensionType):
        return arrow_column(pa, array.storage, as_text)
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if types.is_null(arrow_type):
        return typed.missing_column(len(array))
    if types.is_boolean(arrow_type):
        return typed.boolean_column(array.fill_null(False).to_numpy(zero_copy_only=False), as_text, missing)
    if types.is_integer(arrow_type):
        return typed.number_column(array.fill_null(0).to_numpy(zero_copy_only=False), as_text, missing)
    if types.is_floating(arrow_type):
        return typed.number_column(array.to_numpy(zero_copy_only=False), as_text)
    if types.is_decimal(arrow_type):
        return _decimal_column(pa, array, as_text)
    if types.is_date(arrow_type) or types.is_timestamp(arrow_type):
        is_zoned = types.is_timestamp(arrow_type) and arrow_type.tz is not None
        array = array.cast(pa.date32()) if types.is_date64(arrow_type) else array
        return typed.date_column(array.to_numpy(zero_copy_only=False), as_text, is_zoned)  # in UTC
    if _is_text(types, arrow_type):
        encoded = array.dictionary_encode()
        return typed.categorical_column(
            encoded.indices.fill_null(-1).to_numpy(), encoded.dictionary.to_pylist(), "text"
        )
    return _dictionary_column(pa, array, as_text) if types.is_dictionary(arrow_type) else None


def _is_text(types: Any, arrow_type: Any) -> bool:
    return bool(types.is_string(arrow_type) or types.is_large_string(arrow_type) or types.is_string_view(arrow_type))


def _decimal_column(pa: Any, array: Any, as_text: bool) -> Column | None:
    # Converted through texts: pyarrow's own cast does not always give the nearest float64.
    texts = array.cast(pa.string())
    values = texts.fill_null("nan").to_numpy(zero_copy_only=False).astype(np.float64)
    is_identifier = array.type.scale == 0 and np.any(np.abs(values) >= typed.FIRST_IDENTIFIER)
    if is_identifier or (as_text and array.type.precision > MAX_DIGITS):
        column = arrow_column(pa, texts, as_text)
        return None if column is None else replace(column, cell_type="decimal")
    return typed.number_column(values, as_text, cell_type="decimal")


def _dictionary_column(pa: Any, array: Any, as_text: bool) -> Column | None:
    types, arrow_type = pa.types, array.type.value_type
    if not (_is_text(types, arrow_type) or types.is_integer(arrow_type) or types.is_floating(arrow_type)):
        column = arrow_column(pa, array.dictionary_decode(), True)
        return None if column is None else replace(column, role="category")
    entries = arrow_column(pa, array.dictionary, True)
    if not isinstance(entries, CategoricalColumn):
        return None
    texts = [entries.levels[code] if code >= 0 else "" for code in entries.codes.tolist()]
    codes = array.indices.cast(pa.int64()).fill_null(-1).to_numpy()
    return typed.categorical_column(codes, texts, entries.cell_type or "text", "category")
