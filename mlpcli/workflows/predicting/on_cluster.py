"""`mlp predict` on a cluster: each worker answers a file at a time, and the answers are gathered in their order."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mlpcli.cluster.address import ClusterAddress
from mlpcli.data.reading.sources import find_sources
from mlpcli.data.writing.table_writers import writer_for
from mlpcli.errors import MlpError
from mlpcli.model import Model
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.predicting.chunks import Chunk, PredictRequest, answered_chunks
from mlpcli.workflows.predicting.intervals import ConformalPredictor

AHEAD = 16  # files whose answers may wait for those of an earlier one


@dataclass(frozen=True)
class AnswerSetup:
    """What every file is answered with: model, request, all files as named in `folder`, and the name of the answers."""

    model: Model
    request: PredictRequest
    files: tuple[str, ...]
    path: str
    folder: str


def gather_from_cluster(
    cluster: ClusterAddress, model: Model, request: PredictRequest, path: str, take: Callable[[Chunk], None]
) -> None:
    """Give `take` every chunk, in order. The workers must see the files under the same paths.

    Raises DataError for a file that is at fault, MlpError where the cluster is.
    """
    from mlpcli.cluster.connection import connected
    from mlpcli.cluster.tasks import LATER, run_on_cluster

    files = tuple(source.path for source in find_sources(request.source))
    if "-" in files:
        raise MlpError("--cluster: its workers cannot read standard input. Name files that they see, too.")
    tasks = _Files(len(files), take, LATER)
    with connected(cluster.where, cluster.tls) as client:
        run_on_cluster(client, answer_file, AnswerSetup(model, request, files, path, os.getcwd()), tasks, lambda: False)
    tasks.finish()


def answer_file(setup: AnswerSetup, number: int, report: Callable[..., bool]) -> list[Chunk]:
    """The answers to one of the files, on a worker."""
    with suppress(
        OSError
    ):  # where the folder is not there, absolute paths may be; else the file that is missing is named
        os.chdir(setup.folder)
    level = setup.request.level
    conformal = None if level is None else ConformalPredictor(setup.model, level)
    writer = writer_for(setup.path)
    with blas_threads(1):
        return list(answered_chunks(setup.model, conformal, setup.request, writer, setup.files, number))


class _Files:
    """Files by number; their chunks are taken in order, those without rows only where there are no others."""

    def __init__(self, n_files: int, take: Callable[[Chunk], None], later: Any) -> None:
        self._n_files, self._take, self._later = n_files, take, later
        self._next, self._taken, self._waiting = 0, 0, dict[int, list[Chunk]]()
        self._empty: Chunk | None = None
        self._is_any = False

    def next(self) -> Any:
        """The number of the next file."""
        if self._next >= self._n_files:
            return None
        if self._next - self._taken > AHEAD:
            return self._later
        self._next += 1
        return self._next - 1

    def report(self, task: Any, *what: Any) -> bool:
        """Nothing is reported."""
        return False

    def done(self, task: int, result: list[Chunk]) -> None:
        """Take what is next, as far as it is there."""
        self._waiting[task] = result
        while self._taken in self._waiting:
            for chunk in self._waiting.pop(self._taken):
                if chunk.n_rows:
                    self._is_any = True
                    self._take(chunk)
                else:
                    self._empty = self._empty or chunk
            self._taken += 1

    def died(self, task: int, reason: str) -> bool:
        """No file can be left out."""
        raise MlpError(f"--cluster: {reason} (file {task + 1} of {self._n_files}). Was there enough memory?")

    def finish(self) -> None:
        """After the last file."""
        if not self._is_any and self._empty is not None:
            self._take(self._empty)
