"""Trains one fold of a cross-validation, and predicts its held-out rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.table import Rows
from mlpcli.data.targets.target import prediction_names
from mlpcli.errors import DataError, Diverged, MlpError
from mlpcli.model import Model
from mlpcli.storage.run.fold_file import FoldRecord, Scores
from mlpcli.training.member import NonFiniteLoss
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.preparation import Prepared, prepare_fold
from mlpcli.workflows.preparing.rows.splits import FoldRows
from mlpcli.workflows.preparing.rows.tables import TrainingTable
from mlpcli.workflows.training.budget import Budget
from mlpcli.workflows.training.divergence import explain_divergence
from mlpcli.workflows.training.engines import load_engine
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state


@dataclass(frozen=True)
class FoldTask:
    """The training of a fold: config, table, rows, and number (from 0, counted through all repeats of `n_folds`).

    `n_threads` is the number of threads, None for that of the config.
    """

    loaded: LoadedConfig
    training_table: TrainingTable
    fold: FoldRows
    number: int
    n_folds: int
    n_threads: int | None = None

    @property
    def name(self) -> str:
        """The name of the fold in messages."""
        return fold_name(self.number, self.n_folds)


@dataclass(frozen=True)
class TrainedFold:
    """The result of a fold, and its model; with `--keep` the model that is merged with those of the other folds."""

    record: FoldRecord
    model: Model


def run_fold_task(task: FoldTask, must_stop: Callable[[], bool], prepared: Prepared | None = None) -> TrainedFold:
    """Prepare a fold unless it is `prepared`, train and score it.

    If the models of the folds will be merged, the fold is trained a second time, with preprocessing that all folds
    share; the scores are those of the first training, whose preprocessing was fitted on its own training rows. Raises
    as `prepare_fold_task` and `train_fold`.
    """
    prepared = prepared or prepare_fold_task(task)
    scored_fold = train_fold(task, prepared, must_stop)
    if task.fold.fit_rows is None:
        return scored_fold
    del prepared
    kept_fold = train_fold(task, prepare_fold_task(task, task.fold.fit_rows), must_stop)
    seconds = scored_fold.record.seconds + kept_fold.record.seconds
    return TrainedFold(replace(scored_fold.record, seconds=seconds), kept_fold.model)


def prepare_fold_task(task: FoldTask, fit_rows: Rows | None = None) -> Prepared:
    """Prepare the training of a fold; each repeat has its own seed.

    Preprocessing and targets are fitted on `fit_rows`, or on the training rows if it is None. Raises DataError that
    names the fold.
    """
    training = task.loaded.config.training
    seed, threads = training.seed + task.number // task.n_folds, task.n_threads or training.threads
    config = replace(task.loaded.config, training=replace(training, seed=seed, threads=threads))
    try:
        return prepare_fold(
            replace(task.loaded, config=config), task.training_table, replace(task.fold, fit_rows=fit_rows)
        )
    except DataError as error:
        raise DataError(f"{task.name}: {error}") from error


def fold_name(number: int, n_folds: int) -> str:
    """`fold 3`, or after the first repeat `fold 3 of repeat 2`; `number` counts from 0 through all repeats."""
    repeat, fold = divmod(number, n_folds)
    return f"fold {fold + 1}" + (f" of repeat {repeat + 1}" if repeat else "")


class TrainingStopped(Exception):
    """`must_stop` returned True during the training of a fold."""


def train_fold(task: FoldTask, prepared: Prepared, must_stop: Callable[[], bool]) -> TrainedFold:
    """Train a fold, score it, and predict its held-out rows.

    `must_stop` is polled between steps; TrainingStopped is raised if it returns True. Raises Diverged that names the
    fold, and ConfigError if the budget is exceeded before the first step.
    """
    started = perf_counter()
    state = initial_state(prepared)
    budget = Budget(prepared.loaded, 0.0, prepared.spec.chunk_rows is not None)
    try:
        with blas_threads(1):
            load_engine(prepared.engine, prepared.loaded.config.training.dtype)
            for _ in epochs(prepared, state, lambda: must_stop() or budget.is_exhausted()):
                pass
    except NonFiniteLoss as fault:
        reason = explain_divergence(prepared, replace(state, epoch=0), fault, "", must_stop)
        raise Diverged(f"{task.name}: {reason}") from fault
    if must_stop():
        raise TrainingStopped
    budget.refuse_untrained(state)
    with blas_threads(1):
        result = finalize(prepared, state, budget.reason)
        predictions, _ = result.model.predict(task.training_table.table, task.fold.test)
    record = FoldRecord(
        task.number,
        len(prepared.train.truth),
        0 if prepared.validation is None else len(prepared.validation.truth),
        result.epochs,
        result.best_epoch,
        result.stop_reason,
        _plain(result.scores["test"]),
        _plain(result.scores["constant"]),
        tuple(prediction_names(prepared.target)),
        np.asarray(task.fold.test, np.int64),
        np.asarray(predictions, np.float64),
        result.model.threshold,
        perf_counter() - started,
    )
    return TrainedFold(record, result.model)


def _plain(scores: dict[str, float]) -> Scores:
    return {key: value if np.isfinite(value) else None for key, value in scores.items()}


def refuse_other_labels(first: FoldRecord, record: FoldRecord, n_folds: int) -> None:
    """Raise MlpError if two folds have different classes."""
    if first.labels != record.labels:
        unshared = sorted(set(first.labels) ^ set(record.labels))
        raise MlpError(
            f"{fold_name(first.number, n_folds)} and {fold_name(record.number, n_folds)} have different classes "
            f"({unshared[0]!r} is in the training rows of only one). Use fewer folds, or leave out rare classes."
        )
