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

EVERYTHING = Request(texts=None)
# Of names that are all numbers it takes so many for a row of the same numbers to be no chance.
FEWEST_NUMBERS = 5


def checked_table(batch: Batch) -> Table:
    """Convert a batch to a table; raises DataError for a repeated header."""
    table = batch()
    names = table.column_names
    is_told_apart = len(names) >= FEWEST_NUMBERS or any(_number_of(name) is None for name in names)
    if table.format.header is False or not is_told_apart:
        return table
    rows = _rows_like_header(table)
    if len(rows) and len(table.columns) < len(names):
        rows = _rows_like_header(batch(request=EVERYTHING))  # other columns may hold something else
    if len(rows):
        raise DataError(f"{table.where(int(rows[0]))}: {REPEATED_HEADER}")
    return table


def _rows_like_header(table: Table) -> NDArray[np.intp]:
    """Rows in which every column read holds its name; one column nearly always rules them out."""
    none, found = np.zeros(0, np.intp), None
    numeric, texts = list[tuple[int, str]](), list[tuple[int, str]]()
    for place, name in enumerate(table.column_names):
        if name in table.columns:
            (numeric if isinstance(table.columns[name], NumericColumn) else texts).append((place, name))
    if any(_number_of(name) is None and not _is_blank(name, place, table) for place, name in numeric):
        return none
    # Texts first, of the first column last: it may have a byte order mark.
    for place, name in texts[::-1] + numeric:
        column = table.columns[name] if found is None else table.columns[name].take(found)
        is_name = _holds_name(column, name, place, _is_blank(name, place, table))
        found = np.flatnonzero(is_name) if found is None else found[is_name]
        if not len(found):
            return none
    return none if found is None else found


def _holds_name(column: Column, name: str, place: int, is_blank: bool) -> NDArray[np.bool_]:
    """Mask of cells that equal the name of their column."""
    if isinstance(column, NumericColumn):
        is_name = np.isnan(column.values) if is_blank else np.zeros(len(column), np.bool_)
        number = _number_of(name)
        return is_name if number is None or column.role is not None else is_name | (column.values == number)
    spellings = {name, canonical(name)}
    if place == 0:  # of a file joined on that began with a mark
        spellings |= {BYTE_ORDER_MARK + name, f'{BYTE_ORDER_MARK}"{name}"'}
    codes = [column.levels.index(text) for text in spellings if text in column.levels] + [-1] * is_blank
    is_name = np.zeros(len(column), np.bool_)
    for code in codes:
        is_name |= column.codes == code
    return is_name


def _is_blank(name: str, place: int, table: Table) -> bool:
    """Whether a column of this name has an empty or missing cell in the header."""
    return name == column_name("", place) or name in table.format.missing


@lru_cache(1 << 12)
def _number_of(name: str) -> float | None:
    numbers, is_unknown = parse_numbers([name])
    return None if is_unknown[0] or np.isnan(numbers[0]) else float(numbers[0])
