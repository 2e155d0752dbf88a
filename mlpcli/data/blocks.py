"""Columns of numbers scaled together, a block of rows after the other, while the block is in the cache."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.columns import Column
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
    limit = float(np.finfo(X.dtype).max)
    n_rows = max(FEWEST_ROWS, NUMBERS_AT_ONCE // len(inputs))
    is_first_block = inputs == list(range(len(inputs)))
    for start in range(0, selection.n_rows, n_rows):
        with np.errstate(over="ignore"):
            scaled = np.subtract(values(start, start + n_rows), center, dtype=np.float64)
            scaled /= scale
        if not (scaled.max() <= limit and scaled.min() >= -limit):  # so it is with NaN
            return False
        # Amounts are the first inputs, in the order of their columns.
        X[start : start + n_rows, slice(len(inputs)) if is_first_block else inputs] = scaled
    return True
