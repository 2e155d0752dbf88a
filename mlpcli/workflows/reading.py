"""Read tables for a trained model: only its columns, cast by the schemas of its training data."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.read import read_table
from mlpcli.data.schema.column import ColumnSchema, cast_table
from mlpcli.data.schema.spelling import NumberFormat
from mlpcli.data.table import NumericColumn, Rows, Table, TableFormat
from mlpcli.data.targets.encode import require_targets
from mlpcli.errors import DataError
from mlpcli.messages import count
from mlpcli.model import Model

# Bounds for sample weights, whose fourth powers (used in intervals) must neither overflow nor all underflow.
LARGEST_WEIGHT, SMALLEST_WEIGHT = 1e30, 1e-30


def read_columns(
    source: str | Sequence[str],
    format: TableFormat,
    schemas: Iterable[ColumnSchema],
    further: Collection[str] = (),
    only: int | None = None,
) -> Table:
    """The columns of `schemas` and `further` ones, uncast; `only` as for `read_table`."""
    wanted = list(schemas)
    names = {schema.name for schema in wanted}
    texts = {schema.name for schema in wanted if is_read_as_text(schema, format)}
    return read_table(source, format, texts=texts, wanted=names | set(further), named=names, spelled=further, only=only)


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


def positive_weight_rows(table: Table, weight: str, rows: Rows) -> tuple[Rows, list[str]]:
    """The rows with a weight above 0, and a note on the others; all rows if `weight` is "".

    Raises DataError for a weight that is missing or negative, and if no row is left.
    """
    if not weight:
        return rows, []
    counts = row_weights(table, weight, rows) > 0.0
    n_left_out = len(rows) - int(np.count_nonzero(counts))
    if not n_left_out:
        return rows, []
    note = f"{table.name}: {count(n_left_out, 'row')} of weight 0 ({weight}): left out."
    return rows[counts], [note]


def row_weights(table: Table, name: str, rows: Rows | None = None) -> NDArray[np.float64]:
    """Sample weights of rows (default all); raises DataError for a missing, negative or huge one, and if all are 0."""
    weights = valid_weights(table, name, rows)
    if not weights.sum() > 0:
        raise DataError(f"{table.name}: every weight {name} is 0. At least one must be above 0.")
    if weights.max() < SMALLEST_WEIGHT:
        raise DataError(f"{table.name}: every weight {name} is below {SMALLEST_WEIGHT:g}. Multiply them by a constant.")
    return weights


def valid_weights(table: Table, name: str, rows: Rows | None = None) -> NDArray[np.float64]:
    """As `row_weights`, but all may be 0."""
    column = table.columns[name] if rows is None else table.columns[name].take(rows)
    assert isinstance(column, NumericColumn)
    weights = np.asarray(column.values, np.float64)
    is_bad = ~((weights >= 0.0) & (weights <= LARGEST_WEIGHT))
    if is_bad.any():
        row = int(np.argmax(is_bad))
        what = "is missing" if np.isnan(weights[row]) else f"is {weights[row]:g}"
        must = f"Weights must be {'at most 1e30' if weights[row] > 0.0 else '0 or more'}"
        place = table.where(row if rows is None else int(rows[row]))
        raise DataError(f"{place}: the weight {name} {what}. {must}.")
    return weights
