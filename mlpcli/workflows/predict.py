"""`mlp predict`: rows in, answers out, in the same order, chunk by chunk."""

import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.reading.read import map_tables
from mlpcli.data.reading.typed.kept import KeptArray
from mlpcli.data.reference import Histogram, count_rows
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import texts_of
from mlpcli.data.table import CategoricalColumn, Table
from mlpcli.data.targets.target import ClassTarget, NumberTarget, answer_names, predicted_labels, typed_labels
from mlpcli.data.writing.csv import Cells, Labels, without_formulas
from mlpcli.data.writing.table_writers import Writer, writer_for
from mlpcli.errors import DataError, MlpError
from mlpcli.machine import keep_freed_memory
from mlpcli.model import Model
from mlpcli.storage.atomic import AtomicFile
from mlpcli.storage.model_file import load_model
from mlpcli.training.threads import blas_threads
from mlpcli.watching import tell
from mlpcli.workflows.drift import DriftReport, check_on_drift, drift_notes, judge_drift
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
    caller acts on the report.
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
        raise MlpError("--proba: the model predicts amounts, which have no probabilities.")
    if request.with_hidden and not any(len(network.dense_layers) > 1 for network in model.ensemble.networks):
        raise MlpError("--hidden: the model has no hidden layers.")
    check_on_drift(request.on_drift, model)
    counts, n_rows = TransformCounts({}, {}), 0
    notes: list[str] = []
    seen: Histogram | None = None
    keep_freed_memory(KEPT_MEMORY)
    with blas_threads(1), closing(writer):
        for number, chunk in enumerate(_answered_chunks(model, request, writer)):
            if number == 0:
                writer.begin(cast(BinaryIO, _Sink(write)), chunk.names, chunk.has_header)
            writer.write(chunk.rows)
            notes += chunk.notes
            counts += chunk.counts
            n_rows += chunk.n_rows
            tell("rows", request.source, n_rows)
            if chunk.seen is not None:
                seen = chunk.seen if seen is None else seen + chunk.seen
        writer.end()
    drift = None if request.on_drift == "ignore" else judge_drift(model, seen)
    notes += drift_notes(drift, request.weights, request.source)
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


class _Sink(io.RawIOBase):
    """What bytes are written to, as the file that writers of formats want."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write, self._n_written = write, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._n_written

    def write(self, data: Any, /) -> int:
        self._write(bytes(data))
        self._n_written += len(data)
        return len(data)


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


def _answered_chunks(model: Model, request: PredictRequest, writer: Writer) -> Iterator[_Chunk]:
    kept = None if request.keep == ("all",) else frozenset(request.keep)
    columns = model.preprocessor.columns
    reading = format_of(model, request.delimiter, request.encoding)
    texts = {column.name for column in columns if is_read_as_text(column.schema, reading)}
    names = {column.name for column in columns}
    work = partial(_answered, model, request, writer)
    return map_tables(work, request.source, reading, texts, names, kept)


def _answered(model: Model, request: PredictRequest, writer: Writer, table: Table) -> _Chunk:
    """From the cells of a chunk to its lines; any thread may ask, and several do."""
    keep = _kept_columns(request.keep, table)
    cells = model.read(table)
    names, columns, counts = _answers(model, request, cells, writer.is_typed)
    if request.with_hidden:
        hidden = model.hidden_layers(cells)
        names += [f"{layer}_{neuron}" for layer, a in hidden.items() for neuron in range(1, a.shape[1] + 1)]
        columns = [*columns, *(values for a in hidden.values() for values in a.T)]
    seen = None
    if request.on_drift != "ignore" and model.reference.columns and _is_looked_at(table):
        seen = count_rows(model.reference, model.preprocessor.columns, cells, most_rows=SEEN_ROWS)
    has_header = table.format.header is not False  # a table without a header gives one without a header
    all_names = [*keep, *_without_clashes(names, keep)]
    written = [*(_as_read(table, name) for name in keep), *columns]
    if request.is_safe_csv:
        all_names, written = without_formulas(all_names), [_safe(column) for column in written]
    return _Chunk(all_names, has_header, writer.encode(all_names, written), table.n_rows, counts, table.notes, seen)


def _as_read(table: Table, name: str) -> Cells:
    """The cells of a column: as a typed source has them, else texts, of which a missing one is empty."""
    if name in table.kept:
        return cast(Cells, table.kept[name])
    column = table.columns[name]
    texts = column if isinstance(column, CategoricalColumn) else texts_of(column)
    return Labels(texts.levels, texts.codes)


def _is_looked_at(chunk: Table) -> bool:
    """Whether a chunk is held against the profile: by its first row, so in every run alike, yet at no pace."""
    first_row = chunk.first_row
    return first_row < FIRST_ROWS or first_row * 2654435761 % 2**32 < 2**30  # Knuth's multiplicative hash


def _safe(column: Cells) -> Cells:
    """A column without texts that a spreadsheet would take for formulas."""
    if isinstance(column, Labels):
        is_text = isinstance(column.values, Sequence)
        return replace(column, values=without_formulas(column.values)) if is_text else column
    cells = column.cells() if isinstance(column, KeptArray) else column
    return without_formulas(cells) if isinstance(cells, list) else column


def _kept_columns(keep: tuple[str, ...], table: Table) -> list[str]:
    if keep == ("all",):
        return list(table.column_names)
    for name in keep:
        if name not in table.columns and name not in table.kept:
            raise DataError(f"{table.name}: --keep {name}: no such column.{name_hint(name, table.column_names)}")
    return list(keep)


def _answers(
    model: Model, request: PredictRequest, table: Table, is_typed: bool
) -> tuple[list[str], Sequence[NDArray[np.generic] | Labels], TransformCounts]:
    """Names and columns of what is predicted."""
    if request.is_raw:
        outputs, counts = model.outputs(table)
        return _raw_names(model), list(outputs.T), counts
    answers, counts = model.answers(table)
    target, dtype = model.target, model.ensemble.dtype
    values: list[NDArray[np.generic] | Labels] = []
    if isinstance(target, NumberTarget):
        values += [_honest_digits(*column, dtype) for column in zip(answers.T, model.target_scales, strict=True)]
    else:
        found = predicted_labels(target, answers, model.threshold).values()
        for (labels, codes), cell_type in zip(found, target.cell_types, strict=True):
            is_text = not is_typed or cell_type == "text"
            values.append(Labels(labels if is_text else typed_labels(labels, cell_type), codes))
    names = [target.name] if isinstance(target, ClassTarget) else list(target.names)
    if request.with_probabilities:
        of = answer_names(target)
        names += [f"p_{name}" for name in of]
        values += list(answers.T.astype(dtype))
    return names, values, counts


def _honest_digits(amounts: NDArray[Any], scale: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Amounts with the digits the network has: it knows them, in units of `scale`, to the precision of its dtype."""
    if scale == 1.0 or dtype == np.float64:
        return amounts.astype(dtype)
    return amounts.round(7 - math.floor(math.log10(scale)))


def _raw_names(model: Model) -> list[str]:
    n_outputs = model.ensemble.first.n_out
    target = model.target
    of = answer_names(target)
    return [f"raw_{name}" for name in (of if len(of) == n_outputs else of[-n_outputs:])]


def _without_clashes(names: list[str], keep: list[str]) -> list[str]:
    """Predicted columns are told apart from kept ones of the same name, and from each other."""
    free: list[str] = []
    for name in names:
        while name in keep or name in free:
            name = f"predicted_{name}" if name in keep else f"{name}_"
        free.append(name)
    return free
