"""The reader of workbooks (.xlsx, .xls, .xlsb, .ods), with python-calamine; the first non-empty row is the header."""

import io
import re
import zipfile
from collections.abc import Collection, Iterator
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import islice
from typing import Any
from xml.etree import ElementTree

from mlpcli.data.reading import faults
from mlpcli.data.reading.csv.rows import unique_column_names, unnamed_column_notes
from mlpcli.data.reading.faults import escape_text, format_setting, join_names, quote_text
from mlpcli.data.reading.reader import Batch, Request
from mlpcli.data.reading.sources import Source, open_stored, reopenable
from mlpcli.data.reading.typed.columns import (
    BATCH_ROWS,
    FIRST_IDENTIFIER,
    batch_table,
    cell_text,
    load_optional,
    object_column,
    unreadable_type,
)
from mlpcli.data.table import Table, TableFormat
from mlpcli.errors import DataError, did_you_mean
from mlpcli.progress import report_progress

MAX_TITLE_ROWS = 21
# The reference (D7) and text of an error such as #DIV/0!, and the reference of a formula without a stored value.
ERROR_CELL = re.compile(rb'<c (?=[^>]*t="e")[^>]*r="([A-Z]+\d+)"[^>]*>.*?<v>(.*?)</v>', re.DOTALL)
FORMULA_WITHOUT_VALUE = re.compile(  # t="str" is excluded: an empty text is a value
    rb'<c (?![^>]*t="str")[^>]*r="([A-Z]+\d+)"[^>]*><f(?:\s[^>]*)?(?:/>|>[^<]*</f>)(?:<v\s*/>|<v></v>)?</c>'
)


class WorkbookReader:
    """Reader of a sheet of a workbook, `format.sheet` or the first. Rows and columns of the sheet count from 1.

    `configured` are columns named by the user: an error tells where they are if the header has none of them.
    """

    def __init__(self, source: Source, format: TableFormat, configured: Collection[str] = ()) -> None:
        self.name, self.format, self.notes = source.name, format, list[str]()
        report_progress("stage", f"opening {self.name}", 0)
        with open_stored(reopenable(source)) as file:
            content = file.read()
        book, self._sheet = self._open_sheet(content)
        self._location = f"{self.name}!{escape_text(self._sheet.name)}"
        text = _sheet_text(content, self._sheet.name) if content.startswith(b"PK") else b""
        self._errors = {cell.decode(): error.decode() for cell, error in ERROR_CELL.findall(text)}
        self._formulas_without_value = [cell.decode() for cell in FORMULA_WITHOUT_VALUE.findall(text)]
        self._columns_of_long_integers: set[str] = set()
        self._first_column = 1 + (self._sheet.start or (0, 0))[1]
        rows = self._rows(1 + (format.skip_rows or 0))
        self._header_row, cells = next(((number, row) for number, row in rows if not _is_empty(row)), (0, []))
        if not self._header_row:
            others = [name for name in book.sheet_names if name != self._sheet.name]
            more = f" Other sheets are {join_names(others)}: data.sheet." if others else ""
            raise DataError(
                f"{self._location}: the sheet is empty. It needs a row of column names, and data rows.{more}"
            )
        names = [cell_text(cell) for cell in cells]
        if format.header is False:
            self._header_row -= 1
            names = [f"c{number}" for number in range(1, len(names) + 1)]
        while not names[-1]:
            names.pop()
        self.names = unique_column_names(f"{self._location}!row {self._header_row}", None, names)
        self.notes += unnamed_column_notes(f"{self._location}!row {self._header_row}", names, self.names)
        if configured and format.header is not False and {*configured}.isdisjoint(self.names):
            self._check_other_rows(book, {*configured})

    def batches(self, request: Request) -> Iterator[Batch]:
        """The rows in batches of BATCH_ROWS."""
        self._check_formulas(request)
        self._datetime_columns = {
            name
            for _, row in self._rows(self._header_row + 1)
            for name, cell in zip(self.names, row, strict=False)
            if isinstance(cell, datetime) and request.keeps(name)
        }
        batch: list[list[Any]] = []
        n_rows, empty_row, n_total = 0, 0, 1 + (self._sheet.end or (0, 0))[0] - self._header_row
        for number, row in self._rows(self._header_row + 1):
            if _is_empty(row):
                empty_row = empty_row or number
                continue
            if empty_row:
                problem = faults.BLANK_LINE.replace("line", "row", 1)
                raise DataError(
                    f"{self._location}!row {empty_row}: {problem} Leave out titles above the table: data.skip_rows."
                )
            if not _is_empty(row[len(self.names) :]):
                index = next(i for i, cell in enumerate(row) if i >= len(self.names) and not _is_empty([cell]))
                letters = _column_letters(self._first_column + index)
                raise DataError(
                    f"{self._location}!{letters}{number}: a cell to the right of the last column name. "
                    "Name its column, clear the cell, or leave out titles above the table: data.skip_rows."
                )
            batch.append(row)
            if len(batch) == BATCH_ROWS:
                yield partial(self._table, batch, n_rows, request=request)
                n_rows, batch = n_rows + len(batch), []
                report_progress("rows read", self.name, n_rows, n_total)
        if batch:
            yield partial(self._table, batch, n_rows, request=request)
        report_progress("rows read", self.name, n_total, n_total)

    def locate(self, row: int) -> str:
        """The location of a row as "file.xlsx!Sheet1!row 17"."""
        return f"{self._location}!row {self._header_row + 1 + row}"

    def close(self) -> None:
        """Do nothing: the sheet is in memory."""

    def _check_other_rows(self, book: Any, configured: set[str]) -> None:
        """Raise DataError if a row below the header, or at the top of another sheet, has configured columns."""
        others = [name for name in book.sheet_names if name != self._sheet.name]
        for name in (self._sheet.name, *others):
            rows = self._sheet.iter_rows() if name == self._sheet.name else book.get_sheet_by_name(name).iter_rows()
            filled = ((number, row) for number, row in enumerate(rows) if not _is_empty(row))
            for rank, (n_above, row) in enumerate(islice(filled, MAX_TITLE_ROWS)):
                if found := [column for column in map(cell_text, row) if column in configured]:
                    settings = [format_setting("data.sheet", name)] * (name in others)
                    settings += [format_setting("data.skip_rows", n_above)] * (rank > 0 or name not in others)
                    raise DataError(
                        f"{self.name}!{escape_text(name)}!row {n_above + 1}: this row has {join_names(found)}, but the "
                        f"table was read from {quote_text(self._sheet.name)}, row {self._header_row}. "
                        f"Set {' and '.join(settings)}."
                    )

    def _open_sheet(self, content: bytes) -> tuple[Any, Any]:
        """The workbook and the sheet to read."""
        calamine = load_optional(self.name, "python_calamine", "python-calamine", "excel")
        try:
            book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
            names = book.sheet_names
            sheet = self.format.sheet
            if sheet is not None and sheet not in names:
                hint = did_you_mean(sheet, names)
                raise DataError(f"{self.name}: there is no sheet {quote_text(sheet)} (data.sheet).{hint}")
            if sheet is None and len(names) > 1:
                note = f"{self.name}: the first of {len(names)} sheets is read ({join_names(names)}); see data.sheet."
                self.notes.append(note)
            return book, book.get_sheet_by_name(sheet or names[0])
        except calamine.PasswordError as error:
            raise DataError(f"{self.name}: locked with a password. Save a copy without one.") from error
        except BaseException as error:
            # A panic in calamine's Rust code is not an Exception.
            if isinstance(error, DataError) or type(error).__name__ in ("KeyboardInterrupt", "SystemExit"):
                raise
            raise DataError(
                f"{self.name}: the workbook is damaged or truncated ({escape_text(str(error))}). Save it again."
            ) from error

    def _rows(self, first_row: int) -> Iterator[tuple[int, list[Any]]]:
        """The rows of the sheet from row `first_row` on, with their row numbers."""
        for number, row in enumerate(self._sheet.iter_rows(), start=1):
            if number >= first_row:
                if self._errors:
                    columns = enumerate(row, self._first_column)
                    row = [self._errors.get(f"{_column_letters(index)}{number}", cell) for index, cell in columns]
                yield number, row

    def _check_formulas(self, request: Request) -> None:
        """Raise DataError for formulas without stored values, as libraries write them: they would count as missing."""
        columns = {
            _column_letters(self._first_column + index): name
            for index, name in enumerate(self.names)
            if request.wants(name)
        }
        formulas = [cell for cell in self._formulas_without_value if cell.rstrip("0123456789") in columns]
        if formulas:
            more = f" (and {len(formulas) - 1} more)" if len(formulas) > 1 else ""
            raise DataError(
                f"{self._location}!{formulas[0]}: a formula without a stored value{more}. "
                "Open the workbook in a spreadsheet program and save it."
            )

    def _check_durations(self, cells: list[Any], name: str, index: int, first_row: int) -> None:
        """Raise DataError for the first cell that is a duration or a time of day."""
        for row, cell in enumerate(cells, first_row):
            if isinstance(cell, timedelta | time):
                kind = "duration" if isinstance(cell, timedelta) else "time"
                raise unreadable_type(self._cell(row, name, index), kind)

    def _note_lost_digits(self, cells: list[Any], name: str, index: int, first_row: int) -> None:
        """Note the first long integer of a column: spreadsheet programs store 15 digits, libraries a float."""
        row = next(
            (row for row, cell in enumerate(cells, first_row) if type(cell) is int and abs(cell) >= FIRST_IDENTIFIER),
            None,
        )
        if row is None or name in self._columns_of_long_integers:
            return
        self._columns_of_long_integers.add(name)
        self.notes.append(
            f"{self._cell(row, name, index)}: {cells[row - first_row]}: a workbook does not keep all digits of a "
            "number of 16 digits or more, so that different ids may be one. Store them as text."
        )

    def _cell(self, row: int, name: str, index: int) -> str:
        """The location of a cell as "file.xlsx!Sheet1!B3: column id"."""
        letters = _column_letters(self._first_column + index)
        return f"{self._location}!{letters}{self._header_row + 1 + row}: column {escape_text(name)}"

    def _table(self, rows: list[list[Any]], first_row: int, request: Request) -> Table:
        columns, kept = {}, {}
        for index, name in enumerate(self.names):
            if not request.wants(name):
                continue
            cells = [_restore_integer(row[index]) for row in rows]
            self._check_durations(cells, name, index, first_row)
            self._note_lost_digits(cells, name, index, first_row)
            if request.converts(name):
                columns[name] = object_column(cells, request.wants_text(name))
            if request.keeps(name):
                has_times = name in self._datetime_columns
                kept[name] = [
                    datetime.combine(cell, time()) if has_times and type(cell) is date else cell for cell in cells
                ]
        return batch_table(self, columns, len(rows), first_row, kept)


def _sheet_text(content: bytes, sheet: str) -> bytes:
    """The XML of a sheet of an .xlsx file, b"" if there is none: calamine hides errors and formulas without values."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
            links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
            ids = {
                value
                for element in book.iterfind("{*}sheets/{*}sheet") if element.get("name") == sheet
                for key, value in element.items() if key.endswith("}id")
            }  # fmt: skip
            path = next(link.get("Target", "") for link in links if link.get("Id") in ids)
            return archive.read(path[1:] if path.startswith("/") else f"xl/{path}")
    except (KeyError, StopIteration, ElementTree.ParseError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return b""


def _restore_integer(cell: Any) -> Any:
    """Convert integers of 16 and more digits back to int: calamine returns all numbers as floats."""
    return int(cell) if isinstance(cell, float) and abs(cell) >= FIRST_IDENTIFIER and cell.is_integer() else cell


def _is_empty(cells: list[Any]) -> bool:
    return all(isinstance(cell, str) and not cell.strip() for cell in cells)


def _column_letters(number: int) -> str:
    """The letters of a column number (from 1): A, ..., Z, AA, ..."""
    return (_column_letters((number - 1) // 26) if number > 26 else "") + chr(ord("A") + (number - 1) % 26)
