"""Conversion of typed values to columns, shared by Arrow arrays, JSON values, workbooks and data frames."""

import importlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.reading.faults import escape_text
from mlpcli.data.reading.reader import Reader
from mlpcli.data.schema.spelling import FIRST_CODE, number_text
from mlpcli.data.table import (
    CategoricalColumn,
    CellType,
    Codes,
    Column,
    NumericColumn,
    Role,
    Table,
    code_dtype,
    count_codes,
)
from mlpcli.errors import DataError

BATCH_ROWS = 32_768
FIRST_IDENTIFIER = FIRST_CODE
MICROSECONDS_PER_DAY = 86_400_000_000
POWERS_OF_TEN = 10.0 ** np.arange(23)  # those that float64 represents exactly


def load_optional(file_name: str, module: str, package: str, extra: str) -> Any:
    """Import a module of an optional package; raises DataError, for the file that needs it, if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f'{file_name}: needs the package {package}. Install it with: pip install "mlp-train[{extra}]"'
        ) from error


def batch_table(
    reader: Reader, columns: Mapping[str, Column], n_rows: int, first_row: int, kept: Mapping[str, Any]
) -> Table:
    """The table of a batch of a file that begins with row `first_row`."""
    source = (reader.name, reader.names, reader.format, lambda row: reader.locate(first_row + row))
    return Table(columns, n_rows, *source, notes=tuple(reader.notes), first_row=first_row, kept=kept)


def unreadable_type(location: str, cell_type: object) -> DataError:
    """Build the error for cells that are not numbers, texts, booleans or dates."""
    return DataError(
        f"{location}: cells of type {escape_text(str(cell_type))} cannot be read. Write them as "
        "numbers or texts (a duration in seconds, a nested value in several columns), or leave the column out."
    )


def cell_text(cell: object) -> str:
    """The text of a cell in a CSV file, "" if it is missing; dates are ISO in UTC, without the time at midnight."""
    if isinstance(cell, str):
        return unicodedata.normalize("NFC", cell).strip()
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float | np.floating | Decimal):
        return number_text(
            float(str(cell))
        )  # via the text, as the shortest text of a float32 is not that of its float64
    if isinstance(cell, date | np.datetime64):
        text = str(_stamp(cell) if isinstance(cell, date) else cell)
        text = (text.rstrip("0").rstrip(".") if "." in text else text).removesuffix("T00:00:00")
        return f"{text}Z" if getattr(cell, "tzinfo", None) and "T" in text else text
    return str(cell)


def categorical_column(
    codes: Codes, cells: Sequence[Any], cell_type: CellType, role: Role | None = None
) -> CategoricalColumn:
    """The column of the texts of `cells[codes]`, missing where the code is -1; unused cells are not levels."""
    counts = count_codes(codes, len(cells)).tolist()
    texts = [cell_text(cell) if count else "" for cell, count in zip(cells, counts, strict=True)]
    codes = codes.astype(code_dtype(len(texts)), copy=False)
    return CategoricalColumn(tuple(texts), codes, role, cell_type).relabel(texts)


def missing_column(n_rows: int) -> CategoricalColumn:
    """A column of missing cells."""
    return CategoricalColumn((), np.full(n_rows, -1, np.int8))


def number_column(
    values: NDArray[Any], as_text: bool, missing: NDArray[np.bool_] | None = None, cell_type: CellType | None = None
) -> Column:
    """The column of numbers (n_rows,): numeric, or texts if `as_text` or if an integer is so large that it is an ID.

    `cell_type` is the type of the source, by default that of `values`.
    """
    cell_type = cell_type or numeric_cell_type(values.dtype)
    if values.dtype.kind == "f":
        exact = exact_decimals(values)
        values = values if np.array_equal(exact, values, equal_nan=True) else exact
    is_integer = values.dtype.kind in "iu" and len(values) > 0
    if as_text or (is_integer and (values.max() >= FIRST_IDENTIFIER or values.min() <= -FIRST_IDENTIFIER)):
        codes, uniques = pd.factorize(values)
        return categorical_column(codes if missing is None else np.where(missing, -1, codes), list(uniques), cell_type)
    return NumericColumn(values if missing is None else np.where(missing, np.nan, values), None, cell_type)


def exact_decimals(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Convert float16 or float32 to the float64 of its shortest decimal text, as if read from a CSV file.

    The shortest decimal that rounds to the value has between 3 and 5 significant digits for float16, 6 and 9 for
    float32; each number of digits is tried in turn.
    """
    if values.dtype not in (np.float16, np.float32):
        return values.astype(np.float64, copy=False)
    n_min, n_max = (3, 5) if values.dtype == np.float16 else (6, 9)
    with np.errstate(all="ignore"):
        as_float64 = values.astype(np.float64)
        nearest = as_float64.copy()
        exponents = np.floor(np.log10(np.abs(as_float64)))
        is_unresolved = np.isfinite(as_float64) & (as_float64 != 0.0)
        needs_text = is_unresolved & ((np.abs(exponents) > 12) | (np.abs(values) < np.finfo(values.dtype).tiny))
        is_unresolved &= ~needs_text
        for digits in range(n_min, n_max + 1):
            rows = np.flatnonzero(is_unresolved)
            shifts = (digits - 1 - exponents[rows]).astype(np.intp)
            numerator, denominator = POWERS_OF_TEN[np.maximum(shifts, 0)], POWERS_OF_TEN[np.maximum(-shifts, 0)]
            scaled = as_float64[rows] * numerator / denominator
            rounded = np.rint(scaled)
            decimals = rounded * denominator / numerator  # both operands are exact, so it is rounded once
            is_exact = decimals.astype(values.dtype) == values[rows]
            is_tie = np.abs(np.abs(scaled - rounded) - 0.5) < 1e-6
            nearest[rows[is_exact]] = decimals[is_exact]
            is_unresolved[rows[is_exact | is_tie]] = False
            needs_text[rows[is_tie]] = True
    for row in np.flatnonzero(needs_text | is_unresolved).tolist():
        nearest[row] = float(str(values[row]))
    return nearest


def boolean_column(values: NDArray[np.bool_], as_text: bool, missing: NDArray[np.bool_] | None = None) -> Column:
    """The column of booleans (n_rows,), with the levels False and True."""
    codes = values.astype(np.int8)
    codes = codes if missing is None else np.where(missing, np.int8(-1), codes)
    column = CategoricalColumn(("False", "True"), codes, "boolean", "bool")
    return categorical_column(codes, column.levels, "bool") if as_text else column


def date_column(stamps: NDArray[np.datetime64], as_text: bool, is_zoned: bool = False) -> Column:
    """The column of dates (n_rows,): days since 1970-01-01, or ISO texts.

    `is_zoned`: the source has a time zone, and `stamps` are in UTC; texts with a time then end in Z.
    """
    unit = np.datetime_data(stamps.dtype)[0]
    cell_type: CellType = "date" if unit == "D" else f"datetime64[{unit}{', UTC' if is_zoned else ''}]"  # type: ignore[assignment]
    if as_text:
        codes, uniques = pd.factorize(stamps.astype(np.int64))
        texts = map(cell_text, uniques.astype(stamps.dtype))
        return categorical_column(
            codes, [f"{text}Z" if is_zoned and "T" in text else text for text in texts], cell_type
        )
    if stamps.dtype == "datetime64[ns]":
        stamps = stamps + np.timedelta64(500, "ns")  # rounds to microseconds, as dates in texts are
    values = stamps.astype("datetime64[us]").astype(np.int64) / MICROSECONDS_PER_DAY
    return NumericColumn(np.where(np.isnat(stamps), np.nan, values), "date", cell_type)


def object_column(cells: Sequence[Any], as_text: bool) -> Column:
    """The column of Python objects, None if missing: numeric, boolean or dates if all cells are, otherwise texts."""
    types = set(map(type, cells))
    if str in types and types != {str}:
        cells = [None if isinstance(cell, str) and not cell.strip() else cell for cell in cells]
        types = set(map(type, cells))
    missing = np.asarray([cell is None for cell in cells]) if type(None) in types else None
    types.discard(type(None))
    if not types:
        return missing_column(len(cells))
    if _are(types, bool, np.bool_):
        return boolean_column(np.asarray([bool(cell) for cell in cells]), as_text, missing)
    cell_type = common_cell_type(types, cells)
    if not as_text and _are(types, date):
        column = date_column(np.asarray([_stamp(cell) for cell in cells], "datetime64[us]"), as_text)
        return replace(column, cell_type=cell_type)
    has_identifier = any(
        isinstance(cell, int | np.integer) and not -FIRST_IDENTIFIER < cell < FIRST_IDENTIFIER for cell in cells
    )
    if not (as_text or has_identifier) and _are(types, int, float, np.number, Decimal) and not types & {bool, np.bool_}:
        is_integer = missing is None and _are(types, int, np.integer)
        if any(issubclass(cell_class, np.floating) and cell_class is not np.float64 for cell_class in types):
            cells = [float(str(cell)) if isinstance(cell, np.floating) else cell for cell in cells]
        return NumericColumn(np.asarray(cells, np.int64 if is_integer else np.float64), None, cell_type)
    texts = np.empty(len(cells), object)
    # Texts are factorized before they are normalized; other cells are converted first, because 1 == True.
    texts[:] = list(cells) if types == {str} else list(map(cell_text, cells))
    codes, uniques = pd.factorize(texts)
    return categorical_column(codes, list(uniques), cell_type)


def numeric_cell_type(dtype: np.dtype[Any]) -> CellType:
    """The cell type of a real NumPy dtype."""
    return dtype.name if dtype.name in get_args(CellType) else "float64"  # type: ignore[return-value]


def common_cell_type(types: set[type[Any]], cells: Sequence[Any]) -> CellType:
    """The common cell type of cells of these Python types; cells that are None are missing."""
    if types == {str}:
        return "text"
    if _are(types, bool, np.bool_):
        return "bool"
    if _are(types, Decimal):
        return "decimal"
    if _are(types, np.number):
        return numeric_cell_type(np.result_type(*types))
    if _are(types, int, np.integer) and bool not in types:
        present = [cell for cell in cells if cell is not None]
        fits = (
            name for name in ("int64", "uint64") if all(_holds(name, cell) for cell in (min(present), max(present)))
        )
        return next(fits, "text")  # type: ignore[arg-type]
    if _are(types, date) and not any(issubclass(cell_class, datetime) for cell_class in types):
        return "date"
    if _are(types, datetime):
        are_zoned = {cell.tzinfo is not None for cell in cells if cell is not None}
        return "mixed" if len(are_zoned) > 1 else "datetime64[us, UTC]" if True in are_zoned else "datetime64[us]"
    return "float64" if _are(types, int, float, np.number, Decimal) and bool not in types else "mixed"


def _holds(name: str, number: int) -> bool:
    return int(np.iinfo(name).min) <= number <= int(np.iinfo(name).max)


def _are(types: set[type[Any]], *kinds: type[Any]) -> bool:
    return all(issubclass(cell_class, kinds) for cell_class in types)


def _stamp(cell: date | None) -> np.datetime64:
    if isinstance(cell, pd.Timestamp):  # may have nanoseconds
        return (cell.tz_convert(None) if cell.tzinfo else cell).to_datetime64()
    if isinstance(cell, datetime):
        return np.datetime64((cell.astimezone(UTC) if cell.tzinfo else cell).replace(tzinfo=None), "us")
    return np.datetime64(cell, "D")
