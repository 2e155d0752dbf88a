"""Random, grouped and temporal splits of rows, and rows shared between splits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.stratify import assign_multilabel
from mlpcli.data.table import Rows, row_dtype
from mlpcli.errors import IndivisibleRows

# Rows assigned at a time, and cells hashed at a time.
ROWS_PER_CHUNK = 1 << 16
CELLS_PER_CHUNK = 1 << 23
# Single-row groups per split that are assigned one by one like larger groups; the rest is assigned in bulk.
SINGLE_ROW_GROUPS = 16


def split_rows(n_rows: int, share: float, strata: NDArray[Any] | None, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Split the rows into training and validation, both sorted; a fraction `share` in (0, 1) is for validation.

    Stratified by `strata` (n_rows,), class codes, with the largest-remainder method; each class keeps at least one row
    in training. Raises IndivisibleRows if no row can be held out.
    """
    codes = np.zeros(n_rows, np.int8) if strata is None else strata
    sizes = np.bincount(codes)
    spare = np.maximum(sizes - 1, 0)
    if not spare.sum():
        what = "a single row" if n_rows == 1 else "no class with two rows" if n_rows else "no rows"
        raise IndivisibleRows(
            f"{what}: nothing can be held out for validation. Add rows, or name a file: data.validation."
        )
    wanted = min(max(round(n_rows * share), 1), int(spare.sum()))
    wanted_of = _largest_remainder(sizes, spare, wanted)
    order = np.arange(n_rows, dtype=row_dtype(n_rows))
    rng.shuffle(order)
    is_held_out = np.zeros(n_rows, np.bool_)
    for start in range(0, n_rows, ROWS_PER_CHUNK):
        # A stable sort by class leaves each class in the shuffled order; its first rows are held out.
        some = order[start : start + ROWS_PER_CHUNK]
        by_class = some[np.argsort(codes[some], kind="stable")]
        sizes = np.bincount(codes[some], minlength=len(wanted_of))
        place = np.arange(len(some)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        is_held_out[by_class[place < np.repeat(wanted_of, sizes)]] = True
        wanted_of = np.maximum(wanted_of - sizes, 0)
    return _rows_where(~is_held_out), _rows_where(is_held_out)


def _rows_where(is_wanted: NDArray[np.bool_]) -> Rows:
    return np.flatnonzero(is_wanted).astype(row_dtype(len(is_wanted)))


def _largest_remainder(sizes: NDArray[np.int64], spare: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """Rows to hold out per class, `wanted` in total and at most `spare` of a class."""
    quotas = sizes * (wanted / sizes.sum())
    taken: NDArray[np.int64] = np.minimum(np.floor(quotas).astype(np.int64), spare)
    while (lacking := wanted - int(taken.sum())) > 0:
        remainders = np.where(taken < spare, quotas - taken, -np.inf)
        best = np.argsort(-remainders, kind="stable")[:lacking]
        taken[best[taken[best] < spare[best]]] += 1
    return taken


def split_groups(
    groups: NDArray[np.int64],
    strata: NDArray[Any] | None,
    fractions: Sequence[float],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """The split index of each row (n_rows,): groups stay together, each split has about its fraction of the rows.

    Stratified greedily: groups with the most rows of a label are assigned first, each to the split with the least of
    these labels, with half of the group counted (Webster/Sainte-Lague, unbiased by split size). `strata` are class
    codes (n_rows,), or 0 and 1 of boolean columns (n_rows, n_columns), with two labels per column. Raises
    IndivisibleRows if there are fewer groups than splits.
    """
    names, first_rows, groups, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    if len(names) < len(fractions):
        raise IndivisibleRows(
            f"{len(fractions)} splits (training and validation, or folds) need as many groups, and there "
            f"{'is 1' if len(names) == 1 else f'are {len(names)}'}. Choose another column, or a random split."
        )
    counts = _count_labels_per_group(groups, sizes, strata)
    totals, shuffled = counts.sum(axis=0), rng.permutation(len(names))
    weight = (counts @ (1.0 / totals))[shuffled]
    order = shuffled[np.lexsort([-weight, sizes[shuffled] == 1])]
    n_large = min(int((sizes > 1).sum()) + SINGLE_ROW_GROUPS * len(fractions), len(names))
    wanted = np.asarray(fractions)[:, None] * totals  # (n_parts, n_answers)
    held, part_of = np.zeros(wanted.shape), np.empty(len(names), np.int64)
    for place, group in enumerate(order[:n_large].tolist()):
        own = counts[group]
        fill = ((held + own / 2) / wanted) @ (own / totals)
        n_left = n_large - place
        empty = np.flatnonzero(held.sum(axis=1) == 0)
        part = int(empty[np.argmin(fill[empty])]) if n_left <= len(empty) else int(np.argmin(fill))
        held[part] += own
        part_of[group] = part
    singles = order[n_large:]
    if strata is None or strata.ndim == 1:
        part_of[singles] = _split_single_rows(counts[singles].argmax(axis=1), wanted - held)
    elif len(singles):
        of_part = np.bincount(part_of[order[:n_large]], sizes[order[:n_large]], len(fractions))
        room = _allocate(np.asarray(fractions) * len(groups) - of_part, len(singles))
        part_of[singles] = assign_multilabel(strata[first_rows[singles]], room, rng)
    return part_of[groups]


def _count_labels_per_group(
    groups: NDArray[np.int64], sizes: NDArray[np.int64], strata: NDArray[Any] | None
) -> NDArray[np.int64]:
    """Row counts (n_groups, n_labels) of the labels that occur: classes, or yes and no of each column."""
    n_groups = len(sizes)
    if strata is None:
        return sizes[:, None]
    if strata.ndim == 1:
        classes = np.unique(strata, return_inverse=True)[1]
        n_classes = int(classes.max()) + 1
        counts = np.bincount(groups * n_classes + classes, minlength=n_groups * n_classes)
        return np.asarray(counts.reshape(n_groups, n_classes))
    yes = np.stack([np.bincount(groups, column, n_groups) for column in strata.T], axis=1).astype(np.int64)
    answers = np.hstack([yes, sizes[:, None] - yes])
    return np.asarray(answers[:, answers.any(axis=0)])


def _split_single_rows(kinds: NDArray[np.int64], lacking: NDArray[np.float64]) -> NDArray[np.int64]:
    """The split index of each single-row group, in proportion to the rows a split still lacks of its class.

    The groups are in random order, of classes `kinds` (n_singles,); `lacking` is (n_splits, n_classes).
    """
    part_of = np.empty(len(kinds), np.int64)
    for kind in range(lacking.shape[1]):
        own = np.flatnonzero(kinds == kind)
        part_of[own] = np.repeat(np.arange(len(lacking)), _allocate(lacking[:, kind], len(own)))
    return part_of


def _allocate(lacking: NDArray[np.float64], n_rows: int) -> NDArray[np.int64]:
    """`n_rows` distributed over splits in proportion to `lacking` (n_splits,), as integers."""
    share = np.maximum(lacking, 1e-9)
    ends = np.round(np.cumsum(share) / share.sum() * n_rows).astype(np.int64)
    return np.asarray(np.diff(ends, prepend=0))


def cut_by_time(times: NDArray[np.float64], fractions: Sequence[float]) -> NDArray[np.int64]:
    """The split index of each row (n_rows,): consecutive time spans, each with about its fraction of the rows.

    Rows of equal time are in one split; missing times (NaN) sort first. Raises IndivisibleRows if there are fewer
    distinct times than splits.
    """
    distinct, places, counts = np.unique(
        np.where(np.isnan(times), -np.inf, times), return_inverse=True, return_counts=True
    )
    if len(distinct) < len(fractions):
        raise IndivisibleRows(
            f"{len(fractions)} spans of time need as many distinct times, and there "
            f"{'is 1' if len(distinct) == 1 else f'are {len(distinct)}'}. Choose another column."
        )
    reached = np.cumsum(counts)
    part_of = np.zeros(len(distinct), np.int64)
    first = 0
    for part, share in enumerate(np.cumsum(fractions)[:-1].tolist(), start=1):
        # The cut nearest to the fraction that leaves at least one time for this split and each later one.
        cuts = np.arange(first + 1, len(distinct) - (len(fractions) - part) + 1)
        first = int(cuts[np.argmin(np.abs(reached[cuts - 1] - share * len(times)))])
        part_of[first:] = part
    return part_of[places]


def count_shared_rows(X: NDArray[Any], others: NDArray[Any]) -> int:
    """Number of rows of `others` (n_others, n_inputs) that equal a row of `X` (n_rows, n_inputs).

    Compared by 64-bit hashes; the collision probability of two rows is 2^-64.
    """
    return int(np.isin(_hash_rows(others), _hash_rows(X)).sum())


def _hash_rows(rows: NDArray[Any]) -> NDArray[np.uint64]:
    hashes = np.zeros(len(rows), np.uint64)
    n_at_once = max(CELLS_PER_CHUNK // max(rows.shape[1], 1), 1)
    for start in range(0, len(rows), n_at_once):
        some = slice(start, start + n_at_once)
        hashes[some] = pd.util.hash_pandas_object(pd.DataFrame(rows[some], copy=False), index=False)
    return hashes
