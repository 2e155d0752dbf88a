"""Conversion of data frames to tables, by the rules of typed files."""

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
    """Convert rows to a data frame; raises DataError for an array without one name per column in `columns`."""
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
    """Add the target columns `truth`, called `names`, to a frame; raises DataError if the shapes do not match."""
    targets = np.asarray(truth) if not isinstance(truth, pd.DataFrame) else truth[list(names)].to_numpy()
    targets = targets.reshape(len(targets), -1) if targets.ndim else targets.reshape(1, 1)
    if targets.shape != (len(frame), len(names)):
        raise DataError(
            f"the truth: must have {len(frame)} rows and {len(names)} columns ({', '.join(names)}), "
            f"got {targets.shape[0]} and {targets.shape[1]}."
        )
    return frame.assign(**dict(zip(names, targets.T, strict=True)))


def table_from_frame(
    frame: pd.DataFrame,
    name: str = "the data frame",
    request: Request = ALL,
    missing: tuple[str, ...] = DEFAULT_MISSING,
) -> Table:
    """Convert the wanted columns of a data frame, without its index, to a table; `Table.sha256` is of their cells.

    `missing` are the texts of missing cells.
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
    locate = partial("{}: row {}".format, name)
    sha256, format = digest.hexdigest(), TableFormat(missing=missing)
    notes = tuple(unnamed_column_notes(name, [str(column) for column in frame.columns], names))
    return Table(columns, len(rows), name, names, format, locate, sha256, notes, is_file=False)


def frame_columns(frame: pd.DataFrame, request: Request, name: str = "the data frame") -> dict[str, Column]:
    """Convert the wanted columns of a frame whose column names are distinct strings; `name` is for messages."""
    return {
        column: _column(f"{name}: column {escape_text(column)}", series, request.wants_text(column))
        for column, series in frame.items()
        if isinstance(column, str) and request.wants(column)
    }


def _column(location: str, series: Series, as_text: bool) -> Column:
    dtype: Any = series.dtype
    if isinstance(dtype, pd.ArrowDtype):
        pa = load_pyarrow(location)
        column = arrow_column(pa, pa.array(series), as_text)
        if column is None:
            raise typed.unreadable_type(location, dtype)
        return column
    if isinstance(dtype, pd.CategoricalDtype):
        codes, entries = np.asarray(series.cat.codes), series.cat.categories
        return typed.categorical_column(codes, entries.tolist(), _type_of(location, entries), "category")
    if isinstance(dtype, pd.SparseDtype):
        return _column(location, series.astype(dtype.subtype), as_text)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        is_zoned = isinstance(dtype, pd.DatetimeTZDtype)
        stamps = series.dt.tz_convert(None) if is_zoned else series
        return typed.date_column(stamps.to_numpy(), as_text, is_zoned)
    if isinstance(dtype, pd.StringDtype):
        codes, uniques = pd.factorize(series)
        return typed.categorical_column(codes, uniques.tolist(), "text")
    if dtype.kind in "iufb":
        # pandas' nullable dtypes have a mask.
        missing = None if isinstance(dtype, np.dtype) or not series.hasnans else series.isna().to_numpy()
        values = series.to_numpy() if missing is None else series.to_numpy(dtype.numpy_dtype, na_value=0)
        values = values.astype(getattr(dtype, "numpy_dtype", dtype), copy=False)
        if dtype.kind == "b":
            return typed.boolean_column(values, as_text, missing)
        return typed.number_column(values, as_text, missing)
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        return _object_column(location, series, as_text)
    raise typed.unreadable_type(location, dtype)


def _type_of(location: str, categories: "pd.Index[Any]") -> CellType:
    """The cell type of the categories; "text" for intervals and other unsupported types."""
    try:
        return _column(location, categories.to_series(), True).cell_type or "text"
    except DataError:
        return "text"


def _object_column(location: str, series: Series, as_text: bool) -> Column:
    missing = series.isna().tolist()
    cells = [None if is_missing else cell for cell, is_missing in zip(series.tolist(), missing, strict=True)]
    for cell_class in set(map(type, cells)) - {type(None)}:
        if not issubclass(cell_class, CELL_TYPES) or issubclass(cell_class, np.complexfloating | np.timedelta64):
            raise typed.unreadable_type(location, cell_class.__name__)
    return typed.object_column(cells, as_text)
