"""Column schemas: how the cells of a column are read; inferred once, recorded in the model, applied to every table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.column_sketch import ColumnSketch
from mlpcli.data.reading.faults import escape_text, quote_text
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.schema.cells import boolean_values, canonical_in, marker_numbers, missing_mask, parse_numbers
from mlpcli.data.schema.dates import date_texts, parse_dates
from mlpcli.data.schema.spelling import PLAIN, NumberFormat, number_text
from mlpcli.data.store import PAGE_WATCHER
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Role, Rows, Table, code_dtype
from mlpcli.errors import DataError
from mlpcli.options import Setting, options

Locate = Callable[[int], str]


@options
class ColumnOptions:
    """How to read one column, where what is found is wrong; a role alone is the short form."""

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
    """How a column is read, and why.

    `number` applies to numbers, `date_format` to dates. `levels` are (no, yes) of a boolean; of a category the spelling
    of false and true, matched in any case (see `boolean_spelling`). `missing` are the markers of a missing cell; None
    means those of the table.
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


def cast(column: Column, schema: ColumnSchema, missing: frozenset[str], where: Locate) -> Column:
    """Cast a column to its role: numbers and days (float64 or smaller), or codes of canonical texts.

    `missing` are the missing markers of the table, `where` maps a row to its location. A boolean has the levels
    (no, yes) first, then any other texts. Raises DataError with the location of an invalid cell.
    """
    markers = missing if schema.missing is None else frozenset(schema.missing) | {""}
    if schema.role in ("number", "date"):
        return _numeric(column, schema, markers, where)
    texts = as_categorical(column) if isinstance(column, NumericColumn) else column
    # What came as numbers is spelled already.
    own = PLAIN if isinstance(column, NumericColumn) else schema.number
    is_missing = missing_mask(texts.levels, markers, own)
    spelled = canonical_in(texts.levels, own)
    names = [None if gone else text for text, gone in zip(spelled, is_missing, strict=True)]
    if schema.role == "category":
        return texts.relabel(normalize_booleans(names, schema.levels))
    return _boolean(texts, names, schema)


def as_categorical(column: NumericColumn) -> CategoricalColumn:
    """A numeric column as canonical texts, days as ISO dates; `role` keeps what they were."""
    distinct, codes = np.unique(np.asarray(column.values), return_inverse=True)
    # The shortest text of a float32 is not that of its float64.
    is_date = column.role == "date"
    levels = date_texts(distinct) if is_date else [number_text(float(str(number))) for number in distinct]
    found = CategoricalColumn(
        tuple(map(str, range(len(levels)))),
        codes.astype(code_dtype(len(levels))),
        column.role or "number",
        column.cell_type,
    )
    is_missing = np.isnan(distinct.astype(np.float64))
    return found.relabel([None if gone else level for level, gone in zip(levels, is_missing, strict=True)])


def first_row_with_level(column: CategoricalColumn, is_asked: NDArray[np.bool_]) -> int:
    """The first row with a marked level (n_levels,)."""
    return int(np.argmax(column.translate(is_asked, False)))


def _numeric(column: Column, schema: ColumnSchema, markers: frozenset[str], where: Locate) -> NumericColumn:
    if isinstance(column, NumericColumn):
        is_known = ~np.isnan(column.values)
        if (schema.role == "date") != (column.role == "date") and is_known.any():
            row = int(np.argmax(is_known))
            text = as_categorical(column.take(slice(row, row + 1))).levels[0]
            found = not_a_date_error if schema.role == "date" else not_a_number_error
            raise found(where(row), schema, text)
        values = column.values
        if schema.role == "number" and column.role is None:
            values = _without_markers(values, marker_numbers(markers, schema.number))
    else:
        values = _parse(column, schema, markers, where)
    if values.dtype.kind == "f" and not (np.isfinite(values.max(initial=0.0)) and np.isfinite(values.min(initial=0.0))):
        is_infinite = np.isinf(values)  # NaN alone also comes here
        if is_infinite.any():
            raise DataError(
                f"{where(int(np.argmax(is_infinite)))}: column {escape_text(schema.name)}: an infinite value. "
                "Write a finite number, or leave the cell empty."
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
        text = column.levels[column.codes[row]]
        raise (
            not_a_date_error(where(row), schema, text)
            if schema.role == "date"
            else not_a_number_error(where(row), schema, text)
        )
    values: NDArray[np.float64] = column.translate(np.where(is_missing, np.nan, numbers), np.nan)
    return values


def _boolean(texts: CategoricalColumn, names: list[str | None], schema: ColumnSchema) -> CategoricalColumn:
    signs = boolean_values(schema.levels, [name or "" for name in names])
    others = sorted({name for name, sign in zip(names, signs.tolist(), strict=True) if name and np.isnan(sign)})
    places = {name: place for place, name in enumerate(others, start=2)}
    codes = [
        -1 if not name else places[name] if np.isnan(sign) else int(sign)
        for name, sign in zip(names, signs.tolist(), strict=True)
    ]
    table = np.asarray(codes, code_dtype(len(others) + 2))
    return CategoricalColumn((*schema.levels, *others), texts.translate(table, -1), texts.role, texts.cell_type)


def not_a_number_error(where: str, schema: ColumnSchema, text: str) -> DataError:
    """Error for an invalid cell of a numeric column."""
    hint = ""
    if schema.number == PLAIN and any(sign.isdigit() for sign in text):
        hint = f" Or say how its numbers are written (prefix, suffix, decimal, thousands): data.columns.{schema.name}."
    return DataError(
        f"{where}: column {escape_text(schema.name)}: {quote_text(text)} is not a number.\n"
        f"Correct the cell; if it stands for a missing value, name it in data.missing.{hint}"
    )


def not_a_date_error(where: str, schema: ColumnSchema, text: str) -> DataError:
    """Error for an invalid cell of a date column."""
    return DataError(
        f"{where}: column {escape_text(schema.name)}: {quote_text(text)} is not a date"
        f"{f' written {schema.date_format}' if schema.date_format else ''}.\n"
        "Correct the cell, or say how dates are written: data.dates, or format in data.columns."
    )


class CastRemoteColumns(RemoteColumns):
    """Remote columns, each cast when it is fetched."""

    def __init__(self, table: Table, schemas: Sequence[ColumnSchema]) -> None:
        super().__init__([schema.name for schema in schemas])
        self._table, self._schemas = table, {schema.name: schema for schema in schemas}

    def fetch(self, name: str) -> Column:
        """See `RemoteColumns`; raises DataError with the place of a misfit."""
        missing = frozenset(self._table.format.missing) | {""}
        return cast(self._table.columns[name], self._schemas[name], missing, self._table.where)

    def inputs(self, preprocessor: Any, rows: Rows, dtype: Any) -> tuple[Any, Any]:
        """See `RemoteColumns`."""
        return self._distant.inputs(preprocessor, rows, dtype)

    def row_hashes(self, columns: Sequence[str], rows: Rows | None) -> NDArray[np.uint64]:
        """See `RemoteColumns`."""
        return self._distant.row_hashes([self._schemas[name] for name in columns], rows)

    def sketch(self, schema: ColumnSchema, rows: Rows) -> ColumnSketch | None:
        """See `RemoteColumns`; raises DataError with the place of a misfit."""
        return self._distant.sketch(schema, rows)

    def missing_hash(self, is_missing: NDArray[np.bool_], rows: Rows) -> bytes:
        """See `RemoteColumns`."""
        return self._distant.missing_hash(is_missing, rows)

    @property
    def is_sketched(self) -> bool:
        """See `RemoteColumns`."""
        return self._distant.is_sketched

    @property
    def rank_error(self) -> float:
        """See `RemoteColumns`."""
        return self._distant.rank_error

    @property
    def _distant(self) -> RemoteColumns:
        columns = self._table.columns
        assert isinstance(columns, RemoteColumns)
        return columns


def cast_table(table: Table, schemas: Sequence[ColumnSchema]) -> Table:
    """Cast the columns of these schemas; raises DataError with the location of an invalid cell.

    Remote columns are cast, and raise, when they are fetched.
    """
    if isinstance(table.columns, RemoteColumns):
        return table.with_columns(CastRemoteColumns(table, schemas))
    missing = frozenset(table.format.missing) | {""}
    columns: dict[str, Column] = {}
    for schema in schemas:
        columns[schema.name] = cast(table.columns[schema.name], schema, missing, table.where)
        PAGE_WATCHER.release()  # of a column on disk
    return table.with_columns(columns)
