"""Input columns to the network's inputs: fitted on training rows, then the same for every row, by itself.

The order of the inputs is in `layout`, the state and the arithmetic of numbers and dates in `numeric`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.data.features.bin_edges import split_targets
from mlpcli.data.features.bins import Encoding
from mlpcli.data.features.columns import Feature
from mlpcli.data.features.layout import input_names, input_spans
from mlpcli.data.features.numeric import NumericFit, fit_numeric, pack_numeric, unpack_numeric
from mlpcli.data.features.onehot import OneHot, choose_levels
from mlpcli.data.features.row_counts import DIGITS
from mlpcli.data.features.scaling import MOST_DISTINCT, MissingPolicy, RefuseMissing, Scaler
from mlpcli.data.features.transform import number_groups, refused_missing, write_column
from mlpcli.data.reading.faults import in_yaml, listed
from mlpcli.data.reference import ReferenceColumn, ReferenceProfile, fit_levels, fit_numbers, reference_profile
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import ColumnSchema, cast_table
from mlpcli.data.schema.dates import has_time
from mlpcli.data.store import WATCH
from mlpcli.data.table import CategoricalColumn, NumericColumn, Rows, Table
from mlpcli.errors import DataError

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Preprocessor:
    """What was learnt of the input columns: `columns` in the order of the features, `feature_names` of the inputs."""

    columns: tuple[Feature, ...]
    feature_names: tuple[str, ...]
    state: dict[str, Values]

    @property
    def schemas(self) -> tuple[ColumnSchema, ...]:
        """How each column is read."""
        return tuple(column.schema for column in self.columns)

    def number_inputs_with(self, min_distinct: int) -> tuple[int, ...]:
        """Inputs that are scaled numbers or dates, of columns with so many distinct training values (1000 at most)."""
        spans = input_spans(self.columns)
        return tuple(
            spans["numeric", column.name].start
            for column in self.columns
            if column.is_numeric and column.n_distinct >= min(min_distinct, MOST_DISTINCT)
        )

    @property
    def bin_inputs(self) -> tuple[int, int]:
        """First of the inputs that are bins of numbers and the one after the last; equal where there are none."""
        places = [place for (kind, _), place in input_spans(self.columns).items() if kind == "bins"]
        return (places[0].start, places[-1].stop) if places else (0, 0)

    @property
    def category_blocks(self) -> tuple[tuple[int, int], ...]:
        """First input and the one after the last of each one-hot column; a row has at most one 1 among them."""
        places = [place for (kind, _), place in input_spans(self.columns).items() if kind == "level"]
        return tuple((place.start, place.stop) for place in places)


@dataclass(frozen=True)
class TransformCounts:
    """Cells that were missing, and cells with a level that was rare or absent in training, per column that has any."""

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
    """Learn from the training rows `rows` (all rows without it) of a table that was cast by these schemas.

    Also gives the reference profile: what these rows hold. `targets` is what they are to give (`encode_target`), for an
    encoding that goes by it. `weights` (n_rows,) say how many rows each counts for, but in the profile. Raises
    DataError for a column that is not there or is empty.
    """
    if not schemas:
        raise DataError(f"{table.name}: no input columns are left. Check data.features and data.drop.")
    require_columns(table, [schema.name for schema in schemas])
    split = None if targets is None else split_targets(targets, weights)
    fit = partial(fit_numeric, scaler=numeric, missing=missing, encoding=encoding, targets=split, weights=weights)
    features, fits, profiles = list[Feature](), list[NumericFit](), list[ReferenceColumn]()
    flags: dict[bytes, str] = {}
    for schema in schemas:
        column = table.columns[schema.name]
        column = column if rows is None else column.take(rows)
        if isinstance(column, NumericColumn):
            values = _numbers(column, is_sorted=not encoding.sees_targets and weights is None, is_copied=rows is None)
            is_missing = np.isnan(values)
            if is_missing.all():
                raise _empty(table, schema.name)
            is_timed = schema.role == "date" and has_time(values)
            own, statistics = fit(values)  # which sorts them
            profiles.append(fit_numbers(values[: statistics.n_known]))
            fits.append(own)
            feature = Feature(
                schema, has_time=is_timed, n_missing=len(values) - statistics.n_known, minimum=statistics.low,
                maximum=statistics.high, n_distinct=statistics.n_distinct, clip=own.clip,
                n_quantiles=len(own.quantiles), n_bins=max(len(own.edges) - 1, 0), bin_span=own.span,
            )  # fmt: skip
        else:
            is_missing = column.codes < 0
            if is_missing.all():
                raise _empty(table, schema.name)
            feature = level_feature(schema, column, categorical, weights)
            profiles.append(fit_levels(column, feature, len(schemas)))
        if isinstance(missing, RefuseMissing):
            feature = replace(feature, refuses_missing=True)
            if feature.n_missing:
                raise refused_missing(table, rows, schema.name)
        elif feature.role != "category" and feature.n_missing and missing.flag:
            # Columns that are missing together say one thing: they share the indicator of the first.
            feature = replace(feature, flag_of=flags.setdefault(np.packbits(is_missing).tobytes(), schema.name))
        features.append(feature)
        WATCH.release()  # of a column on disk
    by_name = dict(zip([feature.name for feature in features if feature.is_numeric], fits, strict=True))
    preprocessor = Preprocessor(tuple(features), input_names(features, by_name), pack_numeric(fits))
    return preprocessor, reference_profile(table.n_rows if rows is None else len(rows), profiles)


def transform(
    preprocessor: Preprocessor,
    table: Table,
    dtype: DTypeLike = np.float32,
    rows: Rows | None = None,
    out: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.floating], TransformCounts]:
    """Inputs (n_rows, n_inputs), C-contiguous, of all rows or of `rows`; and how many cells were missing or unseen.

    `table` was cast by the preprocessor's schemas. Raises DataError for a cell that cannot be used, with its place.
    """
    n_rows = table.n_rows if rows is None else len(rows)
    X = np.zeros((n_rows, len(preprocessor.feature_names)), dtype) if out is None else out
    counts = TransformCounts({}, {})
    if not n_rows:
        return X, counts
    fits, spans = unpack_numeric(preprocessor.columns, preprocessor.state), input_spans(preprocessor.columns)
    done = set()
    for group in number_groups(preprocessor.columns, fits, spans):
        counts.n_missing.update(group.write(X, table, rows))
        done |= {feature.name for feature in group.features}
        WATCH.release()  # of columns on disk
    for feature in preprocessor.columns:
        if feature.name not in done:
            n_missing, n_unseen = write_column(X, spans, feature, fits, table, rows)
            if n_missing:
                counts.n_missing[feature.name] = n_missing
            if n_unseen:
                counts.n_unseen[feature.name] = n_unseen
    for feature in preprocessor.columns:
        if feature.refuses_missing and feature.name in counts.n_missing:
            raise refused_missing(table, rows, feature.name)
    return X, counts


def read_by(preprocessor: Preprocessor, table: Table) -> Table:
    """A table as read, its columns cast as the training's were; raises DataError for a misfit."""
    require_columns(table, [column.name for column in preprocessor.columns])
    return cast_table(table, preprocessor.schemas)


def require_columns(table: Table, names: Sequence[str]) -> None:
    """Raise DataError for a column that is not there, with the name it may have instead."""
    lacking = [name for name in names if name not in table.columns]
    if not lacking:
        return
    # Only a column that nothing needs can be the missing one under another name.
    needed = frozenset(names)
    free = [column for column in table.column_names if column not in needed]
    hint = name_hint(lacking[0], free).partition(" There is: ")[0]  # all columns come below
    which = f"column {lacking[0]} is missing" if len(lacking) == 1 else f"columns {listed(lacking)} are missing"
    if table.format.header is False:
        hint += " Without a header the names are positions: give the file a first line of names."
    raise DataError(
        f"{table.name}: {which}.{hint} The model needs: {listed(names)} (found: {listed(table.column_names)})"
    )


def _numbers(column: NumericColumn, is_sorted: bool, is_copied: bool) -> NDArray[np.float64]:
    values = column.values
    if values.dtype.kind in "iu" and is_sorted:
        # Bytes are sorted in a tenth of the time; none is missing, so no place is lost.
        values = np.sort(values)
    return values.astype(np.float64, copy=is_copied)


def _empty(table: Table, name: str) -> DataError:
    return DataError(
        f"{table.name}: column {name} is empty in the training rows. Leave it out: data.drop: [{in_yaml(name)}]"
    )


def level_feature(
    schema: ColumnSchema, column: CategoricalColumn, onehot: OneHot, weights: Values | None = None
) -> Feature:
    """A column of levels or booleans; `weights` say how many rows each counts for."""
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
