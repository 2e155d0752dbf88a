"""`mlp predict` on a cluster: workers predict one file at a time, and the results are written here in order."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from mlpcli.cluster.address import ClusterAddress
from mlpcli.data.reading.sources import find_sources
from mlpcli.data.writing.table_writers import writer_for
from mlpcli.errors import MlpError
from mlpcli.machine import keep_freed_memory, limited_cores
from mlpcli.model import Model
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.predicting.chunks import Chunk, PredictRequest, predicted_chunks
from mlpcli.workflows.predicting.intervals import ConformalPredictor

KEPT_MEMORY = 8 << 20  # bytes; few arrays of a chunk are larger


@dataclass(frozen=True)
class PredictSetup:
    """What every worker receives: model, request, all files relative to `folder`, and the path of the output."""

    model: Model
    request: PredictRequest
    files: tuple[str, ...]
    path: str
    folder: str


def files_for_workers(source: str) -> tuple[str, ...]:
    """The files that match a path or a glob; raises MlpError for standard input, which workers cannot read."""
    files = tuple(file.path for file in find_sources(source))
    if "-" in files:
        raise MlpError("--cluster: its workers cannot read standard input. Name files that they can read.")
    return files


def begin_file(folder: str) -> None:
    """Prepare a worker: resolve relative paths as the command does, and keep freed memory, which Dask trims otherwise.

    A worker without that folder can still read absolute paths.
    """
    keep_freed_memory(KEPT_MEMORY)
    with suppress(OSError):
        os.chdir(folder)


def gather_from_cluster(
    cluster: ClusterAddress, model: Model, request: PredictRequest, path: str, take: Callable[[Chunk], None]
) -> None:
    """Call `take` with every chunk, in order. The workers must see the files under the same paths.

    Raises DataError for an invalid file, MlpError for a failure of the cluster.
    """
    from mlpcli.cluster.connection import connected
    from mlpcli.cluster.in_order import FilesInOrder
    from mlpcli.cluster.tasks import run_on_cluster

    files = files_for_workers(request.source)
    forwarder = _ChunkForwarder(take)
    with connected(cluster.address, cluster.tls) as client:
        setup = PredictSetup(model, request, files, path, os.getcwd())
        run_on_cluster(client, predict_file, setup, FilesInOrder(len(files), forwarder.take), lambda: False)
    forwarder.finish()


def predict_file(setup: PredictSetup, number: int, report: Callable[..., bool]) -> list[Chunk]:
    """Predict one of the files on a worker."""
    begin_file(setup.folder)
    level = setup.request.level
    conformal = None if level is None else ConformalPredictor(setup.model, level)
    writer = writer_for(setup.path)
    with limited_cores(1), blas_threads(1):
        return list(predicted_chunks(setup.model, conformal, setup.request, writer, setup.files, number))


class _ChunkForwarder:
    """Passes chunks to `take`; an empty chunk only if all are empty, so that a header is written."""

    def __init__(self, take: Callable[[Chunk], None]) -> None:
        self._take = take
        self._empty: Chunk | None = None
        self._has_rows = False

    def take(self, chunks: list[Chunk]) -> None:
        """Pass on the chunks of the next file."""
        for chunk in chunks:
            if chunk.n_rows:
                self._has_rows = True
                self._take(chunk)
            else:
                self._empty = self._empty or chunk

    def finish(self) -> None:
        """Pass on an empty chunk if no chunk has rows."""
        if not self._has_rows and self._empty is not None:
            self._take(self._empty)
