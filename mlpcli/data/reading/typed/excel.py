"""Sheets of workbooks (.xlsx, .xls, .xlsb, .ods) by python-calamine; the first row with cells has the names."""

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any
from xml.etree import ElementTree

from mlpcli.data.reading import faults
from mlpcli.data.reading.csv.rows import unique_column_names, unnamed_column_notes
from mlpcli.data.reading.faults import escape_text, join_names, quote_text
from mlpcli.data.reading.reader import Batch, Request
from mlpcli.data.reading.sources import Source, held, open_stored
from mlpcli.data.reading.typed.columns import (
    BATCH_ROWS,
    FIRST_NAME,
    batch_table,
    load_optional,
    object_column,
    text_of,
    unreadable_type,
)
from mlpcli.data.table import Table, TableFormat
from mlpcli.errors import DataError, did_you_mean
from mlpcli.watching import tell

# The place (D7) and text of an error such as #DIV/0!, and the place of a formula without a value.
ERROR_CELL = re.compile(rb'<c (?=[^>]*t="e")[^>]*r="([A-Z]+\d+)"[^>]*>.*?<v>(.*?)</v>', re.DOTALL)
UNVALUED_CELL = re.compile(  # an empty text, t="str", is a value
    rb'<c (?![^>]*t="str")[^>]*r="([A-Z]+\d+)"[^>]*><f(?:\s[^>]*)?(?:/>|>[^<]*</f>)(?:<v\s*/>|<v></v>)?</c>'
)


class WorkbookReader:
    """A sheet of a workbook, `format.sheet` or the first; see `Reader`. Rows and columns of the sheet count from 1."""

    def __init__(self, source: Source, format: TableFormat) -> None:
        self.name, self.format, self.notes = source.name, format, list[str]()
        tell("stage", f"opening {self.name}", 0)
        with open_stored(held(source)) as file:
            content = file.read()
        self._sheet = self._opened(content)
        self._place = f"{self.name}!{escape_text(self._sheet.name)}"
        text = _sheet_text(content, self._sheet.name) if content.startswith(b"PK") else b""
        self._errors = {place.decode(): error.decode() for place, error in ERROR_CELL.findall(text)}
        self._unvalued = [place.decode() for place in UNVALUED_CELL.findall(text)]
        self._left = 1 + (self._sheet.start or (0, 0))[1]
        rows = self._rows(1 + (format.skip_rows or 0))
        self._top, cells = next(((number, row) for number, row in rows if not _is_empty(row)), (0, []))
        if not self._top:
            raise DataError(f"{self._place}: the sheet is empty. It needs a row of column names, and data rows.")
        names = [text_of(cell) for cell in cells]
        if format.header is False:
            self._top -= 1
            names = [f"c{place}" for place in range(1, len(names) + 1)]
        while not names[-1]:
            names.pop()
        self.names = unique_column_names(f"{self._place}!row {self._top}", None, names)
        self.notes += unnamed_column_notes(f"{self._place}!row {self._top}", names, self.names)

    def batches(self, request: Request) -> Iterator[Batch]:
        """The rows, some ten thousand at a time."""
        self._refuse_unvalued(request)
        self._timed = {
            name
            for _, row in self._rows(self._top + 1)
            for name, cell in zip(self.names, row, strict=False)
            if isinstance(cell, datetime) and request.keeps(name)
        }
        batch: list[list[Any]] = []
        n_rows, empty, n_all = 0, 0, 1 + (self._sheet.end or (0, 0))[0] - self._top
        for number, row in self._rows(self._top + 1):
            if _is_empty(row):
                empty = empty or number
                continue
            if empty:
                what = faults.BLANK_LINE.replace("line", "row", 1)
                raise DataError(f"{self._place}!row {empty}: {what} Leave out titles above the table: data.skip_rows.")
            if not _is_empty(row[len(self.names) :]):
                place = next(p for p, cell in enumerate(row) if p >= len(self.names) and not _is_empty([cell]))
                raise DataError(
                    f"{self._place}!{_letters(self._left + place)}{number}: a cell to the right of the last column "
                    "name. Name its column, clear the cell, or leave out titles above the table: data.skip_rows."
                )
            batch.append(row)
            if len(batch) == BATCH_ROWS:
                yield partial(self._table, batch, n_rows, request=request)
                n_rows, batch = n_rows + len(batch), []
                tell("rows read", self.name, n_rows, n_all)
        if batch:
            yield partial(self._table, batch, n_rows, request=request)
        tell("rows read", self.name, n_all, n_all)

    def locate(self, row: int) -> str:
        """The place of a row of the sheet."""
        return f"{self._place}!row {self._top + 1 + row}"

    def close(self) -> None:
        """Nothing is open: the sheet is in memory."""

    def _opened(self, content: bytes) -> Any:
        calamine = load_optional(self.name, "python_calamine", "python-calamine", "excel")
        try:
            book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
            names = book.sheet_names
            wanted = self.format.sheet
            if wanted is not None and wanted not in names:
                hint = did_you_mean(wanted, names)
                raise DataError(f"{self.name}: there is no sheet {quote_text(wanted)} (data.sheet).{hint}")
            if wanted is None and len(names) > 1:
                note = f"{self.name}: the first of {len(names)} sheets is read ({join_names(names)}); see data.sheet."
                self.notes.append(note)
            return book.get_sheet_by_name(wanted or names[0])
        except calamine.PasswordError as error:
            raise DataError(f"{self.name}: locked with a password. Save a copy without one.") from error
        except BaseException as error:
            # A panic of calamine's Rust is no Exception.
            if isinstance(error, DataError) or type(error).__name__ in ("KeyboardInterrupt", "SystemExit"):
                raise
            raise DataError(
                f"{self.name}: the workbook is damaged or truncated ({escape_text(str(error))}). Save it again."
            ) from error

    def _rows(self, first: int) -> Iterator[tuple[int, list[Any]]]:
        """The rows of the sheet from row `first` on, with their numbers."""
        for number, row in enumerate(self._sheet.iter_rows(), start=1):
            if number >= first:
                if self._errors:
                    places = enumerate(row, self._left)
                    row = [self._errors.get(f"{_letters(place)}{number}", cell) for place, cell in places]
                yield number, row

    def _refuse_unvalued(self, request: Request) -> None:
        """Raise DataError for formulas without their values, as a library writes them: they would come as missing."""
        columns = {_letters(self._left + place): name for place, name in enumerate(self.names) if request.wants(name)}
        found = [place for place in self._unvalued if place.rstrip("0123456789") in columns]
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise DataError(
                f"{self._place}!{found[0]}: a formula without a stored value{more}. "
                "Open the workbook in a spreadsheet program and save it."
            )

    def _refuse_durations(self, cells: list[Any], name: str, place: int, first: int) -> None:
        """Raise DataError for the first cell that is a duration or a time of day."""
        for row, cell in enumerate(cells):
            if isinstance(cell, timedelta | time):
                where = f"{self._place}!{_letters(self._left + place)}{self._top + 1 + first + row}"
                what = "duration" if isinstance(cell, timedelta) else "time"
                raise unreadable_type(f"{where}: column {escape_text(name)}", what)

    def _table(self, rows: list[list[Any]], first: int, request: Request) -> Table:
        columns, kept = {}, {}
        for place, name in enumerate(self.names):
            if not request.wants(name):
                continue
            cells = [_exact(row[place]) for row in rows]
            self._refuse_durations(cells, name, place, first)
            if request.makes(name):
                columns[name] = object_column(cells, request.wants_text(name))
            if request.keeps(name):
                is_timed = name in self._timed
                kept[name] = [
                    datetime.combine(cell, time()) if is_timed and type(cell) is date else cell for cell in cells
                ]
        return batch_table(self, columns, len(rows), first, kept)


def _sheet_text(content: bytes, sheet: str) -> bytes:
    """The text of a sheet of an .xlsx file: calamine gives errors and formulas without a value as empty cells."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
            links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
            ids = {
                value
                for one in book.iterfind("{*}sheets/{*}sheet") if one.get("name") == sheet
                for key, value in one.items() if key.endswith("}id")
            }  # fmt: skip
            path = next(link.get("Target", "") for link in links if link.get("Id") in ids)
            return archive.read(path[1:] if path.startswith("/") else f"xl/{path}")
    except (KeyError, StopIteration, ElementTree.ParseError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return b""


def _exact(cell: Any) -> Any:
    """A cell, an integer of 16 digits and more as int: calamine gives all numbers as floats."""
    return int(cell) if isinstance(cell, float) and abs(cell) >= FIRST_NAME and cell.is_integer() else cell


def _is_empty(cells: list[Any]) -> bool:
    return all(isinstance(cell, str) and not cell.strip() for cell in cells)


def _letters(number: int) -> str:
    """The letters of a column: A, ..., Z, AA, ..."""
    return (_letters((number - 1) // 26) if number > 26 else "") + chr(ord("A") + (number - 1) % 26)
