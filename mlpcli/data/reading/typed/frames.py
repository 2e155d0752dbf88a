"""Data frames as tables: their columns follow the rules of typed files."""

import hashlib
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from mlpcli.data.reading.csv.rows import checked_names, column_notes
from mlpcli.data.reading.faults import escaped
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed import columns as typed
from mlpcli.data.reading.typed.arrow import arrow_column, load_pyarrow
from mlpcli.data.table import DEFAULT_MISSING, CellType, Column, Table, TableFormat
from mlpcli.errors import DataError

Series: TypeAlias = "pd.Series[Any]"

ALL = Request()
CELL_TYPES = (str, int, float, np.number, np.bool_, date, Decimal)


def table_from_frame(
    frame: pd.DataFrame,
    name: str = "the data frame",
    request: Request = ALL,
    missing: tuple[str, ...] = DEFAULT_MISSING,
) -> Table:
    """The columns that are wanted of a frame that was never a file, without its index; the hash is of their cells.

    `missing` are texts of a missing cell.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{name}: must be a pandas DataFrame, got {type(frame).__name__}.")
    names = checked_names(name, None, [str(column) for column in frame.columns])
    rows = frame.set_axis(list(names), axis="columns").reset_index(drop=True)
    columns = frame_columns(rows, request, name)
    digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogatepass"))
    try:
        digest.update(pd.util.hash_pandas_object(rows[list(columns)], index=False).to_numpy().tobytes())
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: a cell is no text, number or date ({error}).") from error
    where = partial("{}: row {}".format, name)
    sha256, format = digest.hexdigest(), TableFormat(missing=missing)
    notes = tuple(column_notes(name, [str(column) for column in frame.columns], names))
    return Table(columns, len(rows), name, names, format, where, sha256, notes, is_file=False)


def frame_columns(frame: pd.DataFrame, request: Request, name: str = "the data frame") -> dict[str, Column]:
    """The wanted columns of a frame whose columns have distinct texts as names; `name` is for messages."""
    return {
        column: _column(f"{name}: column {escaped(column)}", cells, request.wants_text(column))
        for column, cells in frame.items()
        if isinstance(column, str) and request.wants(column)
    }


def _column(where: str, series: Series, as_text: bool) -> Column:
    dtype: Any = series.dtype
    if isinstance(dtype, pd.ArrowDtype):
        pa = load_pyarrow(where)
        found = arrow_column(pa, pa.array(series), as_text)
        if found is None:
            raise typed.unreadable_type(where, dtype)
        return found
    if isinstance(dtype, pd.CategoricalDtype):
        codes, entries = np.asarray(series.cat.codes), series.cat.categories
        return typed.coded_column(codes, entries.tolist(), _type_of(where, entries), "category")
    if isinstance(dtype, pd.SparseDtype):
        return _column(where, series.astype(dtype.subtype), as_text)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        is_zoned = isinstance(dtype, pd.DatetimeTZDtype)
        stamps = series.dt.tz_convert(None) if is_zoned else series
        return typed.date_column(stamps.to_numpy(), as_text, is_zoned)
    if isinstance(dtype, pd.StringDtype):
        codes, distinct = pd.factorize(series)
        return typed.coded_column(codes, distinct.tolist(), "text")
    if dtype.kind in "iufb":
        # Nullable dtypes have a mask.
        missing = None if isinstance(dtype, np.dtype) or not series.hasnans else series.isna().to_numpy()
        values = series.to_numpy() if missing is None else series.to_numpy(dtype.numpy_dtype, na_value=0)
        values = values.astype(getattr(dtype, "numpy_dtype", dtype), copy=False)
        if dtype.kind == "b":
            return typed.boolean_column(values, as_text, missing)
        return typed.number_column(values, as_text, missing)
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        return _object_column(where, series, as_text)
    raise typed.unreadable_type(where, dtype)


def _type_of(where: str, categories: "pd.Index[Any]") -> CellType:
    """The type of the cells of a column of categories; of intervals and the like that of their texts."""
    try:
        return _column(where, categories.to_series(), True).cell_type or "text"
    except DataError:
        return "text"


def _object_column(where: str, series: Series, as_text: bool) -> Column:
    missing = series.isna().tolist()
    cells = [None if is_missing else cell for cell, is_missing in zip(series.tolist(), missing, strict=True)]
    for its_type in set(map(type, cells)) - {type(None)}:
        if not issubclass(its_type, CELL_TYPES) or issubclass(its_type, np.complexfloating | np.timedelta64):
            raise typed.unreadable_type(where, its_type.__name__)
    return typed.object_column(cells, as_text)
