"""Holds out the rows that score the best trial of a search; no trial uses them."""

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
    """Split off a fraction of the rows; returns the rows for the trials, and those held out.

    The strategy is that of `data.validation`: by group, by time or by copies, else at random and stratified. Raises
    DataError.
    """
    training_table = resolve_columns(loaded, table)
    labeled, _ = rows_with_target(training_table.table, training_table.columns.targets)
    labeled, _ = positive_weight_rows(
        training_table.table, "" if training_table.weight is None else training_table.weight.name, labeled
    )
    config, strategy = loaded.config, loaded.config.data.validation
    is_strategy = isinstance(strategy, HeldOut) and strategy.column is None
    validation = replace(strategy, fraction=fraction) if isinstance(strategy, HeldOut) and is_strategy else fraction
    holdout_config = replace(
        config, data=replace(config.data, validation=validation), model=replace(config.model, members=Members())
    )
    searched, held_out, _ = split_validation(replace(loaded, config=holdout_config), training_table, labeled)
    assert held_out is not None
    return _take_rows(loaded, table, searched), _take_rows(loaded, table, held_out)


def _take_rows(loaded: LoadedConfig, table: Table, rows: Rows) -> Table:
    """Take rows of a table; if the table is on disk, so are the taken rows, as they may not fit into memory."""
    if table.n_buckets == 1:
        return table.take(rows)
    source_arrays = {name: _array(column) for name, column in table.columns.items()}
    size = sum(align_up(len(rows) * array.dtype.itemsize) for array in source_arrays.values())
    mapped, columns = MappedFile(temporary_folder(loaded), size), dict[str, Column]()
    for name, column in table.columns.items():
        values = mapped.write(source_arrays[name], rows)
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
    """The config of a trial: without test file, gates and interval level, which apply to the best trial only.

    The section `search` and the output are removed too.
    """
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
