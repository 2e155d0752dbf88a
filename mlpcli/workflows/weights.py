"""Sample weights, from a column of the table."""

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.selection import Rows, Selection
from mlpcli.data.tables import Table
from mlpcli.errors import DataError


def row_weights(table: Table, column: str, rows: Rows | None = None) -> NDArray[np.float64]:
    """Sample weights of the given rows (all rows without them); raises DataError for one missing or negative."""
    selection = Selection(table, rows)
    weights = selection.numbers(column)
    is_bad = ~(weights >= 0.0)
    if is_bad.any():
        row = int(np.argmax(is_bad))
        what = "is missing" if np.isnan(weights[row]) else f"is {weights[row]:g}"
        raise DataError(f"{selection.where(row)}: the weight {column} {what}. Weights must be 0 or more.")
    if not weights.sum() > 0:
        raise DataError(f"{table.name}: every weight {column} is 0. At least one row must count.")
    return weights
