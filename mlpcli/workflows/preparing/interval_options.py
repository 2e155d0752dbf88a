"""Checks the section `intervals` against the rest of the config, and makes the groups of intervals."""

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.targets.target import ClassTarget, Target, Task
from mlpcli.evaluation.conformal.conformity import MAX_GROUPS, MISSING
from mlpcli.workflows.preparing.resolution import has_validation
from mlpcli.workflows.preparing.rows.splits import Split


def check_intervals(loaded: LoadedConfig, task: Task) -> None:
    """Raise ConfigError if the section `intervals` cannot be combined with the rest of the config."""
    options, data = loaded.config.intervals, loaded.config.data
    values = {"by": options.by, "level": options.level, "rows": None if options.rows == "auto" else options.rows}
    keys = [f"intervals.{key}" for key, value in values.items() if value not in (None, "none")]
    if not keys:
        return
    if data.weight is not None:
        raise loaded.error(
            keys[0],
            "intervals cannot be combined with data.weight: rows of different weight are not exchangeable. Leave "
            "one out.",
        )
    if options.rows == "none":
        raise loaded.error(
            keys[0], "intervals.rows is none, so there are no calibration rows. Write auto, or a fraction."
        )
    if options.rows == "auto" and not has_validation(loaded):
        raise loaded.error(
            keys[0], "needs rows that are not trained on: set data.validation, or intervals.rows to a fraction."
        )
    if options.rows == "auto" and loaded.config.model.members.repeat_folds:
        raise loaded.error(
            keys[0],
            "CV+ intervals need one division of the rows into folds, and model.members.repeat_folds draws one for each "
            "round. Set intervals.rows to a fraction, or leave repeat_folds out.",
        )
    if options.by in data.target and task != "classification":
        raise loaded.error("intervals.by", f"{options.by} is the target, which forms groups for classification only.")


def check_interval_groups(loaded: LoadedConfig, target: Target, split: Split | None) -> None:
    """Raise ConfigError if the calibration rows have more groups than a model file can store."""
    if split is not None:
        interval_groups(loaded, target, split)


def interval_groups(
    loaded: LoadedConfig, target: Target, split: Split
) -> tuple[tuple[str, ...], NDArray[np.int64] | None]:
    """Names of the groups of intervals, and the group of each calibration row (n_rows,); () and None without groups.

    Raises ConfigError for more groups than a model file can store.
    """
    by = loaded.config.intervals.by
    if by is None:
        return (), None
    if isinstance(target, ClassTarget) and by == target.name:
        return target.labels, np.asarray(split.truth, np.int64)
    assert split.by is not None
    levels, codes = split.by.levels, split.by.codes
    if MISSING in levels:  # a cell with this text counts as missing
        codes = np.where(codes < 0, levels.index(MISSING), codes)
    group_codes, groups = np.unique(codes, return_inverse=True)
    if len(group_codes) > MAX_GROUPS:
        raise loaded.error(
            "intervals.by",
            f"{by} has {len(group_codes)} values, and at most {MAX_GROUPS} groups of intervals are supported.",
        )
    return tuple(MISSING if code < 0 else levels[code] for code in group_codes.tolist()), np.asarray(groups, np.int64)
