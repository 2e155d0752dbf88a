"""Detect a column of groups of correlated rows, such as a patient with several visits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.grouping import value_codes
from mlpcli.data.schema.profile import ColumnProfile, is_entity_name
from mlpcli.data.table import Rows, Table
from mlpcli.evaluation.row_correlation import (
    MIN_CORRELATION,
    MIN_GROUPS,
    MIN_Z_SCORE,
    as_columns,
    intraclass_correlation,
)


@dataclass(frozen=True)
class GroupColumn:
    """A column whose values group correlated rows; `correlation` is the intraclass correlation of the target."""

    name: str
    correlation: float
    n_groups: int

    def note(self, targets: Sequence[str]) -> str:
        """A note on the column, its use in the config, and how to remove it."""
        of_target = f"correlation of {' and '.join(targets)}: {self.correlation:.2f}"
        return (
            f"rows with the same {self.name} are correlated ({of_target}): data.validation keeps them together, "
            f"so that the scores apply to new values of {self.name}, and {self.name} is not an input. "
            f"To predict for the {self.n_groups} known ones only, remove the group."
        )


def find_group_column(
    table: Table, rows: Rows, truth: NDArray[Any], profiles: Sequence[ColumnProfile]
) -> GroupColumn | None:
    """The column that is named like an entity and has the largest intraclass correlation of the target, or None.

    A column must meet the criterion of the note on leaks that a training with a random split would print. `truth` is
    the target of `rows`: class codes (n_rows,), or numbers (n_rows, n_targets). A column is skipped if no input would
    be left.
    """
    best: GroupColumn | None = None
    n_inputs = sum(not profile.drop_reason for profile in profiles)
    for profile in profiles:
        if not is_entity_name(profile.name) or n_inputs <= (not profile.drop_reason):
            continue
        codes = value_codes(table.columns[profile.name].take(rows))
        has_value = codes >= 0
        n_groups = len(np.unique(codes[has_value]))
        if n_groups < MIN_GROUPS or 2 * n_groups > np.count_nonzero(has_value):
            continue
        correlation, deviations = intraclass_correlation(codes[has_value], as_columns(truth)[has_value])
        if deviations >= MIN_Z_SCORE and correlation >= max(MIN_CORRELATION, best.correlation if best else 0.0):
            best = GroupColumn(profile.name, correlation, n_groups)
    return best
