"""The rows of a search: those that trials train on and are judged by, and those that judge the winner."""

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig, without_search
from mlpcli.config.schema.data import HeldOut
from mlpcli.config.schema.network import Members
from mlpcli.config.schema.sections import ExpectConfig
from mlpcli.data.store import PAGE_WATCHER, MappedFile, align_up
from mlpcli.data.table import Column, NumericColumn, Rows, Table
from mlpcli.data.targets.encode import rows_with_target
from mlpcli.workflows.preparing.rows.data_store import temporary_folder
from mlpcli.workflows.preparing.rows.splitting import split_validation
from mlpcli.workflows.preparing.rows.tables import resolve_columns
from mlpcli.workflows.reading.weights import positive_weight_rows


def split_holdout(loaded: LoadedConfig, table: Table, fraction: float) -> tuple[Table, Table]:
    """The rows of the search and those that no trial sees, drawn as `data.validation` draws its own.

    By groups, by time or by copies where the config says so, else by chance, stratified. Raises DataError.
    """
    training_table = resolve_columns(loaded, table)
    labeled, _ = rows_with_target(training_table.table, training_table.columns.targets)
    labeled, _ = positive_weight_rows(
        training_table.table, "" if training_table.weight is None else training_table.weight.name, labeled
    )
    config, strategy = loaded.config, loaded.config.data.validation
    has_way = isinstance(strategy, HeldOut) and strategy.column is None
    asked = replace(strategy, fraction=fraction) if isinstance(strategy, HeldOut) and has_way else fraction
    drawing = replace(
        config, data=replace(config.data, validation=asked), model=replace(config.model, members=Members())
    )
    kept, aside, _ = split_validation(replace(loaded, config=drawing), training_table, labeled)
    assert aside is not None
    return _take_rows(loaded, table, kept), _take_rows(loaded, table, aside)


def _take_rows(loaded: LoadedConfig, table: Table, rows: Rows) -> Table:
    """Some rows of a table; on disk where its own are there, as they do not fit into memory."""
    if table.n_buckets == 1:
        return table.take(rows)
    arrays = {name: _array(column) for name, column in table.columns.items()}
    size = sum(align_up(len(rows) * array.dtype.itemsize) for array in arrays.values())
    mapped, columns = MappedFile(temporary_folder(loaded), size), dict[str, Column]()
    for name, column in table.columns.items():
        values = mapped.write(arrays[name], rows)
        if isinstance(column, NumericColumn):
            columns[name] = replace(column, values=values)
        else:
            columns[name] = replace(column, codes=values)
        PAGE_WATCHER.release()
    mapped.close()
    return replace(table.with_columns({}).take(rows), columns=columns)


def _array(column: Column) -> NDArray[Any]:
    return column.values if isinstance(column, NumericColumn) else column.codes


def make_trial_config(loaded: LoadedConfig) -> LoadedConfig:
    """The config without what only the winner is asked (test rows, gates, coverage), the search and the output."""
    plain = without_search(loaded)
    written = plain.config
    config = replace(
        written,
        data=replace(written.data, test=None),
        intervals=replace(written.intervals, level=None),
        expect=ExpectConfig(),
        output=None,
    )
    root = {key: value for key, value in plain.source_map.root.items() if key not in ("expect", "output")}
    for section, key in (("data", "test"), ("intervals", "level")):
        if isinstance(inner := root.get(section), dict):
            root[section] = {name: value for name, value in inner.items() if name != key}
    return replace(plain, config=config, source_map=replace(plain.source_map, root=root))
