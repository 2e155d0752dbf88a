"""Trains folds sequentially, or in parallel processes that read the table themselves.

The processes are forked from a server that has imported their modules (or spawned, on a system without fork), so that
no thread or lock of this process is copied into them. They receive the numbers of their folds through a pipe, and exit
when this process is gone. Their results are bit-identical to those of this process.
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

POLL_SECONDS = 0.1  # between two calls of must_stop
EXIT_SECONDS = 2.0  # for a terminated process to exit


@dataclass(frozen=True)
class CvJob:
    """The arguments from which another process can make the folds: the config as written, and that of the folds.

    The hashes are those of the data and of the folds in this process.
    """

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
    """Train the folds with these numbers; `first` is the preparation of the first one, if it exists already.

    Raises what `run_fold_task` raises.
    """
    n_folds = job.options.n_folds
    for number in numbers:
        fold = folds.rows[number]
        yield run_fold_task(FoldTask(job.fold_config, training_table, fold, number, n_folds), must_stop, first)
        first = None


def train_in_processes(
    job: CvJob, numbers: Sequence[int], n_jobs: int, must_stop: Callable[[], bool]
) -> Iterator[TrainedFold | None]:
    """Train the folds in processes; yields each when it is finished, and None about every POLL_SECONDS in between.

    `n_jobs` folds are trained at a time. Once fewer than twice as many are left, all of them run and share the cores,
    so that no core is idle during the last folds. Ends early if `must_stop` returns True. Raises what a fold raises.
    """
    start_server(__name__)
    waiting, workers, idle = list(numbers), list[_Worker](), list[_Worker]()
    try:
        while waiting or len(idle) < len(workers):
            n_busy = len(workers) - len(idle)
            n_left = n_busy + len(waiting)
            n_busy_wanted = n_left if n_left < 2 * n_jobs else n_jobs
            while waiting and n_busy < n_busy_wanted:
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
    """A process that trains folds, with the pipe to it."""

    def __init__(self, job: CvJob) -> None:
        self.connection, worker_end = context().Pipe()
        self._process = context().Process(target=_serve, args=(job, worker_end), daemon=True)
        self._process.start()
        worker_end.close()
        self._fold_number = 0

    def train(self, number: int) -> None:
        """Send the number of a fold to the process."""
        self._fold_number = number
        with suppress(OSError):  # the process is gone, which `result` reports
            self.connection.send(number)

    def result(self, n_folds: int) -> TrainedFold:
        """Receive the trained fold; raises what the training raised, and MlpError if the process is gone."""
        try:
            result: Any = self.connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(EXIT_SECONDS)
            code = self._process.exitcode
            raise MlpError(
                f"{fold_name(self._fold_number, n_folds)}: its process ended (exit code {code}), possibly for lack of "
                "memory. Completed folds are kept: continue with --resume, and --jobs 1 for less memory."
            ) from error
        if isinstance(result, TrainedFold):
            return result
        raise result

    def end(self) -> None:
        """Terminate the process; a fold in training is lost."""
        self.connection.close()
        self._process.terminate()
        self._process.join(EXIT_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _serve(job: CvJob, connection: Connection) -> None:
    """The main function of a process: train the folds whose numbers it receives, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent terminates us
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
                result: Any = run_fold_task(
                    FoldTask(job.fold_config, training_table, fold, number, job.options.n_folds, 1), is_orphan
                )
            except Exception as error:
                result = _picklable(error)
            connection.send(result)


def load_job(job: CvJob) -> tuple[TrainingTable, Folds]:
    """Read the table and make its folds; raises DataError if the files have changed since the parent read them."""
    table = read_training_table(job.fold_config, store_options(job.fold_config))
    training_table = resolve_columns(job.fold_config, table)
    folds = make_folds(job.loaded, job.fold_config, training_table, labeled_rows(training_table)[0], job.options)
    if (table.sha256, folds.sha256) != (job.data_sha256, job.folds_sha256):
        raise DataError(f"{table.name}: was changed while the folds were trained. Start again.")
    return training_table, folds


def _picklable(error: Exception) -> Exception:
    """An exception that can be pickled: an MlpError with its message, any other with its traceback as text."""
    if isinstance(error, MlpError):
        return type(error)(str(error))
    return RuntimeError("".join(traceback.format_exception(error)))
