"""Typed values as columns, by the rules that Arrow arrays, JSON values, cells of workbooks and frames share."""

import importlib
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.reading.reader import Reader
from mlpcli.data.schema.cells import FIRST_CODE, number_text
from mlpcli.data.table import CategoricalColumn, Codes, Column, NumericColumn, Role, Table, code_dtype, count_codes
from mlpcli.errors import DataError

BATCH_ROWS = 32_768
FIRST_NAME = FIRST_CODE
DAY = 86_400_000_000  # microseconds


def load_optional(where: str, module: str, package: str, extra: str) -> Any:
    """A module of an optional package; `where` is the file that needs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f'{where}: needs the package {package}. Install it with: pip install "mlp-train[{extra}]"'
        ) from error


def batch_table(reader: Reader, columns: Mapping[str, Column], n_rows: int, first: int) -> Table:
    """Rows of a file from row `first` on."""
    place = (reader.name, reader.names, reader.format, lambda row: reader.locate(first + row))
    return Table(columns, n_rows, *place, notes=tuple(reader.notes), first_row=first)


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


def coded_column(codes: Codes, cells: Sequence[Any], role: Role | None = None) -> CategoricalColumn:
    """The texts of `cells[codes]`, missing at -1; a text that no row has is no level."""
    counts = count_codes(codes, len(cells)).tolist()
    texts = [text_of(cell) if count else "" for cell, count in zip(cells, counts, strict=True)]
    return CategoricalColumn(tuple(texts), codes.astype(code_dtype(len(texts)), copy=False), role).relabel(texts)


def missing_column(n_rows: int) -> CategoricalColumn:
    """A column of missing cells."""
    return CategoricalColumn((), np.full(n_rows, -1, np.int8))


def number_column(values: NDArray[Any], as_text: bool, missing: NDArray[np.bool_] | None = None) -> Column:
    """Numbers, or texts where those are asked for or a whole number is a name."""
    is_whole = values.dtype.kind in "iu" and len(values) > 0
    if as_text or (is_whole and (values.max() >= FIRST_NAME or values.min() <= -FIRST_NAME)):
        codes, distinct = pd.factorize(values)
        return coded_column(codes if missing is None else np.where(missing, -1, codes), list(distinct))
    return NumericColumn(values if missing is None else np.where(missing, np.nan, values))


def boolean_column(values: NDArray[np.bool_], as_text: bool, missing: NDArray[np.bool_] | None = None) -> Column:
    """Booleans as the levels False and True."""
    codes = values.astype(np.int8)
    codes = codes if missing is None else np.where(missing, np.int8(-1), codes)
    return coded_column(codes, ["False", "True"]) if as_text else CategoricalColumn(("False", "True"), codes, "boolean")


def date_column(stamps: NDArray[np.datetime64], as_text: bool, is_zoned: bool = False) -> Column:
    """Days since 1970-01-01, or ISO texts; times that have a zone are given in UTC, and say so as texts."""
    if as_text:
        codes, distinct = pd.factorize(stamps.astype(np.int64))
        texts = map(text_of, distinct.astype(stamps.dtype))
        return coded_column(codes, [f"{text}Z" if is_zoned and "T" in text else text for text in texts])
    if stamps.dtype == "datetime64[ns]":
        stamps = stamps + np.timedelta64(500, "ns")  # dates in texts are rounded to microseconds, too
    values = stamps.astype("datetime64[us]").astype(np.int64) / DAY
    return NumericColumn(np.where(np.isnat(stamps), np.nan, values), "date")


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
    if not as_text and _are(types, date):
        return date_column(np.asarray([_stamp(cell) for cell in cells], "datetime64[us]"), as_text)
    is_name = any(isinstance(cell, int | np.integer) and not -FIRST_NAME < cell < FIRST_NAME for cell in cells)
    if not (as_text or is_name) and _are(types, int, float, np.number, Decimal) and not types & {bool, np.bool_}:
        is_whole = missing is None and _are(types, int, np.integer)
        return NumericColumn(np.asarray(cells, np.int64 if is_whole else np.float64))
    texts = np.empty(len(cells), object)
    # Texts are coded before they are normalized; others are spelled first, for 1 and True count as equal.
    texts[:] = list(cells) if types == {str} else list(map(text_of, cells))
    codes, distinct = pd.factorize(texts)
    return coded_column(codes, list(distinct))


def _are(types: set[type[Any]], *kinds: type[Any]) -> bool:
    return all(issubclass(one, kinds) for one in types)


def _stamp(cell: date | None) -> np.datetime64:
    if isinstance(cell, datetime):
        return np.datetime64((cell.astimezone(UTC) if cell.tzinfo else cell).replace(tzinfo=None), "us")
    return np.datetime64(cell, "D")
