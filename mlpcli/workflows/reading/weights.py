"""Sample weights of the rows of a table."""

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.table import NumericColumn, Rows, Table
from mlpcli.errors import DataError
from mlpcli.messages import format_count

# Bounds for sample weights, whose fourth powers (used in intervals) must neither overflow nor all underflow.
LARGEST_WEIGHT, SMALLEST_WEIGHT = 1e30, 1e-30


def positive_weight_rows(table: Table, weight: str, rows: Rows) -> tuple[Rows, list[str]]:
    """The rows with a weight above 0, and a note on the others; all rows if `weight` is "".

    Raises DataError for a weight that is missing or negative, and if no row is left.
    """
    if not weight:
        return rows, []
    counts = row_weights(table, weight, rows) > 0.0
    n_left_out = len(rows) - int(np.count_nonzero(counts))
    if not n_left_out:
        return rows, []
    note = f"{table.name}: {format_count(n_left_out, 'row')} of weight 0 ({weight}): left out."
    return rows[counts], [note]


def row_weights(table: Table, name: str, rows: Rows | None = None) -> NDArray[np.float64]:
    """Sample weights of rows (default all); raises DataError for a missing, negative or huge one, and if all are 0."""
    weights = valid_weights(table, name, rows)
    if not weights.sum() > 0:
        raise DataError(f"{table.name}: every weight {name} is 0. At least one must be above 0.")
    if weights.max() < SMALLEST_WEIGHT:
        raise DataError(f"{table.name}: every weight {name} is below {SMALLEST_WEIGHT:g}. Multiply them by a constant.")
    return weights


def valid_weights(table: Table, name: str, rows: Rows | None = None) -> NDArray[np.float64]:
    """As `row_weights`, but all may be 0."""
    column = table.column(name, rows)
    assert isinstance(column, NumericColumn)
    weights = np.asarray(column.values, np.float64)
    is_bad = ~((weights >= 0.0) & (weights <= LARGEST_WEIGHT))
    if is_bad.any():
        row = int(np.argmax(is_bad))
        what = "is missing" if np.isnan(weights[row]) else f"is {weights[row]:g}"
        must = f"Weights must be {'at most 1e30' if weights[row] > 0.0 else '0 or more'}"
        raise DataError(f"{table.where(row, rows)}: the weight {name} {what}. {must}.")
    return weights
