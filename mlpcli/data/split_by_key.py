"""Rows dealt to parts (training, validation, test; or folds) by what they are: their group, time or id."""

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

EXCLUDED = -1  # the part of a row that is in none


@dataclass(frozen=True)
class SplitKeys:
    """What a split is decided by, each (n_rows,); None where it does not apply.

    `positions` come from `row_hashes.hash_positions`, `strata` as for `split.split_groups`; `gap` is in the unit of
    `times`.
    """

    groups: Codes | None = None
    times: Times | None = None
    positions: Times | None = None
    strata: NDArray[Any] | None = None
    gap: float = 0.0


def split_by_keys(keys: SplitKeys, fractions: Sequence[float], rng: np.random.Generator) -> Codes:
    """The part of each row (n_rows,), of which each gets about its fraction; LEFT_OUT of rows that are in none.

    Raises IndivisibleRows where a part would be empty.
    """
    if keys.times is not None:
        return split_by_time(keys.times, fractions, keys.gap, keys.groups)
    if keys.positions is not None:
        return split_by_hash(keys.positions, fractions)
    assert keys.groups is not None
    return split_groups(keys.groups, keys.strata, fractions, rng)


def split_by_hash(places: Times, fractions: Sequence[float]) -> Codes:
    """The part of each row (n_rows,) by its place alone: the last part begins at 0, the one before where that ends.

    A row without a place (NaN) is in the first part. Raises IndivisibleRows where a part would be empty.
    """
    ends = np.cumsum(fractions[::-1])[:-1]
    part_of = len(fractions) - 1 - np.searchsorted(ends, np.nan_to_num(places, nan=1.0), side="right")
    if len(np.unique(part_of)) < len(fractions):
        raise IndivisibleRows(
            f"the hash of the ids leaves one of {len(fractions)} splits empty; there are {len(np.unique(places))} ids. "
            "Choose a column with more values, or a larger fraction."
        )
    return np.asarray(part_of, np.int64)


def split_by_time(times: Times, fractions: Sequence[float], gap: float = 0.0, groups: Codes | None = None) -> Codes:
    """The part of each row (n_rows,), in the order of time; LEFT_OUT of rows that are in none.

    Every row of a part is later than every row of the parts before it, by `gap` at least (in the unit of `times`):
    earlier rows that are nearer are left out. With `groups` (n_rows,) no group is in two parts: a group belongs where
    its first row stands, and its rows from the beginning of the next part on are left out. Missing times (NaN) count
    as the first. Raises IndivisibleRows where a part would be empty.
    """
    times = np.where(np.isnan(times), -np.inf, times)
    starts = times if groups is None else group_start_times(times, groups)
    part_of = cut_by_time(starts, fractions)
    later = np.inf  # where the parts above begin
    for part in range(len(fractions) - 1, -1, -1):
        own = part_of == part
        begins = float(starts[own].min())
        with np.errstate(invalid="ignore"):  # infinity less infinity: a missing time is early enough
            is_near = own & ((times >= later) | (later - times < gap))
        part_of[is_near] = EXCLUDED
        if is_near.sum() == own.sum():
            raise IndivisibleRows(_why_empty(gap, groups))
        later = begins
    return part_of


def group_codes(column: CategoricalColumn) -> Codes:
    """The group of each row (n_rows,), a number; a row without one is a group of its own."""
    codes = column.codes.astype(np.int64)
    is_alone = codes < 0
    codes[is_alone] = len(column.levels) + np.arange(np.count_nonzero(is_alone))
    return codes


def time_series_folds(
    times: Times, n_folds: int, gap: float = 0.0, groups: Codes | None = None
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Of each fold the rows to train on and those to score (n_rows,), the latter always later: forward chaining.

    The rows are cut into `n_folds` + 1 spans of time; fold f trains on what comes before span f + 1, and scores that.
    `gap` and `groups` as for `split_by_time`. Raises IndivisibleRows where a fold would have nothing to train on.
    """
    times = np.where(np.isnan(times), -np.inf, times)
    starts = times if groups is None else group_start_times(times, groups)
    span_of = cut_by_time(starts, (1.0 / (n_folds + 1),) * (n_folds + 1))
    found = []
    for span in range(1, n_folds + 1):
        begins = float(starts[span_of == span].min())
        with np.errstate(invalid="ignore"):
            is_before = (span_of < span) & (times < begins) & (begins - times >= gap)
        if not is_before.any():
            raise IndivisibleRows(_why_empty(gap, groups))
        found.append((is_before, span_of == span))
    return found


def group_start_times(times: Times, groups: Codes) -> Times:
    """The time of the first row of each row's group (n_rows,)."""
    places = np.unique(groups, return_inverse=True)[1]
    firsts = np.full(int(places.max(initial=-1)) + 1, np.inf)
    np.minimum.at(firsts, places, times)
    return np.asarray(firsts[places], np.float64)


def rows_within_gap(times: Times, folds: Codes, n_folds: int, gap: float) -> NDArray[np.bool_]:
    """Which rows (n_folds, n_rows) of other folds are nearer in time than `gap` to a row between the ends of a fold."""
    found = np.zeros((n_folds, len(times)), np.bool_)
    for fold in range(n_folds):
        known = times[(folds == fold) & np.isfinite(times)]
        if len(known):
            found[fold] = (folds != fold) & (times > known.min() - gap) & (times < known.max() + gap)
    return found


def _why_empty(gap: float, groups: Codes | None) -> str:
    if gap:
        return f"a gap of {gap:g} leaves no row before it. Write a smaller gap, or a larger fraction."
    return (
        "no row of an earlier group comes before the first row of a later one. Hold out by group or by time alone."
        if groups is not None
        else "no row is left."
    )
