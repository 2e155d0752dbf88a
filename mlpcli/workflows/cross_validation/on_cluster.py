"""Trains folds on a cluster: each worker reads the table once, and trains one fold at a time."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mlpcli.cluster.address import ClusterAddress
from mlpcli.data.reading.sources import find_sources
from mlpcli.errors import MlpError
from mlpcli.workflows.cross_validation.fold_training import FoldTask, TrainedFold, fold_name, run_fold_task
from mlpcli.workflows.cross_validation.folds import Folds
from mlpcli.workflows.cross_validation.workers import CvJob, load_job
from mlpcli.workflows.preparing.rows.tables import TrainingTable


@dataclass(frozen=True)
class FoldSetup:
    """The job, and the working directory to which its paths are relative."""

    job: CvJob
    folder: str


def train_on_cluster(
    cluster: ClusterAddress,
    job: CvJob,
    numbers: Sequence[int],
    keep: Callable[[TrainedFold], None],
    must_stop: Callable[[], bool],
) -> None:
    """Train the folds with these numbers, and pass each to `keep`. The workers must see the files under the same paths.

    Ends early if `must_stop` returns True. Raises what a fold raises, and MlpError if the cluster fails.
    """
    from mlpcli.cluster.connection import connected
    from mlpcli.cluster.tasks import run_on_cluster

    if "-" in [source.path for source in find_sources(job.fold_config.config.data.train)]:
        raise MlpError("--cluster: its workers cannot read standard input. Name files that they can read.")
    tasks = _FoldTasks(numbers, keep, job.options.n_folds)
    with connected(cluster.address, cluster.tls) as client:
        run_on_cluster(client, train_on_worker, FoldSetup(job, os.getcwd()), tasks, must_stop)


def train_on_worker(setup: FoldSetup, number: int, report: Callable[..., bool]) -> TrainedFold:
    """Train one fold on a worker, with one thread; the table is read for the first fold of a job only."""
    job = setup.job
    if not (_LOADED and _LOADED[0][0] is setup):
        with suppress(OSError):  # without the directory, reading the table reports the missing file
            os.chdir(setup.folder)
        _LOADED[:] = [(setup, *load_job(job))]
    _, training_table, folds = _LOADED[0]
    fold, n_folds = folds.rows[number], job.options.n_folds
    return run_fold_task(FoldTask(job.fold_config, training_table, fold, number, n_folds, 1), lambda: False)


_LOADED: list[tuple[FoldSetup, TrainingTable, Folds]] = []  # of this process, at most one


class _FoldTasks:
    """The queue of folds, for `run_on_cluster`."""

    def __init__(self, numbers: Sequence[int], keep: Callable[[TrainedFold], None], n_folds: int) -> None:
        self._waiting, self._keep, self._n_folds = list(numbers), keep, n_folds

    def next(self) -> Any:
        """The number of the next fold, None at the end."""
        return self._waiting.pop(0) if self._waiting else None

    def report(self, task: Any, *what: Any) -> bool:
        """Not used: folds report nothing while they run."""
        return False

    def done(self, task: int, result: TrainedFold) -> None:
        """Pass a finished fold to `keep`."""
        self._keep(result)

    def died(self, task: int, reason: str) -> bool:
        """Raise MlpError: a result without this fold would be incomplete."""
        raise MlpError(f"{fold_name(task, self._n_folds)}: {reason}. Completed folds are kept: continue with --resume")
