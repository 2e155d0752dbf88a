"""How many inputs a table will have, told before its preprocessing is fitted: whether they fit into memory hangs on it.

What the columns become is what training makes of them, but on all rows where training has those it trains on.
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
from mlpcli.data.schema.column import ColumnSchema, cast
from mlpcli.data.schema.dates import cycle_names, has_time, parse_dates
from mlpcli.data.schema.roles import INFER, infer_schema
from mlpcli.data.table import CategoricalColumn, NumericColumn, Table, code_dtype
from mlpcli.workflows.preparing.rows.column_plan import plan_columns
from mlpcli.workflows.preparing.rows.tables import writing_of

# Distinct texts that a role is told by: to decide it on a million of them takes seconds.
MAX_TEXTS = 1000


def max_inputs(loaded: LoadedConfig, n_texts: Mapping[str, int]) -> int:
    """The inputs that there may be at most, by the distinct texts of each column, 0 of numbers and dates."""
    options, named = loaded.config.preprocess, loaded.config.data.columns
    bins = options.encoding.bins if isinstance(options.encoding, PiecewiseLinear) else 0
    date = 2 + bins + len(cycle_names(True))
    levels = options.categorical.max_levels
    return sum(max(date, (levels if name in named else min(n, levels)) + 2) for name, n in n_texts.items())


def count_inputs(loaded: LoadedConfig, table: Table) -> int:
    """The inputs of a table as it was read, of which one column is held at a time.

    Raises ConfigError for names that are not there, DataError for columns that cannot be what the config says.
    """
    options = loaded.config.preprocess
    n_inputs, flags = 0, set()
    for name in plan_columns(loaded, table).features:
        schema = _schema(loaded, table, name)
        feature, is_missing = _feature(table, schema, options)
        n_inputs += feature.n_inputs
        has_flag = not isinstance(options.missing, RefuseMissing) and options.missing.flag
        if feature.role != "category" and has_flag and is_missing.any():
            flags.add(hash(np.packbits(is_missing).tobytes()))  # columns that are missing together share one
    return n_inputs + len(flags)


def _schema(loaded: LoadedConfig, table: Table, name: str) -> ColumnSchema:
    column, options = table.columns[name], loaded.config.data.columns.get(name, INFER)
    if isinstance(column, CategoricalColumn) and len(column.levels) > MAX_TEXTS:
        levels = column.levels[:: -(-len(column.levels) // MAX_TEXTS)]
        few = CategoricalColumn(levels, np.arange(len(levels), dtype=code_dtype(len(levels))), column.role)
        some = replace(table, columns={name: few}, n_rows=len(levels))
        schema, _ = infer_schema(some, name, options, writing_of(loaded))
        if schema.role != "number":  # a single code among numbers makes levels of them
            return schema
    return infer_schema(table, name, options, writing_of(loaded))[0]


def _feature(table: Table, schema: ColumnSchema, options: PreprocessConfig) -> tuple[Feature, NDArray[np.bool_]]:
    """What a column becomes, without a missing indicator, and its missing cells (n_rows,)."""
    column, missing = table.columns[schema.name], frozenset(table.format.missing) | {""}
    is_timed = False
    if schema.role in ("category", "boolean"):
        read = cast(column, schema, missing, table.where)
        assert isinstance(read, CategoricalColumn)
        return fit_categorical(schema, read, options.categorical), read.codes < 0
    if isinstance(column, CategoricalColumn):  # whose texts are not all parsed for this
        markers = missing if schema.missing is None else frozenset(schema.missing) | {""}
        is_marker = missing_mask(column.levels, markers)
        n_distinct = int(np.count_nonzero(column.counts[~is_marker]))
        is_missing = column.translate(is_marker, True)
        if schema.role == "date":
            is_timed = has_time(parse_dates(column.levels[:MAX_TEXTS], schema.date_format))
    else:
        read = cast(column, schema, missing, table.where)
        assert isinstance(read, NumericColumn)
        is_missing = np.isnan(read.values)
        is_timed = schema.role == "date" and has_time(np.asarray(read.values, np.float64))
        needs_distinct = isinstance(options.encoding, PiecewiseLinear)
        n_distinct = len(np.unique(read.values[~is_missing])) if needs_distinct else 0
    return Feature(schema, has_time=is_timed, n_bins=_n_bins(options, n_distinct)), is_missing


def _n_bins(options: PreprocessConfig, n_distinct: int) -> int:
    encoding = options.encoding
    if not isinstance(encoding, PiecewiseLinear) or n_distinct < max(encoding.min_distinct, 3):
        return 0
    # A tree splits between values, and values are edges beside its splits.
    return min(encoding.bins, (n_distinct - 1) * (2 if encoding.uses_targets else 1))
