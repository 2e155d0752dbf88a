"""Input columns to network inputs: fitted on training rows, then applied to every row independently.

The order of inputs is in `layout`, the state and arithmetic of numbers and dates in `numeric`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.data.column_sketch import ColumnSketch
from mlpcli.data.features.bin_edges import split_targets
from mlpcli.data.features.bins import Encoding
from mlpcli.data.features.feature import Feature
from mlpcli.data.features.layout import input_names, input_spans
from mlpcli.data.features.numeric import (
    ColumnStatistics,
    NumericFit,
    fit_numeric,
    fit_sketch,
    pack_numeric,
    unpack_numeric,
)
from mlpcli.data.features.onehot import OneHot, choose_levels
from mlpcli.data.features.scaling import MAX_DISTINCT, MissingPolicy, RefuseMissing, Scaler
from mlpcli.data.features.transform import group_numeric_columns, missing_cell_error, write_column
from mlpcli.data.features.weighted_statistics import DIGITS
from mlpcli.data.reading.faults import format_yaml, join_names
from mlpcli.data.reference import ReferenceColumn, ReferenceProfile, build_profile, fit_level_counts, fit_numeric_bins
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import ColumnSchema, cast_table
from mlpcli.data.schema.dates import has_time
from mlpcli.data.store import PAGE_WATCHER
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Rows, Table
from mlpcli.errors import DataError

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Preprocessor:
    """Fitted input columns: `columns` in feature order, `feature_names` of the inputs."""

    columns: tuple[Feature, ...]
    feature_names: tuple[str, ...]
    state: dict[str, Values]

    @property
    def schemas(self) -> tuple[ColumnSchema, ...]:
        """Schema of each column."""
        return tuple(column.schema for column in self.columns)

    def number_inputs_with(self, min_distinct: int) -> tuple[int, ...]:
        """Inputs of scaled numbers or dates with at least `min_distinct` distinct training values (1000 at most)."""
        spans = input_spans(self.columns)
        return tuple(
            spans["numeric", column.name].start
            for column in self.columns
            if column.is_numeric and column.n_distinct >= min(min_distinct, MAX_DISTINCT)
        )

    @property
    def bin_inputs(self) -> tuple[int, int]:
        """Start and end of the inputs that are bins; equal if there are none."""
        places = [place for (kind, _), place in input_spans(self.columns).items() if kind == "bins"]
        return (places[0].start, places[-1].stop) if places else (0, 0)

    @property
    def category_blocks(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each one-hot column; at most one input of each is 1."""
        places = [place for (kind, _), place in input_spans(self.columns).items() if kind == "level"]
        return tuple((place.start, place.stop) for place in places)


@dataclass(frozen=True)
class TransformCounts:
    """Missing cells, and cells with a rare or unseen level, per column that has any."""

    n_missing: dict[str, int]
    n_unseen: dict[str, int]

    def __add__(self, other: "TransformCounts") -> "TransformCounts":
        return TransformCounts(
            dict(Counter(self.n_missing) + Counter(other.n_missing)),
            dict(Counter(self.n_unseen) + Counter(other.n_unseen)),
        )


def fit_preprocessor(
    table: Table,
    schemas: Sequence[ColumnSchema],
    numeric: Scaler,
    missing: MissingPolicy,
    categorical: OneHot,
    encoding: Encoding,
    rows: Rows | None = None,
    targets: NDArray[Any] | None = None,
    weights: Values | None = None,
) -> tuple[Preprocessor, ReferenceProfile]:
    """Fit on the training rows `rows` (None: all) of a cast table; also returns their reference profile.

    `targets` are the encoded targets (`encode_target`), for supervised bin edges. `weights` (n_rows,) are row weights,
    ignored by the profile. Raises DataError for a column that does not exist or is empty.
    """
    if not schemas:
        raise DataError(f"{table.name}: no input columns are left. Check data.features and data.drop.")
    require_columns(table, [schema.name for schema in schemas])
    split = None if targets is None else split_targets(targets, weights)
    fit = partial(fit_numeric, scaler=numeric, missing=missing, encoding=encoding, targets=split, weights=weights)
    as_sorted = not encoding.uses_targets and weights is None
    features, fits, profiles = list[Feature](), list[NumericFit](), list[ReferenceColumn]()
    flags: dict[bytes, str] = {}
    for schema in schemas:
        if (sketch := _sketch_of(table, schema, rows)) is not None:
            _refuse_empty(table, schema.name, not sketch.n_known)
            found = _fit_from_sketch(schema, sketch, *fit_sketch(sketch, numeric, missing, encoding))
        elif isinstance(column := _take_rows(table, schema.name, rows), NumericColumn):
            found = _fit_numbers(table, schema, _training_values(column, as_sorted, is_copied=rows is None), rows, fit)
        else:
            is_missing = column.codes < 0
            _refuse_empty(table, schema.name, bool(is_missing.all()))
            feature = fit_categorical(schema, column, categorical, weights)
            found = _FittedColumn(
                feature, fit_level_counts(column, feature, len(schemas)), _missing_hash(table, is_missing, rows)
            )
        feature = found.feature
        if isinstance(missing, RefuseMissing):
            feature = replace(feature, refuses_missing=True)
            if feature.n_missing:
                raise missing_cell_error(table, rows, schema.name)
        elif feature.role != "category" and feature.n_missing and missing.flag:
            # Columns that are missing together say one thing: they share the indicator of the first.
            feature = replace(feature, flag_of=flags.setdefault(found.pattern, schema.name))
        features.append(feature)
        profiles.append(found.profile)
        fits += [] if found.fit is None else [found.fit]
        PAGE_WATCHER.release()  # of a column on disk
    by_name = dict(zip([feature.name for feature in features if feature.is_numeric], fits, strict=True))
    preprocessor = Preprocessor(tuple(features), input_names(features, by_name), pack_numeric(fits))
    return preprocessor, build_profile(table.n_rows if rows is None else len(rows), profiles)


def transform(
    preprocessor: Preprocessor,
    table: Table,
    dtype: DTypeLike = np.float32,
    rows: Rows | None = None,
    out: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.floating], TransformCounts]:
    """Inputs (n_rows, n_inputs), C-contiguous, of `rows` (None: all); and counts of missing and unseen cells.

    `table` is cast by the schemas of the preprocessor. Raises DataError with the location of an invalid cell.
    """
    n_rows = table.n_rows if rows is None else len(rows)
    X = np.zeros((n_rows, len(preprocessor.feature_names)), dtype) if out is None else out
    counts = TransformCounts({}, {})
    if not n_rows:
        return X, counts
    fits, spans = unpack_numeric(preprocessor.columns, preprocessor.state), input_spans(preprocessor.columns)
    done = set()
    for group in group_numeric_columns(preprocessor.columns, fits, spans):
        counts.n_missing.update(group.write(X, table, rows))
        done |= {feature.name for feature in group.features}
        PAGE_WATCHER.release()  # of columns on disk
    for feature in preprocessor.columns:
        if feature.name not in done:
            n_missing, n_unseen = write_column(X, spans, feature, fits, table, rows)
            if n_missing:
                counts.n_missing[feature.name] = n_missing
            if n_unseen:
                counts.n_unseen[feature.name] = n_unseen
    for feature in preprocessor.columns:
        if feature.refuses_missing and feature.name in counts.n_missing:
            raise missing_cell_error(table, rows, feature.name)
    return X, counts


def cast_inputs(preprocessor: Preprocessor, table: Table) -> Table:
    """Cast a table as read by the training schemas; raises DataError for a mismatch."""
    require_columns(table, [column.name for column in preprocessor.columns])
    return cast_table(table, preprocessor.schemas)


def require_columns(table: Table, names: Sequence[str]) -> None:
    """Raise DataError for a column that does not exist, with the name that may be meant."""
    lacking = [name for name in names if name not in table.columns]
    if not lacking:
        return
    # Only a column that nothing needs can be the missing one under another name.
    needed = frozenset(names)
    free = [column for column in table.column_names if column not in needed]
    hint = name_hint(lacking[0], free).partition(" There is: ")[0]  # all columns come below
    which = f"column {lacking[0]} is missing" if len(lacking) == 1 else f"columns {join_names(lacking)} are missing"
    if table.format.header is False:
        hint += " Without a header the names are positions: add a header line to the file."
    raise DataError(
        f"{table.name}: {which}.{hint} The model needs: {join_names(names)} (found: {join_names(table.column_names)})"
    )


def _training_values(column: NumericColumn, is_sorted: bool, is_copied: bool) -> NDArray[np.float64]:
    values = column.values
    if values.dtype.kind in "iu" and is_sorted:
        # Bytes are sorted in a tenth of the time; none is missing, so no place is lost.
        values = np.sort(values)
    return values.astype(np.float64, copy=is_copied)


def _take_rows(table: Table, name: str, rows: Rows | None) -> Column:
    return table.columns[name] if rows is None else table.columns[name].take(rows)


def _sketch_of(table: Table, schema: ColumnSchema, rows: Rows | None) -> ColumnSketch | None:
    """The sketch of a remote numeric column that should not be fetched."""
    if rows is None or schema.role not in ("number", "date") or not isinstance(table.columns, RemoteColumns):
        return None
    return table.columns.sketch(schema, rows)


def _missing_hash(table: Table, is_missing: NDArray[np.bool_], rows: Rows | None) -> bytes:
    """Hash of the missing mask, comparable with that of a sketched column."""
    if rows is None or not isinstance(table.columns, RemoteColumns):
        return np.packbits(is_missing).tobytes()
    return table.columns.missing_hash(is_missing, rows)


def _refuse_empty(table: Table, name: str, is_empty: bool) -> None:
    if is_empty:
        raise DataError(
            f"{table.name}: column {name} is empty in the training rows. Leave it out: data.drop: [{format_yaml(name)}]"
        )


@dataclass(frozen=True)
class _FittedColumn:
    """A fitted column; `pattern` is equal for columns with the same missing cells."""

    feature: Feature
    profile: ReferenceColumn
    pattern: bytes
    fit: NumericFit | None = None


def _fit_from_sketch(
    schema: ColumnSchema, sketch: ColumnSketch, fit: NumericFit, statistics: ColumnStatistics
) -> _FittedColumn:
    feature = _numeric_feature(schema, fit, statistics, sketch.n_missing, is_timed=not sketch.are_integers)
    return _FittedColumn(
        feature, fit_numeric_bins(sketch.values, sketch.counts.astype(np.float64)), sketch.missing_hash, fit
    )


def _fit_numbers(
    table: Table, schema: ColumnSchema, values: Values, rows: Rows | None, fit: Callable[..., Any]
) -> _FittedColumn:
    is_missing = np.isnan(values)
    _refuse_empty(table, schema.name, bool(is_missing.all()))
    pattern, is_timed = _missing_hash(table, is_missing, rows), schema.role == "date" and has_time(values)
    own, statistics = fit(values)  # which sorts them
    feature = _numeric_feature(schema, own, statistics, len(values) - statistics.n_known, is_timed)
    return _FittedColumn(feature, fit_numeric_bins(values[: statistics.n_known]), pattern, own)


def _numeric_feature(
    schema: ColumnSchema, fit: NumericFit, statistics: ColumnStatistics, n_missing: int, is_timed: bool
) -> Feature:
    return Feature(
        schema, has_time=schema.role == "date" and is_timed, n_missing=n_missing, minimum=statistics.low,
        maximum=statistics.high, n_distinct=statistics.n_distinct, clip=fit.clip, n_quantiles=len(fit.quantiles),
        n_bins=max(len(fit.edges) - 1, 0), bin_span=fit.span,
    )  # fmt: skip


def fit_categorical(
    schema: ColumnSchema, column: CategoricalColumn, onehot: OneHot, weights: Values | None = None
) -> Feature:
    """Fit a categorical or boolean column; `weights` (n_rows,) are row weights."""
    n_missing = int(np.count_nonzero(column.codes < 0))
    if schema.role == "boolean":
        return Feature(schema, n_missing=n_missing)
    n_rows: list[float] = column.counts.tolist()
    if weights is not None:
        by_code = np.bincount(column.codes + 1, weights, len(column.levels) + 1)[1:]
        n_rows = np.round(by_code, DIGITS).tolist()
    counts: Mapping[str, float] = dict(zip(column.levels, n_rows, strict=True))
    chosen, has_rest = choose_levels(onehot, {text: count for text, count in counts.items() if count})
    is_signed = onehot.binary == "one" and len(chosen) == 2 and not n_missing and not has_rest
    return Feature(
        schema, levels=chosen, has_missing_level=n_missing > 0, has_other_level=has_rest, n_missing=n_missing,
        is_signed=is_signed,
    )  # fmt: skip
