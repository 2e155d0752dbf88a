"""Validation rows that differ from a training row in one column only, and those that are older than training rows."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import format_yaml
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.row_hashes import Hashes, cell_hashes, combine_hashes
from mlpcli.data.table import Column, NumericColumn, Rows, Table
from mlpcli.evaluation.row_correlation import count_equal_pairs
from mlpcli.workflows.preparing.rows.tables import TrainingTable

# So many rows of each side, and columns, are looked at; near copies are told from this fraction of the rows.
MAX_SAMPLED, MAX_COLUMNS, MIN_NEAR = 20_000, 16, 0.01
MIN_COLUMNS = 3
# The fraction of each side that may lie on the wrong side of the other in time.
TAIL = 0.05


def find_near_duplicates(training_table: TrainingTable, train: Rows, held_out: Rows) -> tuple[int, int, str] | None:
    """How many of how many rows differ from a training row in one column, and in which mostly; None for hardly any.

    There must be more pairs of rows that differ in one column than in two: where few values make rows agree by chance
    it is the other way round. Large tables are sampled.
    """
    names = training_table.columns.features
    if not len(names) >= MIN_COLUMNS:
        return None
    left, right = (column_hashes(training_table.table, names, _sample(rows)) for rows in (train, held_out))
    left_sum, right_sum = left.sum(axis=1, dtype=np.uint64), right.sum(axis=1, dtype=np.uint64)
    is_copy = np.isin(right_sum, left_sum)
    columns = _sampled_columns(len(names))
    is_near = np.stack([np.isin(right_sum - right[:, j], left_sum - left[:, j]) & ~is_copy for j in columns])
    n_near = int(is_near.any(axis=0).sum())
    if n_near < max(MIN_NEAR * len(right), 2) or not _exceed_chance(
        left[:, columns], right[:, columns], left_sum, right_sum
    ):
        return None
    return n_near, len(right), names[columns[int(is_near.sum(axis=1).argmax())]]


def _sample(rows: Rows) -> Rows:
    if len(rows) <= MAX_SAMPLED:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, MAX_SAMPLED, replace=False))


def _sampled_columns(n_columns: int) -> list[int]:
    found: list[int] = np.unique(np.linspace(0, n_columns - 1, min(n_columns, MAX_COLUMNS)).astype(np.int64)).tolist()
    return found


def column_hashes(table: Table, names: tuple[str, ...], rows: Rows) -> Hashes:
    """A hash of each cell (n_rows, n_columns), another one for the same cell in another column."""
    columns = [cell_hashes(table.columns[name].take(rows)) for name in names]
    return np.stack([combine_hashes(np.full(len(rows), j, np.uint64), one) for j, one in enumerate(columns)], axis=1)


def _exceed_chance(left: Hashes, right: Hashes, left_sum: Hashes, right_sum: Hashes) -> bool:
    """Whether more pairs differ in exactly one of the tried columns than in exactly two."""
    n, equal = left.shape[1], count_equal_pairs(left_sum, right_sum)
    but_one = sum(count_equal_pairs(left_sum - left[:, j], right_sum - right[:, j]) for j in range(n)) - n * equal
    but_two = sum(
        count_equal_pairs(left_sum - left[:, i] - left[:, j], right_sum - right[:, i] - right[:, j])
        for i, j in combinations(range(n), 2)
    )
    return bool(but_two - (n - 1) * but_one - n * (n - 1) // 2 * equal < but_one)


def is_older(train: Column, held_out: Column) -> bool:
    """Whether the held-out rows are older: hardly any is later than the oldest training rows."""
    before, after = _known(train), _known(held_out)
    if not len(before) or not len(after) or not before.max() > before.min():
        return False
    return bool(np.quantile(after, 1.0 - TAIL) <= np.quantile(before, TAIL) and after.min() < before.min())


def age_notes(training_table: TrainingTable, train: Rows, name: str, table: Table, rows: Rows) -> list[str]:
    """Dates that were not sketched by which rows of a file, of the part `name`, are older than the training rows."""
    if isinstance(training_table.table.columns, RemoteColumns) and training_table.table.columns.is_sketched:
        return []
    return [
        f"{table.name}: the {name} rows are older than the training rows, by {schema.name}: their scores do not apply "
        "to later rows. Exchange the files, or hold out the latest rows: "
        f"data.validation: {{time: {format_yaml(schema.name)}}}"
        for schema in training_table.features
        if schema.role == "date" and schema.name in table.columns
        if is_older(training_table.table.columns[schema.name].take(train), table.columns[schema.name].take(rows))
    ]


def _known(column: Column) -> NDArray[np.float64]:
    assert isinstance(column, NumericColumn)
    values = np.asarray(column.values, np.float64)
    return values[~np.isnan(values)]
