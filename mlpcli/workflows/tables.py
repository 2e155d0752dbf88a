"""The tables a config names, read and checked: which columns are inputs, targets, weights; which rows are held out."""

import os
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema import RowsWhere
from mlpcli.data.cells import canonical_number
from mlpcli.data.preprocessor import Preprocessor, number_columns, text_columns
from mlpcli.data.selection import Selection
from mlpcli.data.tables import Table, TableFormat, read_table
from mlpcli.dataclass import dataclass
from mlpcli.errors import DataError, did_you_mean

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ColumnPlan:
    """What each column of the training table is for; `fold` is the column that marks validation rows, or ""."""

    features: tuple[str, ...]
    targets: tuple[str, ...]
    weight: str
    fold: str


def table_format(loaded: LoadedConfig) -> TableFormat:
    """How the config says the tables are written."""
    data = loaded.config.data
    return TableFormat(data.delimiter, data.encoding, data.header, data.missing)


def read_training_table(loaded: LoadedConfig, packs: bool = False) -> Table:
    """The file or files of `data.train`; with `packs`, the numbers of a large table may be packed for the network."""
    data = loaded.config.data
    as_text = {name for name, role in data.columns.items() if role != "number"} | set(data.target)
    if isinstance(data.validation, RowsWhere):
        as_text.add(data.validation.column)
    as_number = {name for name, role in data.columns.items() if role == "number"}
    if data.weight:
        as_number.add(data.weight)
    _check_place(loaded, "data.train", data.train)
    return read_table(
        _one_or_several(data.train),
        table_format(loaded),
        as_text,
        number_columns=as_number - as_text,
        packs=packs and loaded.config.training.dtype == "float32",
        exact_columns=[data.weight] if data.weight else [],
    )


def read_scored_table(
    loaded: LoadedConfig, key: str, source: str | tuple[str, ...], preprocessor: Preprocessor, has_header: bool | None
) -> Table:
    """A validation or test file (`key` says which): the columns of the model, the targets and the weight."""
    data = loaded.config.data
    if "-" in source and "-" in data.train:
        raise loaded.error(key, "standard input is data.train already. Name a file.")
    numbers = set(number_columns(preprocessor)) | ({data.weight} if data.weight else set())
    texts = set(text_columns(preprocessor)) | set(data.target)
    source = source if isinstance(source, str) else _one_or_several(source)
    _check_place(loaded, key, [source] if isinstance(source, str) else source)
    # Whether there is a header is found once: a few rows of a further file may look otherwise.
    format = replace(table_format(loaded), header=has_header)
    table = read_table(source, format, texts, wanted=numbers | texts, number_columns=numbers)
    for name in (*data.target, *([data.weight] if data.weight else [])):
        if name not in table.read_names:
            raise DataError(f"{table.name}: column {name} is missing.{did_you_mean(name, table.column_names)}")
    return table


def plan_columns(loaded: LoadedConfig, table: Table) -> ColumnPlan:
    """Who is who among the columns; raises ConfigError for a name that is not there or stands in two places."""
    data, found = loaded.config.data, list(table.read_names)
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
    if data.weight in data.target:
        raise loaded.error("data.weight", f"{data.weight} is the target.")
    for name in data.target:
        if name in data.drop:
            raise loaded.error("data.drop", f"{name} is the target. Leave it out here.")
        if name in data.columns:
            raise loaded.error("data.columns", f"{name} is the target: what it is read as is set by task.")
    if data.features is not None:
        for name in data.features:
            if name in taken:
                raise loaded.error("data.features", f"{name} is also a target, a weight or dropped.")
        features = tuple(dict.fromkeys(data.features))
    else:
        features = tuple(name for name in found if name not in taken)
    if not features:
        raise loaded.error("data.drop", f"no input column is left in {table.name}.")
    return ColumnPlan(features, data.target, data.weight or "", fold)


def fold_rows(loaded: LoadedConfig, table: Table, rows: Rows) -> tuple[Rows, Rows]:
    """Training and validation rows by the fold column."""
    validation = loaded.config.data.validation
    assert isinstance(validation, RowsWhere)
    cells = Selection(table, rows).texts(validation.column)
    wanted = canonical_number(str(validation.equals).casefold())
    is_wanted = np.asarray([canonical_number(text.casefold()) == wanted for text in cells.texts], np.bool_)
    is_held_out = np.asarray(cells.translated(is_wanted, False), np.bool_)
    if not is_held_out.any() or is_held_out.all():
        how_many = "every row" if is_held_out.all() else "no row"
        values = ", ".join(cells.texts[:6]) + (", ..." if len(cells.texts) > 6 else "")
        raise loaded.error(
            "data.validation",
            f"{how_many} of {table.name} has {validation.column} equal to {validation.equals} (it holds {values}).",
        )
    return rows[~is_held_out], rows[is_held_out]


def _check_place(loaded: LoadedConfig, key: str, names: Iterable[str]) -> None:
    """A file that is not here but beside the config gets a better hint than one that is nowhere."""
    for name in names:
        beside = os.path.join(os.path.dirname(loaded.path), name)
        if not os.path.exists(name) and os.path.isfile(beside):
            raise loaded.error(
                key, f"{name}: no such file, but there is {beside}. Paths are relative to the current folder."
            )


def _require(loaded: LoadedConfig, table: Table, key: str, names: Iterable[str]) -> None:
    for name in names:
        if name not in table.read_names:
            raise loaded.error(key, f"no column {name!r} in {table.name}.{did_you_mean(name, table.read_names)}")


def _one_or_several(names: tuple[str, ...]) -> str | tuple[str, ...]:
    return names[0] if len(names) == 1 else names
