"""Folds trained one after the other, or beside each other in processes that read the table themselves.

Processes are forked from a server that has imported what they need, or started anew where a system knows no fork, so
that no thread or lock of this one is copied into them. They are told which folds to train, and end when this process is
gone. Their answers are those of this process, bit for bit.
"""

import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from mlpcli.config.loading import LoadedConfig
from mlpcli.errors import DataError, MlpError
from mlpcli.fork_server import context, orphan_check, start_server
from mlpcli.workflows.cross_validation.fold_training import FoldTask, TrainedFold, fold_name, run_fold_task
from mlpcli.workflows.cross_validation.folds import FoldOptions, Folds, make_folds
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.rows.data_store import store_options
from mlpcli.workflows.preparing.rows.splitting import labeled_rows
from mlpcli.workflows.preparing.rows.tables import TrainingTable, read_training_table, resolve_columns

POLL_SECONDS = 0.1  # between two looks at whether a signal has come
EXIT_SECONDS = 2.0  # a process that was told to end


@dataclass(frozen=True)
class CvJob:
    """A cross-validation as a process of its own can begin it: `loaded` as written, `fold_config` as trained."""

    loaded: LoadedConfig
    fold_config: LoadedConfig
    options: FoldOptions
    data_sha256: str
    folds_sha256: str


def train_sequentially(
    job: CvJob,
    training_table: TrainingTable,
    folds: Folds,
    numbers: Sequence[int],
    first: Prepared | None,
    must_stop: Callable[[], bool],
) -> Iterator[TrainedFold]:
    """The folds of these numbers; `first` is the first of them, if that is prepared. Raises Stopped."""
    n_folds = job.options.n_folds
    for number in numbers:
        fold = folds.rows[number]
        yield run_fold_task(FoldTask(job.fold_config, training_table, fold, number, n_folds), must_stop, first)
        first = None


def train_in_processes(
    job: CvJob, numbers: Sequence[int], n_jobs: int, must_stop: Callable[[], bool]
) -> Iterator[TrainedFold | None]:
    """The same in processes, as they are done; None now and again while nothing is.

    `n_jobs` train at a time. Once fewer than twice as many are left, all of these do: they share the cores, and none
    is idle while the last one is trained. Ends early when `must_stop` says so. Raises what a fold raises.
    """
    start_server(__name__)
    waiting, workers, idle = list(numbers), list[_Worker](), list[_Worker]()
    try:
        while waiting or len(idle) < len(workers):
            n_busy = len(workers) - len(idle)
            n_left = n_busy + len(waiting)
            n_wanted = n_left if n_left < 2 * n_jobs else n_jobs
            while waiting and n_busy < n_wanted:
                worker = idle.pop() if idle else _Worker(job)
                workers += [] if worker in workers else [worker]
                worker.train(waiting.pop(0))
                n_busy += 1
            busy = [worker for worker in workers if worker not in idle]
            ready = wait([worker.connection for worker in busy], POLL_SECONDS)
            if must_stop():
                return
            if not ready:
                yield None
            for worker in busy:
                if worker.connection in ready:
                    yield worker.result(job.options.n_folds)
                    idle.append(worker)
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process that trains folds, and this end of the pipe to it."""

    def __init__(self, job: CvJob) -> None:
        self.connection, other = context().Pipe()
        self._process = context().Process(target=_serve, args=(job, other), daemon=True)
        self._process.start()
        other.close()
        self._number = 0

    def train(self, number: int) -> None:
        """Have it train a fold."""
        self._number = number
        with suppress(OSError):  # it is gone: `result` says so
            self.connection.send(number)

    def result(self, n_folds: int) -> TrainedFold:
        """What came of it; raises what it raised, MlpError where the process is gone."""
        try:
            found: Any = self.connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(EXIT_SECONDS)
            code = self._process.exitcode
            raise MlpError(
                f"{fold_name(self._number, n_folds)}: its process ended (exit code {code}), possibly for lack of "
                "memory. Completed folds are kept: continue with --resume, and --jobs 1 for less memory."
            ) from error
        if isinstance(found, TrainedFold):
            return found
        raise found

    def end(self) -> None:
        """End the process; what it was training is lost."""
        self.connection.close()
        self._process.terminate()
        self._process.join(EXIT_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _serve(job: CvJob, connection: Connection) -> None:
    """Train the folds whose numbers come, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent ends us
    is_orphan = orphan_check()
    try:
        training_table, folds = load_job(job)
    except Exception as error:
        connection.recv()
        connection.send(_picklable(error))
        return
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            number = connection.recv()
            fold = folds.rows[number]
            try:
                found: Any = run_fold_task(
                    FoldTask(job.fold_config, training_table, fold, number, job.options.n_folds, 1), is_orphan
                )
            except Exception as error:
                found = _picklable(error)
            connection.send(found)


def load_job(job: CvJob) -> tuple[TrainingTable, Folds]:
    """The table and its folds, which are those of the parent unless the files have changed."""
    table = read_training_table(job.fold_config, store_options(job.fold_config))
    training_table = resolve_columns(job.fold_config, table)
    folds = make_folds(job.loaded, job.fold_config, training_table, labeled_rows(training_table)[0], job.options)
    if (table.sha256, folds.sha256) != (job.data_sha256, job.folds_sha256):
        raise DataError(f"{table.name}: was changed while the folds were trained. Start again.")
    return training_table, folds


def _picklable(error: Exception) -> Exception:
    """An error that a pipe can carry: ours as it is, a bug with the lines that say where it is."""
    if isinstance(error, MlpError):
        return type(error)(str(error))
    return RuntimeError("".join(traceback.format_exception(error)))
