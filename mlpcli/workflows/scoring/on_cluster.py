"""`mlp eval` on a cluster: workers read and predict one file at a time; the scores of all rows are computed here."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from mlpcli.cluster.address import ClusterAddress
from mlpcli.data.features.preprocessor import TransformCounts, require_columns
from mlpcli.data.reading import faults
from mlpcli.data.reading.building import ColumnBuilder
from mlpcli.data.reading.read import joined_names, read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.sources import sha256_together
from mlpcli.data.row_sketch import TrainedRows
from mlpcli.data.table import Column, Rows, Table, TableFormat
from mlpcli.data.targets.encode import has_targets, true_values
from mlpcli.data.targets.target import prediction_names
from mlpcli.machine import limited_cores
from mlpcli.model import Model
from mlpcli.progress import report_progress
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.predicting.intervals import ConformalPredictor
from mlpcli.workflows.predicting.on_cluster import begin_file, files_for_workers
from mlpcli.workflows.reading.tables import cast_scored, read_columns
from mlpcli.workflows.reading.weights import valid_weights
from mlpcli.workflows.scoring.predicted import PredictedRows, combine, predict_rows


@dataclass(frozen=True)
class ScoredSetup:
    """The task of every worker; `files` are all files, relative to `folder`."""

    model: Model
    level: float | None
    files: tuple[str, ...]
    format: TableFormat
    by: tuple[str, ...]
    looks_for_drift: bool
    folder: str


@dataclass(frozen=True)
class PredictedFile:
    """A file without its inputs, and its predictions: None if none of its rows is scored."""

    table: Table
    predicted: PredictedRows | None


def read_on_cluster(cluster: ClusterAddress, setup: ScoredSetup, source: str) -> tuple[Table, PredictedRows]:
    """Targets, weights and groups of all rows, uncast, and predictions for the rows that are scored.

    Raises DataError for an invalid file, MlpError for a failure of the cluster.
    """
    from mlpcli.cluster.connection import connected
    from mlpcli.cluster.in_order import FilesInOrder
    from mlpcli.cluster.tasks import run_on_cluster

    files: list[PredictedFile] = []

    def take(file: PredictedFile) -> None:
        files.append(file)
        report_progress("stage", "predicting", len(files), len(setup.files))

    with connected(cluster.address, cluster.tls) as client:
        run_on_cluster(client, predict_scored_file, setup, FilesInOrder(len(setup.files), take), lambda: False)
    tables, predicted = [file.table for file in files], [file.predicted for file in files if file.predicted is not None]
    if not any(table.n_rows for table in tables):
        raise faults.table_error(tables[0].name, None, faults.HEADER_ONLY)
    table = _joined(setup, source, tables)
    if not predicted:  # faults of the targets are reported by the caller, as without a cluster
        predicted = [_no_rows(setup.model)]
    return table, combine(setup.model, predicted)


def scored_setup(
    model: Model, conformal: ConformalPredictor | None, source: str, format: TableFormat, by: Sequence[str],
    looks_for_drift: bool,
) -> ScoredSetup:  # fmt: skip
    """The setup for the files that match `source`; raises MlpError for standard input."""
    level = None if conformal is None else conformal.level
    return ScoredSetup(model, level, files_for_workers(source), format, tuple(by), looks_for_drift, os.getcwd())


@limited_cores(1)
def predict_scored_file(setup: ScoredSetup, number: int, report: Callable[..., bool]) -> PredictedFile:
    """Read and predict one of the files on a worker; raises DataError as scoring it locally would."""
    begin_file(setup.folder)
    model = setup.model
    as_read = read_columns(setup.files, setup.format, model.schemas, setup.by, number)
    names = [*model.target.names, *([model.weight_column] if model.weight_column else []), *setup.by]
    kept = {name: as_read.columns[name] for name in names if name in as_read.columns}
    # Open files cannot be sent between processes.
    plain = replace(as_read, columns=kept, locate=_Rows(as_read.name), kept={})
    if not as_read.n_rows:
        return PredictedFile(plain, None)
    table = cast_scored(as_read, model.schemas, model.target.names, model.weight_column, setup.by)
    require_columns(table, [column.name for column in model.preprocessor.columns])
    rows = _scored_rows(model, table)
    if not len(rows):
        return PredictedFile(plain, None)
    true_values(model.target, table, rows)  # reports an invalid label here, where its line is known
    conformal = None if setup.level is None else ConformalPredictor(model, setup.level)
    with blas_threads(1):
        return PredictedFile(plain, predict_rows(model, conformal, table, rows, setup.looks_for_drift))


def _scored_rows(model: Model, table: Table) -> Rows:
    """The rows that have every target and a weight above 0."""
    rows = np.flatnonzero(has_targets(table, model.target.names))
    if not model.weight_column:
        return rows
    return rows[valid_weights(table, model.weight_column, rows) > 0.0]


def _joined(setup: ScoredSetup, source: str, tables: Sequence[Table]) -> Table:
    """All rows as one table, as if it had been read locally."""
    first, builder = tables[0], ColumnBuilder()
    for table in tables:
        builder.add(table.columns, table.n_rows, table.spellings)
    columns = dict[str, Column](builder.build())
    if builder.mixed:  # a column with numbers in one file and texts in another is text in all
        columns |= _as_texts(setup, builder.mixed)
    ends = tuple(accumulate(table.n_rows for table in tables))
    return replace(
        first,
        columns=columns,
        n_rows=ends[-1],
        name=first.name if len(tables) == 1 else joined_names(source),
        sha256=sha256_together([table.sha256 for table in tables]),
        notes=tuple(dict.fromkeys(note for table in tables for note in table.notes)),
        locate=_Rows(first.name if len(tables) == 1 else joined_names(source)),
        spellings=builder.spellings,
        file_ends=ends,
    )


def _as_texts(setup: ScoredSetup, names: set[str]) -> Mapping[str, Column]:
    all_names = {schema.name for schema in setup.model.schemas}
    return read_table(setup.files, setup.format, Request(names, written=names), configured=all_names).columns


def _no_rows(model: Model) -> PredictedRows:
    predictions = np.zeros((0, len(prediction_names(model.target))))
    return PredictedRows(predictions, None, TransformCounts({}, {}), None, TrainedRows(0, 0))


@dataclass(frozen=True)
class _Rows:
    """The location of a row of a table whose files are not open here."""

    name: str

    def __call__(self, row: int) -> str:
        return f"{self.name}: row {row + 1}"
