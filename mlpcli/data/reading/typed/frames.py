"""Data frames as tables: their columns follow the rules of typed files."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.reading.csv.rows import unique_column_names, unnamed_column_notes
from mlpcli.data.reading.faults import escape_text
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed import columns as typed
from mlpcli.data.reading.typed.arrow import arrow_column, load_pyarrow
from mlpcli.data.table import DEFAULT_MISSING, CellType, Column, Table, TableFormat
from mlpcli.errors import DataError

Series: TypeAlias = "pd.Series[Any]"
# A data frame; columns by name (a mapping of arrays, an array with named fields); an array (n_rows, n_columns).
Rows: TypeAlias = pd.DataFrame | Mapping[str, Any] | NDArray[Any]

ALL = Request()
CELL_TYPES = (str, int, float, np.number, np.bool_, date, Decimal)


def as_frame(rows: Any, columns: Sequence[str] | None) -> pd.DataFrame:
    """Rows as a data frame; raises DataError for an array whose columns have no names, or too few or many."""
    if isinstance(rows, pd.DataFrame):
        return rows
    if isinstance(rows, Mapping):
        try:
            return pd.DataFrame(dict(rows))
        except (TypeError, ValueError) as error:
            raise DataError(f"the rows: a mapping must give each column an array of one length ({error}).") from error
    if not isinstance(rows, np.ndarray):
        kind = type(rows).__name__
        raise DataError(f"the rows: must be a data frame, columns by name or an array, got {kind}.")
    if rows.dtype.names is not None:
        return pd.DataFrame({name: rows[name] for name in rows.dtype.names})
    if rows.ndim != 2:
        raise DataError(f"the rows: an array must have two dimensions (rows, columns), got {rows.ndim}.")
    if columns is None:
        raise DataError("the rows: the columns of an array have no names. Give columns=[...], or a data frame.")
    if len(columns) != rows.shape[1]:
        names = ", ".join(map(str, columns))
        raise DataError(
            f"the rows: the array has {rows.shape[1]} columns, and there are {len(columns)} names: {names}."
        )
    return pd.DataFrame(rows, columns=list(columns))


def with_truth(frame: pd.DataFrame, names: Sequence[str], truth: Any) -> pd.DataFrame:
    """The frame with the targets beside its columns; raises DataError where they do not fit together."""
    given = np.asarray(truth) if not isinstance(truth, pd.DataFrame) else truth[list(names)].to_numpy()
    given = given.reshape(len(given), -1) if given.ndim else given.reshape(1, 1)
    if given.shape != (len(frame), len(names)):
        raise DataError(
            f"the truth: must have {len(frame)} rows and {len(names)} columns ({', '.join(names)}), "
            f"got {given.shape[0]} and {given.shape[1]}."
        )
    return frame.assign(**dict(zip(names, given.T, strict=True)))


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
    names = unique_column_names(name, None, [str(column) for column in frame.columns])
    rows = frame.set_axis(list(names), axis="columns").reset_index(drop=True)
    columns = frame_columns(rows, request, name)
    digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogatepass"))
    try:
        digest.update(pd.util.hash_pandas_object(rows[list(columns)], index=False).to_numpy().tobytes())
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: a cell is not a text, number or date ({error}).") from error
    where = partial("{}: row {}".format, name)
    sha256, format = digest.hexdigest(), TableFormat(missing=missing)
    notes = tuple(unnamed_column_notes(name, [str(column) for column in frame.columns], names))
    return Table(columns, len(rows), name, names, format, where, sha256, notes, is_file=False)


def frame_columns(frame: pd.DataFrame, request: Request, name: str = "the data frame") -> dict[str, Column]:
    """The wanted columns of a frame whose columns have distinct texts as names; `name` is for messages."""
    return {
        column: _column(f"{name}: column {escape_text(column)}", cells, request.wants_text(column))
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
