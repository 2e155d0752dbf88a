"""The preprocessor: converts columns to network inputs; fitted on training rows, applied to each row independently.

`layout` defines the order of inputs, `numeric` the state and arithmetic of numbers and dates.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.data.column_sketch import ColumnSketch
from mlpcli.data.features.bin_edges import split_targets
from mlpcli.data.features.bins import Encoding
from mlpcli.data.features.feature import Feature
from mlpcli.data.features.layout import input_names, input_spans
from mlpcli.data.features.numeric import (
    NumericFit,
    fit_numeric,
    fit_sketch,
    pack_numeric,
    unpack_numeric,
)
from mlpcli.data.features.onehot import OneHot, choose_levels
from mlpcli.data.features.scaling import MAX_DISTINCT, MissingPolicy, RefuseMissing, Scaler
from mlpcli.data.features.transform import groups_of_scaled, missing_cell_error, write_column, write_scaled
from mlpcli.data.features.weighted_statistics import DIGITS
from mlpcli.data.reading.faults import format_yaml, join_names
from mlpcli.data.reference import ReferenceColumn, ReferenceProfile, build_profile, fit_level_counts, fit_numeric_bins
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import ColumnSchema, cast_table
from mlpcli.data.store import PAGE_WATCHER
from mlpcli.data.table import CategoricalColumn, NumericColumn, Rows, Table
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
        spans = [span for (kind, _), span in input_spans(self.columns).items() if kind == "bins"]
        return (spans[0].start, spans[-1].stop) if spans else (0, 0)

    @property
    def category_blocks(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each one-hot column; at most one input of each is 1."""
        spans = [span for (kind, _), span in input_spans(self.columns).items() if kind == "level"]
        return tuple((span.start, span.stop) for span in spans)


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
    tree_targets = None if targets is None else split_targets(targets, weights)
    features, fits, profiles = list[Feature](), dict[str, NumericFit](), list[ReferenceColumn]()
    flags: dict[bytes, str] = {}
    for schema in schemas:
        if (sketch := _sketch_of(table, schema, rows)) is not None:
            _refuse_empty(table, schema.name, not sketch.n_known)
            pattern = sketch.missing_hash
            fits[schema.name], feature = fit_sketch(schema, sketch, numeric, missing, encoding)
            profile = fit_numeric_bins(sketch.values, sketch.counts.astype(np.float64))
        elif isinstance(column := table.column(schema.name, rows), NumericColumn):
            may_sort = not encoding.uses_targets and weights is None
            values = _training_values(column, may_sort, is_copied=rows is None)
            pattern = _missing_pattern(table, schema.name, np.isnan(values), rows)
            fits[schema.name], feature = fit_numeric(  # sorts the values
                schema, values, numeric, missing, encoding, tree_targets, weights
            )
            profile = fit_numeric_bins(values[: len(values) - feature.n_missing])
        else:
            pattern = _missing_pattern(table, schema.name, column.is_missing, rows)
            feature = fit_categorical(schema, column, categorical, weights)
            profile = fit_level_counts(column, feature, len(schemas))
        if isinstance(missing, RefuseMissing):
            feature = replace(feature, refuses_missing=True)
            if feature.n_missing:
                raise missing_cell_error(table, rows, schema.name)
        elif feature.role != "category" and feature.n_missing and missing.flag:
            # Indicators of columns with the same missing rows would be equal: they share the one of the first column.
            feature = replace(feature, flag_of=flags.setdefault(pattern, schema.name))
        features.append(feature)
        profiles.append(profile)
        PAGE_WATCHER.release()  # the pages of a memory-mapped column
    preprocessor = Preprocessor(tuple(features), input_names(features, fits), pack_numeric(list(fits.values())))
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
    written = set()
    for group in groups_of_scaled(preprocessor.columns):
        counts.n_missing.update(write_scaled(X, spans, group, fits, table, rows))
        written |= {feature.name for feature in group}
        PAGE_WATCHER.release()  # the pages of memory-mapped columns
    for feature in preprocessor.columns:
        if feature.name not in written:
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
    """Cast a table by the training schemas; raises DataError for a missing column or an invalid cell."""
    require_columns(table, [column.name for column in preprocessor.columns])
    return cast_table(table, preprocessor.schemas)


def require_columns(table: Table, names: Sequence[str]) -> None:
    """Raise DataError for a column that does not exist, with a similar name if there is one."""
    missing = [name for name in names if name not in table.columns]
    if not missing:
        return
    # Only an unused column can be the missing one under another name.
    needed = frozenset(names)
    unused = [column for column in table.column_names if column not in needed]
    hint = name_hint(missing[0], unused).partition(" There is: ")[0]  # the message lists all columns anyway
    problem = f"column {missing[0]} is missing" if len(missing) == 1 else f"columns {join_names(missing)} are missing"
    if table.format.header is False:
        hint += " Without a header the names are positions: add a header line to the file."
    raise DataError(
        f"{table.name}: {problem}.{hint} The model needs: {join_names(names)} (found: {join_names(table.column_names)})"
    )


def _training_values(column: NumericColumn, is_sorted: bool, is_copied: bool) -> NDArray[np.float64]:
    values = column.values
    if values.dtype.kind in "iu" and is_sorted:
        # Small integers are sorted in a tenth of the time of float64; without missing cells, the row order is not used.
        values = np.sort(values)
    return values.astype(np.float64, copy=is_copied)


def _sketch_of(table: Table, schema: ColumnSchema, rows: Rows | None) -> ColumnSketch | None:
    """The sketch of a remote numeric column that should not be fetched."""
    columns, is_numeric = table.columns, schema.role in ("number", "date")
    if rows is None or not (is_numeric and isinstance(columns, RemoteColumns) and columns.shards.is_sketched):
        return None
    return columns.shards.sketch(schema, rows)


def _missing_pattern(table: Table, name: str, is_missing: NDArray[np.bool_], rows: Rows | None) -> bytes:
    """A hash of the missing cells of a column, equal to that of a sketch; raises DataError if all are missing."""
    _refuse_empty(table, name, bool(is_missing.all()))
    if rows is None or not isinstance(table.columns, RemoteColumns):
        return np.packbits(is_missing).tobytes()
    return table.columns.shards.missing_hash(is_missing, rows)


def _refuse_empty(table: Table, name: str, is_empty: bool) -> None:
    if is_empty:
        raise DataError(
            f"{table.name}: column {name} is empty in the training rows. Leave it out: data.drop: [{format_yaml(name)}]"
        )


def fit_categorical(
    schema: ColumnSchema, column: CategoricalColumn, options: OneHot, weights: Values | None = None
) -> Feature:
    """Fit a categorical or boolean column; `weights` (n_rows,) are row weights."""
    n_missing = int(np.count_nonzero(column.is_missing))
    if schema.role == "boolean":
        return Feature(schema, n_missing=n_missing)
    counts: Mapping[str, float] = column.level_counts
    if weights is not None:
        weight_by_code = np.bincount(column.codes + 1, weights, len(column.levels) + 1)[1:]
        by_level = zip(column.levels, np.round(weight_by_code, DIGITS).tolist(), strict=True)
        counts = {text: weight for text, weight in by_level if weight}
    levels, has_other = choose_levels(options, counts)
    is_signed = options.binary == "one" and len(levels) == 2 and not n_missing and not has_other
    return Feature(
        schema, levels=levels, has_missing_level=n_missing > 0, has_other_level=has_other, n_missing=n_missing,
        is_signed=is_signed,
    )  # fmt: skip
