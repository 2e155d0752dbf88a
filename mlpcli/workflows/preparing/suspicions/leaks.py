"""What makes validation rows less new than they seem: copies and near ones, rows of one group, neighbours in time.

Each is noted with its size and the key that holds such rows out together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.grouping import value_codes
from mlpcli.data.reading.faults import in_yaml
from mlpcli.data.row_hashes import cell_hashes, combine_hashes, row_hashes
from mlpcli.data.schema.profile import is_entity_name
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Rows
from mlpcli.evaluation.likeness import (
    ALIKE,
    DEVIATIONS,
    FEWEST_GROUPS,
    as_columns,
    intraclass_correlation,
    neighbour_correlation,
    outnumber_near_copies,
)
from mlpcli.workflows.preparing.rows.tables import TrainingTable
from mlpcli.workflows.preparing.suspicions.near_leaks import is_backwards, near_copies

Codes = NDArray[np.int64]
Values = NDArray[np.float64]

# Larger tables are not searched; so many rows of each side tell copies from chance.
MOST_ROWS = 4_000_000
SAMPLED_ROWS = 50_000
# Fractions of the validation rows from which copies are told, and rows with a group, or a later row, in training.
LEAST_COPIES = 0.01
LEAST_REPEATED = 0.2
# A column whose name does not say that it names groups must make rows much more alike, in target and inputs.
VERY_ALIKE = 0.6
LARGEST_MEAN_GROUP = 100
MOST_INPUTS = 30


@dataclass(frozen=True)
class Sides:
    """Rows of the training table, the part of each (0 for training, 1 for validation; or its fold), and their targets.

    `truth` is as in `parts.Part`: class codes (n_rows,), or numbers (n_rows, n_targets).
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


def find_leaks(settled: TrainingTable, sides: Sides) -> list[Leak]:
    """What stands on both sides, but for what the config holds together."""
    columns = settled.columns
    if len(sides.rows) > MOST_ROWS or not sides.is_held_out.any():
        return []
    found = _copies(settled, sides) or _near_copies(settled, sides)
    found += [] if sides.are_folds or columns.time else _backwards(settled, sides)
    if not columns.group and not columns.time:
        found += _groups(settled, sides) + _times(settled, sides)
    return found


def _copies(settled: TrainingTable, sides: Sides) -> list[Leak]:
    names, n_held_out = settled.columns.features, int(sides.is_held_out.sum())
    n_repeated = int(sides.is_repeated(row_hashes(settled.table, names, sides.rows)).sum())
    if n_repeated < max(LEAST_COPIES * n_held_out, 1) or not _are_copies(settled, sides):
        return []
    return [
        Leak(
            f"{n_repeated} of {n_held_out} validation rows ({n_repeated / n_held_out:.1%}) are copies of training rows",
            "the scores are optimistic",
            f"Keep equal rows together: {_key('copies', 'together')}",
        )
    ]


def _near_copies(settled: TrainingTable, sides: Sides) -> list[Leak]:
    """Of folds one half is held against the other."""
    is_left = sides.part * 2 > sides.part.max(initial=0) if sides.are_folds else sides.part == 0
    near = near_copies(settled, sides.rows[is_left], sides.rows[~is_left])
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


def _backwards(settled: TrainingTable, sides: Sides) -> list[Leak]:
    """Dates by which the validation rows are older than the training rows."""
    train, held_out = (sides.rows[sides.part == part] for part in (0, 1))
    return [
        Leak(
            f"the validation rows are older than the training rows, by {schema.name}",
            "the scores do not apply to later rows",
            f"Hold out the latest rows: {_key('time', schema.name)}",
        )
        for schema in (*settled.features, *settled.further)
        if schema.role == "date"
        for column in [settled.table.columns[schema.name]]
        if is_backwards(column.take(train), column.take(held_out))
    ]


def _are_copies(settled: TrainingTable, sides: Sides) -> bool:
    """Whether equal rows are more than what columns of few values give; half of the folds against the others."""
    rng, halves = np.random.default_rng(0), []
    is_left = sides.part * 2 > sides.part.max(initial=0)
    for half in (sides.rows[is_left], sides.rows[~is_left]):
        some = half if len(half) <= SAMPLED_ROWS else np.sort(rng.choice(half, SAMPLED_ROWS, replace=False))
        columns = [cell_hashes(settled.table.columns[name].take(some)) for name in settled.columns.features]
        halves.append(
            np.stack([combine_hashes(np.full(len(some), j, np.uint64), one) for j, one in enumerate(columns)], axis=1)
        )
    return outnumber_near_copies(halves[0], halves[1])


def _groups(settled: TrainingTable, sides: Sides) -> list[Leak]:
    """Columns whose values stand on both sides, and whose rows of one value are alike."""
    found, targets = list[Leak](), " and ".join(settled.columns.targets)
    for name, codes in _candidates(settled, sides.rows):
        known, is_named = codes >= 0, is_entity_name(name)
        n_groups = len(np.unique(codes[known]))
        if n_groups < 2 or 2 * n_groups > np.count_nonzero(known):
            continue
        if not is_named and (n_groups < FEWEST_GROUPS or known.sum() / n_groups > LARGEST_MEAN_GROUP):
            continue
        alone = np.where(known, codes, codes.max() + 1 + np.arange(len(codes)))
        share = sides.is_repeated(alone).sum() / sides.is_held_out.sum()
        if share < LEAST_REPEATED:
            continue
        of_target, deviations = intraclass_correlation(codes[known], sides.targets[known])
        least = ALIKE if is_named else VERY_ALIKE
        if of_target < least or deviations < DEVIATIONS:
            continue
        if is_named or _likeness_of_inputs(settled, sides.rows, name, codes) >= least:
            found.append(
                Leak(
                    f"{share:.0%} of the validation rows have the {name} of a training row, and rows of one {name} are "
                    f"alike (correlation of {targets}: {of_target:.2f})",
                    f"the scores are optimistic for a new {name}",
                    f"Keep them together: {_key('group', name)}",
                )
            )
    return found


def _candidates(settled: TrainingTable, rows: Rows) -> list[tuple[str, Codes]]:
    """Columns that may name groups, with a code for each row, -1 where the cell is missing."""
    found = []
    for name in (*settled.columns.features, *(schema.name for schema in settled.further)):
        column = settled.table.columns[name].take(rows)
        if isinstance(column, CategoricalColumn) or is_entity_name(name):
            found.append((name, value_codes(column)))
    return found


def _likeness_of_inputs(settled: TrainingTable, rows: Rows, group: str, codes: Codes) -> float:
    """The mean correlation of the number inputs in groups; 0 where there are none."""
    known, found = codes >= 0, []
    for name in [name for name in settled.columns.features if name != group][:MOST_INPUTS]:
        column = settled.table.columns[name].take(rows)
        if isinstance(column, NumericColumn):
            values = np.asarray(column.values, np.float64)
            if not np.isnan(values).all():
                values = np.where(np.isnan(values), np.nanmean(values), values)
                found.append(intraclass_correlation(codes[known], values[known, None])[0])
    return float(np.mean(found)) if found else 0.0


def _times(settled: TrainingTable, sides: Sides) -> list[Leak]:
    """Columns of dates along which the target runs smoothly, and training rows follow validation rows."""
    found, targets = list[Leak](), " and ".join(settled.columns.targets)
    for schema in (*settled.features, *settled.further):
        if schema.role != "date":
            continue
        times = _numbers(settled.table.columns[schema.name].take(sides.rows))
        known, last = ~np.isnan(times), np.nanmax(np.where(sides.part == 0, times, -np.inf), initial=-np.inf)
        is_passed = known & sides.is_held_out & (times < last)
        if len(np.unique(times[known])) < FEWEST_GROUPS or is_passed.sum() < LEAST_REPEATED * sides.is_held_out.sum():
            continue
        shuffled = np.random.default_rng(0).permutation(np.flatnonzero(known))  # rows of one time have no order
        order = shuffled[np.argsort(times[shuffled], kind="stable")]
        correlation, deviations = neighbour_correlation(sides.targets[order])
        if correlation >= ALIKE and deviations >= DEVIATIONS:
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
    return f"data.validation: {{{way}: {in_yaml(name)}}}"
