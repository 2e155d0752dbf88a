"""`mlp cv`: train and score a model for each fold; the mean of the scores and its confidence interval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import numpy as np

from mlpcli.cluster.address import ClusterAddress
from mlpcli.config.loading import LoadedConfig
from mlpcli.data.table import Column, Rows
from mlpcli.data.targets.encode import fit_target, true_values
from mlpcli.data.targets.target import Target
from mlpcli.errors import Interrupted, MlpError
from mlpcli.evaluation.gates import Gate, make_gates
from mlpcli.machine import available_cores
from mlpcli.storage.run.fold_file import FoldRecord
from mlpcli.storage.run.run_directory import RunDirectory
from mlpcli.workflows.cross_validation.fold_training import (
    FoldTask,
    TrainedFold,
    TrainingStopped,
    prepare_fold_task,
    refuse_other_labels,
)
from mlpcli.workflows.cross_validation.folder import CROSS_VALIDATION, OUT_OF_FOLD, CvFolder
from mlpcli.workflows.cross_validation.folds import FoldOptions as FoldOptions
from mlpcli.workflows.cross_validation.folds import Folds, check_options, leak_notes, make_fold_config, make_folds
from mlpcli.workflows.cross_validation.on_cluster import train_on_cluster
from mlpcli.workflows.cross_validation.out_of_fold import id_columns, write_out_of_fold
from mlpcli.workflows.cross_validation.result import (
    CvResult,
    check_gates,
    check_mean_gates,
    summarize_scores,
)
from mlpcli.workflows.cross_validation.result import (
    as_json as as_json,
)
from mlpcli.workflows.cross_validation.workers import CvJob, train_in_processes, train_sequentially
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.rows.data_store import store_options
from mlpcli.workflows.preparing.rows.splitting import labeled_rows
from mlpcli.workflows.preparing.rows.tables import TrainingTable, read_training_table, resolve_columns
from mlpcli.workflows.scoring.predictions import notes_on_bounds
from mlpcli.workflows.train import SEARCH_IGNORED, default_output
from mlpcli.workflows.training.estimates.timing import expected_seconds
from mlpcli.workflows.training.interruption import Interruption

# Expected seconds of all folds that justify starting processes, which takes about one second each.
MIN_SECONDS_FOR_PROCESSES = 6.0


@dataclass(frozen=True)
class CvRequest:
    """The folds, the gates on their mean scores, and the output folder ("": the run folder's name with the ending -cv).

    `n_jobs` is the number of processes (0: chosen by the expected duration), `ids` names columns to copy to the
    out-of-fold predictions. `resume` continues an unfinished cross-validation. `replaces_any` replaces a complete
    one of another config instead of keeping it. With `cluster`, its workers train the folds.
    """

    output: str
    options: FoldOptions
    gates: tuple[Gate, ...] = ()
    confidence: float = 0.95
    n_jobs: int = 0
    ids: tuple[str, ...] = ()
    resume: bool = False
    replaces_any: bool = False
    cluster: ClusterAddress | None = None


class Observer(Protocol):
    """Receives the progress of a cross-validation."""

    def note(self, text: str) -> None:
        """Called with each note for the user."""

    def began(self, n_rows: int, n_done: int, n_all: int, n_jobs: int) -> None:
        """Called before the first training: `n_done` of `n_all` folds exist, `n_jobs` processes train the others."""

    def fold(self, record: FoldRecord, name: str) -> None:
        """Called after each fold."""

    def ended(self) -> None:
        """Called once after the last fold, also after an error."""


@dataclass(frozen=True)
class _CvSetup:
    """Everything prepared before the first fold is trained; `job` is the part that other processes receive."""

    job: CvJob
    training_table: TrainingTable
    labeled: Rows
    folds: Folds
    target: Target
    ids: Mapping[str, Column]
    gates: tuple[Gate, ...]
    notes: tuple[str, ...]


def cross_validate(loaded: LoadedConfig, request: CvRequest, observer: Observer, resume_command: str = "") -> CvResult:
    """Train and score every fold, and write the results to a folder.

    Raises MlpError, ConfigError and DataError before any file is written. Diverged, Interrupted and errors of a fold
    leave the finished folds in `<output>.partial/`.
    """
    started = perf_counter()
    request = request if request.output else replace(request, output=f"{default_output(loaded)}-cv")
    RunDirectory(request.output, kind=CROSS_VALIDATION).check()
    setup = _prepare(loaded, request)
    with Interruption() as interruption, RunDirectory(request.output, request.replaces_any, CROSS_VALIDATION) as run:
        folder = CvFolder(run, setup.job.fold_config, request.options, setup.folds, setup.job.data_sha256)
        done, folder_notes = folder.begin(request.resume)
        for note in (*setup.notes, *folder_notes):
            observer.note(note)
        try:
            _train(setup, done, folder, request, observer, interruption.is_set)
        finally:
            observer.ended()
        if interruption.is_set():
            text = _interruption(len(done), len(setup.folds.rows), run.partial, resume_command)
            raise Interrupted(text, interruption.exit_code)
        records = tuple(done[number] for number in range(len(setup.folds.rows)))
        n_folds = request.options.n_folds
        for record in records[1:]:
            refuse_other_labels(records[0], record, n_folds)
        table = setup.training_table.table
        write_out_of_fold(folder.path(OUT_OF_FOLD), table, setup.target, setup.ids, records, n_folds)
        result = _result(setup, request, records, run.final)
        if request.options.keeps:
            folder.write_merged_model(result.flat)
        folder.complete(as_json(result))
        return replace(result, kept=run.kept, seconds=perf_counter() - started)


def _prepare(loaded: LoadedConfig, request: CvRequest) -> _CvSetup:
    """Read the table, resolve its columns, and assign rows to folds; raises MlpError for invalid options or data."""
    options = request.options
    check_options(options)
    if not 0.0 < request.confidence < 1.0:
        raise MlpError(f"--confidence {request.confidence:g}: must be between 0 and 1, such as 0.95.")
    fold_config = make_fold_config(loaded, options)
    with loaded.naming("data.train"):
        table = read_training_table(fold_config, store_options(fold_config), frozenset(request.ids))
        ids = id_columns(table, request.ids)
        training_table = resolve_columns(fold_config, table)
        labeled, on_rows = labeled_rows(training_table)
        folds = make_folds(loaded, fold_config, training_table, labeled, options)
        target, _ = fit_target(
            training_table.table, training_table.targets.schemas, training_table.targets.task, labeled
        )
        truth = true_values(target, training_table.table, labeled)
    gates = [*make_gates(loaded.config.expect.min, loaded.config.expect.max), *request.gates]
    check_gates(gates, target)
    notes = [*table.notes, *training_table.notes, *on_rows, *folds.notes]
    notes += leak_notes(training_table, labeled, folds, options.n_folds, truth)
    notes += [*notes_on_bounds(gates), *_notes_on_config(loaded)]
    job = CvJob(loaded, fold_config, options, table.sha256, folds.sha256)
    return _CvSetup(job, training_table, labeled, folds, target, ids, tuple(gates), tuple(notes))


def _notes_on_config(loaded: LoadedConfig) -> list[str]:
    """Notes on sections of the config that a cross-validation ignores."""
    config = loaded.config
    notes = ["data.test is not used: each fold is scored on its own rows."] if config.data.test else []
    return notes if config.search is None else [*notes, SEARCH_IGNORED]


def _train(
    setup: _CvSetup,
    done: dict[int, FoldRecord],
    folder: CvFolder,
    request: CvRequest,
    observer: Observer,
    must_stop: Callable[[], bool],
) -> None:
    """Train the folds that are not in `done`, write each to the folder, and add it to `done`."""
    n_all, n_folds = len(setup.folds.rows), request.options.n_folds
    numbers = [number for number in range(n_all) if number not in done]
    if not numbers:
        return
    n_jobs, first = _jobs(request, setup, numbers)
    observer.began(len(setup.labeled), len(done), n_all, n_jobs)

    def keep(trained: TrainedFold) -> None:
        folder.add(trained)
        done[trained.record.number] = trained.record
        observer.fold(trained.record, _name(trained.record.number, n_folds, n_all))

    if request.cluster is not None:
        del first
        train_on_cluster(request.cluster, setup.job, numbers, keep, must_stop)
        return
    if n_jobs > 1:
        del first
        for trained in train_in_processes(setup.job, numbers, n_jobs, must_stop):
            if trained is not None:
                keep(trained)
        return
    try:
        for trained in train_sequentially(setup.job, setup.training_table, setup.folds, numbers, first, must_stop):
            keep(trained)
    except TrainingStopped:
        return


def _jobs(request: CvRequest, setup: _CvSetup, numbers: Sequence[int]) -> tuple[int, Prepared | None]:
    """The number of processes, and the prepared first fold, None if a process prepares it.

    It is as requested, by default the number of cores if the expected duration exceeds MIN_SECONDS_FOR_PROCESSES.
    """
    source, n_left, n_folds = setup.job.fold_config.config.data.train, len(numbers), request.options.n_folds
    is_alone = n_left == 1 or "-" in source or setup.training_table.table.n_buckets > 1
    if request.n_jobs > 1 and not is_alone:
        return min(request.n_jobs, n_left), None
    fold = setup.folds.rows[numbers[0]]
    first = prepare_fold_task(FoldTask(setup.job.fold_config, setup.training_table, fold, numbers[0], n_folds))
    if is_alone or request.n_jobs:  # standard input cannot be read twice; rows on disk mean that memory is limited
        return 1, first
    n_cores = min(available_cores(), n_left)
    if n_cores == 1 or expected_seconds(first) * n_left < MIN_SECONDS_FOR_PROCESSES:
        return 1, first
    return n_cores, first


def _result(setup: _CvSetup, request: CvRequest, records: tuple[FoldRecord, ...], folder: str) -> CvResult:
    ratio, confidence = setup.folds.test_ratio, request.confidence
    scores = summarize_scores([record.scores for record in records], ratio, confidence)
    constants = summarize_scores([record.constant for record in records], ratio, confidence)
    n_train = round(float(np.mean([len(fold.train) for fold in setup.folds.rows])))
    return CvResult(
        setup.target, request.options, confidence, len(setup.labeled), n_train, setup.folds.is_forward, ratio, records,
        scores, {key: summary.mean for key, summary in constants.items()},
        tuple(check_mean_gates(setup.gates, scores)), folder, request.options.keeps,
    )  # fmt: skip


def _name(number: int, n_folds: int, n_all: int) -> str:
    """Such as `fold 3`, or with several repeats `repeat 2 fold 3`."""
    repeat, fold = divmod(number, n_folds)
    return f"repeat {repeat + 1} fold {fold + 1}" if n_all > n_folds else f"fold {fold + 1}"


def _interruption(n_done: int, n_all: int, partial: str, command: str) -> str:
    resume = f" Resume with: {command}" if command else ""
    return f"interrupted after {n_done} of {n_all} folds, which are kept in {partial}/.{resume}"
