"""The conformity scores of calibration rows that a model stores, by target, group of rows and fold."""

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.conformal.ends import Floats, Kind, Scores, keep, kept_ranks
from mlpcli.messages import format_count
from mlpcli.options import Setting

Count = Annotated[int, Setting("Rows.", ge=0, le=2**53)]
MAX_GROUPS = 256
MISSING = "(missing)"  # the group of rows with a missing cell
LARGEST = 1e300  # replaces a NaN score


@dataclass(frozen=True)
class CalibrationRows:
    """The kind of the conformity scores, and the rows that they were computed on.

    The scores of `kind` are described in `ends.Intervals`; those of "probability" are the negated probability of the
    true class. On the scale "log" they are those of log(1 + y). `is_count`: no true value is below 0. `source` names
    the rows: out-of-fold rows of `n_folds` folds, validation rows, or rows set apart; `chosen` is what was selected on
    them. `by` is the column whose values are the `groups`, "" for none; if it is the target, each class has its own
    scores. `n_rows` has the number of rows of each target, group and fold, in this order.
    """

    kind: Kind
    scale: Literal["plain", "log"]
    is_count: bool
    source: Literal["folds", "validation", "apart"]
    chosen: tuple[str, ...]
    n_folds: Annotated[int, Setting("From 1.", ge=1, le=64)]
    by: str
    groups: tuple[str, ...]
    n_rows: tuple[Count, ...]

    @property
    def n_groups(self) -> int:
        """The number of groups; 1 without groups."""
        return max(len(self.groups), 1)

    @property
    def sizes(self) -> list[int]:
        """The number of stored scores of each target, group and fold, in this order."""
        return [len(self.ranks_of(n_rows)) for n_rows in self.n_rows]

    def ranks_of(self, n_rows: int) -> NDArray[np.int64]:
        """The ranks of the scores that are stored of `n_rows` rows."""
        return kept_ranks(n_rows, self.n_folds, self.kind == "signed")

    def rows_of(self, group: int) -> int:
        """The number of calibration rows of a group."""
        return sum(self.n_rows[group * self.n_folds : (group + 1) * self.n_folds])

    @property
    def text(self) -> str:
        """`69 validation rows`, `344 out-of-fold rows, each region its own`."""
        source = {"validation": "validation row", "folds": "out-of-fold row", "apart": "row set apart"}[self.source]
        many = "rows set apart" if self.source == "apart" else ""
        n_rows = sum(self.rows_of(group) for group in range(self.n_groups))
        return format_count(n_rows, source, many) + (f", each {self.by} its own" if self.by else "")

    def fault(self, n_targets: int) -> str:
        """An inconsistency with a model of `n_targets` targets, "" for none."""
        if len(self.n_rows) != n_targets * self.n_groups * self.n_folds:
            return f"{len(self.n_rows)} counts of calibration rows for {n_targets} targets"
        if bool(self.groups) != bool(self.by) or len(set(self.groups)) < len(self.groups):
            return "invalid groups of calibration rows"
        if len(self.groups) > MAX_GROUPS:
            return f"{len(self.groups)} groups of calibration rows"
        return ""


@dataclass(frozen=True, eq=False)
class ConformityScores:
    """The scores of calibration rows: those of each target, group and fold in this order, each ascending."""

    rows: CalibrationRows
    values: Floats

    def folds_of(self, target: int, group: int) -> tuple[Scores, ...]:
        """The scores of each fold of a target and group."""
        first = (target * self.rows.n_groups + group) * self.rows.n_folds
        ends = [0, *accumulate(self.rows.sizes)]
        return tuple(
            Scores(n_rows, self.values[ends[index] : ends[index + 1]], self.rows.ranks_of(n_rows))
            for index, n_rows in enumerate(self.rows.n_rows[first : first + self.rows.n_folds], start=first)
        )


def gather_scores(
    rows: CalibrationRows,
    scores: Floats,
    folds: NDArray[np.integer] | None = None,
    groups: NDArray[np.integer] | None = None,
) -> ConformityScores:
    """The `scores` (n_rows, n_targets) as a model stores them; fills in `rows.n_rows`.

    `folds` (n_rows,) is the fold of each row, None for a single one; `groups` (n_rows,) its group, None for none.
    """
    counts: list[int] = []
    kept: list[Floats] = []
    finite = np.where(np.isnan(scores), LARGEST, np.clip(scores, -LARGEST, LARGEST))
    for column in finite.T:
        for group in range(rows.n_groups):
            is_in_group = np.ones(len(column), np.bool_) if groups is None else groups == group
            for fold in range(rows.n_folds):
                selected = column[is_in_group if folds is None else is_in_group & (folds == fold)]
                counts.append(len(selected))
                kept.append(keep(selected, rows.n_folds, rows.kind == "signed").values)
    return ConformityScores(replace(rows, n_rows=tuple(counts)), np.concatenate(kept))
