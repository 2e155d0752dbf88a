"""`mlp eval`: score a model on rows with known targets, and check gates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mlpcli.cluster.address import ClusterAddress
from mlpcli.data.features.preprocessor import TransformCounts, require_columns
from mlpcli.data.grouping import notes_on_groups
from mlpcli.data.table import Table
from mlpcli.data.targets.encode import rows_with_target, true_values
from mlpcli.data.targets.target import ClassTarget, predicted_labels
from mlpcli.evaluation.gates import Gate, GateResult
from mlpcli.evaluation.metrics.classes import confusion_matrix
from mlpcli.evaluation.uncertainty.intervals import DEFAULT_OPTIONS, IntervalOptions
from mlpcli.model import Model
from mlpcli.progress import report_progress
from mlpcli.storage.model.model_file import load_model
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.predicting.intervals import ConformalPredictor, quantile_of
from mlpcli.workflows.reading.drift import DriftReport, check_on_drift, drift_notes, judge_drift
from mlpcli.workflows.reading.tables import cast_scored, describe_counts, format_of, read_columns
from mlpcli.workflows.reading.weights import positive_weight_rows, row_weights
from mlpcli.workflows.scoring.gates import check_gates
from mlpcli.workflows.scoring.on_cluster import read_on_cluster, scored_setup
from mlpcli.workflows.scoring.predicted import PredictedRows, predict_rows
from mlpcli.workflows.scoring.predictions import LabeledPredictions, Scored, notes_on_bounds, notes_on_undefined
from mlpcli.workflows.scoring.scores import far_worse_on_rows
from mlpcli.workflows.scoring.slices import UNDIVIDED, Grouping, SliceTable, slice_tables
from mlpcli.workflows.scoring.trained_rows import notes_on_trained


@dataclass(frozen=True)
class EvalResult:
    """Scores, the result of each gate, and for classes the confusion matrix (rows true, columns predicted).

    `gate_results` has the results on all rows first, then those of each group if gates apply to groups. `conformal` is
    the predictor of the intervals or sets that were scored, None if none were.
    """

    model: Model
    n_rows: int
    scored: Scored
    gate_results: tuple[GateResult, ...]
    confusion: NDArray[np.float64] | NDArray[np.int64] | None
    counts: TransformCounts
    notes: tuple[str, ...]
    interval_options: IntervalOptions
    slice_tables: tuple[SliceTable, ...]
    seconds: float
    drift: DriftReport | None = None
    conformal: ConformalPredictor | None = None

    @property
    def passed(self) -> bool:
        """Whether every gate is met."""
        return all(result.passed for result in self.gate_results)


def evaluate(
    weights: str,
    source: str,
    gates: Sequence[Gate] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    on_drift: str = "ignore",
    interval_options: IntervalOptions = DEFAULT_OPTIONS,
    by: Grouping = UNDIVIDED,
    level: float | None = None,
    cluster: ClusterAddress | None = None,
) -> EvalResult:
    """Score a model on a table with the target columns, and on groups of its rows.

    With `level`, prediction intervals or sets at that level are scored as well. With `cluster`, workers read and
    predict one file at a time. Raises MlpError for a gate on an unknown metric before the table is read, ModelFileError
    and DataError.
    """
    started = perf_counter()
    model = load_model(weights)
    check_on_drift(on_drift, model)
    check_gates(model, gates, level is not None)
    conformal = None if level is None else ConformalPredictor(model, level)
    reading, looks_for_drift, predicted = format_of(model, delimiter, encoding), on_drift != "ignore", None
    if cluster is None:
        as_read = read_columns(source, reading, model.schemas, by.columns)
    else:
        setup = scored_setup(model, conformal, source, reading, by.columns, looks_for_drift)
        as_read, predicted = read_on_cluster(cluster, setup, source)
    result = evaluate_table(
        model, as_read, gates, looks_for_drift, interval_options, by, conformal=conformal, predicted=predicted
    )
    counts_note = describe_counts(result.counts)
    notes = (*result.notes, *drift_notes(result.drift, weights, source), *([counts_note] if counts_note else []))
    return replace(result, notes=notes, seconds=perf_counter() - started)


def evaluate_table(
    model: Model,
    as_read: Table,
    gates: Sequence[Gate] = (),
    looks_for_drift: bool = False,
    interval_options: IntervalOptions = DEFAULT_OPTIONS,
    by: Grouping = UNDIVIDED,
    interval_keys: Sequence[str] | None = None,
    conformal: ConformalPredictor | None = None,
    predicted: PredictedRows | None = None,
) -> EvalResult:
    """As `evaluate`, for a table in memory that is not cast yet; raises DataError.

    `interval_keys` names the scores that get a confidence interval; None for all. `predicted` are predictions of the
    rows with a target that were computed before; the table then needs no input columns.
    """
    started = perf_counter()
    target, weight = model.target, model.weight_column
    table = cast_scored(as_read, model.schemas, target.names, weight, by.columns)
    if predicted is None:
        require_columns(table, [column.name for column in model.preprocessor.columns])
    rows, note = rows_with_target(table, target.names)
    rows, left_out = positive_weight_rows(table, weight, rows)
    if predicted is None:
        report_progress("stage", "predicting", 0)
        with blas_threads(1):
            predicted = predict_rows(model, conformal, table, rows, looks_for_drift)
    regions = predicted.regions
    report_progress("stage", "scoring", 0)
    drift = judge_drift(model, predicted.histogram) if looks_for_drift else None
    truth = true_values(target, table, rows)
    row_weight = row_weights(table, weight, rows) if weight else None
    predictions = LabeledPredictions(
        target, truth, predicted.predictions, row_weight, model.threshold, regions, quantile_of(model)
    )
    scored = predictions.score(interval_options, interval_keys)
    roles = {schema.name: schema.role for schema in model.schemas}
    tables = slice_tables(by, table.take(rows), roles, predictions, gates, interval_options)
    overall_results = scored.check_gates(gates)
    slices = [slice_ for slice_table in tables for slice_ in slice_table.slices]
    gate_results = (*overall_results, *(result for slice_ in slices for result in slice_.gate_results))
    confusion = None
    if isinstance(target, ClassTarget):
        _, codes = predicted_labels(target, predicted.predictions, model.threshold)[target.name]
        confusion = confusion_matrix(truth.astype(np.int64), codes, len(target.labels), row_weight)
        confusion = confusion if weight else confusion.astype(np.int64)
    notes = (
        *table.notes,
        *notes_on_groups(as_read, by.columns),
        *([f"{table.name}: {note}"] if note else []),
        *left_out,
    )
    notes += tuple(notes_on_trained(model, table, predicted.trained))
    if conformal is not None and regions is not None:
        notes += tuple(conformal.notes(regions.n_open, drift is not None and bool(drift.drifted)))
    worse = far_worse_on_rows(model, scored.scores, truth, row_weight)
    notes += (*notes_on_bounds(gates), *notes_on_undefined(overall_results), *([worse] if worse else []))
    seconds = perf_counter() - started
    return EvalResult(
        model, len(rows), scored, gate_results, confusion, predicted.counts, notes, interval_options, tables,
        seconds, drift, conformal,
    )  # fmt: skip
