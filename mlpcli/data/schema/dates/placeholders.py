"""Dates that programs write where none is known: 9999-12-31, 1900-01-01, 1970-01-01."""

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import format_yaml
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.schema.dates.parsing import iso_date, parse_dates
from mlpcli.data.schema.findings import Finding, TextCounts
from mlpcli.data.table import Table, Values

_NEVER = 9999  # year
_ZEROS = ("1900-01-01", "1970-01-01")
# A zero of a calendar is a placeholder if it is in so many cells, and so many times as frequent as the mean date.
_MIN_CELLS, _MIN_RATIO = 3, 10


def find_placeholder_texts(cells: TextCounts, format: str) -> list[Finding]:
    """A note on dates that hardly are dates, with the place of the first cell."""
    is_placeholder = _are_placeholders(parse_dates(cells.texts, format), cells.counts)
    if not is_placeholder.any():
        return []
    return [_note(cells.name, cells.quoted(is_placeholder), cells.one_of(is_placeholder))]


def find_placeholder_days(table: Table, name: str, values: Values) -> list[Finding]:
    """As `find_placeholder_texts`, for a column of the type date."""
    days, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    is_placeholder = _are_placeholders(np.asarray(days, np.float64), counts)
    if not is_placeholder.any():
        return []
    rows = np.flatnonzero(is_placeholder[inverse])
    row, one_of = int(rows[0]), f", one of {len(rows)} such cells" if len(rows) > 1 else ""
    place = (
        "" if isinstance(table.columns, RemoteColumns) else f"{table.where(row)}: "
    )  # only a sample has been fetched
    return [_note(name, f"{place}column {name}: {iso_date(float(values[row]))}", one_of)]


def _are_placeholders(days: Values, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask (n,) of distinct day numbers, which may be NaN, with their `counts`."""
    is_date = ~np.isnan(days)
    dates = np.where(is_date, np.floor(days), 0.0).astype(np.int64).astype("datetime64[D]")
    is_placeholder = is_date & (dates.astype("datetime64[Y]") == np.datetime64(_NEVER - 1970, "Y"))
    for zero in _ZEROS:
        is_zero, is_other = is_date & (dates == np.datetime64(zero)), is_date & (dates != np.datetime64(zero))
        n_cells = int(counts[is_zero].sum())
        if n_cells >= _MIN_CELLS and is_other.any() and n_cells >= _MIN_RATIO * counts[is_other].mean():
            is_placeholder |= is_zero
    return is_placeholder if not is_placeholder[is_date].all() else np.zeros(len(days), np.bool_)


def _note(name: str, cell: str, one_of: str) -> Finding:
    message = (
        f"{cell} looks like what a program writes where there is no date{one_of}, and is read as a date. If so, name "
        f"missing values: data.missing; if it is a date: data.columns: {{{format_yaml(name)}: date}}"
    )
    return Finding(name, message, is_fault=False)
