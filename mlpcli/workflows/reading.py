"""Tables for a model that is there: read with the columns it knows, and cast as its training's were."""

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

# Weights whose fourth powers, which intervals are made of, are neither infinite nor all 0.
LARGEST_WEIGHT, SMALLEST_WEIGHT = 1e30, 1e-30


def read_columns(
    source: str | Sequence[str],
    format: TableFormat,
    schemas: Iterable[ColumnSchema],
    further: Collection[str] = (),
    only: int | None = None,
) -> Table:
    """The columns of `schemas` and `further` ones, as they come; `only` as for `read_table`."""
    wanted = list(schemas)
    names = {schema.name for schema in wanted}
    texts = {schema.name for schema in wanted if is_read_as_text(schema, format)}
    return read_table(source, format, texts=texts, wanted=names | set(further), named=names, spelled=further, only=only)


def cast_scored(
    table: Table, schemas: Iterable[ColumnSchema], targets: Sequence[str], weight: str, further: Iterable[str] = ()
) -> Table:
    """The columns of `schemas` that are there, cast; `further` ones as they come, unless the model knows them.

    Raises DataError where a target or the weights are missing.
    """
    require_targets(table, targets)
    require_targets(table, [weight] if weight else [], "weight")
    read = cast_table(table, [schema for schema in one_each(schemas) if schema.name in table.columns])
    kept = {name: table.columns[name] for name in further if name in table.columns}
    return read.with_columns({**kept, **read.columns})


def is_read_as_text(schema: ColumnSchema, format: TableFormat) -> bool:
    """Whether the reader should give the cells of a column as they are written: it knows one decimal sign."""
    return schema.role != "number" or schema.missing is not None or schema.number != NumberFormat(format.decimal)


def format_of(model: Model, delimiter: str | None, encoding: str | None) -> TableFormat:
    """How to read tables for the model: as in training where it matters, the rest found in the file or given."""
    return replace(model.reading, delimiter=delimiter, encoding=encoding)


def one_each(schemas: Iterable[ColumnSchema]) -> list[ColumnSchema]:
    """One schema a column."""
    return list({schema.name: schema for schema in schemas}.values())


def rows_that_count(table: Table, weight: str, rows: Rows) -> tuple[Rows, list[str]]:
    """Those of `rows` whose weight is above 0, and a sentence on the others; all rows without a column of weights.

    Raises DataError for a weight that is missing or negative, and where no row is left.
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
    """Sample weights of the given rows (all rows without them); raises DataError for one missing, negative or huge."""
    weights = sound_weights(table, name, rows)
    if not weights.sum() > 0:
        raise DataError(f"{table.name}: every weight {name} is 0. At least one must be above 0.")
    if weights.max() < SMALLEST_WEIGHT:
        raise DataError(f"{table.name}: every weight {name} is below {SMALLEST_WEIGHT:g}. Multiply them by a constant.")
    return weights


def sound_weights(table: Table, name: str, rows: Rows | None = None) -> NDArray[np.float64]:
    """The same, where all may be 0."""
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
