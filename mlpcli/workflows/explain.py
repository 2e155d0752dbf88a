"""`mlp explain`: permutation importance, contributions of columns to single predictions, partial dependence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.preprocessor import require_columns, transform
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import as_categorical
from mlpcli.data.table import Column, NumericColumn, Rows, Table
from mlpcli.data.targets.encode import rows_with_target, true_values
from mlpcli.data.targets.target import ClassTarget, decode_outputs, predicted_columns, prediction_names
from mlpcli.errors import DataError, MlpError, did_you_mean
from mlpcli.evaluation.metrics.scores import explain_unknown_metric, find_metric, metric_names, score
from mlpcli.evaluation.uncertainty.paired import NO_INTERVAL_REASONS, Truth, has_interval
from mlpcli.explain.contributions import contributions
from mlpcli.explain.dependence import donors_of_codes, donors_of_numbers, partial_dependence
from mlpcli.explain.importance import Scorer, permutation_importance
from mlpcli.explain.inputs import correlated_columns, inputs_by_column, inputs_of_columns
from mlpcli.explain.typical import typical_inputs
from mlpcli.model import Model
from mlpcli.storage.model.model_file import load_model
from mlpcli.training.seeding import rng_of
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.explaining.results import DependenceResult, ImportanceResult, RowReasons, check_image
from mlpcli.workflows.reading.tables import cast_scored, format_of, read_columns
from mlpcli.workflows.reading.weights import positive_weight_rows, row_weights
from mlpcli.workflows.scoring.main_metrics import decisive_metric
from mlpcli.workflows.scoring.trained_rows import notes_on_trained_rows

# Columns with at least this rank correlation are also shuffled together.
CORRELATED = 0.7
CORRELATION_ROWS = 2000
BATCH_ROWS = 512  # for integrated gradients
MAX_VALUES = 20  # of a column in partial dependence
CURVES = 50


@dataclass(frozen=True)
class ExplainRequest:
    """Model, rows and amount of work: at most `sample` rows (0: all), a seeded random sample of more.

    `metric` "" is the default one. Each column is shuffled `repeats` times, or as often as `seconds` allow. The figure
    is written to `image`, "" for none.
    """

    weights: str
    source: str
    metric: str = ""
    sample: int = 20_000
    repeats: int = 5
    seconds: float | None = None
    confidence: float = 0.95
    seed: int = 0
    delimiter: str | None = None
    encoding: str | None = None
    image: str = ""


@dataclass(frozen=True)
class _Sample:
    """The sampled rows: inputs `X` (n_rows, n_inputs), their indices in the table, and notes."""

    model: Model
    table: Table
    rows: Rows
    n_all: int
    X: NDArray[np.floating[Any]]
    notes: tuple[str, ...]

    def predict(self, X: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Predictions in the units of the table."""
        return decode_outputs(self.model.target, dict(self.model.target_state), self.model.ensemble.outputs(X))


def explain_columns(request: ExplainRequest) -> ImportanceResult:
    """Permutation importance of every column; raises MlpError, ModelFileError and DataError."""
    started = monotonic()
    _check(request)
    model = load_model(request.weights)
    metric = _metric(model, request.metric)
    sample = _sample(model, request, needs_truth=True)
    rows, table, target = sample.rows, sample.table, model.target
    weights = row_weights(table, model.weight_column, rows) if model.weight_column else None
    truth = Truth(target.task, true_values(target, table, rows), prediction_names(target), weights)
    scorer = Scorer(sample.predict, truth, metric, model.threshold, request.confidence)
    inputs = inputs_by_column(model.preprocessor.columns)
    linked = correlated_columns(sample.X[:CORRELATION_ROWS], model.preprocessor.columns, CORRELATED)
    groups: dict[tuple[str, ...], NDArray[np.int64]] = {(name,): places for name, places in inputs.items()}
    groups |= {one.columns: inputs_of_columns(one.columns, inputs) for one in linked if len(one.columns) < len(inputs)}
    must_stop = _clock(request.seconds, started)
    with blas_threads(1):
        whole = score(target.task, metric, truth.y, sample.predict(sample.X), truth.names, weights, model.threshold)
        rng = rng_of(request.seed, "permutations")
        found = permutation_importance(scorer, sample.X, groups, request.repeats, rng, must_stop)
    by_columns = {one.columns: one for one in found}
    notes = [*sample.notes, *_note_on_time(groups, by_columns, request)]
    result = ImportanceResult(
        model,
        sample.n_all,
        len(rows),
        metric,
        whole,
        tuple(one for one in found if len(one.columns) == 1),
        tuple((one, by_columns[one.columns]) for one in linked if one.columns in by_columns),
        tuple(notes),
    )
    if request.image:
        result.draw(request.image)
    return result


def explain_rows(request: ExplainRequest, of: str = "") -> tuple[tuple[str, ...], Iterator[RowReasons]]:
    """The input columns, and an iterator over the contributions of each column to the prediction of each row.

    `of` is the class or target whose probability or number is explained; "" is the predicted class or first target.
    Raises MlpError, ModelFileError and DataError.
    """
    _check(request)
    model = load_model(request.weights)
    of_index = _of_index(model, of)
    sample = _sample(model, request, needs_truth=False)
    inputs = inputs_by_column(model.preprocessor.columns)
    return tuple(inputs), _reasons(sample, list(inputs.values()), of_index)


def explain_dependence(request: ExplainRequest, columns: tuple[str, ...]) -> DependenceResult:
    """Partial dependence and curves of single rows (ICE); raises MlpError, ModelFileError and DataError."""
    _check(request)
    model = load_model(request.weights)
    inputs = inputs_by_column(model.preprocessor.columns)
    for name in columns:
        if name not in inputs:
            raise MlpError(f"--columns {name}: no input column of the model.{name_hint(name, tuple(inputs))}")
    sample = _sample(model, request, needs_truth=False)
    found = []
    with blas_threads(1):
        for name in columns:
            donors, values = _values(sample.table.columns[name].take(sample.rows))
            if not len(donors):
                raise DataError(f"{sample.table.name}: column {name} has only missing cells.")
            found.append(partial_dependence(sample.predict, sample.X, inputs[name], name, values, donors, CURVES))
    names = prediction_names(model.target)
    result = DependenceResult(model, sample.n_all, len(sample.rows), names, tuple(found), sample.notes)
    if request.image:
        result.draw(request.image)
    return result


def _check(request: ExplainRequest) -> None:
    if not 0.0 < request.confidence < 1.0:
        raise MlpError(f"--confidence {request.confidence:g}: must be between 0 and 1, such as 0.95.")
    check_image(request.image)


def _metric(model: Model, asked: str) -> str:
    names = prediction_names(model.target)
    known = metric_names(model.target.task, names)
    metric = asked or decisive_metric(model.target.task, names)
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


def _sample(model: Model, request: ExplainRequest, needs_truth: bool) -> _Sample:
    """The sampled rows, in order."""
    target = model.target
    schemas = model.schemas if needs_truth else model.preprocessor.schemas
    as_read = read_columns(request.source, format_of(model, request.delimiter, request.encoding), schemas)
    require_columns(as_read, [column.name for column in model.preprocessor.columns])
    if needs_truth:
        table = cast_scored(as_read, model.schemas, target.names, model.weight_column)
        rows, note = rows_with_target(table, target.names)
        rows, left_out = positive_weight_rows(table, model.weight_column, rows)
        notes = [*table.notes, *([f"{table.name}: {note}"] if note else []), *left_out]
        notes += notes_on_trained_rows(model, table, rows)
    else:
        table = model.cast(as_read)
        rows, notes = np.arange(table.n_rows), [*table.notes]
    n_all = len(rows)
    if request.sample and n_all > request.sample:
        chosen = rng_of(request.seed, "sample").choice(n_all, request.sample, replace=False)
        rows = rows[np.sort(chosen)]
    X, _ = transform(model.preprocessor, table, model.ensemble.dtype, rows)
    model.predict_inputs(X, table, rows)  # raises DataError where predict does
    return _Sample(model, table, rows, n_all, X, tuple(notes))


def _clock(seconds: float | None, started: float) -> Callable[[], bool]:
    return lambda: seconds is not None and monotonic() - started >= seconds


def _note_on_time(groups: Any, found: Any, request: ExplainRequest) -> list[str]:
    """A note on the shuffles that the time limit cut off."""
    left = [", ".join(columns) for columns in groups if columns not in found]
    if left:
        shown = "; ".join(left[:6]) + ("; ..." if len(left) > 6 else "")
        return [f"{request.seconds:g} s were not enough for: {shown}. Raise --max-seconds, or lower --sample."]
    repeats = min((one.repeats for one in found.values()), default=request.repeats)
    return (
        [f"{request.seconds:g} s were enough for {repeats} shuffles of each column."]
        if repeats < request.repeats
        else []
    )


def _reasons(sample: _Sample, places: list[NDArray[np.int64]], of_index: int | None) -> Iterator[RowReasons]:
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
            own = predictions.argmax(axis=1) if of_index is None else np.full(len(X), of_index)
            predicted = predicted_columns(target, predictions, model.threshold)
            given = predicted[target.names[0 if of_index is None or len(target.names) == 1 else of_index]]
            decode = partial(_picked, partial(decode_outputs, target, state), own)
            parts = contributions(model.ensemble, decode, X, baseline)
        by_column = np.stack([parts[:, columns].sum(axis=1) for columns in places], axis=1)
        for i, row in enumerate(sample.rows[start : start + BATCH_ROWS]):
            yield RowReasons(
                sample.table.where(int(row)), given[i], names[own[i]], float(predictions[i, own[i]]),
                float(typical[own[i]]), tuple(map(float, by_column[i])),
            )  # fmt: skip


def _picked(decode: Any, own: NDArray[np.int64], outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each row the prediction with index `own` (n_rows,)."""
    return np.asarray(decode(outputs)[np.arange(len(outputs)), own])


def _values(column: Column) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Rows whose cells are substituted in turn, and these cells as texts."""
    if isinstance(column, NumericColumn):
        donors = donors_of_numbers(np.asarray(column.values, np.float64), MAX_VALUES)
        texts = as_categorical(column.take(donors))
    else:
        donors = donors_of_codes(np.asarray(column.codes), MAX_VALUES)
        texts = column.take(donors)
    return donors, tuple(texts.levels[code] for code in texts.codes)
