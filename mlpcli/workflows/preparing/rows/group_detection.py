"""For `mlp init`: detect a column of groups of correlated rows, such as a patient with several visits."""

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
class FoundGroup:
    """A column whose values group correlated rows; `correlation` is the intraclass correlation of the target."""

    name: str
    correlation: float
    n_groups: int

    def note(self, targets: Sequence[str]) -> str:
        """A note on the group, what the config does with it, and how to undo that."""
        of_target = f"correlation of {' and '.join(targets)}: {self.correlation:.2f}"
        return (
            f"rows with the same {self.name} are correlated ({of_target}): data.validation keeps them together, "
            f"so that the scores apply to new values of {self.name}, and {self.name} is not an input. "
            f"To predict for the {self.n_groups} known ones only, remove the group."
        )


def find_group(table: Table, rows: Rows, truth: NDArray[Any], profiles: Sequence[ColumnProfile]) -> FoundGroup | None:
    """The column with the name of an entity and the largest intraclass correlation of the target; None for none.

    Uses the criterion of the note on leaks that a training with a random split would print. `truth` is the target of
    `rows`: class codes (n_rows,), or numbers (n_rows, n_targets). A column is skipped if no input would be left.
    """
    found: FoundGroup | None = None
    n_inputs = sum(not one.drop_reason for one in profiles)
    for one in profiles:
        if not is_entity_name(one.name) or n_inputs <= (not one.drop_reason):
            continue
        codes = value_codes(table.columns[one.name].take(rows))
        known = codes >= 0
        n_groups = len(np.unique(codes[known]))
        if n_groups < MIN_GROUPS or 2 * n_groups > np.count_nonzero(known):
            continue
        correlation, deviations = intraclass_correlation(codes[known], as_columns(truth)[known])
        if deviations >= MIN_Z_SCORE and correlation >= max(MIN_CORRELATION, found.correlation if found else 0.0):
            found = FoundGroup(one.name, correlation, n_groups)
    return found
