"""The rows of a search: those that trials train on and are judged by, and those that judge the winner."""

from dataclasses import replace

from mlpcli.config.loading import LoadedConfig, without_search
from mlpcli.config.schema.data import HeldOut
from mlpcli.config.schema.network import Members
from mlpcli.config.schema.sections import ExpectConfig
from mlpcli.data.table import Table
from mlpcli.data.targets.encode import rows_with_target
from mlpcli.workflows.preparing.splitting import split_table
from mlpcli.workflows.preparing.tables import settle
from mlpcli.workflows.reading import rows_that_count


def put_aside(loaded: LoadedConfig, table: Table, fraction: float) -> tuple[Table, Table]:
    """The rows of the search and those that no trial sees, drawn as `data.validation` draws its own.

    By groups, by time or by copies where the config says so, else by chance, stratified. Raises DataError.
    """
    settled = settle(loaded, table)
    known, _ = rows_with_target(settled.table, settled.columns.targets)
    known, _ = rows_that_count(settled.table, "" if settled.weight is None else settled.weight.name, known)
    config, way = loaded.config, loaded.config.data.validation
    has_way = isinstance(way, HeldOut) and way.column is None
    asked = replace(way, fraction=fraction) if isinstance(way, HeldOut) and has_way else fraction
    drawing = replace(
        config, data=replace(config.data, validation=asked), model=replace(config.model, members=Members())
    )
    kept, aside, _ = split_table(replace(loaded, config=drawing), settled, known)
    assert aside is not None
    return table.take(kept), table.take(aside)


def as_trials_see_it(loaded: LoadedConfig) -> LoadedConfig:
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
    root = {key: value for key, value in plain.tree.root.items() if key not in ("expect", "output")}
    for section, key in (("data", "test"), ("intervals", "level")):
        if isinstance(inner := root.get(section), dict):
            root[section] = {name: value for name, value in inner.items() if name != key}
    return replace(plain, config=config, tree=replace(plain.tree, root=root))
