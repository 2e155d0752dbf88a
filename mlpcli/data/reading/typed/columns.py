"""Typed values as columns, by the rules that Arrow arrays, JSON values, cells of workbooks and frames share."""

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
FIRST_NAME = FIRST_CODE
DAY = 86_400_000_000  # microseconds
POWERS = 10.0 ** np.arange(23)  # those that float64 holds


def load_optional(where: str, module: str, package: str, extra: str) -> Any:
    """A module of an optional package; `where` is the file that needs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f'{where}: needs the package {package}. Install it with: pip install "mlp-train[{extra}]"'
        ) from error


def batch_table(
    reader: Reader, columns: Mapping[str, Column], n_rows: int, first: int, kept: Mapping[str, Any]
) -> Table:
    """Rows of a file from row `first` on."""
    place = (reader.name, reader.names, reader.format, lambda row: reader.locate(first + row))
    return Table(columns, n_rows, *place, notes=tuple(reader.notes), first_row=first, kept=kept)


def unreadable_type(where: str, its_type: object) -> DataError:
    """A column of neither numbers, texts, booleans nor dates."""
    return DataError(
        f"{where}: cells of type {escape_text(str(its_type))} cannot be read. Write them as "
        "numbers or texts (a duration in seconds, a nested value in several columns), or leave the column out."
    )


def text_of(cell: object) -> str:
    """A cell as it stands in a CSV file, "" if it is missing; dates are ISO, in UTC, without the time at midnight."""
    if isinstance(cell, str):
        return unicodedata.normalize("NFC", cell).strip()
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float | np.floating | Decimal):
        return number_text(float(str(cell)))  # the shortest text of a float32 is not that of its float64
    if isinstance(cell, date | np.datetime64):
        text = str(_stamp(cell) if isinstance(cell, date) else cell)
        text = (text.rstrip("0").rstrip(".") if "." in text else text).removesuffix("T00:00:00")
        return f"{text}Z" if getattr(cell, "tzinfo", None) and "T" in text else text
    return str(cell)


def coded_column(
    codes: Codes, cells: Sequence[Any], cell_type: CellType, role: Role | None = None
) -> CategoricalColumn:
    """The texts of `cells[codes]`, missing at -1; a text that no row has is no level."""
    counts = count_codes(codes, len(cells)).tolist()
    texts = [text_of(cell) if count else "" for cell, count in zip(cells, counts, strict=True)]
    codes = codes.astype(code_dtype(len(texts)), copy=False)
    return CategoricalColumn(tuple(texts), codes, role, cell_type).relabel(texts)


def missing_column(n_rows: int) -> CategoricalColumn:
    """A column of missing cells."""
    return CategoricalColumn((), np.full(n_rows, -1, np.int8))


def number_column(
    values: NDArray[Any], as_text: bool, missing: NDArray[np.bool_] | None = None, cell_type: CellType | None = None
) -> Column:
    """Numbers, or texts where those are asked for or an integer is a name; `cell_type` is that of the values."""
    cell_type = cell_type or number_type(values.dtype)
    if values.dtype.kind == "f":
        exact = exact_decimals(values)
        values = values if np.array_equal(exact, values, equal_nan=True) else exact
    is_whole = values.dtype.kind in "iu" and len(values) > 0
    if as_text or (is_whole and (values.max() >= FIRST_NAME or values.min() <= -FIRST_NAME)):
        codes, distinct = pd.factorize(values)
        return coded_column(codes if missing is None else np.where(missing, -1, codes), list(distinct), cell_type)
    return NumericColumn(values if missing is None else np.where(missing, np.nan, values), None, cell_type)


def exact_decimals(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The float64 of the shortest decimal that names each float16 or float32: what its text says in a CSV file.

    The decimal of as many digits as the type surely holds is it if it names the number, else one of more digits.
    """
    if values.dtype not in (np.float16, np.float32):
        return values.astype(np.float64, copy=False)
    least, most = (3, 5) if values.dtype == np.float16 else (6, 9)
    with np.errstate(all="ignore"):
        wide = values.astype(np.float64)
        found = wide.copy()
        exponents = np.floor(np.log10(np.abs(wide)))
        is_open = np.isfinite(wide) & (wide != 0.0)
        is_hard = is_open & ((np.abs(exponents) > 12) | (np.abs(values) < np.finfo(values.dtype).tiny))
        is_open &= ~is_hard
        for digits in range(least, most + 1):
            places = np.flatnonzero(is_open)
            shifts = (digits - 1 - exponents[places]).astype(np.intp)
            up, down = POWERS[np.maximum(shifts, 0)], POWERS[np.maximum(-shifts, 0)]
            scaled = wide[places] * up / down
            whole = np.rint(scaled)
            decimals = whole * down / up  # an integer and a power of ten that are exact: rounded once
            fits = decimals.astype(values.dtype) == values[places]
            is_tie = np.abs(np.abs(scaled - whole) - 0.5) < 1e-6
            found[places[fits]] = decimals[fits]
            is_open[places[fits | is_tie]] = False
            is_hard[places[is_tie]] = True
    for place in np.flatnonzero(is_hard | is_open).tolist():
        found[place] = float(str(values[place]))
    return found


def boolean_column(values: NDArray[np.bool_], as_text: bool, missing: NDArray[np.bool_] | None = None) -> Column:
    """Booleans as the levels False and True."""
    codes = values.astype(np.int8)
    codes = codes if missing is None else np.where(missing, np.int8(-1), codes)
    column = CategoricalColumn(("False", "True"), codes, "boolean", "bool")
    return coded_column(codes, column.levels, "bool") if as_text else column


def date_column(stamps: NDArray[np.datetime64], as_text: bool, is_zoned: bool = False) -> Column:
    """Days since 1970-01-01, or ISO texts; times that have a zone are given in UTC, and say so as texts."""
    unit = np.datetime_data(stamps.dtype)[0]
    cell_type: CellType = "date" if unit == "D" else f"datetime64[{unit}{', UTC' if is_zoned else ''}]"  # type: ignore[assignment]
    if as_text:
        codes, distinct = pd.factorize(stamps.astype(np.int64))
        texts = map(text_of, distinct.astype(stamps.dtype))
        return coded_column(codes, [f"{text}Z" if is_zoned and "T" in text else text for text in texts], cell_type)
    if stamps.dtype == "datetime64[ns]":
        stamps = stamps + np.timedelta64(500, "ns")  # dates in texts are rounded to microseconds, too
    values = stamps.astype("datetime64[us]").astype(np.int64) / DAY
    return NumericColumn(np.where(np.isnat(stamps), np.nan, values), "date", cell_type)


def object_column(cells: Sequence[Any], as_text: bool) -> Column:
    """Cells of any type, None where missing: numbers, booleans or dates where all are, otherwise texts."""
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
    cell_type = object_type(types, cells)
    if not as_text and _are(types, date):
        column = date_column(np.asarray([_stamp(cell) for cell in cells], "datetime64[us]"), as_text)
        return replace(column, cell_type=cell_type)
    is_name = any(isinstance(cell, int | np.integer) and not -FIRST_NAME < cell < FIRST_NAME for cell in cells)
    if not (as_text or is_name) and _are(types, int, float, np.number, Decimal) and not types & {bool, np.bool_}:
        is_whole = missing is None and _are(types, int, np.integer)
        if any(issubclass(one, np.floating) and one is not np.float64 for one in types):
            cells = [float(str(cell)) if isinstance(cell, np.floating) else cell for cell in cells]
        return NumericColumn(np.asarray(cells, np.int64 if is_whole else np.float64), None, cell_type)
    texts = np.empty(len(cells), object)
    # Texts are coded before they are normalized; others are spelled first, for 1 and True count as equal.
    texts[:] = list(cells) if types == {str} else list(map(text_of, cells))
    codes, distinct = pd.factorize(texts)
    return coded_column(codes, list(distinct), cell_type)


def number_type(dtype: np.dtype[Any]) -> CellType:
    """The type of cells of a NumPy type of real numbers."""
    return dtype.name if dtype.name in get_args(CellType) else "float64"  # type: ignore[return-value]


def object_type(types: set[type[Any]], cells: Sequence[Any]) -> CellType:
    """What cells of these types are together; None among the cells is a missing one."""
    if types == {str}:
        return "text"
    if _are(types, bool, np.bool_):
        return "bool"
    if _are(types, Decimal):
        return "decimal"
    if _are(types, np.number):
        return number_type(np.result_type(*types))
    if _are(types, int, np.integer) and bool not in types:
        known = [cell for cell in cells if cell is not None]
        fits = (name for name in ("int64", "uint64") if all(_holds(name, cell) for cell in (min(known), max(known))))
        return next(fits, "text")  # type: ignore[arg-type]
    if _are(types, date) and not any(issubclass(one, datetime) for one in types):
        return "date"
    if _are(types, datetime):
        are_zoned = {cell.tzinfo is not None for cell in cells if cell is not None}
        return "mixed" if len(are_zoned) > 1 else "datetime64[us, UTC]" if True in are_zoned else "datetime64[us]"
    return "float64" if _are(types, int, float, np.number, Decimal) and bool not in types else "mixed"


def _holds(name: str, number: int) -> bool:
    return int(np.iinfo(name).min) <= number <= int(np.iinfo(name).max)


def _are(types: set[type[Any]], *kinds: type[Any]) -> bool:
    return all(issubclass(one, kinds) for one in types)


def _stamp(cell: date | None) -> np.datetime64:
    if isinstance(cell, pd.Timestamp):  # which may have nanoseconds
        return (cell.tz_convert(None) if cell.tzinfo else cell).to_datetime64()
    if isinstance(cell, datetime):
        return np.datetime64((cell.astimezone(UTC) if cell.tzinfo else cell).replace(tzinfo=None), "us")
    return np.datetime64(cell, "D")
