"""Reads the tables of a config, infers the schemas of their columns, and casts them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.features.preprocessor import Preprocessor, require_columns
from mlpcli.data.reading.building import StoreOptions
from mlpcli.data.reading.read import read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.data.schema.cells import separator_problem
from mlpcli.data.schema.column import ColumnOptions, ColumnSchema, as_category, cast_table
from mlpcli.data.schema.dates.patterns import DATE_FORMATS
from mlpcli.data.schema.findings import find_equivalent_spellings, findings_of_key, missing_marker_notes, raise_faults
from mlpcli.data.schema.profile import may_group_rows
from mlpcli.data.schema.roles import INFER, TextFormat, infer_schema
from mlpcli.data.schema.task import TargetSpec, infer_targets
from mlpcli.data.table import Table, TableFormat
from mlpcli.data.targets.target import Target
from mlpcli.errors import did_you_mean
from mlpcli.workflows.preparing.rows.column_plan import ColumnPlan, plan_columns
from mlpcli.workflows.preparing.validation_options import non_input_columns, split_columns
from mlpcli.workflows.preparing.warm_start import WarmStart, read_for_warm_start
from mlpcli.workflows.reading.tables import cast_scored, distinct_schemas, read_columns

Rows = NDArray[np.int64]

DATE_ORDERS = ("day_first", "month_first")


@dataclass(frozen=True)
class TrainingTable:
    """The training table with its used columns cast by their schemas.

    `entity_columns` are dropped columns whose names suggest that they identify groups of rows; they serve warnings
    only. `interval_by` is the column of the groups of intervals, None if that is the target.
    """

    table: Table
    columns: ColumnPlan
    targets: TargetSpec
    features: tuple[ColumnSchema, ...]
    weight: ColumnSchema | None
    notes: tuple[str, ...]
    entity_columns: tuple[ColumnSchema, ...] = ()
    interval_by: ColumnSchema | None = None


def table_format(loaded: LoadedConfig) -> TableFormat:
    """The table format that the config specifies; raises ConfigError for invalid separators or date formats."""
    data = loaded.config.data
    _check_signs(loaded, "data", data.decimal, data.thousands)
    for name, column in data.columns.items():
        thousands = data.thousands if column.thousands is None else column.thousands
        _check_signs(loaded, f"data.columns.{name}", column.decimal or data.decimal, thousands)
    if data.dates is not None and data.dates not in (*DATE_ORDERS, *DATE_FORMATS):
        hint = did_you_mean(data.dates, (*DATE_ORDERS, *DATE_FORMATS))
        raise loaded.error("data.dates", f"{data.dates!r} is not a date format.{hint}")
    return TableFormat(
        data.delimiter, data.encoding, data.header, data.missing, data.comment, data.skip_rows, data.decimal,
        data.thousands, data.sheet,
    )  # fmt: skip


def _check_signs(loaded: LoadedConfig, key: str, decimal: str, thousands: str | None) -> None:
    if fault := separator_problem(decimal, thousands):
        raise loaded.error(f"{key}.{fault[0]}", fault[1])


def writing_of(loaded: LoadedConfig) -> TextFormat:
    """The format of numbers and dates that the config specifies for all columns."""
    data = loaded.config.data
    return TextFormat(data.decimal, data.thousands, data.dates)


def read_training_table(
    loaded: LoadedConfig, store: StoreOptions | None = None, further: Iterable[str] = (), start: WarmStart | None = None
) -> Table:
    """Read the files of `data.train`; `further` names more columns to read, `store` says where large columns go.

    With `start` the table is read by the schemas of its model. Raises ConfigError and DataError.
    """
    data = loaded.config.data
    check_train_location(loaded)
    if start is not None:
        return read_for_warm_start(loaded, start, _unwrapped(data.train), store or StoreOptions())
    request, named = training_request(loaded, further)
    return read_table(
        _unwrapped(data.train), table_format(loaded), request, configured=named, store=store or StoreOptions()
    )


def check_train_location(loaded: LoadedConfig) -> None:
    """Raise ConfigError for a file of `data.train` that exists only relative to the folder of the config."""
    _check_location(loaded, "data.train", loaded.config.data.train)


def training_request(loaded: LoadedConfig, further: Iterable[str] = ()) -> tuple[Request, Sequence[str]]:
    """The columns to read from the files of `data.train` and how, and the names of columns that the config mentions."""
    data, held_out = loaded.config.data, split_columns(loaded)
    texts = {name for name, column in data.columns.items() if is_read_verbatim(column, data.decimal)}
    texts |= held_out.keys - {*data.target}
    labels = data.target if loaded.config.task in ("auto", "classification") else ()
    unwanted = {name for name in data.drop if not may_group_rows(name)} - non_input_columns(loaded) - {*further}
    request = Request(unwanted=unwanted, written=texts, spelled=labels)
    return request, [*data.target, *data.columns, *data.drop, *(data.features or ())]


def training_frame(loaded: LoadedConfig, rows: pd.DataFrame) -> Table:
    """A table of those columns of a data frame that the training uses; the data frame replaces `data.train`."""
    data = loaded.config.data
    others = non_input_columns(loaded)
    wanted = None if data.features is None else frozenset(data.features) | others
    unwanted = frozenset(name for name in data.drop if not may_group_rows(name)) - others
    return table_from_frame(rows, request=Request(wanted, unwanted=unwanted), missing=data.missing)


def resolve_columns(
    loaded: LoadedConfig, table: Table, lists_all: bool = False, start: WarmStart | None = None
) -> TrainingTable:
    """Infer the schema of each used column of the training table, and cast the table.

    With `start` inputs and targets have the schemas of its model. Raises ConfigError for missing columns, and DataError
    for columns with ambiguous or invalid cells: one error with the first three faults, or all with `lists_all`.
    """
    columns = plan_columns(loaded, table)
    options, writing = loaded.config.data.columns, writing_of(loaded)
    if start is None:
        targets = infer_targets(table, columns.targets, loaded.config.task, options, writing)
    else:
        columns, targets = replace(columns, features=start.features), start.targets
        require_columns(table, columns.features)
    findings = list(targets.findings)
    features = []
    for name in columns.features:
        if start is not None:
            features.append(start.schemas[name])
            continue
        schema, column_findings = infer_schema(table, name, options.get(name, INFER), writing)
        features.append(schema)
        findings += column_findings
    weight = weight_schema(loaded, table)
    others = [] if weight is None else [weight]
    cast_already = {*columns.features, *columns.targets}
    for name, purpose in ((columns.fold, "fold"), (columns.group, "group"), (columns.id, "id"), (columns.by, "group")):
        if name and name not in cast_already:
            schema, column_findings = infer_schema(table, name, options.get(name, INFER), writing)
            findings += findings_of_key(schema, column_findings)
            others.append(as_category(schema))
            findings += find_equivalent_spellings(table, others[-1], purpose)
    raise_faults(findings, None if lists_all else 3)
    if columns.time:
        others.append(infer_schema(table, columns.time, options.get(columns.time, INFER), writing)[0])
    used = distinct_schemas([*features, *targets.schemas, *others])
    by_name = {schema.name: schema for schema in used}
    interval_by = None if columns.by in columns.targets else by_name.get(columns.by)
    entity_columns = _entity_columns(loaded, table, set(by_name))
    cast_columns = cast_table(table, [*used, *entity_columns])
    notes = (*(finding.text for finding in findings), *missing_marker_notes(table, [*features, *targets.schemas]))
    return TrainingTable(cast_columns, columns, targets, tuple(features), weight, notes, entity_columns, interval_by)


def _entity_columns(loaded: LoadedConfig, table: Table, used_names: set[str]) -> tuple[ColumnSchema, ...]:
    """Schemas of dropped columns that may identify groups of rows, without those whose cells have faults."""
    schemas = []
    for name in loaded.config.data.drop:
        if name in table.columns and name not in used_names and may_group_rows(name):
            schema, findings = infer_schema(table, name, INFER, writing_of(loaded))
            schemas += [] if any(finding.is_fault for finding in findings) else [schema]
    return tuple(schemas)


def weight_schema(loaded: LoadedConfig, table: Table) -> ColumnSchema | None:
    """The schema of the column of sample weights; None without one."""
    name, options = loaded.config.data.weight, loaded.config.data.columns
    if not name:
        return None
    return replace(infer_schema(table, name, options.get(name, INFER), writing_of(loaded))[0], role="number")


def is_read_verbatim(options: ColumnOptions, decimal: str) -> bool:
    """Whether the cells of a column must be read as text, because the reader supports only one format of numbers."""
    has_own_sign = options.decimal not in (None, decimal) or bool(options.thousands)
    has_affix = bool(options.prefix or options.suffix or options.parentheses)
    is_text = options.role not in ("number", None) or options.format is not None or options.missing is not None
    return has_own_sign or has_affix or is_text


def read_scored_table(
    loaded: LoadedConfig,
    key: str,
    source: str | tuple[str, ...],
    preprocessor: Preprocessor,
    target: Target,
    others: Sequence[ColumnSchema],
    has_header: bool | None,
) -> Table:
    """Read a validation or test file, and cast its inputs, targets and `others`.

    `key` is the config key of the file, for messages. Raises ConfigError and DataError.
    """
    data = loaded.config.data
    names = (source,) if isinstance(source, str) else source
    if "-" in names and "-" in data.train:
        raise loaded.error(key, "standard input is data.train already. Name a file.")
    source = source if isinstance(source, str) else _unwrapped(source)
    _check_location(loaded, key, [source] if isinstance(source, str) else source)
    # Whether there is a header was detected in the training file; a short file could be misjudged.
    format = replace(table_format(loaded), header=has_header)
    schemas = [*preprocessor.schemas, *target.schemas, *others]
    table = cast_scored(read_columns(source, format, schemas), schemas, target.names, data.weight or "")
    require_columns(table, [schema.name for schema in preprocessor.schemas])
    return table


def _check_location(loaded: LoadedConfig, key: str, names: Iterable[str]) -> None:
    """Raise ConfigError with a hint for a file that exists only relative to the folder of the config."""
    for name in names:
        beside = os.path.join(os.path.dirname(loaded.path), name)
        if not os.path.exists(name) and os.path.isfile(beside):
            raise loaded.error(
                key, f"{name}: no such file, but there is {beside}. Paths are relative to the current folder."
            )


def _unwrapped(names: tuple[str, ...]) -> str | tuple[str, ...]:
    return names[0] if len(names) == 1 else names
