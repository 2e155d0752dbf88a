"""Predictions for rows with known targets, with statistics of their inputs, combined over files."""

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
class PredictedRows:
    """Predictions for some rows, and statistics of their inputs.

    `histogram` counts them in the bins of the reference profile, None if drift is not checked; `trained` counts
    training rows among them.
    """

    predictions: Values
    regions: PredictionRegions | None
    counts: TransformCounts
    histogram: Histogram | None
    trained: TrainedRows


def predict_rows(
    model: Model, conformal: ConformalPredictor | None, table: Table, rows: Rows, looks_for_drift: bool
) -> PredictedRows:
    """Predict some rows of a table that was cast by the schemas of the model; raises DataError for an invalid cell."""
    predictions, regions, counts = with_regions(model, conformal, table, rows)
    histogram = _histogram(model, table, rows) if looks_for_drift and model.reference.columns else None
    trained = count_trained_rows(model.trained_rows, table, model.row_columns, rows)
    return PredictedRows(predictions, regions, counts, histogram, trained)


def combine(model: Model, files: Sequence[PredictedRows]) -> PredictedRows:
    """Combine the rows of at least one file, as if they had been predicted at once."""
    counts, histogram = files[0].counts, files[0].histogram
    for file in files[1:]:
        counts += file.counts
        histogram = histogram if histogram is None or file.histogram is None else histogram + file.histogram
    names = [column.name for column in model.preprocessor.columns]
    in_order = TransformCounts(
        {name: counts.n_missing[name] for name in names if name in counts.n_missing},
        {name: counts.n_unseen[name] for name in names if name in counts.n_unseen},
    )
    trained = TrainedRows(
        sum(file.trained.n_comparable for file in files), sum(file.trained.n_trained for file in files)
    )
    regions = joined_regions([file.regions for file in files if file.regions is not None])
    return PredictedRows(np.concatenate([file.predictions for file in files]), regions, in_order, histogram, trained)


def _histogram(model: Model, table: Table, rows: Rows) -> Histogram:
    """The histogram of at most SAMPLE_ROWS rows of each file, so that files can be counted separately."""
    ends = table.file_ends or (table.n_rows,)
    rows_by_file = [file_rows for file_rows in np.split(rows, np.searchsorted(rows, ends[:-1])) if len(file_rows)]
    features = model.preprocessor.columns
    histograms = [count_rows(model.reference, features, table, file_rows, SAMPLE_ROWS) for file_rows in rows_by_file]
    return sum(histograms[1:], start=histograms[0])
