"""`mlp predict`: rows in, answers out, in the same order, chunk by chunk."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.reading.read import map_tables
from mlpcli.data.reference import Histogram, count_rows
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.table import Table
from mlpcli.data.writing.csv import without_formulas
from mlpcli.data.writing.table_writers import Writer, cells_as_read, file_of, writer_for
from mlpcli.errors import DataError, MlpError
from mlpcli.machine import keep_freed_memory
from mlpcli.model import Model
from mlpcli.storage.atomic import AtomicFile
from mlpcli.storage.model_file import load_model
from mlpcli.training.threads import blas_threads
from mlpcli.watching import tell
from mlpcli.workflows.drift import DriftReport, check_on_drift, drift_notes, judge_drift
from mlpcli.workflows.intervals import Around, Surrounding, surrounded
from mlpcli.workflows.predicted_columns import (
    answer_columns,
    hidden_columns,
    raw_columns,
    safe_column,
    without_clashes,
)
from mlpcli.workflows.reading import format_of, is_read_as_text

# What is held against the reference profile: so many rows of a chunk, of every chunk of the first rows, and then of one
# chunk in four. Enough for any verdict, and hardly any time.
SEEN_ROWS = 4096
FIRST_ROWS = 1 << 14
KEPT_MEMORY = 8 << 20  # bytes: hardly any array of a chunk is larger


@dataclass(frozen=True)
class PredictRequest:
    """What to predict and what to write.

    `keep` names input columns to copy in front of the answers; ("all",) copies every column. `with_probabilities` adds
    a column per class; `is_raw` writes the network's outputs instead of answers. `with_hidden` adds a column for each
    hidden neuron. `is_safe_csv` keeps spreadsheets from taking texts for formulas. `on_drift` is one of ON_DRIFT; the
    caller acts on the report. `level` asks for the ends of intervals that hold the truth so often, or for sets.
    """

    weights: str
    source: str
    keep: tuple[str, ...] = ()
    with_probabilities: bool = False
    is_raw: bool = False
    delimiter: str | None = None
    encoding: str | None = None
    is_safe_csv: bool = False
    on_drift: str = "ignore"
    with_hidden: bool = False
    level: float | None = None


@dataclass(frozen=True)
class PredictSummary:
    """How many rows were answered, what was odd in them, what the reader guessed, and whether the data has drifted."""

    n_rows: int
    counts: TransformCounts
    notes: tuple[str, ...]
    drift: DriftReport | None = None


def predict(request: PredictRequest, write: Callable[[bytes], object], path: str = "-") -> PredictSummary:
    """Read, score and write in chunks, in constant memory, in the format that the ending of `path` names.

    Raises ModelFileError, and DataError before the first byte or in mid-stream (with the line).
    """
    writer = writer_for(path)
    model = load_model(request.weights)
    if request.with_probabilities and request.is_raw:
        raise MlpError("--raw and --proba: the outputs as they are, or the probabilities made of them. Choose one.")
    if request.with_probabilities and model.target.task == "regression":
        raise MlpError("--proba: the model predicts numbers, which have no probabilities.")
    if request.with_hidden and not any(len(network.dense_layers) > 1 for network in model.ensemble.networks):
        raise MlpError("--hidden: the model has no hidden layers.")
    if request.level is not None and request.is_raw:
        raise MlpError("--raw and --interval: the outputs as they are, or intervals of the answers. Choose one.")
    surrounding = None if request.level is None else Surrounding(model, request.level)
    check_on_drift(request.on_drift, model)
    counts, n_rows = TransformCounts({}, {}), 0
    n_open: Counter[str] = Counter()
    notes: list[str] = []
    seen: Histogram | None = None
    keep_freed_memory(KEPT_MEMORY)
    with blas_threads(1), closing(writer):
        for number, chunk in enumerate(_answered_chunks(model, surrounding, request, writer)):
            if number == 0:
                writer.begin(file_of(write), chunk.names, chunk.has_header)
            writer.write(chunk.rows)
            notes += chunk.notes
            counts += chunk.counts
            n_rows += chunk.n_rows
            n_open += chunk.n_open
            tell("rows", request.source, n_rows)
            if chunk.seen is not None:
                seen = chunk.seen if seen is None else seen + chunk.seen
        writer.end()
    drift = None if request.on_drift == "ignore" else judge_drift(model, seen)
    notes += drift_notes(drift, request.weights, request.source)
    if surrounding is not None:
        notes += surrounding.notes(n_open, drift is not None and bool(drift.drifted))
    return PredictSummary(n_rows, counts, tuple(notes), drift)


def predict_to_file(request: PredictRequest, path: str) -> PredictSummary:
    """The same into a file that appears when it is whole; raises MlpError where that would replace the input."""
    if os.path.exists(path) and os.path.exists(request.source) and os.path.samefile(path, request.source):
        raise MlpError(f"-o {path}: is the input itself. Name another file.")
    with AtomicFile(path) as file:
        return predict(request, file.write, path)


def describe_counts(counts: TransformCounts) -> str:
    """One line: "3 missing cells (age 2, sex 1), 1 cell unseen in training (island 1)"; "" when nothing was odd."""
    parts = []
    for found, one, many in (
        (counts.n_missing, "missing cell", "missing cells"),
        (counts.n_unseen, "cell unseen or rare in training", "cells unseen or rare in training"),
    ):
        if found:
            total = sum(found.values())
            shown = [f"{name} {count}" for name, count in list(found.items())[:6]]
            more = [f"{len(found) - 6} more columns"] if len(found) > 6 else []
            parts.append(f"{total} {one if total == 1 else many} ({', '.join(shown + more)})")
    return ", ".join(parts)


@dataclass(frozen=True)
class _Chunk:
    """The answers to some rows, ready to be written under `names`."""

    names: list[str]
    has_header: bool
    rows: Any
    n_rows: int
    counts: TransformCounts
    notes: tuple[str, ...]
    seen: Histogram | None
    n_open: Counter[str]


def _answered_chunks(
    model: Model, surrounding: Surrounding | None, request: PredictRequest, writer: Writer
) -> Iterator[_Chunk]:
    kept = None if request.keep == ("all",) else frozenset(request.keep)
    schemas = [*model.preprocessor.schemas]
    if surrounding is not None and model.interval_by is not None:
        schemas.append(model.interval_by)
    reading = format_of(model, request.delimiter, request.encoding)
    texts = {schema.name for schema in schemas if is_read_as_text(schema, reading)}
    names = {schema.name for schema in schemas}
    work = partial(_answered, model, surrounding, request, writer)
    return map_tables(work, request.source, reading, texts, names, kept)


def _answered(
    model: Model, surrounding: Surrounding | None, request: PredictRequest, writer: Writer, table: Table
) -> _Chunk:
    """From the cells of a chunk to its lines; any thread may ask, and several do."""
    keep = _kept_columns(request.keep, table)
    cells = model.read(table) if surrounding is None else surrounding.read(table)
    around: Around | None = None
    if request.is_raw:
        outputs, counts = model.outputs(cells)
        named = raw_columns(model, outputs)
    else:
        answers, around, counts = surrounded(model, surrounding, cells)
        named = answer_columns(model, answers, around, request.with_probabilities, writer.is_typed)
    if request.with_hidden:
        named += hidden_columns(model.hidden_layers(cells))
    seen = None
    if request.on_drift != "ignore" and model.reference.columns and _is_looked_at(table):
        seen = count_rows(model.reference, model.preprocessor.columns, cells, most_rows=SEEN_ROWS)
    has_header = table.format.header is not False  # a table without a header gives one without a header
    all_names = [*keep, *without_clashes([name for name, _ in named], keep)]
    written = [*(cells_as_read(table, name) for name in keep), *(cells for _, cells in named)]
    if request.is_safe_csv:
        all_names, written = without_formulas(all_names), [safe_column(column) for column in written]
    n_open = Counter({} if around is None else around.n_open)
    return _Chunk(
        all_names, has_header, writer.encode(all_names, written), table.n_rows, counts, table.notes, seen, n_open
    )


def _is_looked_at(chunk: Table) -> bool:
    """Whether a chunk is held against the profile: by its first row, so in every run alike, yet at no pace."""
    first_row = chunk.first_row
    return first_row < FIRST_ROWS or first_row * 2654435761 % 2**32 < 2**30  # Knuth's multiplicative hash


def _kept_columns(keep: tuple[str, ...], table: Table) -> list[str]:
    if keep == ("all",):
        return list(table.column_names)
    for name in keep:
        if name not in table.columns and name not in table.kept:
            raise DataError(f"{table.name}: --keep {name}: no such column.{name_hint(name, table.column_names)}")
    return list(keep)
