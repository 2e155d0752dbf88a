"""Answers to rows whose truth is known, with what the inputs of these rows say; of several files together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.reference import SAMPLE_ROWS, Histogram, count_rows
from mlpcli.data.row_sketch import TrainedRows, count_trained_rows
from mlpcli.data.table import Rows, Table
from mlpcli.model import Model
from mlpcli.workflows.predicting.intervals import ConformalPredictor, PredictionRegions, joined_regions, with_regions

Values = NDArray[np.float64]


@dataclass(frozen=True)
class AnsweredRows:
    """What a model makes of some rows: all of them that needs their inputs.

    `seen` counts them into the reference profile, if that is asked for; `trained` says how many of them are training
    rows.
    """

    answers: Values
    regions: PredictionRegions | None
    counts: TransformCounts
    seen: Histogram | None
    trained: TrainedRows


def answer_rows(
    model: Model, conformal: ConformalPredictor | None, table: Table, rows: Rows, looks_for_drift: bool
) -> AnsweredRows:
    """Answer some rows of a table that was cast by the schemas of the model; raises DataError for a misfit."""
    answers, regions, counts = with_regions(model, conformal, table, rows)
    seen = _seen(model, table, rows) if looks_for_drift and model.reference.columns else None
    trained = count_trained_rows(model.trained_rows, table, model.row_columns, rows)
    return AnsweredRows(answers, regions, counts, seen, trained)


def together(model: Model, parts: Sequence[AnsweredRows]) -> AnsweredRows:
    """The rows of several files, at least one, as if they had been answered at once."""
    counts, seen = parts[0].counts, parts[0].seen
    for part in parts[1:]:
        counts += part.counts
        seen = seen if seen is None or part.seen is None else seen + part.seen
    names = [column.name for column in model.preprocessor.columns]
    in_order = TransformCounts(
        {name: counts.n_missing[name] for name in names if name in counts.n_missing},
        {name: counts.n_unseen[name] for name in names if name in counts.n_unseen},
    )
    trained = TrainedRows(
        sum(part.trained.n_comparable for part in parts), sum(part.trained.n_trained for part in parts)
    )
    regions = joined_regions([part.regions for part in parts if part.regions is not None])
    return AnsweredRows(np.concatenate([part.answers for part in parts]), regions, in_order, seen, trained)


def _seen(model: Model, table: Table, rows: Rows) -> Histogram:
    """The rows, of each file SAMPLE_ROWS at most, so that files can be counted apart."""
    ends = table.file_ends or (table.n_rows,)
    of_files = [part for part in np.split(rows, np.searchsorted(rows, ends[:-1])) if len(part)]
    features = model.preprocessor.columns
    found = [count_rows(model.reference, features, table, part, SAMPLE_ROWS) for part in of_files]
    return sum(found[1:], start=found[0])
