"""Writing of tables, chunk by chunk, in the format of the file name extension."""

import gzip
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import PurePath
from typing import Any, cast

import numpy as np
import orjson

from mlpcli.data.reading.faults import escape_path, escape_text
from mlpcli.data.reading.typed.kept import KeptArray, kept_text
from mlpcli.data.schema.column import as_categorical
from mlpcli.data.table import Rows, Table
from mlpcli.data.writing.arrow import ArrowWriter
from mlpcli.data.writing.csv import Cells, Labels, LabelSets, format_header, format_rows
from mlpcli.errors import OutputError

DELIMITERS = {"": ",", ".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
ARROW = (".parquet", ".feather", ".arrow")


class TextWriter:
    """CSV with a delimiter, or JSON Lines (None); each chunk is a member of a gzip file.

    A table is written by `begin`, then the chunks in order, then `end`. `is_typed` says whether numbers are
    distinguished from texts.
    """

    def __init__(self, delimiter: str | None, is_gzip: bool) -> None:
        self._delimiter, self._is_gzip = delimiter, is_gzip
        self.is_typed = delimiter is None

    def begin(self, write: Callable[[bytes], object], names: Sequence[str], has_header: bool = True) -> None:
        """Start the table, whose bytes are passed to `write`; `has_header` applies to CSV."""
        self.write = write
        write(self._compress(format_header(names, self._delimiter) if has_header and self._delimiter else ""))

    def encode(self, names: Sequence[str], columns: Sequence[Cells]) -> bytes:
        """Encode a chunk of columns of equal length for `write`; in any thread, also before `begin`."""
        if self._delimiter is None:
            return self._compress(format_objects(names, columns))
        return self._compress(format_rows(columns, self._delimiter))

    def end(self) -> None:
        """Write the end of the file."""

    def close(self) -> None:
        """Release resources; without `end` before, the file is incomplete."""

    def _compress(self, text: str) -> bytes:
        return gzip.compress(text.encode(), 6, mtime=0) if self._is_gzip else text.encode()


Writer = TextWriter | ArrowWriter


def source_cells(table: Table, name: str) -> Cells:
    """The cells of a column: typed from a typed source, otherwise texts, "" if missing."""
    if name in table.kept:
        return cast(Cells, table.kept[name])
    texts = as_categorical(table.columns[name])
    return Labels(texts.levels, texts.codes)


def take_cells(cells: Cells, rows: Rows) -> Cells:
    """The cells of selected rows."""
    if isinstance(cells, Labels):
        return Labels(cells.values, cells.codes[rows])
    if isinstance(cells, KeptArray):
        return KeptArray(cells.pa, cells.array.take(cells.pa.array(rows)))
    if isinstance(cells, np.ndarray):
        return cells[rows]
    assert isinstance(cells, Sequence)
    return [cells[row] for row in rows.tolist()]


def writer_for(path: str, delimiter: str | None = None) -> Writer:
    """The writer for a file name extension; none, as in "-", is CSV. `delimiter` is for CSV (None: a comma)."""
    name = PurePath(path).name.lower()
    uncompressed_name = name.removesuffix(".gz")
    suffix = PurePath(uncompressed_name).suffix
    if suffix in DELIMITERS or suffix in JSON_LINES:
        default_delimiter = DELIMITERS.get(suffix)
        return TextWriter(default_delimiter and (delimiter or default_delimiter), is_gzip=name != uncompressed_name)
    if suffix in ARROW and name == uncompressed_name:
        return ArrowWriter(f"-o {escape_path(path)}", is_parquet=suffix == ".parquet")
    raise OutputError(
        f"-o {escape_path(path)}: cannot write {escape_text(PurePath(name).suffix)}; use .csv, .jsonl or .parquet "
        "(or .tsv, .feather, .csv.gz, .jsonl.gz)."
    )


def format_objects(names: Sequence[str], columns: Sequence[Cells]) -> str:
    """A JSON object per row; missing and infinite numbers are null."""
    pairs = (orjson.dumps(name).decode().replace("%", "%%") + ":%s" for name in names)
    template = "{" + ",".join(pairs) + "}\n"
    return "".join(map(template.__mod__, zip(*map(_json_texts, columns), strict=True)))


def _json_texts(column: Cells) -> list[str]:
    if isinstance(column, KeptArray):
        column = column.cells()
    if isinstance(column, LabelSets):
        sets, codes = column.distinct()
        rows = [orjson.dumps([_plain(label) for label in label_set]).decode() for label_set in sets]
        return list(np.asarray(rows, object)[codes])
    if isinstance(column, Labels):
        texts = [orjson.dumps(_plain(value)).decode() for value in (*column.values, None)]
        return list(np.asarray(texts, object)[column.codes])
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
        joined = orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1]
        return joined.split(",") if joined else []
    return [f"{cell:f}" if isinstance(cell, Decimal) else orjson.dumps(_plain(cell)).decode() for cell in column]


def _plain(cell: Any) -> str | bool | int | float | None:
    """A cell as a JSON value; "" is missing."""
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool | np.bool_):
        return bool(cell)
    if isinstance(cell, int | np.integer):
        return int(cell)
    if isinstance(cell, float | np.floating | Decimal):
        return float(str(cell))
    return kept_text(cell) or None
