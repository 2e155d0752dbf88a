"""`mlp eval` on a cluster: each worker reads and answers a file at a time; the scores are made of all rows, here."""

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
from mlpcli.data.reading.sources import sha256_together
from mlpcli.data.row_sketch import TrainedRows
from mlpcli.data.table import Column, Rows, Table, TableFormat
from mlpcli.data.targets.encode import has_targets, true_values
from mlpcli.data.targets.target import prediction_names
from mlpcli.model import Model
from mlpcli.training.threads import blas_threads
from mlpcli.watching import tell
from mlpcli.workflows.predicting.intervals import ConformalPredictor
from mlpcli.workflows.predicting.on_cluster import begin_file, files_for_workers
from mlpcli.workflows.reading import cast_scored, read_columns, sound_weights
from mlpcli.workflows.scoring.answered import AnsweredRows, answer_rows, together


@dataclass(frozen=True)
class ScoredSetup:
    """What every file is read and answered with; `files` are all of them, as named in `folder`."""

    model: Model
    level: float | None
    files: tuple[str, ...]
    format: TableFormat
    by: tuple[str, ...]
    looks_for_drift: bool
    folder: str


@dataclass(frozen=True)
class AnsweredFile:
    """A file without its inputs, and what was made of those: None where none of its rows is scored."""

    table: Table
    answered: AnsweredRows | None


def read_on_cluster(cluster: ClusterAddress, setup: ScoredSetup, source: str) -> tuple[Table, AnsweredRows]:
    """The targets, weights and groups of all rows, as they come, and the answers to those that are scored.

    Raises DataError for a file that is at fault, MlpError where the cluster is.
    """
    from mlpcli.cluster.connection import connected
    from mlpcli.cluster.in_order import FilesInOrder
    from mlpcli.cluster.tasks import run_on_cluster

    found: list[AnsweredFile] = []

    def take(file: AnsweredFile) -> None:
        found.append(file)
        tell("stage", "predicting", len(found), len(setup.files))

    with connected(cluster.where, cluster.tls) as client:
        run_on_cluster(client, answer_scored_file, setup, FilesInOrder(len(setup.files), take), lambda: False)
    tables, parts = [file.table for file in found], [file.answered for file in found if file.answered is not None]
    if not any(table.n_rows for table in tables):
        raise faults.fault(tables[0].name, None, faults.HEADER_ONLY)
    table = _joined(setup, source, tables)
    if not parts:  # what is wrong with the targets is said here as it is without a cluster
        parts = [_of_no_rows(setup.model)]
    return table, together(setup.model, parts)


def scored_setup(
    model: Model, conformal: ConformalPredictor | None, source: str, format: TableFormat, by: Sequence[str],
    looks_for_drift: bool,
) -> ScoredSetup:  # fmt: skip
    """The setup of the files that `source` stands for; raises MlpError for standard input."""
    level = None if conformal is None else conformal.level
    return ScoredSetup(model, level, files_for_workers(source), format, tuple(by), looks_for_drift, os.getcwd())


def answer_scored_file(setup: ScoredSetup, number: int, report: Callable[..., bool]) -> AnsweredFile:
    """Read and answer one of the files, on a worker; raises DataError as scoring it here would."""
    begin_file(setup.folder)
    model = setup.model
    as_read = read_columns(setup.files, setup.format, model.schemas, setup.by, number)
    names = [*model.target.names, *([model.weight_column] if model.weight_column else []), *setup.by]
    kept = {name: as_read.columns[name] for name in names if name in as_read.columns}
    # What travels holds no open file.
    plain = replace(as_read, columns=kept, locate=_Rows(as_read.name), kept={})
    if not as_read.n_rows:
        return AnsweredFile(plain, None)
    table = cast_scored(as_read, model.schemas, model.target.names, model.weight_column, setup.by)
    require_columns(table, [column.name for column in model.preprocessor.columns])
    rows = _scored_rows(model, table)
    if not len(rows):
        return AnsweredFile(plain, None)
    true_values(model.target, table, rows)  # a label at fault is named here, where its line is known
    conformal = None if setup.level is None else ConformalPredictor(model, setup.level)
    with blas_threads(1):
        return AnsweredFile(plain, answer_rows(model, conformal, table, rows, setup.looks_for_drift))


def _scored_rows(model: Model, table: Table) -> Rows:
    """The rows that have every target and a weight above 0."""
    rows = np.flatnonzero(has_targets(table, model.target.names))
    if not model.weight_column:
        return rows
    return rows[sound_weights(table, model.weight_column, rows) > 0.0]


def _joined(setup: ScoredSetup, source: str, tables: Sequence[Table]) -> Table:
    """All rows as one table, as if it had been read here."""
    first, builder = tables[0], ColumnBuilder()
    for table in tables:
        builder.add(table.columns, table.n_rows, table.spellings)
    columns = dict[str, Column](builder.build())
    if builder.mixed:  # numbers in one file and texts in another are texts everywhere
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
    every = {schema.name for schema in setup.model.schemas}
    return read_table(setup.files, setup.format, texts=names, wanted=names, named=every).columns


def _of_no_rows(model: Model) -> AnsweredRows:
    answers = np.zeros((0, len(prediction_names(model.target))))
    return AnsweredRows(answers, None, TransformCounts({}, {}), None, TrainedRows(0, 0))


@dataclass(frozen=True)
class _Rows:
    """The place of a row of a table whose files are elsewhere."""

    name: str

    def __call__(self, row: int) -> str:
        return f"{self.name}: row {row + 1}"
