"""Repeated headers: a row with the names of all columns, as in concatenated files."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.csv.rows import BYTE_ORDER_MARK, column_name
from mlpcli.data.reading.faults import REPEATED_HEADER
from mlpcli.data.reading.reader import Batch, Request
from mlpcli.data.schema.cells import parse_numbers
from mlpcli.data.schema.spelling import canonical
from mlpcli.data.table import Column, NumericColumn, Table
from mlpcli.errors import DataError

ALL_AS_TEXTS = Request(texts=None)
# If all names are numbers, a row may equal them by chance, unless there are at least so many.
MIN_NUMERIC_NAMES = 5


def read_batch(batch: Batch) -> Table:
    """Convert a batch to a table; raises DataError for a repeated header."""
    table = batch()
    names = table.column_names
    is_distinctive = len(names) >= MIN_NUMERIC_NAMES or any(_number_of(name) is None for name in names)
    if table.format.header is False or not is_distinctive:
        return table
    rows = _rows_like_header(table)
    if len(rows) and len(table.columns) < len(names):
        rows = _rows_like_header(batch(request=ALL_AS_TEXTS))  # other columns may hold something else
    if len(rows):
        raise DataError(f"{table.where(int(rows[0]))}: {REPEATED_HEADER}")
    return table


def _rows_like_header(table: Table) -> NDArray[np.intp]:
    """Rows in which every column read holds its name; checking one column is nearly always enough to exclude all."""
    no_rows, rows = np.zeros(0, np.intp), None
    numeric, texts = list[tuple[int, str]](), list[tuple[int, str]]()
    for index, name in enumerate(table.column_names):
        if name in table.columns:
            (numeric if isinstance(table.columns[name], NumericColumn) else texts).append((index, name))
    if any(_number_of(name) is None and not _is_blank(name, index, table) for index, name in numeric):
        return no_rows
    # Text columns first, in reverse order, as the first column may have a byte order mark.
    for index, name in texts[::-1] + numeric:
        column = table.column(name, rows)
        is_name = _holds_name(column, name, index, _is_blank(name, index, table))
        rows = np.flatnonzero(is_name) if rows is None else rows[is_name]
        if not len(rows):
            return no_rows
    return no_rows if rows is None else rows


def _holds_name(column: Column, name: str, index: int, is_blank: bool) -> NDArray[np.bool_]:
    """Mask of cells that equal the name of their column."""
    if isinstance(column, NumericColumn):
        is_name = column.is_missing if is_blank else np.zeros(len(column), np.bool_)
        number = _number_of(name)
        return is_name if number is None or column.role is not None else is_name | (column.values == number)
    spellings = {name, canonical(name)}
    if index == 0:  # a concatenated file may begin with a byte order mark
        spellings |= {BYTE_ORDER_MARK + name, f'{BYTE_ORDER_MARK}"{name}"'}
    codes = [column.levels.index(text) for text in spellings if text in column.levels] + [-1] * is_blank
    is_name = np.zeros(len(column), np.bool_)
    for code in codes:
        is_name |= column.codes == code
    return is_name


def _is_blank(name: str, index: int, table: Table) -> bool:
    """Whether a column of this name has an empty or missing cell in the header."""
    return name == column_name("", index) or name in table.format.missing


@lru_cache(1 << 12)
def _number_of(name: str) -> float | None:
    numbers, is_unknown = parse_numbers([name])
    return None if is_unknown[0] or np.isnan(numbers[0]) else float(numbers[0])
