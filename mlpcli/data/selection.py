"""Some rows of a table, seen column by column; what fitting and transforming read from."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.cells import NumberCells, Series, TextCells, is_date_dtype, number_cells, text_cells
from mlpcli.data.dates import days_of, parse_dates
from mlpcli.data.tables import Table
from mlpcli.errors import DataError, nearest

Rows = NDArray[np.signedinteger[Any]]
Values = NDArray[np.float64]


def row_dtype(n_rows: int) -> "np.dtype[np.signedinteger[Any]]":
    """The type for places of rows of a table."""
    return np.dtype(np.int32 if n_rows <= np.iinfo(np.int32).max else np.int64)


class Selection:
    """Rows of a table (all of them, or some in any order); a row is counted within the selection."""

    def __init__(self, table: Table | pd.DataFrame, rows: Rows | None = None) -> None:
        self._table = None if isinstance(table, pd.DataFrame) else table
        self._frame = table if isinstance(table, pd.DataFrame) else table.frame
        self._is_ascending = rows is not None and bool((rows[1:] > rows[:-1]).all())
        # Rows that are all of them, in order, need not be copied.
        is_all = rows is not None and len(rows) == len(self._frame) and self._is_ascending
        self._rows = None if is_all else rows
        # What a message lists as found: a table may hold more columns than were read.
        self.found_columns = tuple(map(str, self._frame.columns)) if self._table is None else self._table.column_names
        self.columns = tuple(map(str, self._frame.columns)) if self._table is None else self._table.read_names
        self._names = frozenset(self.columns)
        self._positions = {str(column): position for position, column in enumerate(self._frame.columns)}
        if len(self._names) < len(self.columns):
            twice = next(column for column in self.columns if self.columns.count(column) > 1)
            raise DataError(f"{self.name}: there are two columns {twice}. Rename one of them.")

    @property
    def name(self) -> str:
        """What messages call the table."""
        return self._table.name if self._table is not None else "the table"

    @property
    def n_rows(self) -> int:
        """How many rows are selected."""
        return len(self._frame) if self._rows is None else len(self._rows)

    def __contains__(self, column: str) -> bool:
        return column in self._names

    def column(self, column: str) -> Series:
        """The selected cells of a column; without a selection of rows nothing is copied."""
        series = self.whole_column(column)
        return series if self._rows is None else series.iloc[self._rows]

    def whole_column(self, column: str) -> Series:
        """All cells of a column: how a column is written does not depend on which rows were selected."""
        if self._table is not None and self._table.is_apart(column):
            return self._table.column(column)
        return self._frame.iloc[:, self._positions[column]]

    def no_cells(self, column: str) -> Series:
        """None of the cells of a column, for whoever asks for its type; nothing is unpacked for that."""
        if self._table is not None and self._table.is_apart(column):
            return pd.Series(dtype=np.float64 if self.is_packed(column) else object)
        return self.whole_column(column).iloc[:0]

    def whole_texts(self, column: str) -> TextCells:
        """All cells of a column as texts."""
        return text_cells(self.whole_column(column)) if self._table is None else self._table.text_cells(column)

    def is_packed(self, column: str) -> bool:
        """Whether a column is known to be numbers, and takes time to look at."""
        return self._table is not None and self._table.packed is not None and column in self._table.packed

    def texts(self, column: str) -> TextCells:
        """The selected cells of a column as texts, which stand in the order in which they occur."""
        cells = self.whole_texts(column)
        if self._rows is None:
            return cells
        codes = cells.codes[self._rows]
        found = pd.unique(codes)
        found = found[found >= 0]
        new_codes = np.full(len(cells.texts) + 1, -1, cells.codes.dtype)
        new_codes[found] = np.arange(len(found))
        return TextCells(tuple(cells.texts[code] for code in found.tolist()), new_codes[codes])

    def each_numbers(self, columns: Sequence[str]) -> Iterator[Values]:
        """`numbers` of one column after the other, which of packed ones takes less time than one by one.

        The caller may write to the arrays.
        """
        if self._table is None or self._table.packed is None or not self._is_ascending:
            yield from (self.numbers(column).copy() for column in columns)
            return
        packed = self._table.packed.columns([name for name in columns if name in self._table.packed], self._rows)
        for name in columns:
            yield next(packed) if name in self._table.packed else self.numbers(name).copy()

    def numbers(self, column: str) -> Values:
        """A column as float64 with NaN; a text or an infinite number in it is a DataError with its place."""
        cells = self._number_cells(column)
        if cells.bad_row >= 0:
            raise DataError(
                f"{self.where(cells.bad_row)}: column {column}: {cells.bad_text!r} is not a number.\n"
                "Correct the cell; if it stands for a missing value, name it in data.missing."
            )
        is_infinite = np.isinf(cells.values)
        if is_infinite.any():
            row = int(np.argmax(is_infinite))
            raise DataError(f"{self.where(row)}: column {column} is infinite. Correct the cell or leave it empty.")
        return cells.values

    def _number_cells(self, column: str) -> NumberCells:
        if self._table is not None:
            if self._table.packed is not None and column in self._table.packed and self._is_ascending:
                return NumberCells(self._table.packed.column(column, self._rows))
            whole = self._table.number_cells(column)
            if whole is not None and (self._rows is None or whole.bad_row < 0):
                return whole if self._rows is None else NumberCells(whole.values[self._rows])
        return number_cells(self.column(column))

    def plain_numbers(self, columns: Sequence[str]) -> Callable[[int, int], NDArray[np.generic]] | None:
        """Columns of plain numbers, as a function of the first row and the one after the last; None for other columns.

        It gives (n_rows, n_columns); what is in the cells is not checked.
        """
        if any(column not in self._positions for column in columns):
            return None
        positions = [self._positions[column] for column in columns]
        all_dtypes = self._frame.dtypes.to_numpy()
        dtypes = {all_dtypes[position] for position in positions}
        if not columns or any(not isinstance(dtype, np.dtype) or dtype.kind not in "iuf" for dtype in dtypes):
            return None
        is_all = positions == list(range(len(self._positions)))

        def cells(start: int, end: int) -> NDArray[np.generic]:
            frame = self._frame.iloc[start:end] if self._rows is None else self._frame.iloc[self._rows[start:end]]
            values: NDArray[np.generic] = (frame if is_all else frame.iloc[:, positions]).to_numpy()
            return values

        return cells

    def days(self, column: str, date_format: str) -> Values:
        """A column as day numbers with NaN; a text that is no such date is a DataError with its place."""
        if is_date_dtype(self.no_cells(column)):
            return days_of(self.column(column))
        cells = self.texts(column)
        days = parse_dates(cells.texts, date_format)
        if np.isnan(days).any():
            row = int(np.argmax(cells.translated(np.isnan(days), False)))
            text = cells.texts[cells.codes[row]]
            raise DataError(
                f"{self.where(row)}: column {column}: {text!r} is not a date written {date_format}. Correct the cell."
            )
        return cells.translated(days, np.nan).astype(np.float64, copy=False)

    def where(self, row: int) -> str:
        """Place of a selected row: file:line, or its number from 0 in a frame from Python."""
        row = int(row if self._rows is None else self._rows[row])
        return self._table.where(row) if self._table is not None else f"row {row}"


def require_columns(selection: Selection, names: Sequence[str]) -> None:
    """Raise DataError for a column that is not there, with the name it may have instead."""
    lacking = [name for name in names if name not in selection]
    if not lacking:
        return
    # Only a column that nothing needs can be the missing one under another name.
    needed = frozenset(names)
    near = nearest(lacking[0], [column for column in selection.found_columns if column not in needed])
    hint = f" Did you mean {near}?" if near else ""
    which = f"column {lacking[0]} is missing" if len(lacking) == 1 else f"columns {some_of(lacking)} are missing"
    found = some_of(selection.found_columns)
    raise DataError(f"{selection.name}: {which}.{hint} The model needs: {some_of(names)} (found: {found})")


def some_of(names: Sequence[str]) -> str:
    """The first of many names, as messages list them."""
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
