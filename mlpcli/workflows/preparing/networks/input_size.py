"""Counts the inputs of a table before its preprocessing is fitted, to decide whether they fit into memory.

The columns are encoded as in a training, but fitted on all rows instead of the training rows.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema.data import PreprocessConfig
from mlpcli.data.features.bins import PiecewiseLinear
from mlpcli.data.features.feature import Feature
from mlpcli.data.features.preprocessor import fit_categorical
from mlpcli.data.features.scaling import RefuseMissing
from mlpcli.data.schema.cells import missing_mask
from mlpcli.data.schema.column import ColumnSchema, cast, missing_markers
from mlpcli.data.schema.dates.parsing import cycle_names, has_time, parse_dates
from mlpcli.data.schema.roles import INFER, infer_schema
from mlpcli.data.table import CategoricalColumn, NumericColumn, Table, code_dtype
from mlpcli.workflows.preparing.rows.column_plan import plan_columns
from mlpcli.workflows.preparing.rows.tables import writing_of

# Distinct texts from which a role is inferred: a million of them would take seconds.
MAX_TEXTS = 1000


def max_inputs(loaded: LoadedConfig, n_texts: Mapping[str, int]) -> int:
    """Upper bound of the number of inputs; `n_texts` is the number of distinct texts of each column, 0 for numbers."""
    options, named = loaded.config.preprocess, loaded.config.data.columns
    bins = options.encoding.bins if isinstance(options.encoding, PiecewiseLinear) else 0
    date_inputs = 2 + bins + len(cycle_names(True))
    levels = options.categorical.max_levels
    return sum(max(date_inputs, (levels if name in named else min(n, levels)) + 2) for name, n in n_texts.items())


def count_inputs(loaded: LoadedConfig, table: Table) -> int:
    """Number of inputs of a table that is not cast yet; holds one column in memory at a time.

    Raises ConfigError for missing columns, and DataError for columns that do not fit their configured role.
    """
    options = loaded.config.preprocess
    n_inputs, missing_patterns = 0, set()
    for name in plan_columns(loaded, table).features:
        schema = _schema(loaded, table, name)
        feature, is_missing = _feature(table, schema, options)
        n_inputs += feature.n_inputs
        has_flag = not isinstance(options.missing, RefuseMissing) and options.missing.flag
        if feature.role != "category" and has_flag and is_missing.any():
            missing_patterns.add(hash(np.packbits(is_missing).tobytes()))  # columns that are missing together share one
    return n_inputs + len(missing_patterns)


def _schema(loaded: LoadedConfig, table: Table, name: str) -> ColumnSchema:
    column, options = table.columns[name], loaded.config.data.columns.get(name, INFER)
    if isinstance(column, CategoricalColumn) and len(column.levels) > MAX_TEXTS:
        levels = column.levels[:: -(-len(column.levels) // MAX_TEXTS)]
        sampled_column = CategoricalColumn(levels, np.arange(len(levels), dtype=code_dtype(len(levels))), column.role)
        sampled_table = replace(table, columns={name: sampled_column}, n_rows=len(levels))
        schema, _ = infer_schema(sampled_table, name, options, writing_of(loaded))
        if schema.role != "number":  # any text among numbers makes the column categorical, so all texts are needed
            return schema
    return infer_schema(table, name, options, writing_of(loaded))[0]


def _feature(table: Table, schema: ColumnSchema, options: PreprocessConfig) -> tuple[Feature, NDArray[np.bool_]]:
    """The fitted feature of a column, without missing indicator, and which of its cells are missing (n_rows,)."""
    column, has_times = table.columns[schema.name], False
    if schema.role in ("category", "boolean"):
        cast_column = cast(column, schema, table)
        assert isinstance(cast_column, CategoricalColumn)
        return fit_categorical(schema, cast_column, options.categorical), cast_column.is_missing
    if isinstance(column, CategoricalColumn):  # parsing all texts is not needed to count inputs
        is_marker = missing_mask(column.levels, missing_markers(table, schema))
        n_distinct = int(np.count_nonzero(column.counts[~is_marker]))
        is_missing = column.translate(is_marker, True)
        if schema.role == "date":
            has_times = has_time(parse_dates(column.levels[:MAX_TEXTS], schema.date_format))
    else:
        cast_column = cast(column, schema, table)
        assert isinstance(cast_column, NumericColumn)
        is_missing = cast_column.is_missing
        has_times = schema.role == "date" and has_time(np.asarray(cast_column.values, np.float64))
        needs_distinct = isinstance(options.encoding, PiecewiseLinear)
        n_distinct = len(np.unique(cast_column.values[~is_missing])) if needs_distinct else 0
    return Feature(schema, has_time=has_times, n_bins=_n_bins(options, n_distinct)), is_missing


def _n_bins(options: PreprocessConfig, n_distinct: int) -> int:
    encoding = options.encoding
    if not isinstance(encoding, PiecewiseLinear) or n_distinct < max(encoding.min_distinct, 3):
        return 0
    # With targets, edges are the splits of a tree, which are between values, and the values themselves.
    return min(encoding.bins, (n_distinct - 1) * (2 if encoding.uses_targets else 1))
