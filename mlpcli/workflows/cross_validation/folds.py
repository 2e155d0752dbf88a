"""Makes the folds of a cross-validation, by the strategy of `data.validation` or of the command-line options."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig, without_search
from mlpcli.config.schema.data import HeldOut
from mlpcli.config.yaml.source_map import Origin, SourceMap
from mlpcli.data.split_by_key import time_series_folds
from mlpcli.data.table import Rows
from mlpcli.errors import DataError, IndivisibleRows, MlpError
from mlpcli.workflows.cross_validation.merging import refuse_unmergeable
from mlpcli.workflows.preparing.resolution import has_validation, uses_folds
from mlpcli.workflows.preparing.rows.splits import FoldRows
from mlpcli.workflows.preparing.rows.splitting import checked_split_strategy, missing_key_notes, split_folds, split_keys
from mlpcli.workflows.preparing.rows.tables import TrainingTable
from mlpcli.workflows.preparing.validation_options import split_strategy
from mlpcli.workflows.preparing.warnings.leakage import SplitRows, find_leaks

MIN_FOLDS, MAX_FOLDS, MAX_REPEATS = 2, 1000, 1000


@dataclass(frozen=True)
class FoldOptions:
    """Number of folds and repeats, and the columns that decide which rows share a fold ("" for those of the config).

    `gap` is in days for dates, else in the unit of the time column. With `keeps` each fold is trained a second time,
    with preprocessing and targets fitted on all rows, so that the models of the folds can be merged.
    """

    n_folds: int = 5
    n_repeats: int = 1
    group: str = ""
    time: str = ""
    hash: str = ""
    gap: float | None = None
    keeps: bool = False

    @property
    def n_trainings(self) -> int:
        """Number of folds in all repeats."""
        return self.n_folds * self.n_repeats


@dataclass(frozen=True)
class Folds:
    """The rows of each fold, repeat by repeat, with notes for the user and a hash of all rows.

    `is_forward` means that each fold is trained on rows that are earlier than its test rows.
    """

    rows: tuple[FoldRows, ...]
    is_forward: bool
    notes: tuple[str, ...]
    sha256: str

    @property
    def test_ratio(self) -> float:
        """The mean of n_test / n_train."""
        return float(np.mean([len(fold.test) / len(fold.train) for fold in self.rows]))


def check_options(options: FoldOptions) -> None:
    """Raise MlpError for values out of bounds, and for strategies that cannot be combined."""
    if not MIN_FOLDS <= options.n_folds <= MAX_FOLDS:
        raise MlpError(f"--folds {options.n_folds}: must be from {MIN_FOLDS} to {MAX_FOLDS}.")
    if not 1 <= options.n_repeats <= MAX_REPEATS:
        raise MlpError(f"--repeats {options.n_repeats}: must be from 1 to {MAX_REPEATS}.")
    if options.hash and (options.group or options.time):
        raise MlpError(f"--hash and --{'group' if options.group else 'time'} cannot be combined. Choose one.")
    if options.gap is not None and not 0.0 < options.gap < np.inf:
        raise MlpError(
            f"--gap {options.gap:g}: must be greater than 0: days for dates, else in the unit of the column."
        )


def make_fold_config(loaded: LoadedConfig, options: FoldOptions) -> LoadedConfig:
    """The config of the folds: `--group`, `--time`, `--gap` and `--hash` in `data.validation`, no gates, no test file.

    Raises MlpError or ConfigError if the options cannot be combined with the config.
    """
    loaded = without_search(loaded)
    config = loaded.config
    if options.keeps:
        refuse_unmergeable(loaded)
    options_given = {key: value for key in ("group", "time", "hash", "gap") if (value := getattr(options, key))}
    held_out = config.data.validation
    if options_given:
        if isinstance(held_out, str) or (isinstance(held_out, HeldOut) and held_out.column is not None):
            option = next(iter(options_given))
            raise loaded.error("data.validation", f"names the validation rows: --{option} needs a fraction or null.")
        strategy = held_out if isinstance(held_out, HeldOut) else HeldOut(fraction=held_out or None)
        if not set(options_given) <= {"gap"}:  # the strategy of the options replaces that of the config
            strategy = replace(strategy, group=None, time=None, hash=None, copies=None, gap=None)
        held_out = replace(strategy, **options_given)
        if held_out.gap is not None and held_out.time is None:
            raise MlpError(f"--gap {held_out.gap:g}: requires --time, or data.validation: {{time: COLUMN}}.")
    if not has_validation(loaded):
        _refuse_postprocessing(loaded)
    data = replace(config.data, validation=held_out, test=None)
    expect = replace(config.expect, min={}, max={})
    changed = replace(
        loaded,
        config=replace(config, data=data, expect=expect),
        source_map=_with_origins(loaded.source_map, options_given),
    )
    split_strategy(changed)  # raises ConfigError for an invalid combination
    return changed


def _with_origins(source_map: SourceMap, options_given: Mapping[str, Any]) -> SourceMap:
    """Add the origins of values from options, so that an error names `--group` instead of a line of the file."""
    origins = dict(source_map.origins)
    for key, value in options_given.items():
        path = ("data", "validation", key)
        origins[path] = Origin(f"--{key} {value}", f"--{key}", key=path)
    return SourceMap(source_map.name, source_map.root, origins)


def _refuse_postprocessing(loaded: LoadedConfig) -> None:
    """Raise ConfigError for a temperature or threshold, which need validation rows: called if there are none."""
    options = loaded.config.postprocess
    for key, is_fitted in (
        ("calibration", options.calibration != "none"),
        ("threshold", isinstance(options.threshold, str)),
    ):
        if is_fitted:
            text = "is fitted on validation rows: set data.validation, or leave it out."
            raise loaded.error(f"postprocess.{key}", text)


def make_folds(
    loaded: LoadedConfig, fold_config: LoadedConfig, training_table: TrainingTable, labeled: Rows, options: FoldOptions
) -> Folds:
    """Divide the `labeled` rows into folds; `loaded` is the config as written, `fold_config` from `make_fold_config`.

    Raises DataError if there are too few rows or groups for the folds, and ConfigError for a time column without times.
    """
    strategy, seed = checked_split_strategy(fold_config, training_table), fold_config.config.training.seed
    strategy = None if strategy is not None and strategy.column is not None else strategy
    holds_out_validation = bool(loaded.config.data.validation) and not uses_folds(fold_config)
    name = training_table.table.name
    if len(labeled) < 2 * options.n_folds:
        raise DataError(
            f"{name}: {options.n_folds} folds need at least {2 * options.n_folds} rows, not {len(labeled)}."
        )
    is_deterministic = strategy is not None and (strategy.time is not None or strategy.hash is not None)
    if is_deterministic and options.n_repeats > 1:
        kind = "time" if strategy is not None and strategy.time is not None else "hash"
        raise MlpError(
            f"--repeats {options.n_repeats}: folds by {kind} are not random, so that all repeats are equal. "
            "Leave it out."
        )
    try:
        if strategy is not None and strategy.time is not None:
            keys = split_keys(strategy, training_table, labeled)
            assert keys.times is not None
            masks = time_series_folds(keys.times, options.n_folds, keys.gap, keys.groups)
        else:
            masks = []
            for repeat in range(options.n_repeats):
                fold_of = split_folds(strategy, training_table, labeled, options.n_folds, seed, repeat)
                masks += [(fold_of != fold, fold_of == fold) for fold in range(options.n_folds)]
    except IndivisibleRows as error:
        raise DataError(f"{name}: {error}") from error
    fit_rows = labeled if options.keeps else None
    rows = tuple(
        FoldRows(labeled[is_train], labeled[is_test], holds_out_validation, fit_rows) for is_train, is_test in masks
    )
    is_forward = strategy is not None and strategy.time is not None
    return Folds(rows, is_forward, tuple(missing_key_notes(strategy, training_table, labeled)), _hash_of(rows))


def leak_notes(
    training_table: TrainingTable, labeled: Rows, folds: Folds, n_folds: int, truth: NDArray[Any]
) -> list[str]:
    """Notes on rows that leak between folds of the first repeat.

    `truth` (n_labeled,) or (n_labeled, n_targets) has the targets of the `labeled` rows, as in `Split`.
    """
    if folds.is_forward:
        return []
    fold_of_row = np.full(training_table.table.n_rows, -1, np.int64)
    for number, fold in enumerate(folds.rows[:n_folds]):
        fold_of_row[fold.test] = number
    return [leak.note for leak in find_leaks(training_table, SplitRows(labeled, fold_of_row[labeled], True, truth))]


def _hash_of(rows: Sequence[FoldRows]) -> str:
    digest = hashlib.sha256()
    for fold in rows:
        for fold_rows in (fold.train, fold.test):
            digest.update(len(fold_rows).to_bytes(8, "little") + np.asarray(fold_rows, np.int64).tobytes())
    return digest.hexdigest()
