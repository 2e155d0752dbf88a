"""The rows of a table turned into lines of answers, chunk by chunk: what `mlp predict` writes, wherever it is made."""

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
    answer_columns,
    hidden_columns,
    raw_columns,
    safe_column,
    without_clashes,
)
from mlpcli.workflows.predicting.intervals import ConformalPredictor, PredictionRegions, with_regions
from mlpcli.workflows.reading import format_of, is_read_as_text

# What is held against the reference profile: so many rows of a chunk, of every chunk of the first rows, and then of one
# chunk in four. Enough for any verdict, and hardly any time.
SEEN_ROWS = 4096
FIRST_ROWS = 1 << 14


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
class Chunk:
    """The answers to some rows, ready to be written under `names`."""

    names: list[str]
    has_header: bool
    rows: Any
    n_rows: int
    counts: TransformCounts
    notes: tuple[str, ...]
    seen: Histogram | None
    n_open: Counter[str]


def answered_chunks(
    model: Model,
    conformal: ConformalPredictor | None,
    request: PredictRequest,
    writer: Writer,
    files: Sequence[str] | None = None,
    only: int | None = None,
) -> Iterator[Chunk]:
    """The answers chunk by chunk, in order; of the file number `only` of `files`, read as one of them, where given."""
    kept = None if request.keep == ("all",) else frozenset(request.keep)
    schemas = [*model.preprocessor.schemas]
    if conformal is not None and model.interval_by is not None:
        schemas.append(model.interval_by)
    reading = format_of(model, request.delimiter, request.encoding)
    texts = {schema.name for schema in schemas if is_read_as_text(schema, reading)}
    names = {schema.name for schema in schemas}
    work = partial(_answered, model, conformal, request, writer)
    return map_tables(work, files or request.source, reading, texts, names, kept, only)


def _answered(
    model: Model, conformal: ConformalPredictor | None, request: PredictRequest, writer: Writer, table: Table
) -> Chunk:
    """From the cells of a chunk to its lines; any thread may ask, and several do."""
    keep = _kept_columns(request.keep, table)
    cells = model.read(table) if conformal is None else conformal.read(table)
    regions: PredictionRegions | None = None
    if request.is_raw:
        outputs, counts = model.outputs(cells)
        named = raw_columns(model, outputs)
    else:
        answers, regions, counts = with_regions(model, conformal, cells)
        named = answer_columns(model, answers, regions, request.with_probabilities, writer.is_typed)
    if request.with_hidden:
        named += hidden_columns(model.hidden_activations(cells))
    seen = None
    if request.on_drift != "ignore" and model.reference.columns and _is_looked_at(table):
        seen = count_rows(model.reference, model.preprocessor.columns, cells, most_rows=SEEN_ROWS)
    has_header = table.format.header is not False  # a table without a header gives one without a header
    all_names = [*keep, *without_clashes([name for name, _ in named], keep)]
    written = [*(source_cells(table, name) for name in keep), *(cells for _, cells in named)]
    if request.is_safe_csv:
        all_names, written = without_formulas(all_names), [safe_column(column) for column in written]
    n_open = Counter({} if regions is None else regions.n_open)
    return Chunk(
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
