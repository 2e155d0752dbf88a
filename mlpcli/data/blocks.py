"""Columns written into the inputs.

Numbers are scaled together, a block of rows after the other, while the block is in the cache; other columns, and
numbers with missing cells, are written one by one.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.cells import TextCells, canonical_number
from mlpcli.data.columns import Column, yes_no_sign
from mlpcli.data.dates import cycles
from mlpcli.data.faults import missing_cell, too_large
from mlpcli.data.inputs import input_places
from mlpcli.data.packing import PackedNumbers
from mlpcli.data.selection import Selection

# Cells scaled at once, which stay in the cache; of a wide table this many rows, since each slice of a frame costs.
NUMBERS_AT_ONCE = 1 << 16
FEWEST_ROWS = 1024


def write_numbers(
    X: NDArray[np.floating],
    selection: Selection,
    columns: Sequence[Column],
    state: Mapping[str, NDArray[np.float64]],
) -> bool:
    """Write all columns of numbers, if no cell of them is missing or too large; else they are written one by one."""
    amounts = [column for column in columns if column.role in ("number", "date")]
    inputs = [index for index, column in enumerate(amounts) if column.role == "number"]
    values = selection.plain_numbers([amounts[index].name for index in inputs])
    if values is None:
        return False
    center, scale = (state[key][inputs] for key in ("center", "scale"))
    n_rows = max(FEWEST_ROWS, NUMBERS_AT_ONCE // len(inputs))
    is_first_block = inputs == list(range(len(inputs)))
    for start in range(0, selection.n_rows, n_rows):
        with np.errstate(over="ignore"):
            scaled = np.subtract(values(start, start + n_rows), center, dtype=np.float64)
            scaled /= scale
        if not _are_within(scaled, X):
            return False
        # Amounts are the first inputs, in the order of their columns.
        X[start : start + n_rows, slice(len(inputs)) if is_first_block else inputs] = scaled
    return True


def write_packed(
    Xs: Sequence[NDArray[np.floating]],
    row_sets: Sequence[NDArray[np.int64]],
    packed: PackedNumbers,
    columns: Sequence[Column],
    state: Mapping[str, NDArray[np.float64]],
    where: Callable[[int], str],
) -> None:
    """Write the packed columns of several sets of ascending rows, and give each block up once it is written."""
    amounts = [column for column in columns if column.role in ("number", "date")]
    chosen = [index for index, column in enumerate(amounts) if column.name in packed]
    if not chosen:
        return
    numbers = [amounts[index] for index in chosen]
    places = packed.places([column.name for column in numbers])
    taken = slice(None) if np.array_equal(places, np.arange(len(packed.names))) else places
    inputs = slice(len(chosen)) if chosen == list(range(len(chosen))) else chosen
    fill, center, scale = (state[key][chosen][:, None] for key in ("fill", "center", "scale"))
    flags = input_places(columns)
    n_at_once = max(FEWEST_ROWS, NUMBERS_AT_ONCE // len(chosen))
    for block in packed.drain():
        for X, rows in zip(Xs, row_sets, strict=True):
            first, end = np.searchsorted(rows, (block.first_row, block.end_row)).tolist()
            for start in range(first, end, n_at_once):
                some = rows[start : min(start + n_at_once, end)]
                written = X[start : start + len(some)]
                values = block.cells(taken, some - block.first_row)
                with np.errstate(over="ignore"):
                    scaled = values - center
                    scaled /= scale
                if not _are_within(scaled, X):
                    for index, is_missing in _missing(values):
                        if numbers[index].refuses_missing:
                            raise missing_cell(where(int(some[np.argmax(is_missing)])), numbers[index].name)
                        scaled[index, is_missing] = ((fill - center) / scale)[index]
                        if numbers[index].flag_of:
                            written[is_missing, flags["flag", numbers[index].flag_of]] = 1.0
                    if not _are_within(scaled, X):
                        index, row = divmod(int(np.argmax(np.abs(scaled))), len(some))
                        raise too_large(where(int(some[row])), numbers[index].name, float(values[index, row]))
                written[:, inputs] = scaled.T


def _are_within(values: NDArray[np.float64], X: NDArray[np.floating]) -> bool:
    """Whether all can be numbers of X; not when one is NaN."""
    limit = float(np.finfo(X.dtype).max)
    return bool(values.max() <= limit and values.min() >= -limit)


def _missing(values: NDArray[np.float64]) -> list[tuple[int, NDArray[np.bool_]]]:
    """The columns (first axis) with missing cells, and which these are."""
    is_missing = np.isnan(values)
    return [(index, is_missing[index]) for index in np.flatnonzero(is_missing.any(axis=1)).tolist()]


def write_amounts(
    X: NDArray[np.floating],
    places: Mapping[tuple[str, str], int],
    selection: Selection,
    column: Column,
    state: tuple[float, float, float],
) -> NDArray[np.bool_]:
    """Write a number or a date; returns which cells are missing."""
    fill, center, scale = state
    is_date = column.role == "date"
    values = selection.days(column.name, column.date_format) if is_date else selection.numbers(column.name)
    is_missing = np.isnan(values)
    with np.errstate(over="ignore"):
        scaled = np.subtract(values, center)
        scaled /= scale
    if is_missing.any():
        scaled[is_missing] = (fill - center) / scale
    limit = float(np.finfo(X.dtype).max)
    if scaled.max() > limit or scaled.min() < -limit:
        row = int(np.argmax(np.abs(scaled)))
        raise too_large(selection.where(row), column.name, float(values[row]))
    X[:, places["amount", column.name]] = scaled
    if is_date:
        first = places["cycle", column.name]
        for index, part in enumerate(cycles(values, column.has_time)):
            X[:, first + index] = part
    return is_missing


def write_texts(
    X: NDArray[np.floating], places: Mapping[tuple[str, str], int], selection: Selection, column: Column
) -> tuple[NDArray[np.bool_], int]:
    """Write levels or yes and no; returns which cells are missing and how many hold a level training never saw."""
    cells = selection.texts(column.name)
    is_missing = cells.codes < 0
    if column.role == "yes_no":
        signs = np.asarray([yes_no_sign(column.levels, text) for text in cells.texts], np.float64)
        X[:, places["sign", column.name]] = cells.translated(np.nan_to_num(signs, nan=0.0), 0.0)
        return is_missing, _count(cells, np.isnan(signs))
    first = places["level", column.name]
    inputs = {level: first + index for index, level in enumerate(column.levels)}
    spelled = [canonical_number(text) for text in cells.texts] if column.has_number_levels else cells.texts
    nowhere = -1
    after_levels = first + len(column.levels)
    other = after_levels + column.has_missing_level if column.has_other_level else nowhere
    targets = np.asarray([inputs.get(text, other) for text in spelled], np.int64)
    hot = cells.translated(targets, after_levels if column.has_missing_level else nowhere)
    rows = np.flatnonzero(hot != nowhere)
    X[rows, hot[rows]] = 1.0
    return is_missing, _count(cells, np.asarray([text not in inputs for text in spelled], np.bool_))


def _count(cells: TextCells, is_counted: NDArray[np.bool_]) -> int:
    """How many cells hold one of the texts that are marked."""
    return int(cells.counts[is_counted].sum())
