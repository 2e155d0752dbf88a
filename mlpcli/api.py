"""The Python interface: train on a data frame, load a model, predict, evaluate."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.cli.progress.training_view import TrainingView
from mlpcli.cli.rendering.terminal import Screen
from mlpcli.config.loading import LoadedConfig, config_from_mapping, load_config, without_search
from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed.frames import Rows, as_frame, table_from_frame, with_truth
from mlpcli.data.table import Table
from mlpcli.data.targets.target import ClassTarget, NumberTarget, prediction_names, typed_labels
from mlpcli.errors import ConfigError, Diverged, MlpError, MlpWarning
from mlpcli.evaluation.gates import GateResult, make_gates
from mlpcli.evaluation.metrics.scores import explain_unknown_metric
from mlpcli.evaluation.uncertainty.intervals import IntervalOptions, gate_names, without_end
from mlpcli.model import Model
from mlpcli.storage.atomic import write_file
from mlpcli.storage.model.model_file import encode_model, load_model
from mlpcli.training.member import NonFiniteLoss
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.evaluate import evaluate_table
from mlpcli.workflows.predicting.intervals import ConformalPredictor
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.preparing.rows.tables import training_frame
from mlpcli.workflows.reading.tables import describe_counts
from mlpcli.workflows.scoring.gates import check_gates
from mlpcli.workflows.training.budget import Budget
from mlpcli.workflows.training.divergence import format_rate, highest_stable_rate
from mlpcli.workflows.training.estimates.memory import refuse_over_budget
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.recording.journal import history_row, initial_row
from mlpcli.workflows.training.recording.recorded_training import DATA_FRAME

# The default metric of `score`, as in scikit-learn.
DEFAULT_METRIC = {"classification": "accuracy", "regression": "r2", "multilabel": "subset_accuracy"}


@dataclass(frozen=True)
class Evaluation:
    """The scores of a model on rows with known targets.

    `scores` has a row per metric and the columns `score`, `low` and `high`, the ends of its interval at `confidence`
    (NaN if it has none). `confusion` has a row per true class and a column per predicted class; None for other tasks.
    `gate_results` has one entry per gate, with `passed`. `notes` are remarks on the rows.
    """

    n_rows: int
    scores: pd.DataFrame
    confusion: pd.DataFrame | None
    gate_results: tuple[GateResult, ...]
    confidence: float
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate is met."""
        return all(result.passed for result in self.gate_results)


class TrainedModel:
    """A trained model, made by `load` or `train`.

    Rows are a data frame, a mapping of column names to arrays, or a structured array, with the input columns in any
    order; or an array (n_rows, n_columns) with the columns in the order of `columns`.

    Predictions issue an `MlpWarning` for levels that were unseen or rare in training, and for missing cells in a column
    that had none in training. After `train`, `notes` are remarks on the data, `gate_results` has one entry per gate of
    `expect`, with `passed`, and `history` has a row per epoch. A loaded model has none of these (the history is in
    history.csv of the run folder).
    """

    def __init__(
        self,
        model: Model,
        notes: tuple[str, ...] = (),
        gate_results: tuple[GateResult, ...] = (),
        history: pd.DataFrame | None = None,
    ) -> None:
        self._model = model
        self.notes = notes
        self.gate_results = gate_results
        self.history = history

    def __repr__(self) -> str:
        shape = " -> ".join(map(str, self.layers))
        return f"<mlpcli model of {', '.join(self._model.target.names)}: {shape}>"

    def predict(self, rows: Rows) -> "pd.Series[Any] | pd.DataFrame":
        """The predicted label or number of each row, a Series named as the target; a frame for several targets."""
        frame = self._frame(rows)
        predictions = self._predictions(frame)
        columns = {
            name: pd.Series(values, index=frame.index) for name, values in self._model.columns(predictions).items()
        }
        if len(columns) == 1:
            return next(iter(columns.values())).rename(self._model.target.names[0])
        return pd.DataFrame(columns)

    def predict_proba(self, rows: Rows) -> NDArray[np.float64]:
        """Probabilities (n_rows, n_classes) in the order of `classes`, or of 1 in each target (n_rows, n_targets).

        Raises MlpError for a regression model.
        """
        if isinstance(self._model.target, NumberTarget):
            raise MlpError("this model predicts numbers, which have no probabilities. Use predict.")
        return self._predictions(self._frame(rows))

    def predict_interval(self, rows: Rows, level: float = 0.9) -> pd.DataFrame:
        """Predictions with prediction intervals or sets at confidence `level` (0.5 <= level < 1), as `--interval`.

        The columns are TARGET, TARGET_low and TARGET_high for numbers, TARGET and TARGET_set (a tuple of labels) for
        classes and boolean targets. Raises MlpError for a model with no or too few calibration rows, and DataError.
        """
        frame, conformal = self._frame(rows), ConformalPredictor(self._model, level)
        needed = {schema.name for schema in self._model.preprocessor.schemas} | conformal.columns
        table = table_from_frame(frame, request=Request(frozenset(needed)), missing=self._model.reading.missing)
        predictions, regions, counts = conformal.predict(conformal.cast(table))
        self._warn(counts, (*table.notes, *conformal.notes(regions.n_open)))
        return pd.DataFrame(conformal.data_columns(predictions, regions), index=frame.index)

    def score(self, rows: Rows, truth: Any = None, metric: str | None = None) -> float:
        """A score on rows with known targets: by default accuracy, R2, or for multilabel targets subset accuracy.

        `metric` is a name from the output of `mlp eval`. `truth` are the targets if they are not columns of `rows`:
        (n_rows,) or (n_rows, n_targets). Raises MlpError for an unknown metric, and DataError.
        """
        task, names = self._model.target.task, prediction_names(self._model.target)
        key = DEFAULT_METRIC[task] if metric is None else metric
        metrics = gate_names(task, names)
        if key not in metrics:
            raise MlpError(explain_unknown_metric(key, metrics))
        intervals = [] if key == without_end(key) else [without_end(key)]
        table = self._scored_table(rows, truth)
        return evaluate_table(self._model, table, interval_keys=intervals).scored.gate_values[key]

    def evaluate(
        self,
        rows: Rows,
        truth: Any = None,
        *,
        confidence: float = 0.95,
        level: float | None = None,
        minimum: Mapping[str, float] | None = None,
        maximum: Mapping[str, float] | None = None,
    ) -> Evaluation:
        """Every score on rows with known targets, with its interval, as in `mlp eval`; `truth` as in `score`.

        `minimum` and `maximum` are gates: bounds by metric, such as {"accuracy": 0.9} or {"accuracy.low": 0.85}. With
        `level`, prediction intervals or sets at that level are scored too: `coverage` and `mean_width` or
        `mean_set_size`. Raises MlpError for a gate on an unknown metric, and DataError.
        """
        if not 0.0 < confidence < 1.0:
            raise MlpError(f"confidence: must be between 0 and 1, got {confidence}.")
        gates = make_gates(minimum or {}, maximum or {})
        conformal = None if level is None else ConformalPredictor(self._model, level)
        check_gates(self._model, gates, level is not None)
        table = self._scored_table(rows, truth)
        options = IntervalOptions(confidence)
        result = evaluate_table(self._model, table, gates, interval_options=options, conformal=conformal)
        intervals = result.scored.intervals
        ends = {key: (intervals[key].low, intervals[key].high) for key in intervals}
        unknown = (float("nan"), float("nan"))
        scores = pd.DataFrame(
            [(score, *ends.get(key, unknown)) for key, score in result.scored.scores.items()],
            index=pd.Index(result.scored.scores, name="metric"),
            columns=["score", "low", "high"],
        )
        true, predicted = (pd.Index(list(self.classes), name=name) for name in ("truth", "predicted"))
        confusion = None if result.confusion is None else pd.DataFrame(result.confusion, true, predicted)
        return Evaluation(result.n_rows, scores, confusion, result.gate_results, confidence, result.notes)

    def _scored_table(self, rows: Rows, truth: Any) -> Table:
        frame = self._frame(rows)
        if truth is not None:
            frame = with_truth(frame, self._model.target.names, truth)
        needed = frozenset(schema.name for schema in self._model.schemas)
        return table_from_frame(frame, request=Request(needed), missing=self._model.reading.missing)

    def _frame(self, rows: Rows) -> pd.DataFrame:
        return as_frame(rows, self.columns)

    def _predictions(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        needed = frozenset(schema.name for schema in self._model.preprocessor.schemas)
        table = table_from_frame(rows, request=Request(needed), missing=self._model.reading.missing)
        predictions, counts = self._model.predict(self._model.cast(table))
        self._warn(counts, table.notes, stacklevel=4)
        return predictions

    def _warn(self, counts: TransformCounts, notes: Sequence[str], stacklevel: int = 3) -> None:
        """Issue `notes`, and counts of unusual cells, as warnings."""
        had_missing = {feature.name for feature in self._model.preprocessor.columns if feature.n_missing}
        n_missing = {name: n for name, n in counts.n_missing.items() if name not in had_missing}
        for note in (*notes, describe_counts(TransformCounts(n_missing, counts.n_unseen))):
            if note:
                warnings.warn(note, MlpWarning, stacklevel=stacklevel)

    @property
    def task(self) -> str:
        """The task: classification, regression or multilabel."""
        return self._model.target.task

    @property
    def labels(self) -> list[Any]:
        """Class labels in the type of the target, in the order of `predict_proba`; empty for other tasks."""
        target = self._model.target
        return list(typed_labels(target.labels, target.cell_type)) if isinstance(target, ClassTarget) else []

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the input columns, in the order of the training table."""
        return tuple(schema.name for schema in self._model.preprocessor.schemas)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the target columns."""
        return self._model.target.names

    @property
    def classes(self) -> tuple[str, ...]:
        """Class labels as texts; empty for other tasks."""
        target = self._model.target
        return target.labels if isinstance(target, ClassTarget) else ()

    @property
    def weights(self) -> dict[str, NDArray[Any]]:
        """Copies of W1 (N, n), b1 (N,), W2 (M, N), b2 (M,), ...; of several members with a prefix (m1.W1)."""
        tensors = self._model.ensemble.tensors()
        return {name: tensor.copy() for name, tensor in tensors.items() if name.rpartition(".")[2][0] in "Wb"}

    @property
    def layers(self) -> tuple[int, ...]:
        """Layer sizes n, N, ..., M of the first member."""
        return self._model.ensemble.first.sizes

    @property
    def scores(self) -> dict[str, float | None]:
        """The recorded scores by split and metric (`validation.log_loss`); None for a score that is not defined."""
        return dict(self._model.scores)

    @property
    def chosen(self) -> dict[str, list[str]]:
        """What was chosen on the rows of a split, such as {"validation": ["epoch"]}; scores on it are optimistic."""
        chosen: dict[str, list[str]] = dict(self._model.record.get("chosen", {}))
        return chosen

    def save(self, path: str) -> None:
        """Write the model file (weights.npz); raises OutputError."""
        write_file(path, encode_model(self._model))


def load(path: str) -> TrainedModel:
    """Read a model file; raises ModelFileError."""
    return TrainedModel(load_model(path))


def train(
    config: Mapping[str, Any] | str,
    rows: Rows | None = None,
    *,
    columns: Sequence[str] | None = None,
    progress: bool = False,
) -> TrainedModel:
    """Train by a config (a mapping, or the path of a YAML file) and return the model; writes no file.

    `rows` replaces `data.train`, which may then be omitted. `columns` names the columns of an array (n_rows,
    n_columns), including the target. `progress` shows the progress of `mlp train` on standard error.
    Raises ConfigError, DataError and Diverged.
    """
    started = monotonic()
    loaded = without_search(_loaded(config, rows is not None))
    frame = None if rows is None else as_frame(rows, columns)
    prepared = prepare(loaded, None if frame is None else training_frame(loaded, frame))
    refuse_over_budget(prepared)
    state = initial_state(prepared)
    budget = Budget(prepared.loaded, monotonic() - started, prepared.spec.chunk_rows is not None)
    view = TrainingView(Screen(is_quiet=not progress))
    try:
        with blas_threads(1):
            history = [initial_row(prepared, state)]
            view.prepared(prepared, 0)
            for report in epochs(prepared, state, budget.is_exhausted):
                history.append(history_row(prepared, report))
                view.epoch(report, state)
            budget.refuse_untrained(state)
            outcome = finalize(prepared, state, budget.reason)
    except NonFiniteLoss as fault:
        stable = highest_stable_rate(prepared, fault.epoch, lambda: False)
        rate = "" if stable is None else f" At {format_rate(stable[0])}, {stable[1]} steps did not diverge."
        raise Diverged(f"{fault}. Try a smaller training.optimizer.learning_rate.{rate}") from fault
    finally:
        view.ended()
    notes = (*prepared.notes, *([outcome.caution] if outcome.caution else []))
    return TrainedModel(outcome.model, notes, outcome.gate_results, pd.DataFrame(history))


def _loaded(config: Mapping[str, Any] | str, has_rows: bool) -> LoadedConfig:
    if isinstance(config, str):
        return load_config(config)
    if not isinstance(config, Mapping):
        raise ConfigError(f"config: must be a mapping or the path of a YAML file, got {type(config).__name__}.")
    if has_rows and isinstance(config.get("data"), Mapping):
        config = {**config, "data": {"train": DATA_FRAME, **config["data"]}}
    return config_from_mapping(config)
