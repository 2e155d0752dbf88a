"""Column schemas: how to read the cells of a column; inferred once, stored in the model, applied to every table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import escape_text, quote_text
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.schema.cells import boolean_values, canonical_texts, marker_numbers, missing_mask, parse_numbers
from mlpcli.data.schema.dates.parsing import date_texts, parse_dates
from mlpcli.data.schema.spelling import PLAIN, NumberFormat, number_text
from mlpcli.data.store import PAGE_WATCHER
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Role, Table, code_dtype
from mlpcli.errors import DataError
from mlpcli.options import Setting, options

Locate = Callable[[int], str]


@options
class ColumnOptions:
    """How to read one column, overriding what is inferred; the short form is a role."""

    role: Annotated[Role | None, Setting("number, date, boolean or category; null infers it.")] = None
    prefix: Annotated[str, Setting("Text before each number, such as $.")] = ""
    suffix: Annotated[str, Setting("Text after each number, such as % or kg.")] = ""
    decimal: Annotated[str | None, Setting("Decimal separator of the numbers; null is data.decimal.")] = None
    thousands: Annotated[str | None, Setting("Thousands separator of the numbers; null is data.thousands.")] = None
    parentheses: Annotated[bool, Setting("Whether numbers in parentheses such as (117.88) are negative.")] = False
    format: Annotated[str | None, Setting("Format of the dates, such as DD/MM/YYYY; null infers it.")] = None
    missing: Annotated[tuple[str, ...] | None, Setting("Cells that mean a missing value; null is data.missing.")] = None


@dataclass(frozen=True)
class ColumnSchema:
    """How to read a column, and the reason.

    `number` applies to numbers, `date_format` to dates. `levels` are (no, yes) of a boolean; of a category they are the
    spelling of false and true, which are matched in any case (`boolean_spelling`). `missing` are the missing markers of
    the column; None means those of the table.
    """

    name: str
    role: Role
    reason: str = ""
    number: NumberFormat = PLAIN
    date_format: str = ""
    levels: tuple[str, ...] = ()
    missing: tuple[str, ...] | None = None


def as_category(schema: ColumnSchema) -> ColumnSchema:
    """The schema with role category; only a spelling of false and true is kept in `levels`."""
    is_spelling = tuple(map(str.casefold, schema.levels)) == ("false", "true")
    return replace(schema, role="category", levels=schema.levels if is_spelling else ())


def normalize_booleans(texts: Sequence[str | None], levels: Sequence[str]) -> list[str | None]:
    """Replace each text that differs from one of `levels` only in case by that level."""
    words = {level.casefold(): level for level in levels}
    return [words.get(text.casefold(), text) if text and words else text for text in texts]


def missing_markers(table: Table, schema: ColumnSchema | ColumnOptions) -> frozenset[str]:
    """The texts of missing cells of a column: its own, or those of the table; "" is always one."""
    return frozenset(table.format.missing if schema.missing is None else schema.missing) | {""}


def cast(column: Column, schema: ColumnSchema, table: Table) -> Column:
    """Cast a column of `table` to its role: numbers and days (float64 or smaller), or codes of canonical texts.

    A boolean has the levels (no, yes) first, then any other texts. Raises DataError with the location of an invalid
    cell.
    """
    markers = missing_markers(table, schema)
    if schema.role in ("number", "date"):
        return _numeric(column, schema, markers, table.where)
    categorical = as_categorical(column)
    # Numeric columns have been converted to canonical texts already.
    number_format = PLAIN if isinstance(column, NumericColumn) else schema.number
    is_missing = missing_mask(categorical.levels, markers, number_format)
    canonical_levels = canonical_texts(categorical.levels, number_format)
    names = [None if is_marker else text for text, is_marker in zip(canonical_levels, is_missing, strict=True)]
    if schema.role == "category":
        return categorical.relabel(normalize_booleans(names, schema.levels))
    return _boolean(categorical, names, schema)


def as_categorical(column: Column) -> CategoricalColumn:
    """Convert a numeric column to canonical texts, days to ISO dates; `role` keeps the original role."""
    if isinstance(column, CategoricalColumn):
        return column
    uniques, codes = np.unique(np.asarray(column.values), return_inverse=True)
    # Via the text, as the shortest text of a float32 is not that of its float64.
    is_date = column.role == "date"
    levels = date_texts(uniques) if is_date else [number_text(float(str(number))) for number in uniques]
    categorical = CategoricalColumn(
        tuple(map(str, range(len(levels)))),
        codes.astype(code_dtype(len(levels))),
        column.role or "number",
        column.cell_type,
    )
    is_missing = np.isnan(uniques.astype(np.float64))
    return categorical.relabel([None if is_nan else level for level, is_nan in zip(levels, is_missing, strict=True)])


def first_row_with_level(column: CategoricalColumn, is_marked: NDArray[np.bool_]) -> int:
    """The first row with a marked level (n_levels,)."""
    return int(np.argmax(column.translate(is_marked, False)))


def _numeric(column: Column, schema: ColumnSchema, markers: frozenset[str], where: Locate) -> NumericColumn:
    if isinstance(column, NumericColumn):
        is_present = ~column.is_missing
        if (schema.role == "date") != (column.role == "date") and is_present.any():
            row = int(np.argmax(is_present))
            text = as_categorical(column.take(slice(row, row + 1))).levels[0]
            raise _invalid_cell_error(where(row), schema, text)
        values = column.values
        if schema.role == "number" and column.role is None:
            values = _without_markers(values, marker_numbers(markers, schema.number))
    else:
        values = _parse(column, schema, markers, where)
    if values.dtype.kind == "f" and not (np.isfinite(values.max(initial=0.0)) and np.isfinite(values.min(initial=0.0))):
        is_infinite = np.isinf(values)  # values may hold only NaN
        if is_infinite.any():
            row = int(np.argmax(is_infinite))
            cell = column.levels[column.codes[row]] if isinstance(column, CategoricalColumn) else str(values[row])
            raise DataError(
                f"{where(row)}: column {escape_text(schema.name)}: an infinite value. "
                f"Write a finite number instead of {quote_text(cell)}, or leave the cell empty."
            )
    return NumericColumn(values, "date" if schema.role == "date" else column.role, column.cell_type)


def _without_markers(values: NDArray[Any], numbers: NDArray[np.float64]) -> NDArray[Any]:
    """Replace numbers that are missing markers by NaN."""
    if not len(numbers):
        return values
    is_missing = np.isin(values, numbers)
    return np.where(is_missing, np.nan, values) if is_missing.any() else values


def _parse(
    column: CategoricalColumn, schema: ColumnSchema, markers: frozenset[str], where: Locate
) -> NDArray[np.float64]:
    is_missing = missing_mask(column.levels, markers)
    if schema.role == "date":
        numbers = parse_dates(column.levels, schema.date_format)
        is_unknown = np.isnan(numbers) & ~is_missing
    else:
        numbers, is_unknown = parse_numbers(column.levels, schema.number)
        is_unknown &= ~is_missing
        is_missing |= np.isin(numbers, marker_numbers(markers, schema.number))
    is_unknown &= column.counts > 0
    if is_unknown.any():
        row = first_row_with_level(column, is_unknown)
        raise _invalid_cell_error(where(row), schema, column.levels[column.codes[row]])
    values: NDArray[np.float64] = column.translate(np.where(is_missing, np.nan, numbers), np.nan)
    return values


def _boolean(column: CategoricalColumn, names: list[str | None], schema: ColumnSchema) -> CategoricalColumn:
    values = boolean_values(schema.levels, [name or "" for name in names])
    others = sorted({name for name, value in zip(names, values.tolist(), strict=True) if name and np.isnan(value)})
    codes_of = {name: code for code, name in enumerate(others, start=2)}
    codes = [
        -1 if not name else codes_of[name] if np.isnan(value) else int(value)
        for name, value in zip(names, values.tolist(), strict=True)
    ]
    lookup = np.asarray(codes, code_dtype(len(others) + 2))
    return CategoricalColumn((*schema.levels, *others), column.translate(lookup, -1), column.role, column.cell_type)


def _invalid_cell_error(where: str, schema: ColumnSchema, text: str) -> DataError:
    """Error for a cell that is not a number, or not a date."""
    problem = f"{where}: column {escape_text(schema.name)}: {quote_text(text)} is not a {schema.role}"
    if schema.role == "date":
        return DataError(
            f"{problem}{f' written {schema.date_format}' if schema.date_format else ''}.\n"
            "Correct the cell, or say how dates are written (data.dates, or format in data.columns) and train again."
        )
    hint = ""
    if schema.number == PLAIN and any(char.isdigit() for char in text):
        hint = f", or say in data.columns.{schema.name} how numbers are written (prefix, suffix, decimal, thousands),"
    return DataError(
        f"{problem}.\nCorrect the cell, or leave it empty if the value is missing. "
        f"To read such cells, name missing values in data.missing{hint} and train again."
    )


def cast_table(table: Table, schemas: Sequence[ColumnSchema]) -> Table:
    """Cast the columns of these schemas; raises DataError with the location of an invalid cell.

    Remote columns are cast, and raise, when they are fetched.
    """
    if isinstance(table.columns, RemoteColumns):
        by_name = {schema.name: schema for schema in schemas}

        def fetch(name: str) -> Column:
            return cast(table.columns[name], by_name[name], table)

        return table.with_columns(RemoteColumns(table.columns.shards, fetch, list(by_name), by_name))
    columns: dict[str, Column] = {}
    for schema in schemas:
        columns[schema.name] = cast(table.columns[schema.name], schema, table)
        PAGE_WATCHER.release()  # the pages of a memory-mapped column
    return table.with_columns(columns)
