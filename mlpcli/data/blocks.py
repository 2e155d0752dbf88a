"""Columns written into the inputs.

Numbers are scaled together, a block of rows after the other, while the block is in the cache. Where a cell is missing
or too large they are written one by one, as are dates and columns of texts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.data.amounts import Amount, scale_together
from mlpcli.data.cells import TextCells, canonical_number
from mlpcli.data.columns import Column, yes_no_sign
from mlpcli.data.dates import cycles
from mlpcli.data.faults import missing_cell, too_large
from mlpcli.data.inputs import Block, input_places
from mlpcli.data.lookahead import mapped_ahead
from mlpcli.data.packing import Block as PackedBlock
from mlpcli.data.packing import PackedNumbers
from mlpcli.data.piecewise import write_bins
from mlpcli.data.selection import Selection

Values = NDArray[np.float64]

# Cells scaled at once, which stay in the cache; of a wide table this many rows, since each slice of a frame costs.
NUMBERS_AT_ONCE = 1 << 17
FEWEST_ROWS = 1024
# Rows of one column at once, with all its bins.
ROWS_AT_ONCE = 1 << 12


def write_numbers(
    X: NDArray[np.floating],
    places: Mapping[tuple[Block, str], slice],
    selection: Selection,
    columns: Sequence[Column],
    amounts: Mapping[str, Amount],
) -> bool:
    """Write all columns of numbers, if no cell of them is missing or too large; else they are written one by one."""
    names = [column.name for column in columns if column.role == "number"]
    values = selection.plain_numbers(names)
    if values is None:
        return False
    write = _writer_of(names, amounts, places, X.dtype)
    n_rows = max(FEWEST_ROWS, NUMBERS_AT_ONCE // len(names))
    starts = range(0, selection.n_rows, n_rows)
    return all(write(X[start : start + n_rows], values(start, start + n_rows)) for start in starts)


def write_packed(
    Xs: Sequence[NDArray[np.floating]],
    row_sets: Sequence[NDArray[np.int64]],
    packed: PackedNumbers,
    columns: Sequence[Column],
    amounts: Mapping[str, Amount],
    where: Callable[[int], str],
) -> None:
    """Write the packed columns of several sets of ascending rows, and give each block up once it is written."""
    numbers = [column for column in columns if column.name in packed]
    if not numbers:
        return
    places = input_places(columns)
    write = _writer_of([column.name for column in numbers], amounts, places, Xs[0].dtype)
    positions = packed.places([column.name for column in numbers])
    taken = slice(None) if np.array_equal(positions, np.arange(len(packed.names))) else positions
    n_at_once = max(1, NUMBERS_AT_ONCE // len(numbers))

    def write_piece(piece: "_Piece") -> None:
        for start in range(0, len(piece.rows), n_at_once):
            some = piece.rows[start : start + n_at_once]
            cells, written = piece.block.cells(taken, piece.within(some)), piece.X[start : start + n_at_once]
            if not write(written, cells.T):
                for column, values in zip(numbers, cells, strict=True):
                    _write_with_missing(written, places, column, values, amounts[column.name], some, where)

    for _ in mapped_ahead(write_piece, _pieces(Xs, row_sets, packed), n_waiting=0):  # each holds a block
        pass


@dataclass(frozen=True)
class _Piece:
    """Rows of a block, and the inputs they are written into."""

    block: PackedBlock
    X: NDArray[np.floating]
    rows: NDArray[np.int64]

    def within(self, rows: NDArray[np.int64]) -> "slice | NDArray[np.int64]":
        """Some of these rows, counted from the first of the block; what follows each other is not copied."""
        first, last = (int(row) - self.block.first_row for row in rows[[0, -1]])
        return slice(first, last + 1) if last - first + 1 == len(rows) else rows - self.block.first_row


def _pieces(
    Xs: Sequence[NDArray[np.floating]], row_sets: Sequence[NDArray[np.int64]], packed: PackedNumbers
) -> Iterator[_Piece]:
    for block in packed.drain():
        for X, rows in zip(Xs, row_sets, strict=True):
            first, end = block.places_of(rows)
            if first < end:
                yield _Piece(block, X[first:end], rows[first:end])


def _write_with_missing(
    X: NDArray[np.floating],
    places: Mapping[tuple[Block, str], slice],
    column: Column,
    values: Values,
    amount: Amount,
    rows: NDArray[np.int64],
    where: Callable[[int], str],
) -> None:
    """Write one column of some rows, its flag too; raises DataError for a cell that cannot be used."""
    is_missing = np.isnan(values)
    if is_missing.any():
        if column.refuses_missing:
            raise missing_cell(where(int(rows[np.argmax(is_missing)])), column.name)
        if column.flag_of:
            X[is_missing, places["flag", column.flag_of]] = 1.0
    row = write_amount(X, places, column.name, values, is_missing, amount)
    if row >= 0:
        raise too_large(where(int(rows[row])), column.name, float(values[row]))


def _writer_of(
    names: Sequence[str],
    amounts: Mapping[str, Amount],
    places: Mapping[tuple[Block, str], slice],
    dtype: DTypeLike,
) -> Callable[[NDArray[np.floating], NDArray[np.generic]], bool]:
    """A function that writes cells (n_rows, n_columns) into as many rows of inputs, unless one cannot be."""
    scaled_block = _scaler_of([amounts[name] for name in names])
    limit = float(np.finfo(dtype).max)
    inputs = [places["amount", name].start for name in names]
    taken = slice(len(inputs)) if inputs == list(range(len(inputs))) else inputs
    binned = [(index, name) for index, name in enumerate(names) if ("bins", name) in places]

    def write(rows: NDArray[np.floating], cells: NDArray[np.generic]) -> bool:
        scaled = scaled_block(cells)
        if not (scaled.max() <= limit and scaled.min() >= -limit):  # so it is with NaN
            return False
        rows[:, taken] = scaled
        for index, name in binned:
            column = np.asarray(cells[:, index], np.float64)
            for first in range(0, len(column), ROWS_AT_ONCE):
                some = slice(first, first + ROWS_AT_ONCE)
                write_bins(rows[some, places["bins", name]], column[some], amounts[name].edges, amounts[name].span)
        return True

    return write


def _scaler_of(amounts: Sequence[Amount]) -> Callable[[NDArray[np.generic]], Values]:
    """A function of cells (n_rows, n_columns); columns that are scaled alike are scaled together."""
    if any(len(amount.quantiles) for amount in amounts) or len({amount.clip for amount in amounts}) > 1:
        return lambda cells: np.column_stack(
            [amount.scaled(np.asarray(cells[:, index], np.float64)) for index, amount in enumerate(amounts)]
        )
    center, scale = (np.asarray([getattr(amount, key) for amount in amounts]) for key in ("center", "scale"))
    return lambda cells: scale_together(cells, center, scale, amounts[0].clip)


def write_amount(
    X: NDArray[np.floating],
    places: Mapping[tuple[Block, str], slice],
    name: str,
    values: Values,
    is_missing: NDArray[np.bool_],
    amount: Amount,
) -> int:
    """Write one number or date, its bins too; `values` (n_rows,). Returns a row whose value is too large, or -1."""
    limit = float(np.finfo(X.dtype).max)
    has_missing = is_missing.any()
    for start in range(0, len(values), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        filled = np.where(is_missing[some], amount.fill, values[some]) if has_missing else values[some]
        scaled = amount.scaled(filled)
        if scaled.max() > limit or scaled.min() < -limit:
            return start + int(np.argmax(np.abs(scaled)))
        X[some, places["amount", name]] = scaled[:, None]
        if len(amount.edges):
            write_bins(X[some, places["bins", name]], filled, amount.edges, amount.span)
    return -1


def write_amounts(
    X: NDArray[np.floating],
    places: Mapping[tuple[Block, str], slice],
    selection: Selection,
    column: Column,
    amount: Amount,
) -> NDArray[np.bool_]:
    """Write a number or a date; returns which cells are missing."""
    is_date = column.role == "date"
    values = selection.days(column.name, column.date_format) if is_date else selection.numbers(column.name)
    is_missing = np.isnan(values)
    row = write_amount(X, places, column.name, values, is_missing, amount)
    if row >= 0:
        raise too_large(selection.where(row), column.name, float(values[row]))
    if is_date:
        first = places["cycle", column.name].start
        for index, part in enumerate(cycles(values, column.has_time)):
            X[:, first + index] = part
    return is_missing


def write_texts(
    X: NDArray[np.floating], places: Mapping[tuple[Block, str], slice], selection: Selection, column: Column
) -> tuple[NDArray[np.bool_], int]:
    """Write levels or yes and no; returns which cells are missing and how many hold a level training never saw."""
    cells = selection.texts(column.name)
    is_missing = cells.codes < 0
    spelled = [canonical_number(text) for text in cells.texts] if column.has_number_levels else cells.texts
    if column.role == "yes_no" or column.is_signed:
        known = dict(zip(column.levels, (-1.0, 1.0), strict=True))
        found = (known.get(text, np.nan) if column.is_signed else yes_no_sign(column.levels, text) for text in spelled)
        signs = np.asarray(list(found), np.float64)
        X[:, places["sign", column.name]] = cells.translated(np.nan_to_num(signs, nan=0.0), 0.0)[:, None]
        return is_missing, _count(cells, np.isnan(signs))
    first = places["level", column.name].start
    inputs = {level: first + index for index, level in enumerate(column.levels)}
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
