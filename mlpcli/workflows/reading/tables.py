"""Read tables for a trained model: only its columns, cast by the schemas of its training data."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.reading.read import read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.schema.column import ColumnSchema, cast_table
from mlpcli.data.schema.spelling import NumberFormat
from mlpcli.data.table import Table, TableFormat
from mlpcli.data.targets.encode import require_targets
from mlpcli.model import Model


def read_columns(
    source: str | Sequence[str],
    format: TableFormat,
    schemas: Iterable[ColumnSchema],
    further: Collection[str] = (),
    only: int | None = None,
) -> Table:
    """The columns of `schemas` and `further` ones, uncast; `only` as for `read_table`."""
    request = request_for(schemas, format)
    names = request.wanted or ()
    request = replace(request, wanted={*names, *further}, spelled=further)
    return read_table(source, format, request, configured=names, only=only)


def request_for(schemas: Iterable[ColumnSchema], format: TableFormat, kept: Collection[str] | None = ()) -> Request:
    """The request of the columns of these schemas, and of columns `kept` for output files (None: all)."""
    wanted = list(schemas)
    texts = {schema.name for schema in wanted if is_read_as_text(schema, format)}
    return Request({schema.name for schema in wanted}, written=texts, kept=kept)


def cast_scored(
    table: Table, schemas: Iterable[ColumnSchema], targets: Sequence[str], weight: str, further: Iterable[str] = ()
) -> Table:
    """The columns of `schemas` that exist, cast, and `further` ones, uncast unless they have a schema.

    Raises DataError if a target or the weight column is missing.
    """
    require_targets(table, targets)
    require_targets(table, [weight] if weight else [], "weight")
    read = cast_table(table, [schema for schema in distinct_schemas(schemas) if schema.name in table.columns])
    kept = {name: table.columns[name] for name in further if name in table.columns}
    return read.with_columns({**kept, **read.columns})


def is_read_as_text(schema: ColumnSchema, format: TableFormat) -> bool:
    """Whether a column must be read as text, because the reader parses only numbers with one decimal separator."""
    return schema.role != "number" or schema.missing is not None or schema.number != NumberFormat(format.decimal)


def format_of(model: Model, delimiter: str | None, encoding: str | None) -> TableFormat:
    """The table format for a model: that of training, with the given delimiter and encoding (None: detected)."""
    return replace(model.reading, delimiter=delimiter, encoding=encoding)


def distinct_schemas(schemas: Iterable[ColumnSchema]) -> list[ColumnSchema]:
    """The schemas without repeated columns."""
    return list({schema.name: schema for schema in schemas}.values())


def describe_counts(counts: TransformCounts) -> str:
    """One line: "3 missing cells (age 2, sex 1), 1 cell unseen in training (island 1)"; "" for none."""
    texts = []
    for cells_by_column, singular, plural in (
        (counts.n_missing, "missing cell", "missing cells"),
        (counts.n_unseen, "cell unseen or rare in training", "cells unseen or rare in training"),
    ):
        if cells_by_column:
            total = sum(cells_by_column.values())
            shown = [f"{name} {n_cells}" for name, n_cells in list(cells_by_column.items())[:6]]
            more = [f"{len(cells_by_column) - 6} more columns"] if len(cells_by_column) > 6 else []
            texts.append(f"{total} {singular if total == 1 else plural} ({', '.join(shown + more)})")
    return ", ".join(texts)
