"""`mlp compare`: compare two models on the same rows, and decide whether the new one is worse."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlpcli.data.features.preprocessor import require_columns
from mlpcli.data.table import Rows, Table
from mlpcli.data.targets.encode import rows_with_target, true_values
from mlpcli.data.targets.target import prediction_names
from mlpcli.errors import DataError, MlpError
from mlpcli.evaluation.metrics.scores import explain_unknown_metric, find_metric, metric_names
from mlpcli.evaluation.uncertainty.paired import (
    NO_INTERVAL_REASONS,
    Difference,
    Prediction,
    Truth,
    compare_scores,
    has_interval,
)
from mlpcli.evaluation.undefined_scores import undefined_reason
from mlpcli.messages import format_list
from mlpcli.model import Model
from mlpcli.progress import report_progress
from mlpcli.storage.model.model_file import load_model
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.cross_validation.comparing import compare_cross_validations, is_cross_validation
from mlpcli.workflows.reading.tables import cast_scored, describe_counts, format_of, read_columns
from mlpcli.workflows.reading.weights import positive_weight_rows, row_weights
from mlpcli.workflows.scoring.comparable import common_weight, refuse_other_task
from mlpcli.workflows.scoring.main_metrics import decisive_metric, main_metrics
from mlpcli.workflows.scoring.scores import far_worse_on_rows
from mlpcli.workflows.scoring.trained_rows import notes_on_trained_rows


@dataclass(frozen=True)
class CompareRequest:
    """The model files `old` and `new`, the table, and the criterion.

    The new model is worse if `metric` ("" for the default) is worse by more than `margin`, in the unit of the metric.
    """

    old: str
    new: str
    source: str
    metric: str = ""
    margin: float = 0.0
    confidence: float = 0.95
    delimiter: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class CompareResult:
    """The differences between the scores of two models; that of `metric` decides.

    `model` is the new model. It is None for two cross-validations, whose number of folds is `n_scores`.
    """

    request: CompareRequest
    task: str
    model: Model | None
    n_rows: int
    metric: str
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    n_scores: int = 0

    @property
    def decisive(self) -> Difference:
        """The difference in the deciding metric."""
        return next(difference for difference in self.differences if difference.metric == self.metric)

    @property
    def passed(self) -> bool:
        """Whether the new model is not significantly worse by more than the margin."""
        return self.decisive.verdict != "worse"


def compare(request: CompareRequest) -> CompareResult:
    """Compare both models on the rows of a table, or two cross-validations by their folds.

    Raises MlpError for options that do not apply and models that cannot be compared, ModelFileError and DataError.
    """
    if not 0.0 < request.confidence < 1.0:
        raise MlpError(f"--confidence {request.confidence:g}: must be between 0 and 1, such as 0.95.")
    if not 0.0 <= request.margin < float("inf"):
        raise MlpError(f"--margin {request.margin:g}: must be 0 or more, in the unit of the metric.")
    if not request.source:
        return _compare_folds(request)
    old, new = load_model(request.old), load_model(request.new)
    refuse_other_task(request.old, request.new, old, new)
    target = new.target
    names = prediction_names(target)
    metrics_of_task = metric_names(target.task, names)
    metric = request.metric or decisive_metric(target.task, names)
    if metric not in metrics_of_task:
        raise MlpError(f"--metric {metric}: {explain_unknown_metric(metric, metrics_of_task)}")
    if not has_interval(metric):
        others = ", ".join(key for key in metrics_of_task if "[" not in key and has_interval(key))
        raise MlpError(
            f"--metric {metric}: has no interval and no verdict: it {NO_INTERVAL_REASONS[find_metric(metric).name]}.\n"
            f"mlp eval shows it for each model. Metrics that can decide: {others}"
        )
    metrics = list(dict.fromkeys([*main_metrics(target.task, names), metric]))
    weight, notes = common_weight(old, new)
    tables = _read(request, (old, new), weight)
    notes += tables[1].notes
    old_rows, _ = rows_with_target(tables[0], target.names)
    rows, note = rows_with_target(tables[1], target.names)
    notes += [f"{tables[1].name}: {note}"] if note else []
    # The models may have different missing-value markers.
    rows = np.asarray(np.intersect1d(old_rows, rows), rows.dtype)
    if not len(rows):
        raise DataError(f"{tables[1].name}: no row has a target for both models. See data.missing.")
    rows, left_out = positive_weight_rows(tables[1], weight, rows)
    notes += left_out
    before, odd_before = _predict(old, tables[0], rows)
    after, odd_after = _predict(new, tables[1], rows)
    notes += _merged_notes(odd_before, odd_after)
    weights = row_weights(tables[1], weight, rows) if weight else None
    truth = Truth(target.task, true_values(target, tables[1], rows), names, weights)
    report_progress("stage", "comparing", 0)
    with blas_threads(1):  # resampling products are small, and one thread is reproducible on every machine
        differences = compare_scores(truth, before, after, metrics, request.confidence, {metric: request.margin})
    notes += _far_worse("old", old, {difference.metric: difference.old for difference in differences}, truth)
    notes += _far_worse("new", new, {difference.metric: difference.new for difference in differences}, truth)
    notes += worse_targets(differences, metric)
    result = CompareResult(request, target.task, new, len(rows), metric, tuple(differences), tuple(notes))
    if math.isnan(result.decisive.difference):
        reason = undefined_reason(target.task, truth.y, names, weights)
        text = f"{metric} is not defined on these rows{f' ({reason})' if reason else ''}. Choose another --metric."
        raise DataError(f"{tables[1].name}: {text}")
    return result


def _compare_folds(request: CompareRequest) -> CompareResult:
    """Compare two folders of `mlp cv` fold by fold; raises MlpError for any other path."""
    for folder in (request.old, request.new):
        if not is_cross_validation(folder):
            raise MlpError(
                f"{folder}: TEST is missing. Only folders of mlp cv are compared without it, and this is not one."
            )
    comparison = compare_cross_validations(request.old, request.new, request.metric, request.margin, request.confidence)
    return CompareResult(
        request, comparison.task, None, comparison.n_rows, comparison.metric, comparison.differences, (),
        comparison.n_scores,
    )  # fmt: skip


def worse_targets(differences: Sequence[Difference], metric: str) -> list[str]:
    """A note if `metric`, the mean over targets, is not worse although that of single targets is."""
    worse = [difference.metric for difference in differences if difference.verdict == "worse"]
    of_targets = [key for key in worse if key.startswith(f"{metric}[")]
    if metric in worse or not of_targets:
        return []
    advice = f"--metric '{of_targets[0]}' decides by it"
    return [f"{metric}, the mean of the targets, decides; {format_list(of_targets)} got worse. {advice}"]


def _far_worse(role: str, model: Model, scores: dict[str, float], truth: Truth) -> list[str]:
    """A note if a model is far worse than the constant baseline."""
    worse = far_worse_on_rows(model, scores, truth.y, truth.weights)
    return [f"{role} model: {worse}"] if worse else []


def _merged_notes(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Merge notes: those on both models once, then those on one of them."""
    return [
        *(note for note in before if note in after),
        *(f"old model: {note}" for note in before if note not in after),
        *(f"new model: {note}" for note in after if note not in before),
    ]


def _predict(model: Model, table: Table, rows: Rows) -> tuple[Prediction, list[str]]:
    """The predictions of one model, and notes on the rows."""
    with blas_threads(1):
        report_progress("stage", "predicting", 0)
        predictions, counts = model.predict(table, rows)
    counts_note = describe_counts(counts)
    notes = [*([counts_note] if counts_note else []), *notes_on_trained_rows(model, table, rows)]
    return Prediction(predictions, model.threshold), notes


def _read(request: CompareRequest, models: tuple[Model, Model], weight: str) -> tuple[Table, Table]:
    """The table as each model reads it; it is read once unless missing-value markers or headers differ."""
    readings = [format_of(model, request.delimiter, request.encoding) for model in models]
    schemas = [[schema for schema in model.schemas if weight or schema.name != model.weight_column] for model in models]
    if readings[0] == readings[1]:
        # A column that is text for only one model is read as text for both, which loses nothing.
        tables = [read_columns(request.source, readings[0], [*schemas[0], *schemas[1]])] * 2
    elif request.source == "-":
        raise MlpError("-: the models read tables differently (data.missing, data.header). Name a file.")
    else:
        tables = [read_columns(request.source, *pair) for pair in zip(readings, schemas, strict=True)]
    cast = []
    for model, table, schemas_of_model in zip(models, tables, schemas, strict=True):
        cast.append(cast_scored(table, schemas_of_model, model.target.names, weight))
        require_columns(cast[-1], [column.name for column in model.preprocessor.columns])
    return cast[0], cast[1]
