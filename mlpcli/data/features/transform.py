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
from mlpcli.data.schema.dates.parsing import cycles
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


def write_scaled(
    X: Inputs,
    spans: Spans,
    features: Sequence[Feature],
    fits: Mapping[str, NumericFit],
    table: Table,
    rows: Rows | None,
) -> dict[str, int]:
    """Write a group of columns that are only scaled; returns missing cells per column that has any.

    Raises DataError for a value out of range.
    """
    group = [fits[feature.name] for feature in features]
    center, deviation = (np.asarray([getattr(fit, name) for fit in group])[:, None] for name in ("center", "scale"))
    inputs = [spans["numeric", feature.name].start for feature in features]
    is_contiguous = inputs == list(range(inputs[0], inputs[0] + len(inputs)))
    indices: slice | list[int] = slice(inputs[0], inputs[-1] + 1) if is_contiguous else inputs
    columns = [table.columns[feature.name] for feature in features]
    arrays = [column.values for column in columns if isinstance(column, NumericColumn)]
    n_missing = dict.fromkeys((feature.name for feature in features), 0)
    chunk_size = CELLS_PER_CHUNK // len(arrays)
    buffer = np.empty((len(arrays), min(chunk_size, len(X))))
    first = first_if_contiguous(rows)
    for start in range(0, len(X), chunk_size):
        end = min(start + chunk_size, len(X))
        cells = buffer[:, : end - start]
        chunk_rows = slice(first + start, first + end) if rows is None or first >= 0 else rows[start:end]
        for out, array in zip(cells, arrays, strict=True):
            out[...] = array[chunk_rows]
        is_missing = np.isnan(cells)
        for index in np.flatnonzero(is_missing.any(axis=1)).tolist() if is_missing.any() else ():
            feature, is_blank = features[index], is_missing[index]
            cells[index][is_blank] = group[index].fill
            n_missing[feature.name] += int(np.count_nonzero(is_blank))
            if feature.flag_of:
                X[start:end][is_blank, spans["flag", feature.flag_of]] = 1.0
        scaled = scale(cells, center, deviation, group[0].clip)
        if _exceeds(scaled, X):
            index, row = map(int, np.unravel_index(int(np.argmax(np.abs(scaled))), scaled.shape))
            raise _too_large_error(table, rows, start + row, features[index].name, float(cells[index, row]))
        X[start:end, indices] = scaled.T
    return {name: n for name, n in n_missing.items() if n}


def _exceeds(scaled: Values, X: Inputs) -> bool:
    """Whether a scaled number is out of the range of the inputs' dtype."""
    limit = float(np.finfo(X.dtype).max)
    return bool(scaled.max() > limit or scaled.min() < -limit)


def first_if_contiguous(rows: Rows | None) -> int:
    """First of contiguous row indices, which can be sliced; -1 for others."""
    if rows is None:
        return 0
    first, n_rows = int(rows[0]), len(rows)
    return first if int(rows[-1]) - first == n_rows - 1 and (np.diff(rows) == 1).all() else -1


def groups_of_scaled(features: Sequence[Feature]) -> list[list[Feature]]:
    """The columns that are only scaled, in groups of COLUMNS_PER_GROUP."""
    plain = [
        feature for feature in features if feature.role == "number" and not feature.n_quantiles and not feature.n_bins
    ]
    return [plain[start : start + COLUMNS_PER_GROUP] for start in range(0, len(plain), COLUMNS_PER_GROUP)]


def write_numeric(
    X: Inputs, spans: Spans, feature: Feature, fit: NumericFit, values: Values, table: Table, rows: Rows | None
) -> None:
    """Write a number or date (n_rows,) with bins and cyclic features; raises DataError for a value out of range."""
    is_missing = np.isnan(values)
    for start in range(0, len(values), ROWS_PER_CHUNK):
        chunk = slice(start, start + ROWS_PER_CHUNK)
        filled = np.where(is_missing[chunk], fit.fill, values[chunk])
        scaled = fit.scaled(filled)
        if _exceeds(scaled, X):
            row = start + int(np.argmax(np.abs(scaled)))
            raise _too_large_error(table, rows, row, feature.name, float(values[row]))
        X[chunk, spans["numeric", feature.name]] = scaled[:, None]
        if len(fit.edges):
            write_bins(X[chunk, spans["bins", feature.name]], filled, fit.edges, fit.span)
    if feature.role == "date":
        first = spans["cycle", feature.name].start
        for index, cycle in enumerate(cycles(values, feature.has_time)):
            X[:, first + index] = cycle
    if feature.flag_of:
        X[is_missing, spans["flag", feature.flag_of]] = 1.0


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
        write_numeric(X, spans, feature, fits[feature.name], values, table, rows)
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
