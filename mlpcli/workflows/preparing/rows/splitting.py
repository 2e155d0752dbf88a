"""Which rows of the training table are held out: by chance, by a column, by groups, by time, or by a hash of ids."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema.data import HeldOut
from mlpcli.data.reading.faults import counted
from mlpcli.data.row_hashes import hash_positions, row_hashes
from mlpcli.data.schema.cells import canonical_in
from mlpcli.data.schema.roles import INFER, number_format
from mlpcli.data.schema.spelling import canonical
from mlpcli.data.split import cut_by_time, split_rows
from mlpcli.data.split_by_key import EXCLUDED, SplitKeys, group_codes, group_start_times, rows_within_gap, split_by_keys
from mlpcli.data.stratify import fold_multilabel, split_multilabel
from mlpcli.data.table import CategoricalColumn, NumericColumn, Rows, Table
from mlpcli.data.targets.encode import encode_target, fit_target, rows_with_target
from mlpcli.errors import DataError, IndivisibleRows
from mlpcli.training.rows import assign_folds
from mlpcli.training.seeding import rng_of
from mlpcli.workflows.preparing.interval_options import check_intervals
from mlpcli.workflows.preparing.resolution import uses_folds
from mlpcli.workflows.preparing.rows.tables import TrainingTable, writing_of
from mlpcli.workflows.reading import rows_that_count

FRACTION = 0.2  # where {group}, {time}, {hash} or {copies} name none

Codes = NDArray[np.int64]
WAYS = "{column, equals}, {group}, {time}, {group, time}, {hash}, {copies}"


def known_rows(settled: TrainingTable) -> tuple[Rows, list[str]]:
    """The rows with a target and a weight above 0, and notes on the others."""
    table, weight = settled.table, "" if settled.weight is None else settled.weight.name
    known, note = rows_with_target(table, settled.columns.targets)
    known, left_out = rows_that_count(table, weight, known)
    return known, [*([f"{table.name}: {note}"] if note else []), *left_out]


def rows_of_parts(
    loaded: LoadedConfig, settled: TrainingTable, known: Rows, holds_out: bool
) -> tuple[Rows, Rows | None, Rows | None, list[str]]:
    """Rows that train, validate and calibrate intervals, the last two None for none, and notes.

    Unless `holds_out`, none are for validation.
    """
    known, apart, notes = set_apart(loaded, settled, known)
    if not holds_out:
        return known, None, apart, notes
    train, validation, odd = split_table(loaded, settled, known)
    return train, validation, apart, notes + odd


def split_table(loaded: LoadedConfig, settled: TrainingTable, known: Rows) -> tuple[Rows, Rows | None, list[str]]:
    """Training rows, validation rows of the same table or None, and notes; `known` are the rows with a target."""
    asked, table = loaded.config.data.validation, settled.table
    way = way_in(loaded, settled)
    if way is not None and way.column is not None:
        return *_rows_where(loaded, way, table, known), []
    notes = notes_on_way(way, settled, known)
    if isinstance(asked, str) or not asked or uses_folds(loaded):
        return known, None, notes
    fraction = float(asked) if way is None else way.fraction or FRACTION  # type: ignore[arg-type]
    train, held_out, left_out = _cut(way, settled, known, fraction, rng_of(loaded.config.training.seed, "split"))
    return train, held_out, notes + left_out


def set_apart(loaded: LoadedConfig, settled: TrainingTable, known: Rows) -> tuple[Rows, Rows | None, list[str]]:
    """The rows that are trained on or validate, and those that calibrate intervals and do nothing else, if asked for.

    They are taken as validation rows are: by groups, by time, or by chance, of rows marked by a column from the others.
    Ids of a hash are groups: by the hash the same rows would validate. Also notes on rows that are left out.
    """
    check_intervals(loaded, settled.targets.task)
    fraction, way = loaded.config.intervals.rows, way_in(loaded, settled)
    if isinstance(fraction, str):
        return known, None, []
    rng = rng_of(loaded.config.training.seed, "apart")
    if way is None or way.column is None:
        way = way if way is None or way.hash is None else HeldOut(group=way.hash)
        return _cut(way, settled, known, fraction, rng)
    others, validating = _rows_where(loaded, way, settled.table, known)
    others, apart, notes = _cut(None, settled, others, fraction, rng)
    return np.sort(np.concatenate([others, validating])), apart, notes


def _cut(
    way: HeldOut | None, settled: TrainingTable, known: Rows, fraction: float, rng: np.random.Generator
) -> tuple[Rows, Rows, list[str]]:
    """Most of the rows, a fraction of them that is held out, and notes on rows that are in neither.

    Raises DataError for rows that cannot be divided.
    """
    try:
        if way is None:
            part_of = np.zeros(len(known), np.int64)
            part_of[_split_by_chance(settled, known, fraction, rng)] = 1
        else:
            part_of = split_by_keys(keys_of(way, settled, known), (1.0 - fraction, fraction), rng)
    except IndivisibleRows as error:
        raise DataError(f"{settled.table.name}: {error}") from error
    return known[part_of == 0], known[part_of == 1], note_on_left_out(way, part_of)


def note_on_left_out(way: HeldOut | None, part_of: Codes) -> list[str]:
    """How many rows are in no part, and why."""
    n_left_out = int(np.count_nonzero(part_of == EXCLUDED))
    if way is None or not n_left_out:
        return []
    why = [] if way.group is None else [f"their {way.group} begins before the validation rows, and they do not"]
    why += [] if way.gap is None else [f"they are nearer to the validation rows than {way.gap:g} in {way.time}"]
    return [f"{counted(n_left_out, 'row')} of {len(part_of)} are left out: {', or '.join(why)}."]


def draw_member_folds(
    loaded: LoadedConfig, settled: TrainingTable, rows: Rows
) -> tuple[Codes, NDArray[np.bool_] | None]:
    """The fold of each training row; classes and answers are spread as far as groups or time allow.

    Also which rows are too near to each fold to be trained on beside it (n_folds, n_rows), None for none.
    """
    members, way, seed = loaded.config.model.members, way_of(loaded), loaded.config.training.seed
    count = members.folds or members.count
    if len(rows) < 2 * count:
        raise loaded.error("model.members", f"{count} folds need at least {2 * count} rows, there are {len(rows)}.")
    try:
        folds = draw_folds_by(way, settled, rows, count, seed)
        near = None
        if way is not None and way.gap is not None:
            near = rows_within_gap(_times(settled, str(way.time), rows), folds, count, way.gap)
            for fold in range(count):
                if not (~near[fold] & (folds != fold)).any():
                    raise IndivisibleRows(f"a gap of {way.gap:g} leaves no training row for fold {fold + 1}.")
    except IndivisibleRows as error:
        raise DataError(f"{settled.table.name}: {error}") from error
    return folds, near


def draw_folds_by(
    way: HeldOut | None, settled: TrainingTable, rows: Rows, count: int, seed: int, repeat: int = 0
) -> Codes:
    """The fold of each row: by chance, with classes or answers spread evenly, or whole groups, spans of time, hashes.

    Raises IndivisibleRows where there are too few groups or times.
    """
    if way is None and settled.targets.task == "multilabel":
        return fold_multilabel(_targets(settled, rows), count, rng_of(seed, "folds", repeat))
    if way is None:
        return assign_folds(count, _strata(settled, rows), len(rows), seed, repeat)
    keys = replace(keys_of(way, settled, rows), gap=0.0)
    if keys.times is not None:
        times = keys.times if keys.groups is None else group_start_times(keys.times, keys.groups)
        return cut_by_time(times, (1.0 / count,) * count)
    return split_by_keys(keys, (1.0 / count,) * count, rng_of(seed, "folds", repeat))


def way_of(loaded: LoadedConfig) -> HeldOut | None:
    """How rows are held out, if not by chance or in a file; raises ConfigError for no way, or two."""
    way = loaded.config.data.validation
    if not isinstance(way, HeldOut):
        return None
    asked = [key for key in ("column", "group", "time", "hash", "copies") if getattr(way, key) is not None]
    if len(asked) != 1 and asked != ["group", "time"]:
        said = "does not say how to hold out rows" if not asked else f"{' and '.join(asked)} cannot be combined"
        raise loaded.error("data.validation", f"{said}. Write one of {WAYS}.")
    if (way.column is None) != (way.equals is None):
        missing = "column" if way.column is None else "equals"
        raise loaded.error("data.validation", f"{missing} is missing: {{column: fold, equals: val}}.")
    if way.column is not None and way.fraction is not None:
        raise loaded.error(
            "data.validation.fraction", "cannot be combined with column, which says which rows they are. Leave it out."
        )
    if way.gap is not None and way.time is None:
        raise loaded.error("data.validation.gap", "applies to time only. Leave it out.")
    if way.group is not None and way.group == way.time:
        raise loaded.error("data.validation", f"group and time are both {way.group}. Leave one out.")
    return way


def way_in(loaded: LoadedConfig, settled: TrainingTable) -> HeldOut | None:
    """The same for the rows of a table; raises ConfigError for a column of times that are none."""
    way = way_of(loaded)
    if way is not None and way.time is not None:
        column = settled.table.columns[way.time]
        if not isinstance(column, NumericColumn):
            text = f"column {way.time} of {settled.table.name} holds neither dates nor numbers, so it is not a time."
            raise loaded.error("data.validation.time", text)
    return way


def _split_by_chance(settled: TrainingTable, rows: Rows, fraction: float, rng: np.random.Generator) -> Codes | Rows:
    """Which of the rows are held out, stratified by class or by the answers of boolean columns."""
    if settled.targets.task == "multilabel":
        return split_multilabel(_targets(settled, rows), fraction, rng)[1]
    return split_rows(len(rows), fraction, _strata(settled, rows), rng)[1]


def _targets(settled: TrainingTable, rows: Rows) -> NDArray[np.float64]:
    """0 and 1 of each boolean column (n_rows, n_targets)."""
    return np.asarray(_encoded(settled, rows), np.float64)


def _strata(settled: TrainingTable, rows: Rows) -> NDArray[Any] | None:
    """The class of each row (n_rows,), or 0 and 1 of each boolean column (n_rows, n_targets); None for numbers."""
    if settled.targets.task == "regression":
        return None
    if settled.targets.task == "multilabel":
        return _targets(settled, rows)
    return _encoded(settled, rows)


def _encoded(settled: TrainingTable, rows: Rows) -> NDArray[Any]:
    """Codes of the classes, or 0 and 1, of rows that are not divided yet; new rows may lack classes of their model."""
    targets, target = settled.targets, settled.targets.model_target
    if target is None:
        target, _ = fit_target(settled.table, targets.schemas, targets.task, rows)
    return encode_target(target, {}, settled.table, rows)


def keys_of(way: HeldOut, settled: TrainingTable, rows: Rows) -> SplitKeys:
    """What says where the rows belong."""
    return SplitKeys(
        groups=None if way.group is None and way.copies is None else _groups(way, settled, rows),
        times=None if way.time is None else _times(settled, way.time, rows),
        positions=None if way.hash is None else hash_positions(_texts(settled, way.hash, rows)),
        strata=_strata(settled, rows) if way.time is None and way.hash is None else None,
        gap=way.gap or 0.0,
    )


def _texts(settled: TrainingTable, name: str, rows: Rows) -> CategoricalColumn:
    column = settled.table.columns[name].take(rows)
    assert isinstance(column, CategoricalColumn)
    return column


def _groups(way: HeldOut, settled: TrainingTable, rows: Rows) -> Codes:
    """The group of each row; a row without one is a group of its own."""
    if way.group is None:
        return np.unique(row_hashes(settled.table, settled.columns.features, rows), return_inverse=True)[1]
    return group_codes(_texts(settled, way.group, rows))


def _times(settled: TrainingTable, name: str, rows: Rows) -> NDArray[np.float64]:
    column = settled.table.columns[name].take(rows)
    assert isinstance(column, NumericColumn)  # `way_in` has looked
    return np.asarray(column.values, np.float64)


def notes_on_way(way: HeldOut | None, settled: TrainingTable, rows: Rows) -> list[str]:
    """Rows that the columns of groups, times or ids say nothing of."""
    if way is None:
        return []
    notes = []
    meanings = (
        (way.group, "each forms a separate group"),
        (way.time, "treated as the earliest"),
        (way.hash, "used for training"),
    )
    for name, what in meanings:
        if name is not None:
            column = settled.table.columns[name].take(rows)
            is_missing = column.codes < 0 if isinstance(column, CategoricalColumn) else np.isnan(column.values)
            if n_missing := int(is_missing.sum()):
                notes.append(f"{settled.table.name}: {counted(n_missing, 'row')} without a value of {name}: {what}.")
    return notes


def _rows_where(loaded: LoadedConfig, validation: HeldOut, table: Table, rows: Rows) -> tuple[Rows, Rows]:
    """Training and validation rows by the fold column."""
    assert validation.column is not None
    column = table.columns[validation.column].take(rows)
    assert isinstance(column, CategoricalColumn)
    options = loaded.config.data.columns.get(validation.column, INFER)
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
