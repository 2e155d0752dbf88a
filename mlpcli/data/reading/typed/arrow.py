"""Parquet and Arrow IPC (Feather) files by pyarrow, in batches of rows; a column takes the role of its type."""

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
from mlpcli.data.reading.sources import Source, held, open_stored
from mlpcli.data.reading.typed import columns as typed
from mlpcli.data.reading.typed.kept import KeptArray
from mlpcli.data.table import CategoricalColumn, Column, Table, TableFormat
from mlpcli.errors import DataError
from mlpcli.watching import tell

PARQUET = (b"PAR1", b"PARE")
# What ends an Arrow stream; without it pyarrow takes a stream that was cut between two batches for a whole one.
STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"
INDEX_NAME = re.compile(r"__index_level_\d+__")  # what pandas calls an index without a name
MOST_DIGITS = 15  # that float64 surely holds


def load_pyarrow(name: str) -> Any:
    """The optional package; `name` is the file that needs it."""
    typed.load_optional(name, "pyarrow.parquet", "pyarrow", "arrow")
    return typed.load_optional(name, "pyarrow", "pyarrow", "arrow")


class ArrowReader:
    """A Parquet file, an Arrow file (Feather) or an Arrow stream; see `Reader`."""

    def __init__(self, source: Source, format: TableFormat) -> None:
        self.name, self.format, self.notes = source.name, format, list[str]()
        self._source = source
        self._pa = load_pyarrow(self.name)
        self._stored = open_stored(held(source))
        try:
            with self._readable():
                self._magic = self._stored.read(4)
                self._file = self._pa.PythonFile(self._stored, "r")
                opened = self._opened()
                schema = opened.schema_arrow if self._is_parquet else opened.schema
                self._n_rows = opened.metadata.num_rows if self._is_parquet else 0
                self._size = self._stored.seek(0, os.SEEK_END)
                all_names: list[str] = schema.names
            self._places = [place for place, name in enumerate(all_names) if not INDEX_NAME.fullmatch(name)]
            self._stored_names = [all_names[place] for place in self._places]
            self._categories = _pandas_categories(schema)
            self.names = unique_column_names(self.name, None, self._stored_names)
            if not self.names:
                raise DataError(f"{self.name}: a table without columns. Name another file.")
            self.notes += unnamed_column_notes(self.name, self._stored_names, self.names)
            if len(self._places) < len(all_names):
                index = join_names([name for name in all_names if INDEX_NAME.fullmatch(name)])
                self.notes.append(f"{self.name}: {index}: the index of a pandas data frame, left out.")
        except BaseException:
            self.close()
            raise

    def batches(self, request: Request) -> Iterator[Batch]:
        """The rows, some ten thousand at a time."""
        # Without any wanted column one is read all the same: rows are counted by it.
        named = zip(self._places, self.names, strict=True)
        wanted = [place for place, name in named if request.wants(name)] or self._places[:1]
        first = 0
        with self._readable():
            for rows in self._record_batches(wanted):
                for start in range(0, rows.num_rows, typed.BATCH_ROWS):
                    some = rows.slice(start, typed.BATCH_ROWS)
                    yield partial(self._table, some, first, request=request)
                    first += some.num_rows
                    self._tell(first)
        self._tell(first, is_all=True)

    def locate(self, row: int) -> str:
        """The place of a row of the file."""
        return f"{self.name}: row {row + 1}"

    def close(self) -> None:
        """Let go of the file."""
        self._stored.close()

    def _tell(self, n_rows: int, is_all: bool = False) -> None:
        """Say how far the reading is: of Parquet by rows, which it counts, else by bytes."""
        if self._is_parquet:
            tell("rows read", self.name, n_rows, self._n_rows)
        else:
            tell("bytes", self.name, self._size if is_all else self._stored.tell(), self._size)

    @property
    def _is_parquet(self) -> bool:
        return self._magic in PARQUET

    def _opened(self, fields: Sequence[int] = ()) -> Any:
        """The file from its beginning; of an Arrow file some fields only."""
        self._file.seek(0)
        if self._is_parquet:
            return self._pa.parquet.ParquetFile(self._file)
        opens = self._pa.ipc.open_file if self._magic == b"ARRO" else self._pa.ipc.open_stream
        return opens(self._file, options=self._pa.ipc.IpcReadOptions(included_fields=list(fields)))

    def _record_batches(self, wanted: Sequence[int]) -> Iterator[Any]:
        if self._magic not in (*PARQUET, b"ARRO"):
            self._stored.seek(-len(STREAM_END), os.SEEK_END)
            if self._stored.read() != STREAM_END:
                raise ValueError("the stream has no end marker")
        opened = self._opened(wanted)
        if self._is_parquet:
            names = [opened.schema_arrow.names[place] for place in wanted]
            return opened.iter_batches(typed.BATCH_ROWS, columns=names)  # type: ignore[no-any-return]
        return map(opened.get_batch, range(opened.num_record_batches)) if self._magic == b"ARRO" else iter(opened)

    def _table(self, rows: Any, first: int, request: Request) -> Table:
        columns, kept = {}, {}
        stored = zip(self.names, self._stored_names, strict=True)
        if any(request.wants(name) and its_name not in rows.schema.names for name, its_name in stored):
            with closing(ArrowReader(self._source, self.format)) as other:  # more is wanted than was read
                return next(table for batch in other.batches(request) if (table := batch()).first_row == first)
        with self._readable():
            rows.validate(full=True)  # an Arrow file may have wild offsets, which nothing checks later
            for name, its_name in zip(self.names, self._stored_names, strict=True):
                if request.wants(name):
                    array = rows.column(rows.schema.names.index(its_name))
                    if request.keeps(name):
                        kept[name] = KeptArray(self._pa, array)
                    is_made = request.makes(name)
                    if its_name in self._categories and not self._pa.types.is_dictionary(array.type):
                        array = array.dictionary_encode()
                    column = arrow_column(self._pa, array if is_made else array[:0], request.wants_text(name))
                    if column is None:
                        raise typed.unreadable_type(f"{self.name}: column {escape_text(name)}", array.type)
                    if is_made:
                        columns[name] = column
        return typed.batch_table(self, columns, rows.num_rows, first, kept)

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
    """Columns that were categories in a pandas frame; those of numbers come back from Parquet as numbers."""
    try:
        columns = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("columns", [])
        return frozenset(one["field_name"] for one in columns if one["pandas_type"] == "categorical")
    except (ValueError, KeyError, TypeError, AttributeError):  # what anybody may have written
        return frozenset()


def arrow_column(pa: Any, array: Any, as_text: bool) -> Column | None:
    """An Arrow array as a column; None if its type cannot be one."""
    types, its_type = pa.types, array.type
    if isinstance(its_type, pa.BaseExtensionType):
        return arrow_column(pa, array.storage, as_text)
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if types.is_null(its_type):
        return typed.missing_column(len(array))
    if types.is_boolean(its_type):
        return typed.boolean_column(array.fill_null(False).to_numpy(zero_copy_only=False), as_text, missing)
    if types.is_integer(its_type):
        return typed.number_column(array.fill_null(0).to_numpy(zero_copy_only=False), as_text, missing)
    if types.is_floating(its_type):
        return typed.number_column(array.to_numpy(zero_copy_only=False), as_text)
    if types.is_decimal(its_type):
        return _decimal_column(pa, array, as_text)
    if types.is_date(its_type) or types.is_timestamp(its_type):
        is_zoned = types.is_timestamp(its_type) and its_type.tz is not None
        array = array.cast(pa.date32()) if types.is_date64(its_type) else array
        return typed.date_column(array.to_numpy(zero_copy_only=False), as_text, is_zoned)  # in UTC
    if _is_text(types, its_type):
        encoded = array.dictionary_encode()
        return typed.coded_column(encoded.indices.fill_null(-1).to_numpy(), encoded.dictionary.to_pylist(), "text")
    return _dictionary_column(pa, array, as_text) if types.is_dictionary(its_type) else None


def _is_text(types: Any, its_type: Any) -> bool:
    return bool(types.is_string(its_type) or types.is_large_string(its_type) or types.is_string_view(its_type))


def _decimal_column(pa: Any, array: Any, as_text: bool) -> Column | None:
    # By way of texts: pyarrow's own cast does not always give the nearest float64.
    texts = array.cast(pa.string())
    values = texts.fill_null("nan").to_numpy(zero_copy_only=False).astype(np.float64)
    is_name = array.type.scale == 0 and np.any(np.abs(values) >= typed.FIRST_NAME)
    if is_name or (as_text and array.type.precision > MOST_DIGITS):
        column = arrow_column(pa, texts, as_text)
        return None if column is None else replace(column, cell_type="decimal")
    return typed.number_column(values, as_text, cell_type="decimal")


def _dictionary_column(pa: Any, array: Any, as_text: bool) -> Column | None:
    types, its_type = pa.types, array.type.value_type
    if not (_is_text(types, its_type) or types.is_integer(its_type) or types.is_floating(its_type)):
        column = arrow_column(pa, array.dictionary_decode(), True)
        return None if column is None else replace(column, role="category")
    entries = arrow_column(pa, array.dictionary, True)
    if not isinstance(entries, CategoricalColumn):
        return None
    texts = [entries.levels[code] if code >= 0 else "" for code in entries.codes.tolist()]
    codes = array.indices.cast(pa.int64()).fill_null(-1).to_numpy()
    return typed.coded_column(codes, texts, entries.cell_type or "text", "category")
