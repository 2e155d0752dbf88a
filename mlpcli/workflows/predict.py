"""`mlp predict`: predict the rows of a table in order, chunk by chunk."""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from mlpcli.cluster.address import ClusterAddress
from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.reference import Histogram
from mlpcli.data.writing.table_writers import Writer, writer_for
from mlpcli.errors import MlpError
from mlpcli.machine import keep_freed_memory
from mlpcli.progress import report_progress
from mlpcli.storage.atomic import AtomicFile
from mlpcli.storage.model.model_file import load_model
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.predicting.chunks import Chunk, PredictRequest, predicted_chunks
from mlpcli.workflows.predicting.intervals import ConformalPredictor
from mlpcli.workflows.predicting.on_cluster import KEPT_MEMORY, gather_from_cluster
from mlpcli.workflows.reading.drift import DriftReport, check_on_drift, drift_notes, judge_drift
from mlpcli.workflows.reading.tables import describe_counts


@dataclass(frozen=True)
class PredictSummary:
    """The number of predicted rows, counts of missing and unseen cells, notes, and the drift report if requested."""

    n_rows: int
    counts: TransformCounts
    notes: tuple[str, ...]
    drift: DriftReport | None = None

    @property
    def counts_text(self) -> str:
        """One line on missing and unseen cells; "" for none."""
        return describe_counts(self.counts)


def predict(
    request: PredictRequest, write: Callable[[bytes], object], path: str = "-", cluster: ClusterAddress | None = None
) -> PredictSummary:
    """Read, predict and write in chunks, in constant memory, in the format of the suffix of `path`.

    With `cluster`, workers read and predict one file at a time, and the results are written here.

    Raises ModelFileError, and DataError with the line, possibly after some output was written.
    """
    writer = writer_for(path)
    model = load_model(request.weights)
    if request.with_probabilities and request.is_raw:
        raise MlpError("--raw and --proba cannot be combined: raw outputs, or probabilities. Choose one.")
    if request.with_probabilities and model.target.task == "regression":
        raise MlpError("--proba: the model predicts numbers, which have no probabilities.")
    if request.with_hidden and not any(len(network.dense_layers) > 1 for network in model.ensemble.networks):
        raise MlpError("--hidden: the model has no hidden layers.")
    if request.level is not None and request.is_raw:
        raise MlpError("--raw and --interval cannot be combined: raw outputs, or intervals of predictions. Choose one.")
    conformal = None if request.level is None else ConformalPredictor(model, request.level)
    check_on_drift(request.on_drift, model)
    keep_freed_memory(KEPT_MEMORY)
    gathered = _Output(writer, write, request.source)
    with blas_threads(1), closing(writer):
        if cluster is None:
            for chunk in predicted_chunks(model, conformal, request, writer):
                gathered.take(chunk)
        else:
            gather_from_cluster(cluster, model, request, path, gathered.take)
        writer.end()
    drift = None if request.on_drift == "ignore" else judge_drift(model, gathered.histogram)
    notes = [*gathered.notes, *drift_notes(drift, request.weights, request.source)]
    if conformal is not None:
        notes += conformal.notes(gathered.n_open, drift is not None and bool(drift.drifted))
    return PredictSummary(gathered.n_rows, gathered.counts, tuple(notes), drift)


class _Output:
    """Writes chunks in order, and accumulates their counts and notes."""

    def __init__(self, writer: Writer, write: Callable[[bytes], object], source: str) -> None:
        self._writer, self._write, self._source, self._is_begun = writer, write, source, False
        self.counts, self.n_rows = TransformCounts({}, {}), 0
        self.n_open: Counter[str] = Counter()
        self.notes: dict[str, None] = {}  # distinct notes, in order
        self.histogram: Histogram | None = None

    def take(self, chunk: Chunk) -> None:
        """Write the next chunk."""
        if not self._is_begun:
            self._writer.begin(self._write, chunk.names, chunk.has_header)
            self._is_begun = True
        self._writer.write(chunk.rows)
        self.notes |= dict.fromkeys(chunk.notes)
        self.counts += chunk.counts
        self.n_rows += chunk.n_rows
        self.n_open += chunk.n_open
        report_progress("rows", self._source, self.n_rows)
        if chunk.histogram is not None:
            self.histogram = chunk.histogram if self.histogram is None else self.histogram + chunk.histogram


def predict_to_file(request: PredictRequest, path: str, cluster: ClusterAddress | None = None) -> PredictSummary:
    """As `predict`, but write to a file atomically; raises MlpError if that would replace the input."""
    if os.path.exists(path) and os.path.exists(request.source) and os.path.samefile(path, request.source):
        raise MlpError(f"-o {path}: is the input itself. Name another file.")
    with AtomicFile(path) as file:
        return predict(request, file.write, path, cluster)
