"""Scores of groups of rows, to find groups where a model is worse than overall."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlpcli.data.grouping import Groups, cross_groups, group_rows
from mlpcli.data.table import Role, Table
from mlpcli.data.targets.target import prediction_names
from mlpcli.evaluation.gates import Gate, GateResult
from mlpcli.evaluation.metrics.scores import find_metric
from mlpcli.evaluation.uncertainty.intervals import IntervalOptions, without_end
from mlpcli.evaluation.uncertainty.resampling import MIN_REPLICATES, replicates_for
from mlpcli.progress import report_progress
from mlpcli.workflows.scoring.main_metrics import main_metrics
from mlpcli.workflows.scoring.predictions import LabeledPredictions, Scored

FEW_ROWS = 30
TOTAL_REPLICATES = 100_000  # bootstrap replicates of all groups together, if each gets enough


@dataclass(frozen=True)
class Grouping:
    """The columns that define groups, separately or crossed; with `is_gated` every gate must hold in every group."""

    columns: tuple[str, ...] = ()
    is_crossed: bool = False
    is_gated: bool = False


UNDIVIDED = Grouping()


@dataclass(frozen=True)
class Slice:
    """The scores of one group, with intervals of the main metrics and of gated metrics."""

    name: str
    n_rows: int
    scored: Scored
    gate_results: tuple[GateResult, ...]

    @property
    def is_small(self) -> bool:
        """Whether there are too few rows for reliable scores."""
        return self.n_rows < FEW_ROWS

    @property
    def remark(self) -> str:
        """`under 30 rows`, or "" for enough rows."""
        return f"under {FEW_ROWS} rows" if self.is_small else ""


@dataclass(frozen=True)
class SliceTable:
    """The groups of one column, or of several crossed columns, the worst in `metric` first."""

    columns: tuple[str, ...]
    metric: str
    slices: tuple[Slice, ...]


def slice_tables(
    by: Grouping,
    table: Table,
    roles: Mapping[str, Role],
    predictions: LabeledPredictions,
    gates: Sequence[Gate],
    options: IntervalOptions,
) -> tuple[SliceTable, ...]:
    """A table for each column of `by`, or one for all of them crossed; `roles` are those of the model's columns.

    Raises DataError for a column that defines no groups.
    """
    if by.is_crossed and by.columns:
        return (_slice_table(by, by.columns, cross_groups(table, by.columns, roles), predictions, gates, options),)
    groups = {column: group_rows(table, column, roles) for column in by.columns}
    return tuple(_slice_table(by, (column,), groups[column], predictions, gates, options) for column in by.columns)


def _slice_table(
    by: Grouping,
    columns: tuple[str, ...],
    groups: Groups,
    predictions: LabeledPredictions,
    gates: Sequence[Gate],
    options: IntervalOptions,
) -> SliceTable:
    task = predictions.target.task
    gated = [without_end(gate.metric) for gate in gates] if by.is_gated else []
    first = main_metrics(task, prediction_names(predictions.target))
    metric = gated[0] if gated else first[0]
    keys = tuple(dict.fromkeys([*first, *(["coverage"] if predictions.regions is not None else []), *gated]))
    if options.replicates is None:
        affordable = max(TOTAL_REPLICATES // len(groups.names), MIN_REPLICATES)
        options = replace(options, replicates=min(affordable, replicates_for(len(predictions.truth))))
    slices = []
    for code, name in enumerate(groups.names):
        report_progress("stage", f"scoring by {', '.join(columns)}", code, len(groups.names))
        rows = groups.codes == code
        scored = predictions.only(rows).score(options, keys)
        gate_results = scored.check_gates(gates, name) if by.is_gated else []
        slices.append(Slice(name, int(np.count_nonzero(rows)), scored, tuple(gate_results)))
    sign = 1 if find_metric(metric).higher_is_better else -1

    def badness(group: Slice) -> tuple[bool, float, str]:
        score = group.scored.scores[metric]
        return (math.isnan(score), 0.0 if math.isnan(score) else sign * score, group.name)

    return SliceTable(columns, metric, tuple(sorted(slices, key=badness)))
