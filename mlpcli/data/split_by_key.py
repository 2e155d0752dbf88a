"""Splits of rows (training, validation, test; or folds) by keys: group, time or id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.split import cut_by_time, split_groups
from mlpcli.data.table import CategoricalColumn
from mlpcli.errors import IndivisibleRows

Codes = NDArray[np.int64]
Times = NDArray[np.float64]

EXCLUDED = -1  # split index of a row that is in no split


@dataclass(frozen=True)
class SplitKeys:
    """The keys of rows that determine a split, each (n_rows,); None if not used.

    `positions` come from `row_hashes.hash_positions`, `strata` as for `split.split_groups`; `gap` is in the unit of
    `times`.
    """

    groups: Codes | None = None
    times: Times | None = None
    positions: Times | None = None
    strata: NDArray[Any] | None = None
    gap: float = 0.0


def split_by_keys(keys: SplitKeys, fractions: Sequence[float], rng: np.random.Generator) -> Codes:
    """The split index of each row (n_rows,), with about the given fractions; EXCLUDED for rows in no split.

    Raises IndivisibleRows if a split would be empty.
    """
    if keys.times is not None:
        return split_by_time(keys.times, fractions, keys.gap, keys.groups)
    if keys.positions is not None:
        return split_by_hash(keys.positions, fractions)
    assert keys.groups is not None
    return split_groups(keys.groups, keys.strata, fractions, rng)


def split_by_hash(positions: Times, fractions: Sequence[float]) -> Codes:
    """The split index of each row (n_rows,) by its hash position in [0, 1): the last split starts at 0.

    A row without a position (NaN) is in the first split. Raises IndivisibleRows if a split would be empty.
    """
    ends = np.cumsum(fractions[::-1])[:-1]
    split_of = len(fractions) - 1 - np.searchsorted(ends, np.nan_to_num(positions, nan=1.0), side="right")
    if len(np.unique(split_of)) < len(fractions):
        raise IndivisibleRows(
            f"the hash of the ids leaves one of {len(fractions)} splits empty; there are {len(np.unique(positions))} "
            "ids. Choose a column with more values, or a larger fraction."
        )
    return np.asarray(split_of, np.int64)


def split_by_time(times: Times, fractions: Sequence[float], gap: float = 0.0, groups: Codes | None = None) -> Codes:
    """The split index of each row (n_rows,) in time order; EXCLUDED for rows in no split.

    Every row of a split is later than all rows of earlier splits, by at least `gap` (in the unit of `times`): earlier
    rows within the gap are excluded. With `groups` (n_rows,) a group belongs to the split of its first row, and its
    rows after the start of the next split are excluded. Missing times (NaN) sort first. Raises IndivisibleRows if a
    split would be empty.
    """
    times, starts = _times_and_starts(times, groups)
    split_of = cut_by_time(starts, fractions)
    next_start = np.inf  # of the next later split
    for split in range(len(fractions) - 1, -1, -1):
        is_in_split = split_of == split
        start = float(starts[is_in_split].min())
        with np.errstate(invalid="ignore"):  # inf - inf is NaN: a missing time is never within the gap
            is_excluded = is_in_split & ((times >= next_start) | (next_start - times < gap))
        split_of[is_excluded] = EXCLUDED
        if is_excluded.sum() == is_in_split.sum():
            raise IndivisibleRows(_why_empty(gap, groups))
        next_start = start
    return split_of


def group_codes(column: CategoricalColumn) -> Codes:
    """The group index of each row (n_rows,); a missing cell is a group of its own."""
    codes = column.codes.astype(np.int64)
    is_alone = codes < 0
    codes[is_alone] = len(column.levels) + np.arange(np.count_nonzero(is_alone))
    return codes


def time_series_folds(
    times: Times, n_folds: int, gap: float = 0.0, groups: Codes | None = None
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Masks (n_rows,) of training and validation rows of each fold, by forward chaining (TimeSeriesSplit).

    The rows are cut into `n_folds` + 1 time spans; fold f trains on the spans before f + 1 and validates on that span.
    `gap` and `groups` as for `split_by_time`. Raises IndivisibleRows if a fold would have no training row.
    """
    times, starts = _times_and_starts(times, groups)
    span_of = cut_by_time(starts, (1.0 / (n_folds + 1),) * (n_folds + 1))
    folds = []
    for span in range(1, n_folds + 1):
        start = float(starts[span_of == span].min())
        with np.errstate(invalid="ignore"):
            is_before = (span_of < span) & (times < start) & (start - times >= gap)
        if not is_before.any():
            raise IndivisibleRows(_why_empty(gap, groups))
        folds.append((is_before, span_of == span))
    return folds


def _times_and_starts(times: Times, groups: Codes | None) -> tuple[Times, Times]:
    """Times, -inf if missing, and the times by which rows are assigned, those of the first rows of their groups."""
    times = np.where(np.isnan(times), -np.inf, times)
    return times, times if groups is None else group_start_times(times, groups)


def group_start_times(times: Times, groups: Codes) -> Times:
    """The earliest time in the group of each row (n_rows,)."""
    group_of_row = np.unique(groups, return_inverse=True)[1]
    starts = np.full(int(group_of_row.max(initial=-1)) + 1, np.inf)
    np.minimum.at(starts, group_of_row, times)
    return np.asarray(starts[group_of_row], np.float64)


def rows_within_gap(times: Times, folds: Codes, n_folds: int, gap: float) -> NDArray[np.bool_]:
    """Mask (n_folds, n_rows) of rows of other folds within `gap` of the time span of a fold."""
    is_near = np.zeros((n_folds, len(times)), np.bool_)
    for fold in range(n_folds):
        fold_times = times[(folds == fold) & np.isfinite(times)]
        if len(fold_times):
            is_near[fold] = (folds != fold) & (times > fold_times.min() - gap) & (times < fold_times.max() + gap)
    return is_near


def _why_empty(gap: float, groups: Codes | None) -> str:
    if gap:
        return f"a gap of {gap:g} leaves no row before it. Write a smaller gap, or a larger fraction."
    return (
        "no row of an earlier group comes before the first row of a later one. Hold out by group or by time alone."
        if groups is not None
        else "no row is left."
    )
