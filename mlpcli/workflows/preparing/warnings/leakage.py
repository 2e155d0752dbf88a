"""What makes validation rows less new than they seem: copies and near ones, rows of one group, neighbours in time.

Each is noted with its size and the key that holds such rows out together.
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

# Larger tables are not searched; so many rows of each side tell copies from chance.
MAX_ROWS = 4_000_000
SAMPLED_ROWS = 50_000
# Fractions of the validation rows from which copies are told, and rows with a group, or a later row, in training.
MIN_DUPLICATES = 0.01
MIN_SHARED = 0.2
# A column whose name does not say that it names groups must make rows much more alike, in target and inputs.
HIGH_CORRELATION = 0.6
MAX_MEAN_GROUP_SIZE = 100
MAX_INPUTS = 30


@dataclass(frozen=True)
class SplitRows:
    """Rows of the training table, the part of each (0 for training, 1 for validation; or its fold), and their targets.

    `truth` is as in `Split`: class codes (n_rows,), or numbers (n_rows, n_targets).
    """

    rows: Rows
    part: Codes
    are_folds: bool
    truth: NDArray[Any]

    @property
    def is_held_out(self) -> NDArray[np.bool_]:
        """Which rows are validation rows: of folds all."""
        return np.ones(len(self.part), np.bool_) if self.are_folds else self.part > 0

    def is_repeated(self, codes: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether a row is a validation row whose code stands on another side too (n_rows,)."""
        places = np.unique(codes, return_inverse=True)[1]
        n_parts = int(self.part.max(initial=0)) + 1
        own = np.bincount(places * n_parts + self.part)[places * n_parts + self.part]
        return np.asarray(self.is_held_out & (np.bincount(places)[places] > own))

    @property
    def targets(self) -> Values:
        """The targets as numbers of one size (n_rows, k)."""
        return as_columns(self.truth)


@dataclass(frozen=True)
class Leak:
    """What makes validation rows less new: a fact with its number, what it does to the scores, the key to change."""

    fact: str
    effect: str
    remedy: str

    @property
    def note(self) -> str:
        """All of it."""
        return f"{self.fact}: {self.effect}. {self.remedy}"


def find_leaks(training_table: TrainingTable, splits: SplitRows) -> list[Leak]:
    """What stands on both sides, but for what the config holds together."""
    columns = training_table.columns
    if len(splits.rows) > MAX_ROWS or not splits.is_held_out.any():
        return []
    found = _duplicates(training_table, splits) or _near_duplicates(training_table, splits)
    found += [] if splits.are_folds or columns.time else _older_validation_rows(training_table, splits)
    if not columns.group and not columns.time:
        found += _shared_groups(training_table, splits) + _temporal_neighbours(training_table, splits)
    return found


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
    """Of folds one half is held against the other."""
    is_left = splits.part * 2 > splits.part.max(initial=0) if splits.are_folds else splits.part == 0
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
    """Dates by which the validation rows are older than the training rows."""
    train, held_out = (splits.rows[splits.part == part] for part in (0, 1))
    return [
        Leak(
            f"the validation rows are older than the training rows, by {schema.name}",
            "the scores do not apply to later rows",
            f"Hold out the latest rows: {_key('time', schema.name)}",
        )
        for schema in (*training_table.features, *training_table.further)
        if schema.role == "date"
        for column in [training_table.table.columns[schema.name]]
        if is_older(column.take(train), column.take(held_out))
    ]


def _exceed_chance(training_table: TrainingTable, splits: SplitRows) -> bool:
    """Whether there are more duplicates than columns with few values produce by chance; folds are cut in two halves."""
    rng, halves = np.random.default_rng(0), []
    is_left = splits.part * 2 > splits.part.max(initial=0)
    for half in (splits.rows[is_left], splits.rows[~is_left]):
        sample = half if len(half) <= SAMPLED_ROWS else np.sort(rng.choice(half, SAMPLED_ROWS, replace=False))
        halves.append(column_hashes(training_table.table, training_table.columns.features, sample))
    return are_duplicates(halves[0], halves[1])


def _shared_groups(training_table: TrainingTable, splits: SplitRows) -> list[Leak]:
    """Columns whose values stand on both sides, and whose rows of one value are alike."""
    found, targets = list[Leak](), " and ".join(training_table.columns.targets)
    for name, codes in _group_candidates(training_table, splits.rows):
        known, is_named = codes >= 0, is_entity_name(name)
        n_groups = len(np.unique(codes[known]))
        if n_groups < 2 or 2 * n_groups > np.count_nonzero(known):
            continue
        if not is_named and (n_groups < MIN_GROUPS or known.sum() / n_groups > MAX_MEAN_GROUP_SIZE):
            continue
        alone = np.where(known, codes, codes.max() + 1 + np.arange(len(codes)))
        share = splits.is_repeated(alone).sum() / splits.is_held_out.sum()
        if share < MIN_SHARED:
            continue
        of_target, deviations = intraclass_correlation(codes[known], splits.targets[known])
        least = MIN_CORRELATION if is_named else HIGH_CORRELATION
        if of_target < least or deviations < MIN_Z_SCORE:
            continue
        if is_named or _input_correlation(training_table, splits.rows, name, codes) >= least:
            found.append(
                Leak(
                    f"{share:.0%} of the validation rows have the {name} of a training row, and rows of one {name} are "
                    f"alike (correlation of {targets}: {of_target:.2f})",
                    f"the scores are optimistic for a new {name}",
                    f"Keep them together: {_key('group', name)}",
                )
            )
    return found


def _group_candidates(training_table: TrainingTable, rows: Rows) -> list[tuple[str, Codes]]:
    """Columns that may name groups, with a code for each row, -1 where the cell is missing."""
    found = []
    for name in (*training_table.columns.features, *(schema.name for schema in training_table.further)):
        column = training_table.table.columns[name].take(rows)
        if isinstance(column, CategoricalColumn) or is_entity_name(name):
            found.append((name, value_codes(column)))
    return found


def _input_correlation(training_table: TrainingTable, rows: Rows, group: str, codes: Codes) -> float:
    """The mean correlation of the number inputs in groups; 0 where there are none."""
    known, found = codes >= 0, []
    for name in [name for name in training_table.columns.features if name != group][:MAX_INPUTS]:
        column = training_table.table.columns[name].take(rows)
        if isinstance(column, NumericColumn):
            values = np.asarray(column.values, np.float64)
            if not np.isnan(values).all():
                values = np.where(np.isnan(values), np.nanmean(values), values)
                found.append(intraclass_correlation(codes[known], values[known, None])[0])
    return float(np.mean(found)) if found else 0.0


def _temporal_neighbours(training_table: TrainingTable, splits: SplitRows) -> list[Leak]:
    """Columns of dates along which the target runs smoothly, and training rows follow validation rows."""
    found, targets = list[Leak](), " and ".join(training_table.columns.targets)
    for schema in (*training_table.features, *training_table.further):
        if schema.role != "date":
            continue
        times = _numbers(training_table.table.columns[schema.name].take(splits.rows))
        known, last = ~np.isnan(times), np.nanmax(np.where(splits.part == 0, times, -np.inf), initial=-np.inf)
        is_passed = known & splits.is_held_out & (times < last)
        if len(np.unique(times[known])) < MIN_GROUPS or is_passed.sum() < MIN_SHARED * splits.is_held_out.sum():
            continue
        shuffled = np.random.default_rng(0).permutation(np.flatnonzero(known))  # rows of one time have no order
        order = shuffled[np.argsort(times[shuffled], kind="stable")]
        correlation, deviations = neighbour_correlation(splits.targets[order])
        if correlation >= MIN_CORRELATION and deviations >= MIN_Z_SCORE:
            found.append(
                Leak(
                    f"validation rows lie between training rows in {schema.name}, and neighbours in it are alike "
                    f"(correlation of {targets}: {correlation:.2f})",
                    "the scores are optimistic for later rows",
                    f"Hold out the latest rows: {_key('time', schema.name)}",
                )
            )
    return found


def _numbers(column: Column) -> Values:
    assert isinstance(column, NumericColumn)
    return np.asarray(column.values, np.float64)


def _key(way: str, name: str) -> str:
    return f"data.validation: {{{way}: {format_yaml(name)}}}"
