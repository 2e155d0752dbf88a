"""Detects validation rows that differ from a training row in one column only, and those older than training rows."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import format_yaml
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.row_hashes import Hashes, cell_hashes, combine_hashes
from mlpcli.data.table import Column, NumericColumn, Rows, Table
from mlpcli.evaluation.row_correlation import count_equal_pairs
from mlpcli.workflows.preparing.rows.tables import TrainingTable

# Limits of the sampled rows of each side and of the columns; the least fraction of near duplicates that is reported.
MAX_SAMPLED, MAX_COLUMNS, MIN_NEAR = 20_000, 16, 0.01
MIN_COLUMNS = 3
# The fraction of each side that may overlap the other in time.
TAIL = 0.05


def find_near_duplicates(training_table: TrainingTable, train: Rows, held_out: Rows) -> tuple[int, int, str] | None:
    """Numbers of near duplicates and of held-out rows, and the column in which they mostly differ; None for too few.

    A near duplicate differs from a training row in exactly one column. More pairs must differ in one column than in
    two; if rows agree by chance, as with few distinct values, it is the other way round. Large tables are sampled.
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
    columns: list[int] = np.unique(np.linspace(0, n_columns - 1, min(n_columns, MAX_COLUMNS)).astype(np.int64)).tolist()
    return columns


def column_hashes(table: Table, names: tuple[str, ...], rows: Rows) -> Hashes:
    """A hash of each cell (n_rows, n_columns), which depends on the column too."""
    hashes = [cell_hashes(table.columns[name].take(rows)) for name in names]
    return np.stack([combine_hashes(np.full(len(rows), j, np.uint64), own) for j, own in enumerate(hashes)], axis=1)


def _exceed_chance(left: Hashes, right: Hashes, left_sum: Hashes, right_sum: Hashes) -> bool:
    """Whether more pairs of rows differ in exactly one of the columns than in exactly two."""
    n, n_equal = left.shape[1], count_equal_pairs(left_sum, right_sum)
    n_but_one = sum(count_equal_pairs(left_sum - left[:, j], right_sum - right[:, j]) for j in range(n)) - n * n_equal
    n_but_two = sum(
        count_equal_pairs(left_sum - left[:, i] - left[:, j], right_sum - right[:, i] - right[:, j])
        for i, j in combinations(range(n), 2)
    )
    return bool(n_but_two - (n - 1) * n_but_one - n * (n - 1) // 2 * n_equal < n_but_one)


def is_older(train: Column, held_out: Column) -> bool:
    """Whether the held-out rows are older: at most TAIL of them are later than the oldest TAIL of the training rows."""
    train_times, held_out_times = _times(train), _times(held_out)
    if not len(train_times) or not len(held_out_times) or not train_times.max() > train_times.min():
        return False
    is_before = np.quantile(held_out_times, 1.0 - TAIL) <= np.quantile(train_times, TAIL)
    return bool(is_before and held_out_times.min() < train_times.min())


def age_notes(training_table: TrainingTable, train: Rows, name: str, table: Table, rows: Rows) -> list[str]:
    """A note for each date column in which the rows of the file of split `name` are older than the training rows.

    Sketched columns are not compared.
    """
    columns = training_table.table.columns
    if isinstance(columns, RemoteColumns) and columns.shards.is_sketched:
        return []
    return [
        f"{table.name}: the {name} rows are older than the training rows, by {schema.name}: their scores do not apply "
        "to later rows. Exchange the files, or hold out the latest rows: "
        f"data.validation: {{time: {format_yaml(schema.name)}}}"
        for schema in training_table.features
        if schema.role == "date" and schema.name in table.columns
        if is_older(training_table.table.columns[schema.name].take(train), table.columns[schema.name].take(rows))
    ]


def _times(column: Column) -> NDArray[np.float64]:
    assert isinstance(column, NumericColumn)
    values = np.asarray(column.values, np.float64)
    return values[~np.isnan(values)]
