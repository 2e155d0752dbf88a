"""Assigns the columns of the training table to inputs, targets and weights, and to the keys that hold rows out."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.table import Table
from mlpcli.workflows.preparing.validation_options import split_columns


@dataclass(frozen=True)
class ColumnPlan:
    """The use of each column of the training table, "" for none.

    `fold` marks validation rows, rows of one `group` are held out together, `id` is hashed. `time` orders the rows and
    `by` groups intervals; these two may be inputs as well.
    """

    features: tuple[str, ...]
    targets: tuple[str, ...]
    weight: str
    fold: str
    group: str = ""
    time: str = ""
    id: str = ""
    by: str = ""


def plan_columns(loaded: LoadedConfig, table: Table) -> ColumnPlan:
    """Assign a use to each column; raises ConfigError for a missing column or one with conflicting uses."""
    data, columns = loaded.config.data, list(table.names)
    held_out = split_columns(loaded)
    _require(loaded, table, "data.target", data.target)
    _require(loaded, table, "data.drop", data.drop, table.column_names)
    _require(loaded, table, "data.columns", data.columns, table.column_names)
    _require(loaded, table, "data.features", data.features or ())
    _require(loaded, table, "data.weight", () if data.weight is None else [data.weight])
    by = loaded.config.intervals.by or ""
    _require(loaded, table, "intervals.by", [by] if by else [])
    split_keys = (("column", held_out.fold), ("group", held_out.group), ("time", held_out.time), ("hash", held_out.id))
    for key, name in split_keys:
        is_named = getattr(data.validation, key, None) is not None
        _require(loaded, table, f"data.validation.{key}", [name] if is_named else ())
        if key != "column" and name in data.target:
            raise loaded.error(f"data.validation.{key}", f"{name} is the target.")
    non_inputs = {*data.target, *data.drop, data.weight or "", *held_out.keys} - {""}
    if len(set(data.target)) < len(data.target):
        raise loaded.error("data.target", "names a column twice.")
    if data.weight in data.target:
        raise loaded.error("data.weight", f"{data.weight} is the target.")
    for name in data.target:
        if name in data.drop:
            raise loaded.error("data.drop", f"{name} is the target. Leave it out here.")
        if name in data.columns and data.columns[name].role in ("date", "boolean"):
            raise loaded.error("data.columns", f"{name} is the target: it can be read as number or category only.")
    if data.features is not None:
        for name in data.features:
            if name in non_inputs:
                raise loaded.error(
                    "data.features", f"{name} is also a target, a weight, dropped or used by data.validation."
                )
        features = tuple(dict.fromkeys(data.features))
    else:
        features = tuple(name for name in columns if name not in non_inputs)
    if not features:
        raise loaded.error("data.drop", f"no input column is left in {table.name}.")
    return ColumnPlan(features, data.target, data.weight or "", **asdict(held_out), by=by)


def _require(
    loaded: LoadedConfig, table: Table, key: str, names: Iterable[str], columns: Sequence[str] | None = None
) -> None:
    columns = table.names if columns is None else columns
    for name in names:
        if name not in columns:
            raise loaded.error(key, f"no column {name!r} in {table.name}.{name_hint(name, columns)}")
