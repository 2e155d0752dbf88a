"""One fold: a training from plain arguments, and its answers to the rows that it holds out."""

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
    """The training of a fold: config, table, its rows, and its number (from 0); each repeat has `n_folds`.

    `n_threads` is how many it may use, None for what the config says.
    """

    loaded: LoadedConfig
    training_table: TrainingTable
    fold: FoldRows
    number: int
    n_folds: int
    n_threads: int | None = None

    @property
    def name(self) -> str:
        """See `fold_name`."""
        return fold_name(self.number, self.n_folds)


@dataclass(frozen=True)
class TrainedFold:
    """What a fold came to, and the model that gave it, or the one that goes into that of all folds."""

    record: FoldRecord
    model: Model


def run_fold_task(task: FoldTask, must_stop: Callable[[], bool], prepared: Prepared | None = None) -> TrainedFold:
    """Prepare a fold unless that is done, train and score it.

    Where the models of the folds are to be one, it is trained once more on inputs that all folds share: the scores are
    those of a fold that has learnt its inputs of its own rows. Raises as `prepare_fold_task` and `train_fold`.
    """
    prepared = prepared or prepare_fold_task(task)
    scored = train_fold(task, prepared, must_stop)
    if task.fold.fit_rows is None:
        return scored
    del prepared
    kept = train_fold(task, prepare_fold_task(task, task.fold.fit_rows), must_stop)
    seconds = scored.record.seconds + kept.record.seconds
    return TrainedFold(replace(scored.record, seconds=seconds), kept.model)


def prepare_fold_task(task: FoldTask, fit_rows: Rows | None = None) -> Prepared:
    """A fold, ready to be trained; each repeat has a seed of its own.

    Preprocessing and targets are learnt of the rows `fit_rows`, without them of those that it is trained on. Raises
    DataError that names the fold.
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
    """`fold 3`, or `fold 3 of repeat 2` behind the first repeat."""
    repeat, fold = divmod(number, n_folds)
    return f"fold {fold + 1}" + (f" of repeat {repeat + 1}" if repeat else "")


class TrainingStopped(Exception):
    """The training of a fold was told to stop."""


def train_fold(task: FoldTask, prepared: Prepared, must_stop: Callable[[], bool]) -> TrainedFold:
    """Train, and answer the rows that are held out.

    `must_stop` is asked between steps; then Stopped is raised. Raises Diverged that names the fold.
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
        outcome = finalize(prepared, state, budget.reason)
        predictions, _ = outcome.model.predict(task.training_table.table, task.fold.test)
    record = FoldRecord(
        task.number,
        len(prepared.train.truth),
        0 if prepared.validation is None else len(prepared.validation.truth),
        outcome.epochs,
        outcome.best_epoch,
        outcome.stop_reason,
        _plain(outcome.scores["test"]),
        _plain(outcome.scores["constant"]),
        tuple(prediction_names(prepared.target)),
        np.asarray(task.fold.test, np.int64),
        np.asarray(predictions, np.float64),
        outcome.model.threshold,
        perf_counter() - started,
    )
    return TrainedFold(record, outcome.model)


def _plain(scores: dict[str, float]) -> Scores:
    return {key: value if np.isfinite(value) else None for key, value in scores.items()}


def refuse_other_labels(first: FoldRecord, other: FoldRecord, n_folds: int) -> None:
    """Raise MlpError where two folds do not know the same classes."""
    if first.labels != other.labels:
        odd = sorted(set(first.labels) ^ set(other.labels))
        raise MlpError(
            f"{fold_name(first.number, n_folds)} and {fold_name(other.number, n_folds)} have different classes "
            f"({odd[0]!r} is in the training rows of only one). Use fewer folds, or leave out rare classes."
        )
