"""Detects leakage between training and validation rows: duplicates, near duplicates, shared groups, neighbours in time.

Each leak has a note with its size and the config key that prevents it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.grouping import value_codes
from mlpcli.data.reading.faults import format_yaml
from mlpcli.data.row_hashes import row_hashes
from mlpcli.data.schema.profile import is_entity_name
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Rows
from mlpcli.evaluation.row_correlation import (
    MIN_CORRELATION,
    MIN_GROUPS,
    MIN_Z_SCORE,
    are_duplicates,
    as_columns,
    intraclass_correlation,
    neighbour_correlation,
)
from mlpcli.workflows.preparing.rows.tables import TrainingTable
from mlpcli.workflows.preparing.warnings.near_duplicates import column_hashes, find_near_duplicates, is_older

Codes = NDArray[np.int64]
Values = NDArray[np.float64]

# Larger tables are not searched; and a sample of the rows of each side, to compare duplicates with chance.
MAX_ROWS = 4_000_000
SAMPLED_ROWS = 50_000
# The least fractions of the validation rows that are duplicates, and that share a group or precede a training row.
MIN_DUPLICATES = 0.01
MIN_SHARED = 0.2
# If the name of a column does not suggest an entity, its groups must have a higher correlation, of target and inputs.
HIGH_CORRELATION = 0.6
MAX_MEAN_GROUP_SIZE = 100
MAX_INPUTS = 30


@dataclass(frozen=True)
class SplitRows:
    """Rows of the training table, divided into training and validation rows or into folds.

    `split_index` (n_rows,) is 0 for training and 1 for validation rows, or with `are_folds` the fold. `truth` is as in
    `Split`: class codes (n_rows,), or numbers (n_rows, n_targets).
    """

    rows: Rows
    split_index: Codes
    are_folds: bool
    truth: NDArray[Any]

    @property
    def is_held_out(self) -> NDArray[np.bool_]:
        """Which rows are validation rows (n_rows,): with folds all."""
        return np.ones(len(self.split_index), np.bool_) if self.are_folds else self.split_index > 0

    def is_repeated(self, codes: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each row is a validation row whose code also occurs in another split or fold (n_rows,)."""
        dense_codes = np.unique(codes, return_inverse=True)[1]
        n_splits = int(self.split_index.max(initial=0)) + 1
        n_same_split = np.bincount(dense_codes * n_splits + self.split_index)[dense_codes * n_splits + self.split_index]
        return np.asarray(self.is_held_out & (np.bincount(dense_codes)[dense_codes] > n_same_split))

    @property
    def targets(self) -> Values:
        """The targets as numeric columns of comparable scale (n_rows, n_columns)."""
        return as_columns(self.truth)


@dataclass(frozen=True)
class Leak:
    """A leak: the fact with its number, its effect on the scores, and the config key that prevents it."""

    fact: str
    effect: str
    remedy: str

    @property
    def note(self) -> str:
        """The leak as a note for the user."""
        return f"{self.fact}: {self.effect}. {self.remedy}"


def find_leaks(training_table: TrainingTable, splits: SplitRows) -> list[Leak]:
    """Find leaks between training and validation rows, or between folds, except those that the config prevents."""
    columns = training_table.columns
    if len(splits.rows) > MAX_ROWS or not splits.is_held_out.any():
        return []
    leaks = _duplicates(training_table, splits) or _near_duplicates(training_table, splits)
    leaks += [] if splits.are_folds or columns.time else _older_validation_rows(training_table, splits)
    if not columns.group and not columns.time:
        leaks += _shared_groups(training_table, splits) + _temporal_neighbours(training_table, splits)
    return leaks


def _duplicates(training_table: TrainingTable, splits: SplitRows) -> list[Leak]:
    names, n_held_out = training_table.columns.features, int(splits.is_held_out.sum())
    n_repeated = int(splits.is_repeated(row_hashes(training_table.table, names, splits.rows)).sum())
    if n_repeated < max(MIN_DUPLICATES * n_held_out, 1) or not _exceed_chance(training_table, splits):
        return []
    return [
        Leak(
            f"{n_repeated} of {n_held_out} validation rows ({n_repeated / n_held_out:.1%}) are copies of training rows",
            "the scores are optimistic",
            f"Keep equal rows together: {_key('copies', 'together')}",
        )
    ]


def _near_duplicates(training_table: TrainingTable, splits: SplitRows) -> list[Leak]:
    """Near duplicates in training and validation rows; folds are divided into two halves."""
    index = splits.split_index
    is_left = index * 2 > index.max(initial=0) if splits.are_folds else index == 0
    near = find_near_duplicates(training_table, splits.rows[is_left], splits.rows[~is_left])
    if near is None:
        return []
    n_near, n_rows, name = near
    return [
        Leak(
            f"{n_near} of {n_rows} validation rows ({n_near / n_rows:.1%}) differ from a training row in one column "
            f"only, mostly {name}",
            "the scores are optimistic for rows without near copies",
            f"Leave {name} out (data.drop) and keep equal rows together: {_key('copies', 'together')}",
        )
    ]


def _older_validation_rows(training_table: TrainingTable, splits: SplitRows) -> list[Leak]:
    """A leak for each date column in which the validation rows are older than the training rows."""
    train, held_out = (splits.rows[splits.split_index == split] for split in (0, 1))
    return [
        Leak(
            f"the validation rows are older than the training rows, by {schema.name}",
            "the scores do not apply to later rows",
            f"Hold out the latest rows: {_key('time', schema.name)}",
        )
        for schema in (*training_table.features, *training_table.entity_columns)
        if schema.role == "date"
        for column in [training_table.table.columns[schema.name]]
        if is_older(column.take(train), column.take(held_out))
    ]


def _exceed_chance(training_table: TrainingTable, splits: SplitRows) -> bool:
    """Whether there are more duplicates than columns with few values produce by chance; folds are cut in two halves."""
    rng, halves = np.random.default_rng(0), []
    is_left = splits.split_index * 2 > splits.split_index.max(initial=0)
    for half in (splits.rows[is_left], splits.rows[~is_left]):
        sample = half if len(half) <= SAMPLED_ROWS else np.sort(rng.choice(half, SAMPLED_ROWS, replace=False))
        halves.append(column_hashes(training_table.table, training_table.columns.features, sample))
    return are_duplicates(halves[0], halves[1])


def _shared_groups(training_table: TrainingTable, splits: SplitRows) -> list[Leak]:
    """A leak for each column whose values occur on both sides, and whose rows of equal value are correlated."""
    leaks, targets = list[Leak](), " and ".join(training_table.columns.targets)
    for name, codes in _group_candidates(training_table, splits.rows):
        has_value, is_named = codes >= 0, is_entity_name(name)
        n_groups = len(np.unique(codes[has_value]))
        if n_groups < 2 or 2 * n_groups > np.count_nonzero(has_value):
            continue
        if not is_named and (n_groups < MIN_GROUPS or has_value.sum() / n_groups > MAX_MEAN_GROUP_SIZE):
            continue
        distinct = np.where(has_value, codes, codes.max() + 1 + np.arange(len(codes)))  # rows without a value are alone
        fraction = splits.is_repeated(distinct).sum() / splits.is_held_out.sum()
        if fraction < MIN_SHARED:
            continue
        correlation, deviations = intraclass_correlation(codes[has_value], splits.targets[has_value])
        min_correlation = MIN_CORRELATION if is_named else HIGH_CORRELATION
        if correlation < min_correlation or deviations < MIN_Z_SCORE:
            continue
        if is_named or _input_correlation(training_table, splits.rows, name, codes) >= min_correlation:
            leaks.append(
                Leak(
                    f"{fraction:.0%} of the validation rows have the {name} of a training row, and rows of one {name} "
                    f"are alike (correlation of {targets}: {correlation:.2f})",
                    f"the scores are optimistic for a new {name}",
                    f"Keep them together: {_key('group', name)}",
                )
            )
    return leaks


def _group_candidates(training_table: TrainingTable, rows: Rows) -> list[tuple[str, Codes]]:
    """Names of columns that may identify groups, with the code of each row (n_rows,), -1 for a missing cell."""
    candidates = []
    for name in (*training_table.columns.features, *(schema.name for schema in training_table.entity_columns)):
        column = training_table.table.columns[name].take(rows)
        if isinstance(column, CategoricalColumn) or is_entity_name(name):
            candidates.append((name, value_codes(column)))
    return candidates


def _input_correlation(training_table: TrainingTable, rows: Rows, group: str, codes: Codes) -> float:
    """Mean intraclass correlation of the numeric inputs; 0 without numeric inputs."""
    has_value, correlations = codes >= 0, []
    for name in [name for name in training_table.columns.features if name != group][:MAX_INPUTS]:
        column = training_table.table.columns[name].take(rows)
        if isinstance(column, NumericColumn):
            values = np.asarray(column.values, np.float64)
            if not np.isnan(values).all():
                values = np.where(np.isnan(values), np.nanmean(values), values)
                correlations.append(intraclass_correlation(codes[has_value], values[has_value, None])[0])
    return float(np.mean(correlations)) if correlations else 0.0


def _temporal_neighbours(training_table: TrainingTable, splits: SplitRows) -> list[Leak]:
    """A leak for each date column in which the target is autocorrelated and training rows follow validation rows."""
    leaks, targets = list[Leak](), " and ".join(training_table.columns.targets)
    for schema in (*training_table.features, *training_table.entity_columns):
        if schema.role != "date":
            continue
        times = _numbers(training_table.table.columns[schema.name].take(splits.rows))
        has_value = ~np.isnan(times)
        last = np.nanmax(np.where(splits.split_index == 0, times, -np.inf), initial=-np.inf)
        is_early = has_value & splits.is_held_out & (times < last)
        if len(np.unique(times[has_value])) < MIN_GROUPS or is_early.sum() < MIN_SHARED * splits.is_held_out.sum():
            continue
        # Rows of equal time are in random order.
        shuffled = np.random.default_rng(0).permutation(np.flatnonzero(has_value))
        order = shuffled[np.argsort(times[shuffled], kind="stable")]
        correlation, deviations = neighbour_correlation(splits.targets[order])
        if correlation >= MIN_CORRELATION and deviations >= MIN_Z_SCORE:
            leaks.append(
                Leak(
                    f"validation rows lie between training rows in {schema.name}, and neighbours in it are alike "
                    f"(correlation of {targets}: {correlation:.2f})",
                    "the scores are optimistic for later rows",
                    f"Hold out the latest rows: {_key('time', schema.name)}",
                )
            )
    return leaks


def _numbers(column: Column) -> Values:
    assert isinstance(column, NumericColumn)
    return np.asarray(column.values, np.float64)


def _key(way: str, name: str) -> str:
    return f"data.validation: {{{way}: {format_yaml(name)}}}"
