"""`mlp explain`: permutation importance, contributions of columns to single predictions, partial dependence."""

from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.schema.cells import name_hint
from mlpcli.data.targets.encode import true_values
from mlpcli.data.targets.target import ClassTarget, decode_outputs, predicted_columns, prediction_names
from mlpcli.errors import DataError, MlpError, did_you_mean
from mlpcli.evaluation.metrics.scores import explain_unknown_metric, find_metric, metric_names, score
from mlpcli.evaluation.uncertainty.paired import NO_INTERVAL_REASONS, Truth, has_interval
from mlpcli.explain.contributions import contributions
from mlpcli.explain.dependence import partial_dependence
from mlpcli.explain.importance import Scorer, permutation_importance
from mlpcli.explain.inputs import correlated_columns, inputs_by_column, inputs_of_columns
from mlpcli.explain.typical import typical_inputs
from mlpcli.model import Model
from mlpcli.storage.model.model_file import load_model
from mlpcli.training.seeding import rng_of
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.explaining.results import DependenceResult, ExplainedRow, ImportanceResult, check_image
from mlpcli.workflows.explaining.sample import ExplainRequest as ExplainRequest
from mlpcli.workflows.explaining.sample import Sample, read_sample, substituted_rows
from mlpcli.workflows.reading.weights import row_weights
from mlpcli.workflows.scoring.main_metrics import decisive_metric

# Columns with at least this rank correlation are also shuffled together.
CORRELATED = 0.7
CORRELATION_ROWS = 2000
BATCH_ROWS = 512  # for integrated gradients
CURVES = 50  # rows with a curve of their own in partial dependence


def explain_columns(request: ExplainRequest) -> ImportanceResult:
    """Permutation importance of every column; raises MlpError, ModelFileError and DataError."""
    started = monotonic()
    _check(request)
    model = load_model(request.weights)
    metric = _metric(model, request.metric)
    sample = read_sample(model, request, needs_truth=True)
    rows, table, target = sample.rows, sample.table, model.target
    weights = row_weights(table, model.weight_column, rows) if model.weight_column else None
    truth = Truth(target.task, true_values(target, table, rows), prediction_names(target), weights)
    scorer = Scorer(sample.predict, truth, metric, model.threshold, request.confidence)
    inputs = inputs_by_column(model.preprocessor.columns)
    correlated = correlated_columns(sample.X[:CORRELATION_ROWS], model.preprocessor.columns, CORRELATED)
    groups: dict[tuple[str, ...], NDArray[np.int64]] = {(name,): indices for name, indices in inputs.items()}
    groups |= {
        group.columns: inputs_of_columns(group.columns, inputs)
        for group in correlated
        if len(group.columns) < len(inputs)
    }
    must_stop = _time_limit(request.seconds, started)
    with blas_threads(1):
        overall_score = score(
            target.task, metric, truth.y, sample.predict(sample.X), truth.names, weights, model.threshold
        )
        rng = rng_of(request.seed, "permutations")
        importances = permutation_importance(scorer, sample.X, groups, request.repeats, rng, must_stop)
    by_columns = {importance.columns: importance for importance in importances}
    notes = [*sample.notes, *_note_on_time(groups, by_columns, request)]
    result = ImportanceResult(
        model,
        sample.n_all,
        len(rows),
        metric,
        overall_score,
        tuple(importance for importance in importances if len(importance.columns) == 1),
        tuple((group, by_columns[group.columns]) for group in correlated if group.columns in by_columns),
        tuple(notes),
    )
    if request.image:
        result.draw(request.image)
    return result


def explain_rows(request: ExplainRequest, of: str = "") -> tuple[tuple[str, ...], Iterator[ExplainedRow]]:
    """The input columns, and an iterator over the contributions of each column to the prediction of each row.

    `of` is the class or target whose probability or number is explained; "" is the predicted class or first target.
    Raises MlpError, ModelFileError and DataError.
    """
    _check(request)
    model = load_model(request.weights)
    of_index = _of_index(model, of)
    sample = read_sample(model, request, needs_truth=False)
    inputs = inputs_by_column(model.preprocessor.columns)
    return tuple(inputs), _contributions_by_row(sample, list(inputs.values()), of_index)


def explain_dependence(request: ExplainRequest, columns: tuple[str, ...]) -> DependenceResult:
    """Partial dependence and curves of single rows (ICE); raises MlpError, ModelFileError and DataError."""
    _check(request)
    model = load_model(request.weights)
    inputs = inputs_by_column(model.preprocessor.columns)
    for name in columns:
        if name not in inputs:
            raise MlpError(f"--columns {name}: no input column of the model.{name_hint(name, tuple(inputs))}")
    sample = read_sample(model, request, needs_truth=False)
    dependences = []
    with blas_threads(1):
        for name in columns:
            donors, values = substituted_rows(sample.table.columns[name].take(sample.rows))
            if not len(donors):
                raise DataError(f"{sample.table.name}: column {name} has only missing cells.")
            dependences.append(partial_dependence(sample.predict, sample.X, inputs[name], name, values, donors, CURVES))
    names = prediction_names(model.target)
    result = DependenceResult(model, sample.n_all, len(sample.rows), names, tuple(dependences), sample.notes)
    if request.image:
        result.draw(request.image)
    return result


def _check(request: ExplainRequest) -> None:
    """Raise MlpError for an invalid confidence level or image path."""
    if not 0.0 < request.confidence < 1.0:
        raise MlpError(f"--confidence {request.confidence:g}: must be between 0 and 1, such as 0.95.")
    check_image(request.image)


def _metric(model: Model, requested: str) -> str:
    """The requested or default metric; raises MlpError for one that is unknown or has no interval."""
    names = prediction_names(model.target)
    known = metric_names(model.target.task, names)
    metric = requested or decisive_metric(model.target.task, names)
    if metric not in known:
        raise MlpError(f"--metric {metric}: {explain_unknown_metric(metric, known)}")
    if not has_interval(metric):
        reason = NO_INTERVAL_REASONS[find_metric(metric).name]
        raise MlpError(f"--metric {metric}: has no interval: it {reason}. Choose another one, such as {known[0]}.")
    return metric


def _of_index(model: Model, of: str) -> int | None:
    """The index of the prediction that is explained; None for the predicted class of each row."""
    names = prediction_names(model.target)
    if of and of not in names:
        what = "class" if isinstance(model.target, ClassTarget) else "target"
        raise MlpError(f"--of {of}: no {what} of the model.{did_you_mean(of, names)}")
    if of:
        return names.index(of)
    return None if isinstance(model.target, ClassTarget) else 0


def _time_limit(seconds: float | None, started: float) -> Callable[[], bool]:
    """A function that tells whether `seconds` have passed since `started`; never if `seconds` is None."""
    return lambda: seconds is not None and monotonic() - started >= seconds


def _note_on_time(groups: Any, by_columns: Any, request: ExplainRequest) -> list[str]:
    """A note on the shuffles that the time limit cut off."""
    left = [", ".join(columns) for columns in groups if columns not in by_columns]
    if left:
        shown = "; ".join(left[:6]) + ("; ..." if len(left) > 6 else "")
        return [f"{request.seconds:g} s were not enough for: {shown}. Raise --max-seconds, or lower --sample."]
    repeats = min((importance.repeats for importance in by_columns.values()), default=request.repeats)
    return (
        [f"{request.seconds:g} s were enough for {repeats} shuffles of each column."]
        if repeats < request.repeats
        else []
    )


def _contributions_by_row(
    sample: Sample, inputs: list[NDArray[np.int64]], of_index: int | None
) -> Iterator[ExplainedRow]:
    """The contribution of each column to the explained prediction of each row; `inputs` are the inputs of each column.

    `of_index` is the index of the explained prediction, None for the predicted class of each row.
    """
    model, target = sample.model, sample.model.target
    state = dict(model.target_state)
    names = prediction_names(target)
    baseline = typical_inputs(model)
    with blas_threads(1):
        typical = sample.predict(np.asarray(baseline[None], sample.X.dtype))[0]
    for start in range(0, len(sample.rows), BATCH_ROWS):
        X = sample.X[start : start + BATCH_ROWS]
        with blas_threads(1):
            predictions = sample.predict(X)
            explained = predictions.argmax(axis=1) if of_index is None else np.full(len(X), of_index)
            predicted = predicted_columns(target, predictions, model.threshold)
            shown = predicted[target.names[0 if of_index is None or len(target.names) == 1 else of_index]]
            decode = partial(_select_predictions, partial(decode_outputs, target, state), explained)
            by_input = contributions(model.ensemble, decode, X, baseline)
        by_column = np.stack([by_input[:, own_inputs].sum(axis=1) for own_inputs in inputs], axis=1)
        for i, row in enumerate(sample.rows[start : start + BATCH_ROWS]):
            yield ExplainedRow(
                sample.table.where(int(row)), shown[i], names[explained[i]], float(predictions[i, explained[i]]),
                float(typical[explained[i]]), tuple(map(float, by_column[i])),
            )  # fmt: skip


def _select_predictions(decode: Any, indices: NDArray[np.int64], outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each row the prediction with index `indices` (n_rows,)."""
    return np.asarray(decode(outputs)[np.arange(len(outputs)), indices])
