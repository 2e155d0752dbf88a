"""`mlp compare`: compare two models on the same rows, and decide whether the new one is worse."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpcli.data.features.preprocessor import require_columns
from mlpcli.data.table import Rows, Table
from mlpcli.data.targets.encode import rows_with_target, true_values
from mlpcli.data.targets.target import BooleanTarget, ClassTarget, prediction_names
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
from mlpcli.storage.model.model_file import load_model
from mlpcli.training.threads import blas_threads
from mlpcli.watching import tell
from mlpcli.workflows.cross_validation.comparing import compare_cross_validations, is_cross_validation
from mlpcli.workflows.predict import describe_counts
from mlpcli.workflows.reading.tables import cast_scored, format_of, read_columns
from mlpcli.workflows.reading.weights import positive_weight_rows, row_weights
from mlpcli.workflows.scoring.main_metrics import decisive_metric, main_metrics
from mlpcli.workflows.scoring.scores import far_worse_on_rows
from mlpcli.workflows.scoring.trained_rows import notes_on_trained_rows


@dataclass(frozen=True)
class CompareRequest:
    """Two models, the rows, and what counts as worse: by more than `margin` in `metric` ("" for the default)."""

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
    """The difference of each score; `metric` decides.

    `model` is the new model, None for two cross-validations, which have `n_scores` folds.
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
        """The difference that decides."""
        return next(one for one in self.differences if one.metric == self.metric)

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
    known = metric_names(target.task, names)
    metric = request.metric or decisive_metric(target.task, names)
    if metric not in known:
        raise MlpError(f"--metric {metric}: {explain_unknown_metric(metric, known)}")
    if not has_interval(metric):
        others = ", ".join(key for key in known if "[" not in key and has_interval(key))
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
    tell("stage", "comparing", 0)
    with blas_threads(1):  # resampling products are small, and one thread is reproducible on every machine
        found = compare_scores(truth, before, after, metrics, request.confidence, {metric: request.margin})
    notes += _far_worse("old", old, {one.metric: one.old for one in found}, truth)
    notes += _far_worse("new", new, {one.metric: one.new for one in found}, truth)
    notes += worse_targets(found, metric)
    result = CompareResult(request, target.task, new, len(rows), metric, tuple(found), tuple(notes))
    if math.isnan(result.decisive.difference):
        reason = undefined_reason(target.task, truth.y, names, weights)
        text = f"{metric} is not defined on these rows{f' ({reason})' if reason else ''}. Choose another --metric."
        raise DataError(f"{tables[1].name}: {text}")
    return result


def _compare_folds(request: CompareRequest) -> CompareResult:
    for folder in (request.old, request.new):
        if not is_cross_validation(folder):
            raise MlpError(
                f"{folder}: TEST is missing. Only folders of mlp cv are compared without it, and this is not one."
            )
    found = compare_cross_validations(request.old, request.new, request.metric, request.margin, request.confidence)
    return CompareResult(request, found.task, None, found.n_rows, found.metric, found.differences, (), found.n_scores)


def worse_targets(found: Sequence[Difference], metric: str) -> list[str]:
    """A note if single targets got worse, but not their mean, which decides."""
    worse = [one.metric for one in found if one.verdict == "worse"]
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
        *(one for one in before if one in after),
        *(f"old model: {one}" for one in before if one not in after),
        *(f"new model: {one}" for one in after if one not in before),
    ]


def _predict(model: Model, table: Table, rows: Rows) -> tuple[Prediction, list[str]]:
    """The predictions of one model, and notes on the rows."""
    with blas_threads(1):
        tell("stage", "predicting", 0)
        predictions, counts = model.predict(table, rows)
    odd = describe_counts(counts)
    found = [*([odd] if odd else []), *notes_on_trained_rows(model, table, rows)]
    return Prediction(predictions, model.threshold), found


def refuse_other_task(old_path: str, new_path: str, old: Model, new: Model) -> None:
    """Raise MlpError unless both models have the same task, targets and classes."""
    before, after = old.target, new.target
    both = f"{old_path} and {new_path}"
    if before.task != after.task:
        raise MlpError(f"{both}: one is for {before.task}, the other for {after.task}: the models cannot be compared.")
    if before.names != after.names:
        texts = f"{', '.join(before.names)} and {', '.join(after.names)}"
        raise MlpError(f"{both}: their targets differ: {texts}. Compare models with the same targets.")
    before_labels, after_labels = (_possible_labels(target) for target in (before, after))
    if before_labels != after_labels:
        odd = sorted(set(before_labels) ^ set(after_labels))
        which = f" (not in both: {', '.join(odd[:6])}{', ...' if len(odd) > 6 else ''})" if odd else ""
        raise MlpError(f"{both}: their classes differ{which}. Train both on data with the same classes.")


def _possible_labels(target: Any) -> tuple[str, ...]:
    """Every label that a model can predict, in order; none for regression."""
    if isinstance(target, ClassTarget):
        return target.labels
    return tuple(text for texts in target.levels for text in texts) if isinstance(target, BooleanTarget) else ()


def common_weight(old: Model, new: Model) -> tuple[str, list[str]]:
    """The weight column of both models, or "" and a note if they differ."""
    if old.weight_column == new.weight_column:
        return new.weight_column, []
    return "", ["the models were trained with different sample weights: the scores are not weighted."]


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
    found = []
    for model, table, own in zip(models, tables, schemas, strict=True):
        found.append(cast_scored(table, own, model.target.names, weight))
        require_columns(found[-1], [column.name for column in model.preprocessor.columns])
    return found[0], found[1]
