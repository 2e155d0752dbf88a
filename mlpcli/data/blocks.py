"""Columns of numbers scaled together, a block of rows after the other, while the block is in the cache."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.amounts import Amount, scale_together
from mlpcli.data.columns import Column
from mlpcli.data.inputs import Block
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
    scaled_block = _scaler_of([amounts[name] for name in names])
    limit = float(np.finfo(X.dtype).max)
    n_rows = max(FEWEST_ROWS, NUMBERS_AT_ONCE // len(names))
    inputs = [places["amount", name].start for name in names]
    is_first_block = inputs == list(range(len(inputs)))
    binned = [(index, name) for index, name in enumerate(names) if ("bins", name) in places]
    for start in range(0, selection.n_rows, n_rows):
        cells = values(start, start + n_rows)
        scaled = scaled_block(cells)
        if not (scaled.max() <= limit and scaled.min() >= -limit):  # so it is with NaN
            return False
        rows = X[start : start + n_rows]
        rows[:, slice(len(inputs)) if is_first_block else inputs] = scaled
        for index, name in binned:
            column = np.asarray(cells[:, index], np.float64)
            for first in range(0, len(column), ROWS_AT_ONCE):
                some = slice(first, first + ROWS_AT_ONCE)
                write_bins(rows[some, places["bins", name]], column[some], amounts[name].edges)
    return True


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
            write_bins(X[some, places["bins", name]], filled, amount.edges)
    return -1
