"""For `mlp init`: detect numeric columns whose values act as category levels, such as the code of a district."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.lack_of_fit import lack_of_fit
from mlpcli.data.schema.column import as_category, cast_table
from mlpcli.data.schema.profile import ColumnProfile, are_years
from mlpcli.data.table import NumericColumn, Rows, Table

MOST_LEVELS = 256
ROWS_PER_LEVEL = 50
# Of the variance of the target: on the tables of docs/quality.md the values of other columns explain at most 0.7%.
LEAST_GAIN = 0.01


def with_levels(
    table: Table, rows: Rows, truth: NDArray[Any], profiles: Sequence[ColumnProfile], group: str
) -> tuple[tuple[ColumnProfile, ...], int]:
    """The profiles, with role category for numbers that act as levels (`lack_of_fit`), and the most levels of those.

    `truth` is the target of `rows`: class codes (n_rows,), or numbers (n_rows, n_targets). The column `group` ("" for
    none) is no input, and stays as it is.
    """
    found = tuple(profile if profile.name == group else _as_levels(profile, table, rows, truth) for profile in profiles)
    n_levels = [after.n_distinct for before, after in zip(profiles, found, strict=True) if after is not before]
    return found, max(n_levels, default=0)


def _as_levels(profile: ColumnProfile, table: Table, rows: Rows, truth: NDArray[Any]) -> ColumnProfile:
    if profile.role != "number" or profile.drop_reason or profile.fault or not 3 <= profile.n_distinct <= MOST_LEVELS:
        return profile
    column = cast_table(table, [profile.schema]).columns[profile.name]
    assert isinstance(column, NumericColumn)
    values = column.values[rows].astype(np.float64)
    known = ~np.isnan(values)
    values, targets = values[known], truth[known]
    if len(values) < ROWS_PER_LEVEL * profile.n_distinct or _rows_beside_mode(targets) < ROWS_PER_LEVEL:
        return profile
    if are_years(values):
        return profile
    gain = lack_of_fit(values, targets)
    if gain < LEAST_GAIN:
        return profile
    note = (
        "numbers taken as category levels, because the mean of the target jumps from one to the next "
        f"({gain:.1%} of its variance)"
    )
    notes = "; ".join(filter(None, [profile.note, note]))
    return replace(profile, schema=as_category(profile.schema), kind="category", note=notes)


def _rows_beside_mode(targets: NDArray[Any]) -> int:
    """Rows with another target than most rows: only they show which values have another mean."""
    if targets.ndim == 1:
        return len(targets) - int(np.bincount(targets).max())
    return int(np.count_nonzero((targets != np.median(targets, axis=0)).any(axis=1)))
