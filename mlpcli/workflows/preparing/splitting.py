"""Which rows of the training table are held out: by chance, by a column, by groups that stay together, or by time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema.data import HeldOut
from mlpcli.data.reading.faults import counted
from mlpcli.data.row_hashes import row_hashes
from mlpcli.data.schema.cells import canonical, canonical_in
from mlpcli.data.schema.roles import AS_FOUND, number_format
from mlpcli.data.split import cut_by_time, deal_groups, split_rows
from mlpcli.data.stratify import fold_multilabel, split_multilabel
from mlpcli.data.table import CategoricalColumn, NumericColumn, Rows, Table
from mlpcli.data.targets.encode import encode_target, fit_target
from mlpcli.errors import DataError, IndivisibleRows
from mlpcli.training.rows import draw_folds
from mlpcli.training.seeding import rng_of
from mlpcli.workflows.preparing.resolution import uses_folds
from mlpcli.workflows.preparing.tables import TrainingTable, writing_of

FRACTION = 0.2  # where {group}, {time} or {copies} name none

Codes = NDArray[np.int64]


def split_table(loaded: LoadedConfig, settled: TrainingTable, known: Rows) -> tuple[Rows, Rows | None, list[str]]:
    """Training rows, validation rows of the same table or None, and notes; `known` are the rows with a target."""
    asked, table = loaded.config.data.validation, settled.table
    way = _way(loaded)
    if way is not None and way.column is not None:
        return *_rows_where(loaded, way, table, known), []
    notes = _notes(way, settled, known)
    if isinstance(asked, str) or not asked or uses_folds(loaded):
        return known, None, notes
    fraction = float(asked) if way is None else way.fraction or FRACTION  # type: ignore[arg-type]
    rng = rng_of(loaded.config.training.seed, "split")
    try:
        if way is None:
            held_out = _split_by_chance(settled, known, fraction, rng)
        elif way.time is not None:
            held_out = np.flatnonzero(cut_by_time(_times(settled, way.time, known), (1.0 - fraction, fraction)) == 1)
        else:
            groups = _groups(way, settled, known)
            dealt = deal_groups(groups, _strata(settled, known), (1.0 - fraction, fraction), rng)
            held_out = np.flatnonzero(dealt == 1)
    except IndivisibleRows as error:
        raise DataError(f"{table.name}: {error}") from error
    is_held_out = np.zeros(len(known), np.bool_)
    is_held_out[held_out] = True
    return known[~is_held_out], known[is_held_out], notes


def draw_member_folds(loaded: LoadedConfig, settled: TrainingTable, rows: Rows) -> Codes:
    """The fold of each training row; classes and answers are spread as far as groups or time allow."""
    members, way, n_rows, seed = loaded.config.model.members, _way(loaded), len(rows), loaded.config.training.seed
    count = members.folds or members.count
    if n_rows < 2 * count:
        raise loaded.error("model.members", f"{count} folds need at least {2 * count} rows, there are {n_rows}.")
    if way is None and settled.targets.task == "multilabel":
        return fold_multilabel(_targets(settled, rows), count, rng_of(seed, "folds"))
    if way is None:
        return draw_folds(count, _strata(settled, rows), n_rows, seed)
    try:
        if way.time is not None:
            return cut_by_time(_times(settled, way.time, rows), (1.0 / count,) * count)
        groups = _groups(way, settled, rows)
        return deal_groups(groups, _strata(settled, rows), (1.0 / count,) * count, rng_of(seed, "folds"))
    except IndivisibleRows as error:
        raise DataError(f"{settled.table.name}: {error}") from error


def _way(loaded: LoadedConfig) -> HeldOut | None:
    """How rows are held out, if not by chance or in a file; raises ConfigError for no way, or two."""
    way = loaded.config.data.validation
    if not isinstance(way, HeldOut):
        return None
    asked = [key for key in ("column", "group", "time", "copies") if getattr(way, key) is not None]
    if len(asked) != 1:
        said = "names no way to hold rows out" if not asked else f"{' and '.join(asked)} do not go together"
        raise loaded.error(
            "data.validation", f"{said}. Write one of {{column, equals}}, {{group}}, {{time}}, {{copies}}."
        )
    if (way.column is None) != (way.equals is None):
        missing = "column" if way.column is None else "equals"
        raise loaded.error("data.validation", f"{missing} is missing: {{column: fold, equals: val}}.")
    if way.column is not None and way.fraction is not None:
        raise loaded.error("data.validation.fraction", "column says which rows they are. Leave it out.")
    return way


def _split_by_chance(settled: TrainingTable, rows: Rows, fraction: float, rng: np.random.Generator) -> Codes | Rows:
    """Which of the rows are held out, stratified by class or by the answers of yes/no columns."""
    if settled.targets.task == "multilabel":
        return split_multilabel(_targets(settled, rows), fraction, rng)[1]
    return split_rows(len(rows), fraction, _strata(settled, rows), rng)[1]


def _targets(settled: TrainingTable, rows: Rows) -> NDArray[np.float64]:
    """0 and 1 of each yes/no column (n_rows, n_targets)."""
    target, state = fit_target(settled.table, settled.targets.schemas, "multilabel", rows)
    return np.asarray(encode_target(target, state, settled.table, rows), np.float64)


def _strata(settled: TrainingTable, rows: Rows) -> NDArray[Any] | None:
    """The class of each row (n_rows,), or 0 and 1 of each yes/no column (n_rows, n_targets); None for numbers."""
    if settled.targets.task == "regression":
        return None
    if settled.targets.task == "multilabel":
        return _targets(settled, rows)
    target, state = fit_target(settled.table, settled.targets.schemas, "classification", rows)
    return encode_target(target, state, settled.table, rows)


def _groups(way: HeldOut, settled: TrainingTable, rows: Rows) -> Codes:
    """The group of each row; a row without one is a group of its own."""
    if way.group is None:
        return np.unique(row_hashes(settled.table, settled.columns.features, rows), return_inverse=True)[1]
    column = settled.table.columns[way.group].take(rows)
    assert isinstance(column, CategoricalColumn)
    codes = column.codes.astype(np.int64)
    is_alone = codes < 0
    codes[is_alone] = len(column.levels) + np.arange(np.count_nonzero(is_alone))
    return codes


def _times(settled: TrainingTable, name: str, rows: Rows) -> NDArray[np.float64]:
    column = settled.table.columns[name].take(rows)
    if not isinstance(column, NumericColumn):
        raise IndivisibleRows(
            f"column {name} holds neither dates nor numbers: data.validation.time needs one that does."
        )
    return np.asarray(column.values, np.float64)


def _notes(way: HeldOut | None, settled: TrainingTable, rows: Rows) -> list[str]:
    """Rows that the column of groups or of times says nothing of."""
    name = "" if way is None else way.group or way.time or ""
    if not name:
        return []
    column = settled.table.columns[name].take(rows)
    is_missing = column.codes < 0 if isinstance(column, CategoricalColumn) else np.isnan(column.values)
    if not is_missing.any():
        return []
    what = "each is a group of its own" if way is not None and way.group else "taken as the first"
    return [f"{settled.table.name}: {counted(int(is_missing.sum()), 'row')} without a value of {name}: {what}."]


def _rows_where(loaded: LoadedConfig, validation: HeldOut, table: Table, rows: Rows) -> tuple[Rows, Rows]:
    """Training and validation rows by the fold column."""
    assert validation.column is not None
    column = table.columns[validation.column].take(rows)
    assert isinstance(column, CategoricalColumn)
    options = loaded.config.data.columns.get(validation.column, AS_FOUND)
    (wanted,) = canonical_in([str(validation.equals)], number_format(options, writing_of(loaded)))
    if wanted not in column.levels:  # numbers of YAML and of typed files have points
        wanted = canonical(str(validation.equals))
    is_wanted = np.asarray([level == wanted for level in column.levels], np.bool_)
    if not is_wanted.any():  # true in YAML is True
        is_wanted = np.asarray([level.casefold() == wanted.casefold() for level in column.levels], np.bool_)
    is_held_out = np.asarray(column.translate(is_wanted, False), np.bool_)
    if not is_held_out.any() or is_held_out.all():
        how_many = "every row" if is_held_out.all() else "no row"
        values = ", ".join(column.levels[:6]) + (", ..." if len(column.levels) > 6 else "")
        raise loaded.error(
            "data.validation",
            f"{how_many} of {table.name} has {validation.column} equal to {validation.equals} (it holds {values}).",
        )
    return rows[~is_held_out], rows[is_held_out]
