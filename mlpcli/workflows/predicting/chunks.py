"""Predict a table chunk by chunk and encode the output of `mlp predict`, on this machine or on a worker."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.reading.read import map_tables
from mlpcli.data.reference import Histogram, count_rows
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.table import Table
from mlpcli.data.writing.csv import without_formulas
from mlpcli.data.writing.table_writers import Writer, source_cells
from mlpcli.errors import DataError
from mlpcli.model import Model
from mlpcli.workflows.predicting.columns import (
    hidden_columns,
    prediction_columns,
    raw_columns,
    safe_column,
    without_clashes,
)
from mlpcli.workflows.predicting.intervals import ConformalPredictor, PredictionRegions, with_regions
from mlpcli.workflows.reading.tables import format_of, request_for

# Rows counted for drift detection: at most COUNTED_ROWS per chunk, of every chunk within FIRST_ROWS and of a quarter of
# the later chunks, which suffices for a verdict at negligible cost.
COUNTED_ROWS = 4096
FIRST_ROWS = 1 << 14


@dataclass(frozen=True)
class PredictRequest:
    """The model, the table, and the columns to write.

    `keep` names input columns to copy before the predictions; ("all",) copies every column. `with_probabilities` adds
    a column per class; `is_raw` writes network outputs instead of predictions. `with_hidden` adds a column per hidden
    neuron. `is_safe_csv` escapes texts that spreadsheets would run as formulas. `on_drift` is one of ON_DRIFT; the
    caller acts on the report. `level` is the confidence level of intervals or sets to add, None for none.
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
class Chunk:
    """The encoded predictions for some rows, in columns `names`.

    `histogram` counts the rows in the bins of the reference profile, None if they are not counted; `n_open` counts rows
    of each group with too few calibration rows for an interval.
    """

    names: list[str]
    has_header: bool
    rows: Any
    n_rows: int
    counts: TransformCounts
    notes: tuple[str, ...]
    histogram: Histogram | None
    n_open: Counter[str]


def predicted_chunks(
    model: Model,
    conformal: ConformalPredictor | None,
    request: PredictRequest,
    writer: Writer,
    files: Sequence[str] | None = None,
    only: int | None = None,
) -> Iterator[Chunk]:
    """Predict chunk by chunk, in order; with `only`, just that file of `files` (by index), read as one of them."""
    kept = None if request.keep == ("all",) else frozenset(request.keep)
    schemas = [*model.preprocessor.schemas]
    if conformal is not None and model.interval_by is not None:
        schemas.append(model.interval_by)
    reading = format_of(model, request.delimiter, request.encoding)
    work = partial(_predict_chunk, model, conformal, request, writer)
    return map_tables(work, files or request.source, reading, request_for(schemas, reading, kept), only)


def _predict_chunk(
    model: Model, conformal: ConformalPredictor | None, request: PredictRequest, writer: Writer, table: Table
) -> Chunk:
    """Predict and encode one chunk; thread-safe."""
    keep = _kept_columns(request.keep, table)
    cells = model.cast(table) if conformal is None else conformal.cast(table)
    regions: PredictionRegions | None = None
    if request.is_raw:
        outputs, counts = model.outputs(cells)
        columns = raw_columns(model, outputs)
    else:
        predictions, regions, counts = with_regions(model, conformal, cells)
        columns = prediction_columns(model, predictions, regions, request.with_probabilities, writer.is_typed)
    if request.with_hidden:
        columns += hidden_columns(model.hidden_activations(cells))
    histogram = None
    if request.on_drift != "ignore" and model.reference.columns and _is_counted(table):
        histogram = count_rows(model.reference, model.preprocessor.columns, cells, max_rows=COUNTED_ROWS)
    has_header = table.format.header is not False  # a table without a header gives one without a header
    all_names = [*keep, *without_clashes([name for name, _ in columns], keep)]
    cells_written = [*(source_cells(table, name) for name in keep), *(cells for _, cells in columns)]
    if request.is_safe_csv:
        all_names, cells_written = without_formulas(all_names), [safe_column(column) for column in cells_written]
    n_open = Counter({} if regions is None else regions.n_open)
    return Chunk(
        all_names,
        has_header,
        writer.encode(all_names, cells_written),
        table.n_rows,
        counts,
        table.notes,
        histogram,
        n_open,
    )


def _is_counted(chunk: Table) -> bool:
    """Whether a chunk is counted for drift: pseudo-random by its first row, so equal in every run and not periodic."""
    first_row = chunk.first_row
    return first_row < FIRST_ROWS or first_row * 2654435761 % 2**32 < 2**30  # Knuth's multiplicative hash


def _kept_columns(keep: tuple[str, ...], table: Table) -> list[str]:
    if keep == ("all",):
        return list(table.column_names)
    for name in keep:
        if name not in table.columns and name not in table.kept:
            raise DataError(f"{table.name}: --keep {name}: no such column.{name_hint(name, table.column_names)}")
    return list(keep)
