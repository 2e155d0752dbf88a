"""Writing of cast columns into the network inputs.

Numeric columns that are only scaled are processed in groups, in chunks of rows that fit in the cache.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.bins import write_bins
from mlpcli.data.features.feature import Feature
from mlpcli.data.features.layout import Spans
from mlpcli.data.features.numeric import NumericFit, scale
from mlpcli.data.schema.dates import cycles
from mlpcli.data.table import CategoricalColumn, NumericColumn, Rows, Table
from mlpcli.errors import DataError

Inputs = NDArray[np.floating]
Values = NDArray[np.float64]

# Cells per chunk, which fit in the cache; columns per group, whose float32 inputs fill a cache line. No more columns of
# a table on disk are in memory at a time.
CELLS_PER_CHUNK = 1 << 16
COLUMNS_PER_GROUP = 16
# Rows per chunk of a column with bins.
ROWS_PER_CHUNK = 1 << 12


class NumericGroup:
    """A group of numeric columns that are only scaled, written together."""

    def __init__(self, features: Sequence[Feature], fits: Mapping[str, NumericFit], spans: Spans) -> None:
        self.features, self._spans = features, spans
        group_fits = [fits[feature.name] for feature in features]
        self._clip = group_fits[0].clip
        self._fill = [fit.fill for fit in group_fits]
        self._center = np.asarray([fit.center for fit in group_fits])[:, None]
        self._deviation = np.asarray([fit.scale for fit in group_fits])[:, None]
        indices = [spans["numeric", feature.name].start for feature in features]
        is_contiguous = indices == list(range(indices[0], indices[0] + len(indices)))
        self._indices: slice | list[int] = slice(indices[0], indices[-1] + 1) if is_contiguous else indices

    def write(self, X: Inputs, table: Table, rows: Rows | None) -> dict[str, int]:
        """Write all columns; returns missing cells per column. Raises DataError for a value out of range."""
        columns = [table.columns[feature.name] for feature in self.features]
        arrays = [column.values for column in columns if isinstance(column, NumericColumn)]
        n_missing = np.zeros(len(arrays), np.int64)
        chunk_size = CELLS_PER_CHUNK // len(arrays)
        buffer = np.empty((len(arrays), min(chunk_size, len(X))))
        limit = float(np.finfo(X.dtype).max)
        first = first_if_contiguous(rows)
        for start in range(0, len(X), chunk_size):
            end = min(start + chunk_size, len(X))
            cells = buffer[:, : end - start]
            chunk_rows = slice(first + start, first + end) if rows is None or first >= 0 else rows[start:end]
            for out, array in zip(cells, arrays, strict=True):
                out[...] = array[chunk_rows]
            is_missing = np.isnan(cells)
            if is_missing.any():
                for index in np.flatnonzero(is_missing.any(axis=1)).tolist():
                    n_missing[index] += self._fill_missing(X[start:end], index, cells[index], is_missing[index])
            scaled = scale(cells, self._center, self._deviation, self._clip)
            if scaled.max() > limit or scaled.min() < -limit:
                index, row = map(int, np.unravel_index(int(np.argmax(np.abs(scaled))), scaled.shape))
                raise _too_large_error(table, rows, start + row, self.features[index].name, float(cells[index, row]))
            X[start:end, self._indices] = scaled.T
        names = [feature.name for feature in self.features]
        return {name: n for name, n in zip(names, n_missing.tolist(), strict=True) if n}

    def _fill_missing(self, X: Inputs, index: int, cells: Values, is_missing: NDArray[np.bool_]) -> int:
        feature = self.features[index]
        cells[is_missing] = self._fill[index]
        if feature.flag_of:
            X[is_missing, self._spans["flag", feature.flag_of]] = 1.0
        return int(np.count_nonzero(is_missing))


def first_if_contiguous(rows: Rows | None) -> int:
    """First of contiguous row indices, which can be sliced; -1 for others."""
    if rows is None:
        return 0
    first, n_rows = int(rows[0]), len(rows)
    return first if int(rows[-1]) - first == n_rows - 1 and (np.diff(rows) == 1).all() else -1


def group_numeric_columns(
    features: Sequence[Feature], fits: Mapping[str, NumericFit], spans: Spans
) -> list[NumericGroup]:
    """Group the columns that are only scaled, COLUMNS_PER_GROUP each."""
    plain = [
        feature
        for feature in features
        if feature.role == "number" and not len(fits[feature.name].quantiles) and not feature.n_bins
    ]
    starts = range(0, len(plain), COLUMNS_PER_GROUP)
    return [NumericGroup(plain[start : start + COLUMNS_PER_GROUP], fits, spans) for start in starts]


def write_numeric(X: Inputs, spans: Spans, feature: Feature, values: Values, fit: NumericFit) -> int:
    """Write a number or date (n_rows,) with bins and cyclic features; returns a row that is out of range, or -1."""
    limit = float(np.finfo(X.dtype).max)
    is_missing = np.isnan(values)
    for start in range(0, len(values), ROWS_PER_CHUNK):
        chunk = slice(start, start + ROWS_PER_CHUNK)
        filled = np.where(is_missing[chunk], fit.fill, values[chunk])
        scaled = fit.scaled(filled)
        if scaled.max() > limit or scaled.min() < -limit:
            return start + int(np.argmax(np.abs(scaled)))
        X[chunk, spans["numeric", feature.name]] = scaled[:, None]
        if len(fit.edges):
            write_bins(X[chunk, spans["bins", feature.name]], filled, fit.edges, fit.span)
    if feature.role == "date":
        first = spans["cycle", feature.name].start
        for index, cycle in enumerate(cycles(values, feature.has_time)):
            X[:, first + index] = cycle
    if feature.flag_of:
        X[is_missing, spans["flag", feature.flag_of]] = 1.0
    return -1


def write_levels(X: Inputs, spans: Spans, feature: Feature, column: CategoricalColumn) -> NDArray[np.bool_]:
    """Write levels or booleans; returns a mask of the column's levels that are unseen in training (n_levels,)."""
    if feature.role == "boolean" or feature.is_signed:
        levels = feature.schema.levels if feature.role == "boolean" else feature.levels
        value_of = dict(zip(levels, (-1.0, 1.0), strict=True))
        values = np.asarray([value_of.get(text, np.nan) for text in column.levels], np.float64)
        X[:, spans["sign", feature.name]] = column.translate(np.nan_to_num(values, nan=0.0), 0.0)[:, None]
        if feature.flag_of:
            X[column.is_missing, spans["flag", feature.flag_of]] = 1.0
        return np.isnan(values)
    first = spans["level", feature.name].start
    input_of = {level: first + index for index, level in enumerate(feature.levels)}
    no_input = -1
    after_levels = first + len(feature.levels)
    other_input = after_levels + feature.has_missing_level if feature.has_other_level else no_input
    input_of_level = np.asarray([input_of.get(text, other_input) for text in column.levels], np.int64)
    inputs_of_rows = column.translate(input_of_level, after_levels if feature.has_missing_level else no_input)
    rows = np.flatnonzero(inputs_of_rows != no_input)
    X[rows, inputs_of_rows[rows]] = 1.0
    return np.asarray([text not in input_of for text in column.levels], np.bool_)


def write_column(
    X: Inputs, spans: Spans, feature: Feature, fits: Mapping[str, NumericFit], table: Table, rows: Rows | None
) -> tuple[int, int]:
    """Write one column; returns the number of missing cells, and of cells with an unseen level."""
    column, n_unseen = table.column(feature.name, rows), 0
    if isinstance(column, NumericColumn):
        values = np.asarray(column.values, np.float64)
        row = write_numeric(X, spans, feature, values, fits[feature.name])
        if row >= 0:
            raise _too_large_error(table, rows, row, feature.name, float(values[row]))
    else:
        is_unseen = write_levels(X, spans, feature, column)
        n_unseen = int(column.counts[is_unseen].sum())
    return int(np.count_nonzero(column.is_missing)), n_unseen


def missing_cell_error(table: Table, rows: Rows | None, name: str) -> DataError:
    """Error for the first missing cell of a column with preprocess.missing: error."""
    row = int(np.argmax(table.column(name, rows).is_missing))
    return DataError(
        f"{table.where(row, rows)}: column {name} is missing, and preprocess.missing is error.\n"
        "Fill the cell, leave the row out, or train with preprocess.missing: median."
    )


def _too_large_error(table: Table, rows: Rows | None, row: int, name: str, number: float) -> DataError:
    """Error for a scaled number outside the range of the inputs' dtype."""
    return DataError(f"{table.where(row, rows)}: column {name}: {number:g} is too large to compute with.")
