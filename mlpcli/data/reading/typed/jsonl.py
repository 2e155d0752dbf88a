"""The reader of JSON Lines: an object per line, whose keys are the columns; null and absent keys are missing cells."""

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import orjson

from mlpcli.data.reading.byte_stream import ByteStream
from mlpcli.data.reading.csv.rows import unique_column_names
from mlpcli.data.reading.faults import LONG_LINE, escape_text, quote_text, table_error
from mlpcli.data.reading.reader import Batch, Request
from mlpcli.data.reading.sources import Source, open_source
from mlpcli.data.reading.typed.columns import BATCH_ROWS, batch_table, object_column
from mlpcli.data.table import Table, TableFormat
from mlpcli.errors import DataError

BLOCK_SIZE = 1 << 20
MAX_LINE_SIZE = 64 << 20
HEADER_LINES = 100
JSON_KEY = re.compile(rb'"(?:[^"\\]|\\.)*"\s*(:?)')
LARGE_INTEGER = 2.0**63  # orjson returns larger integers as floats
Lines = list[tuple[int, bytes]]


class JsonLinesReader:
    """Reader of a JSON Lines file, compressed or not. The columns are the keys in its first 100 lines."""

    def __init__(self, source: Source, format: TableFormat) -> None:
        self.name, self.format, self.notes = source.name, format, list[str]()
        self._source = source
        self._stream = open_source(source)
        self._line_numbers: dict[int, Sequence[int]] = {}  # of each batch, by the index of its first row
        try:
            self._lines = self._batches_of_lines(self._stream)
            self._first: Lines | None = next(self._lines, [])
            while len(self._first) < HEADER_LINES and (more := next(self._lines, [])):
                self._first = self._first + more
            if not self._first:
                raise DataError(f"{self.name}: the file is empty. It needs a JSON object per line.")
            rows = [self._parse(line, text) for line, text in self._first[:HEADER_LINES]]
            self._keys = tuple(dict.fromkeys(key for row in rows for key in row))
            self.names = unique_column_names(self.name, None, self._keys)
            if not self.names:
                raise DataError(f"{self.name}: objects without keys. Write a key and a value per column.")
        except BaseException:
            self.close()
            raise

    def batches(self, request: Request) -> Iterator[Batch]:
        """The rows in batches of about a megabyte of text."""
        if self._first is None:
            self.close()
            self._stream = open_source(self._source)
            self._first, self._lines = [], self._batches_of_lines(self._stream)
        n_rows, first, self._first = 0, self._first, None
        for lines in chain([first] if first else [], self._lines):
            numbers: Sequence[int] = range(lines[0][0], lines[-1][0] + 1)
            if len(numbers) > len(lines):  # there are blank lines in between
                numbers = [line for line, _ in lines]
            self._line_numbers[n_rows] = numbers
            yield partial(self._table, lines, n_rows, request=request)
            n_rows += len(lines)

    def locate(self, row: int) -> str:
        """The location of a row as "file.jsonl:17"."""
        first = max(first for first in list(self._line_numbers) if first <= row)
        return f"{self.name}:{self._line_numbers[first][row - first]}"

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _batches_of_lines(self, stream: ByteStream) -> Iterator[Lines]:
        """The non-blank lines with their numbers, in batches of at most BATCH_ROWS."""
        rest, line, is_done = b"", 1, False
        while not is_done:
            block = stream.read(BLOCK_SIZE)
            is_done = len(block) < BLOCK_SIZE
            lines = (rest + block).split(b"\n")
            rest = b"" if is_done else lines.pop()
            if len(rest) > MAX_LINE_SIZE:
                raise table_error(self.name, line + len(lines), LONG_LINE, n_megabytes=MAX_LINE_SIZE >> 20)
            if line == 1 and lines:
                lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            non_blank = [(number, text) for number, text in enumerate(lines, line) if text and not text.isspace()]
            for start in range(0, len(non_blank), BATCH_ROWS):
                yield non_blank[start : start + BATCH_ROWS]
            line += len(lines)

    def _parse(self, line: int, text: bytes) -> dict[str, Any]:
        try:
            row = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            hint = "Write null for NaN." if b"NaN" in text else "Write one JSON object per line, in UTF-8."
            raise DataError(f"{self.name}:{line}: not valid JSON ({escape_text(error.msg)}). {hint}") from error
        if isinstance(row, dict):
            if text.count(b":") != len(row):  # otherwise each colon belongs to one key
                self._check_duplicate_keys(line, text, row)
            return row
        raise DataError(f"{self.name}:{line}: not a JSON object. Write one per line: {{'name': value, ...}}.")

    def _check_duplicate_keys(self, line: int, text: bytes, row: dict[str, Any]) -> None:
        """Raise DataError if a key occurs twice in a line."""
        if sum(map(len, JSON_KEY.findall(text))) == len(row):
            return
        keys: list[str] = []
        with contextlib.suppress(ValueError, RecursionError):  # a number of thousands of digits
            # The hook is called for the outermost object last.
            json.loads(text, object_pairs_hook=lambda pairs: keys.__setitem__(slice(None), [key for key, _ in pairs]))
        duplicates = [key for key in row if keys.count(key) > 1]
        if duplicates:
            key = quote_text(duplicates[0])
            raise DataError(f"{self.name}:{line}: the key {key} occurs twice. Give each value its own key.")

    def _table(self, lines: Lines, first: int, request: Request) -> Table:
        rows = [self._parse(line, text) for line, text in lines]
        keys = set(self._keys)
        for (line, _), row in zip(lines, rows, strict=True):
            if not keys.issuperset(row):
                key = next(key for key in row if key not in keys)
                raise DataError(
                    f"{self.name}:{line}: the key {quote_text(key)} is in none of the first {HEADER_LINES} lines. "
                    "Write it in the first line (null is a missing cell), or leave it out."
                )
        cells = {
            name: self._cells(lines, rows, key)
            for name, key in zip(self.names, self._keys, strict=True)
            if request.wants(name)
        }
        columns = {
            name: object_column(values, request.wants_text(name))
            for name, values in cells.items()
            if request.converts(name)
        }
        kept = {name: values for name, values in cells.items() if request.keeps(name)}
        return batch_table(self, columns, len(rows), first, kept)

    def _cells(self, lines: Lines, rows: list[dict[str, Any]], key: str) -> list[Any]:
        cells = [row.get(key) for row in rows]
        types = set(map(type, cells))
        if dict in types or list in types:
            row = next(row for row, cell in enumerate(cells) if isinstance(cell, dict | list))
            raise DataError(
                f"{self.name}:{lines[row][0]}: {_path(key, cells[row])}: a nested value. "
                "Give each value its own key, or leave the column out."
            )
        if float in types:
            for row, cell in enumerate(cells):
                if type(cell) is float and abs(cell) >= LARGE_INTEGER:
                    cells[row] = _exact(lines[row][1], key, cell)
        return cells


def _exact(text: bytes, key: str, number: float) -> Any:
    """Parse a large number of a line again, with all its digits."""
    try:
        return json.loads(text)[key]
    except ValueError:  # thousands of digits
        return number


def _path(key: str, cell: Any) -> str:
    """The first key path inside a nested value."""
    inner_key = next(iter(cell), "") if isinstance(cell, dict) else None
    return escape_text(f"{key}[0]" if inner_key is None else f"{key}.{inner_key}")
