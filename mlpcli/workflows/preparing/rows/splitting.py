"""Assign rows of the training table to splits and folds: at random, by a column, groups, time, or a hash of ids."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema.data import HeldOut
from mlpcli.data.reading.faults import pluralize
from mlpcli.data.row_hashes import hash_positions, row_hashes
from mlpcli.data.schema.cells import canonical_texts
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
from mlpcli.workflows.preparing.validation_options import split_strategy
from mlpcli.workflows.reading.weights import positive_weight_rows

DEFAULT_FRACTION = 0.2  # with group, time, hash or copies, without `fraction`

Codes = NDArray[np.int64]


def labeled_rows(training_table: TrainingTable) -> tuple[Rows, list[str]]:
    """The rows with a target and a weight above 0, and notes on the others."""
    table, weight = training_table.table, "" if training_table.weight is None else training_table.weight.name
    labeled, note = rows_with_target(table, training_table.columns.targets)
    labeled, left_out = positive_weight_rows(table, weight, labeled)
    return labeled, [*([f"{table.name}: {note}"] if note else []), *left_out]


@dataclass(frozen=True)
class AssignedRows:
    """Row numbers of the training table for each split; None without that split."""

    train: Rows
    validation: Rows | None
    calibration: Rows | None


def assign_rows(
    loaded: LoadedConfig, training_table: TrainingTable, labeled: Rows, holds_out_validation: bool
) -> tuple[AssignedRows, list[str]]:
    """Assign labeled rows to training, validation and calibration, and collect notes.

    Without `holds_out_validation` there are no validation rows. Raises ConfigError and DataError.
    """
    train, calibration, notes = split_calibration(loaded, training_table, labeled)
    if not holds_out_validation:
        return AssignedRows(train, None, calibration), notes
    train, validation, validation_notes = split_validation(loaded, training_table, train)
    return AssignedRows(train, validation, calibration), notes + validation_notes


def split_validation(
    loaded: LoadedConfig, training_table: TrainingTable, labeled: Rows
) -> tuple[Rows, Rows | None, list[str]]:
    """Training rows, validation rows of the same table or None, and notes; `labeled` are the rows with a target."""
    validation, table = loaded.config.data.validation, training_table.table
    strategy = checked_split_strategy(loaded, training_table)
    if strategy is not None and strategy.column is not None:
        return *_split_by_column(loaded, strategy, table, labeled), []
    notes = missing_key_notes(strategy, training_table, labeled)
    if isinstance(validation, str) or not validation or uses_folds(loaded):
        return labeled, None, notes
    fraction = float(validation) if strategy is None else strategy.fraction or DEFAULT_FRACTION  # type: ignore[arg-type]
    train, held_out, excluded_notes = _hold_out(
        strategy, training_table, labeled, fraction, rng_of(loaded.config.training.seed, "split")
    )
    return train, held_out, notes + excluded_notes


def split_calibration(
    loaded: LoadedConfig, training_table: TrainingTable, labeled: Rows
) -> tuple[Rows, Rows | None, list[str]]:
    """Training and validation rows, calibration rows of intervals if `intervals.rows` is a fraction, and notes.

    Calibration rows are held out by the strategy of the validation rows; if a column marks these, at random from the
    others. Ids of a hash are treated as groups, because their hash would select the validation rows.
    """
    check_intervals(loaded, training_table.targets.task)
    fraction, strategy = loaded.config.intervals.rows, checked_split_strategy(loaded, training_table)
    if isinstance(fraction, str):
        return labeled, None, []
    rng = rng_of(loaded.config.training.seed, "apart")
    if strategy is None or strategy.column is None:
        strategy = strategy if strategy is None or strategy.hash is None else HeldOut(group=strategy.hash)
        return _hold_out(strategy, training_table, labeled, fraction, rng)
    others, validation = _split_by_column(loaded, strategy, training_table.table, labeled)
    others, calibration, notes = _hold_out(None, training_table, others, fraction, rng)
    return np.sort(np.concatenate([others, validation])), calibration, notes


def _hold_out(
    strategy: HeldOut | None, training_table: TrainingTable, labeled: Rows, fraction: float, rng: np.random.Generator
) -> tuple[Rows, Rows, list[str]]:
    """The remaining rows, a held-out fraction of about `fraction`, and notes on rows in neither.

    Raises DataError if the rows cannot be split.
    """
    try:
        if strategy is None:
            split_of = np.zeros(len(labeled), np.int64)
            split_of[_split_at_random(training_table, labeled, fraction, rng)] = 1
        else:
            split_of = split_by_keys(split_keys(strategy, training_table, labeled), (1.0 - fraction, fraction), rng)
    except IndivisibleRows as error:
        raise DataError(f"{training_table.table.name}: {error}") from error
    return labeled[split_of == 0], labeled[split_of == 1], _excluded_notes(strategy, split_of)


def _excluded_notes(strategy: HeldOut | None, split_of: Codes) -> list[str]:
    """A note on the number of rows in no split, with the reasons; none if all rows are in one."""
    n_excluded = int(np.count_nonzero(split_of == EXCLUDED))
    if strategy is None or not n_excluded:
        return []
    reasons = []
    if strategy.group is not None:
        reasons.append(f"their {strategy.group} begins before the validation rows, and they do not")
    if strategy.gap is not None:
        reasons.append(f"they are nearer to the validation rows than {strategy.gap:g} in {strategy.time}")
    return [f"{pluralize(n_excluded, 'row')} of {len(split_of)} are left out: {', or '.join(reasons)}."]


def assign_member_folds(
    loaded: LoadedConfig, training_table: TrainingTable, rows: Rows
) -> tuple[Codes, NDArray[np.bool_] | None]:
    """The fold of each training row (n_rows,), for each round of members (n_rounds, n_rows) if folds are repeated.

    Folds are stratified as far as groups or times allow. Also a mask (n_folds, n_rows) of rows within the gap around
    each fold, on which its members are not trained; None without a gap.
    """
    members, strategy, seed = loaded.config.model.members, split_strategy(loaded), loaded.config.training.seed
    count = members.folds or members.count
    if len(rows) < 2 * count:
        raise loaded.error("model.members", f"{count} folds need at least {2 * count} rows, there are {len(rows)}.")
    try:
        n_rounds = members.count // count if members.repeat_folds else 1
        rounds = [split_folds(strategy, training_table, rows, count, seed, repeat) for repeat in range(n_rounds)]
        folds, purged = rounds[0] if n_rounds == 1 else np.stack(rounds), None
        if strategy is not None and strategy.gap is not None:
            purged = rows_within_gap(_times(training_table, str(strategy.time), rows), folds, count, strategy.gap)
            for fold in range(count):
                if not (~purged[fold] & (folds != fold)).any():
                    raise IndivisibleRows(f"a gap of {strategy.gap:g} leaves no training row for fold {fold + 1}.")
    except IndivisibleRows as error:
        raise DataError(f"{training_table.table.name}: {error}") from error
    return folds, purged


def split_folds(
    strategy: HeldOut | None, training_table: TrainingTable, rows: Rows, count: int, seed: int, repeat: int = 0
) -> Codes:
    """The fold of each row (n_rows,): random and stratified, or whole groups, consecutive time spans, or by hash.

    Raises IndivisibleRows if there are too few groups or times.
    """
    if strategy is None and training_table.targets.task == "multilabel":
        return fold_multilabel(_targets(training_table, rows), count, rng_of(seed, "folds", repeat))
    if strategy is None:
        return assign_folds(count, _strata(training_table, rows), len(rows), seed, repeat)
    keys = replace(split_keys(strategy, training_table, rows), gap=0.0)
    if keys.times is not None:
        times = keys.times if keys.groups is None else group_start_times(keys.times, keys.groups)
        return cut_by_time(times, (1.0 / count,) * count)
    return split_by_keys(keys, (1.0 / count,) * count, rng_of(seed, "folds", repeat))


def checked_split_strategy(loaded: LoadedConfig, training_table: TrainingTable) -> HeldOut | None:
    """The split strategy of the config; raises ConfigError if its time column has neither dates nor numbers."""
    strategy = split_strategy(loaded)
    if strategy is not None and strategy.time is not None:
        column = training_table.table.columns[strategy.time]
        if not isinstance(column, NumericColumn):
            name = f"column {strategy.time} of {training_table.table.name}"
            raise loaded.error("data.validation.time", f"{name} holds neither dates nor numbers, so it is not a time.")
    return strategy


def _split_at_random(
    training_table: TrainingTable, rows: Rows, fraction: float, rng: np.random.Generator
) -> Codes | Rows:
    """Positions in `rows` of those that are held out; stratified by class or by boolean columns."""
    if training_table.targets.task == "multilabel":
        return split_multilabel(_targets(training_table, rows), fraction, rng)[1]
    return split_rows(len(rows), fraction, _strata(training_table, rows), rng)[1]


def _targets(training_table: TrainingTable, rows: Rows) -> NDArray[np.float64]:
    """Boolean targets as 0 and 1 (n_rows, n_targets)."""
    return np.asarray(_encoded(training_table, rows), np.float64)


def _strata(training_table: TrainingTable, rows: Rows) -> NDArray[Any] | None:
    """Class codes (n_rows,), or boolean targets as 0 and 1 (n_rows, n_targets); None for regression."""
    if training_table.targets.task == "regression":
        return None
    if training_table.targets.task == "multilabel":
        return _targets(training_table, rows)
    return _encoded(training_table, rows)


def _encoded(training_table: TrainingTable, rows: Rows) -> NDArray[Any]:
    """Encoded targets of rows that are not split yet; with the classes of the model of `--from`, if there is one."""
    targets, target = training_table.targets, training_table.targets.model_target
    if target is None:
        target, _ = fit_target(training_table.table, targets.schemas, targets.task, rows)
    return encode_target(target, {}, training_table.table, rows)


def split_keys(strategy: HeldOut, training_table: TrainingTable, rows: Rows) -> SplitKeys:
    """The groups, times, hash positions and strata by which a strategy splits rows."""
    return SplitKeys(
        groups=None if strategy.group is None and strategy.copies is None else _groups(strategy, training_table, rows),
        times=None if strategy.time is None else _times(training_table, strategy.time, rows),
        positions=None if strategy.hash is None else hash_positions(_texts(training_table, strategy.hash, rows)),
        strata=_strata(training_table, rows) if strategy.time is None and strategy.hash is None else None,
        gap=strategy.gap or 0.0,
    )


def _texts(training_table: TrainingTable, name: str, rows: Rows) -> CategoricalColumn:
    column = training_table.table.columns[name].take(rows)
    assert isinstance(column, CategoricalColumn)
    return column


def _groups(strategy: HeldOut, training_table: TrainingTable, rows: Rows) -> Codes:
    """The group of each row (n_rows,); a row without one is a separate group. With `copies`, equal rows are a group."""
    if strategy.group is None:
        return np.unique(row_hashes(training_table.table, training_table.columns.features, rows), return_inverse=True)[
            1
        ]
    return group_codes(_texts(training_table, strategy.group, rows))


def _times(training_table: TrainingTable, name: str, rows: Rows) -> NDArray[np.float64]:
    column = training_table.table.columns[name].take(rows)
    assert isinstance(column, NumericColumn)  # see `checked_split_strategy`
    return np.asarray(column.values, np.float64)


def missing_key_notes(strategy: HeldOut | None, training_table: TrainingTable, rows: Rows) -> list[str]:
    """Notes on the number of rows without a group, time or id."""
    if strategy is None:
        return []
    notes, table = [], training_table.table
    effects = (
        (strategy.group, "each forms a separate group"),
        (strategy.time, "treated as the earliest"),
        (strategy.hash, "used for training"),
    )
    for name, effect in effects:
        if name is not None and (n_missing := int(table.column(name, rows).is_missing.sum())):
            notes.append(f"{table.name}: {pluralize(n_missing, 'row')} without a value of {name}: {effect}.")
    return notes


def _split_by_column(loaded: LoadedConfig, validation: HeldOut, table: Table, rows: Rows) -> tuple[Rows, Rows]:
    """Training and validation rows; validation rows are those where `column` equals the configured value."""
    assert validation.column is not None
    column = table.columns[validation.column].take(rows)
    assert isinstance(column, CategoricalColumn)
    options = loaded.config.data.columns.get(validation.column, INFER)
    (level,) = canonical_texts([str(validation.equals)], number_format(options, writing_of(loaded)))
    if level not in column.levels:  # numbers of YAML and of typed files have decimal points
        level = canonical(str(validation.equals))
    is_match = np.asarray([other == level for other in column.levels], np.bool_)
    if not is_match.any():  # YAML reads true as True
        is_match = np.asarray([other.casefold() == level.casefold() for other in column.levels], np.bool_)
    is_held_out = np.asarray(column.translate(is_match, False), np.bool_)
    if not is_held_out.any() or is_held_out.all():
        quantity = "every row" if is_held_out.all() else "no row"
        values = ", ".join(column.levels[:6]) + (", ..." if len(column.levels) > 6 else "")
        raise loaded.error(
            "data.validation",
            f"{quantity} of {table.name} has {validation.column} equal to {validation.equals} (it holds {values}).",
        )
    return rows[~is_held_out], rows[is_held_out]
