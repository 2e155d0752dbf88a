"""The tables a config names, read and checked: which columns are inputs, targets, weights; which rows are held out."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema import RowsWhere
from mlpcli.data.preprocessor import Preprocessor, number_columns, text_columns
from mlpcli.data.tables import Table, TableFormat, read_table
from mlpcli.errors import DataError, did_you_mean

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ColumnPlan:
    """What each column of the training table is for; `fold` is the column that marks validation rows, or ""."""

    features: tuple[str, ...]
    targets: tuple[str, ...]
    dropped: tuple[str, ...]
    weight: str
    fold: str


def table_format(loaded: LoadedConfig) -> TableFormat:
    """How the config says the tables are written."""
    data = loaded.config.data
    return TableFormat(data.delimiter, data.encoding, data.header, data.missing)


def read_training_table(loaded: LoadedConfig) -> Table:
    """The file or files of `data.train`."""
    data = loaded.config.data
    as_text = {name for name, role in data.columns.items() if role != "number"} | set(data.target)
    if isinstance(data.validation, RowsWhere):
        as_text.add(data.validation.column)
    as_number = {name for name, role in data.columns.items() if role == "number"}
    if data.weight:
        as_number.add(data.weight)
    return read_table(_one_or_several(data.train), table_format(loaded), as_text, number_columns=as_number - as_text)


def read_scored_table(loaded: LoadedConfig, source: str | tuple[str, ...], preprocessor: Preprocessor) -> Table:
    """A validation or test file: the columns of the model, the targets and the weight."""
    data = loaded.config.data
    numbers = set(number_columns(preprocessor)) | ({data.weight} if data.weight else set())
    texts = set(text_columns(preprocessor)) | set(data.target)
    source = source if isinstance(source, str) else _one_or_several(source)
    table = read_table(source, table_format(loaded), texts, wanted=numbers | texts, number_columns=numbers)
    for name in (*data.target, *([data.weight] if data.weight else [])):
        if name not in table.frame.columns:
            raise DataError(f"{table.name}: column {name} is missing.{did_you_mean(name, table.column_names)}")
    return table


def plan_columns(loaded: LoadedConfig, table: Table) -> ColumnPlan:
    """Who is who among the columns; raises ConfigError for a name that is not there or stands in two places."""
    data, found = loaded.config.data, list(table.frame.columns)
    fold = data.validation.column if isinstance(data.validation, RowsWhere) else ""
    _require(loaded, table, "data.target", data.target)
    _require(loaded, table, "data.drop", data.drop)
    _require(loaded, table, "data.columns", data.columns)
    _require(loaded, table, "data.features", data.features or ())
    _require(loaded, table, "data.weight", [data.weight] if data.weight else ())
    _require(loaded, table, "data.validation.column", [fold] if fold else ())
    taken = {*data.target, *data.drop, *([data.weight] if data.weight else []), *([fold] if fold else [])}
    if len(set(data.target)) < len(data.target):
        raise loaded.error("data.target", "names a column twice.")
    if data.features is not None:
        for name in data.features:
            if name in taken:
                raise loaded.error("data.features", f"{name} is also a target, a weight or dropped.")
        features = tuple(dict.fromkeys(data.features))
    else:
        features = tuple(name for name in found if name not in taken)
    if not features:
        raise loaded.error("data.drop", f"no input column is left in {table.name}.")
    return ColumnPlan(features, data.target, data.drop, data.weight or "", fold)


def fold_rows(loaded: LoadedConfig, table: Table, rows: Rows) -> tuple[Rows, Rows]:
    """Training and validation rows by the fold column."""
    validation = loaded.config.data.validation
    assert isinstance(validation, RowsWhere)
    cells = table.frame[validation.column].iloc[rows].astype(str).str.casefold()
    is_held_out = (cells == str(validation.equals).casefold()).to_numpy()
    if not is_held_out.any() or is_held_out.all():
        how_many = "every row" if is_held_out.all() else "no row"
        values = ", ".join(sorted(set(cells))[:6])
        raise loaded.error(
            "data.validation",
            f"{how_many} of {table.name} has {validation.column} equal to {validation.equals} (it holds {values}).",
        )
    return rows[~is_held_out], rows[is_held_out]


def _require(loaded: LoadedConfig, table: Table, key: str, names: Iterable[str]) -> None:
    for name in names:
        if name not in table.frame.columns:
            raise loaded.error(key, f"no column {name!r} in {table.name}.{did_you_mean(name, table.frame.columns)}")


def _one_or_several(names: tuple[str, ...]) -> str | tuple[str, ...]:
    return names[0] if len(names) == 1 else names
