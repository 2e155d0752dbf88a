"""Random, grouped and temporal splits of rows, and rows shared between splits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.stratify import assign_multilabel
from mlpcli.data.table import Rows, row_dtype
from mlpcli.errors import IndivisibleRows

# Rows per chunk when rows are assigned; cells per chunk when rows are hashed.
ROWS_PER_CHUNK = 1 << 16
CELLS_PER_CHUNK = 1 << 23
# Single-row groups per split that are assigned one by one like larger groups; the rest is assigned in bulk.
SINGLE_ROW_GROUPS = 16


def split_rows(
    n_rows: int, fraction: float, strata: NDArray[Any] | None, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Split the rows into training and validation, both sorted; `fraction`, in (0, 1), is that of validation rows.

    Stratified by `strata` (n_rows,), class codes, with the largest-remainder method; each class keeps at least one row
    in training. Raises IndivisibleRows if no row can be held out.
    """
    codes = np.zeros(n_rows, np.int8) if strata is None else strata
    sizes = np.bincount(codes)
    spare = np.maximum(sizes - 1, 0)
    if not spare.sum():
        problem = "a single row" if n_rows == 1 else "no class with two rows" if n_rows else "no rows"
        raise IndivisibleRows(
            f"{problem}: nothing can be held out for validation. Add rows, or name a file: data.validation."
        )
    n_held_out = min(max(round(n_rows * fraction), 1), int(spare.sum()))
    n_held_out_by_class = _largest_remainder(sizes, spare, n_held_out)
    order = np.arange(n_rows, dtype=row_dtype(n_rows))
    rng.shuffle(order)
    is_held_out = np.zeros(n_rows, np.bool_)
    for start in range(0, n_rows, ROWS_PER_CHUNK):
        # A stable sort by class leaves each class in the shuffled order; its first rows are held out.
        chunk = order[start : start + ROWS_PER_CHUNK]
        by_class = chunk[np.argsort(codes[chunk], kind="stable")]
        sizes = np.bincount(codes[chunk], minlength=len(n_held_out_by_class))
        rank_in_class = np.arange(len(chunk)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        is_held_out[by_class[rank_in_class < np.repeat(n_held_out_by_class, sizes)]] = True
        n_held_out_by_class = np.maximum(n_held_out_by_class - sizes, 0)
    return _rows_where(~is_held_out), _rows_where(is_held_out)


def _rows_where(mask: NDArray[np.bool_]) -> Rows:
    return np.flatnonzero(mask).astype(row_dtype(len(mask)))


def _largest_remainder(sizes: NDArray[np.int64], spare: NDArray[np.int64], n_total: int) -> NDArray[np.int64]:
    """Rows to hold out per class (n_classes,): `n_total` in all, and at most `spare` of a class."""
    quotas = sizes * (n_total / sizes.sum())
    allocated: NDArray[np.int64] = np.minimum(np.floor(quotas).astype(np.int64), spare)
    while (n_missing := n_total - int(allocated.sum())) > 0:
        remainders = np.where(allocated < spare, quotas - allocated, -np.inf)
        best = np.argsort(-remainders, kind="stable")[:n_missing]
        allocated[best[allocated[best] < spare[best]]] += 1
    return allocated


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
    wanted = np.asarray(fractions)[:, None] * totals  # (n_splits, n_labels)
    assigned, split_of = np.zeros(wanted.shape), np.empty(len(names), np.int64)
    for n_assigned, group in enumerate(order[:n_large].tolist()):
        group_counts = counts[group]
        fill_level = ((assigned + group_counts / 2) / wanted) @ (group_counts / totals)
        n_left = n_large - n_assigned
        empty = np.flatnonzero(assigned.sum(axis=1) == 0)
        split = int(empty[np.argmin(fill_level[empty])]) if n_left <= len(empty) else int(np.argmin(fill_level))
        assigned[split] += group_counts
        split_of[group] = split
    singles = order[n_large:]
    if strata is None or strata.ndim == 1:
        split_of[singles] = _split_single_rows(counts[singles].argmax(axis=1), wanted - assigned)
    elif len(singles):
        rows_by_split = np.bincount(split_of[order[:n_large]], sizes[order[:n_large]], len(fractions))
        room = _allocate(np.asarray(fractions) * len(groups) - rows_by_split, len(singles))
        split_of[singles] = assign_multilabel(strata[first_rows[singles]], room, rng)
    return split_of[groups]


def _count_labels_per_group(
    groups: NDArray[np.int64], sizes: NDArray[np.int64], strata: NDArray[Any] | None
) -> NDArray[np.int64]:
    """Row counts (n_groups, n_labels) of the labels that occur: classes, or true and false of each column."""
    n_groups = len(sizes)
    if strata is None:
        return sizes[:, None]
    if strata.ndim == 1:
        classes = np.unique(strata, return_inverse=True)[1]
        n_classes = int(classes.max()) + 1
        counts = np.bincount(groups * n_classes + classes, minlength=n_groups * n_classes)
        return np.asarray(counts.reshape(n_groups, n_classes))
    n_true = np.stack([np.bincount(groups, column, n_groups) for column in strata.T], axis=1).astype(np.int64)
    label_counts = np.hstack([n_true, sizes[:, None] - n_true])
    return np.asarray(label_counts[:, label_counts.any(axis=0)])


def _split_single_rows(classes: NDArray[np.int64], missing: NDArray[np.float64]) -> NDArray[np.int64]:
    """The split index of each single-row group, in proportion to the rows of its class that splits still lack.

    The groups are in random order; `classes` (n_singles,) are their classes, `missing` (n_splits, n_classes) are
    numbers of rows.
    """
    split_of = np.empty(len(classes), np.int64)
    for class_ in range(missing.shape[1]):
        groups = np.flatnonzero(classes == class_)
        split_of[groups] = np.repeat(np.arange(len(missing)), _allocate(missing[:, class_], len(groups)))
    return split_of


def _allocate(missing: NDArray[np.float64], n_rows: int) -> NDArray[np.int64]:
    """Distribute `n_rows` over splits in proportion to `missing` (n_splits,), as integers."""
    weights = np.maximum(missing, 1e-9)
    ends = np.round(np.cumsum(weights) / weights.sum() * n_rows).astype(np.int64)
    return np.asarray(np.diff(ends, prepend=0))


def cut_by_time(times: NDArray[np.float64], fractions: Sequence[float]) -> NDArray[np.int64]:
    """The split index of each row (n_rows,): consecutive time spans, each with about its fraction of the rows.

    Rows of equal time are in one split; missing times (NaN) sort first. Raises IndivisibleRows if there are fewer
    distinct times than splits.
    """
    unique_times, time_of_row, counts = np.unique(
        np.where(np.isnan(times), -np.inf, times), return_inverse=True, return_counts=True
    )
    if len(unique_times) < len(fractions):
        raise IndivisibleRows(
            f"{len(fractions)} spans of time need as many distinct times, and there "
            f"{'is 1' if len(unique_times) == 1 else f'are {len(unique_times)}'}. Choose another column."
        )
    cumulative = np.cumsum(counts)
    split_of = np.zeros(len(unique_times), np.int64)
    first = 0
    for split, fraction in enumerate(np.cumsum(fractions)[:-1].tolist(), start=1):
        # The cut nearest to the fraction that leaves at least one time for this split and each later one.
        cuts = np.arange(first + 1, len(unique_times) - (len(fractions) - split) + 1)
        first = int(cuts[np.argmin(np.abs(cumulative[cuts - 1] - fraction * len(times)))])
        split_of[first:] = split
    return split_of[time_of_row]


def count_shared_rows(X: NDArray[Any], others: NDArray[Any]) -> int:
    """Number of rows of `others` (n_others, n_inputs) that equal a row of `X` (n_rows, n_inputs).

    Compared by 64-bit hashes; the collision probability of two rows is 2^-64.
    """
    return int(np.isin(_hash_rows(others), _hash_rows(X)).sum())


def _hash_rows(rows: NDArray[Any]) -> NDArray[np.uint64]:
    hashes = np.zeros(len(rows), np.uint64)
    chunk_size = max(CELLS_PER_CHUNK // max(rows.shape[1], 1), 1)
    for start in range(0, len(rows), chunk_size):
        chunk = slice(start, start + chunk_size)
        hashes[chunk] = pd.util.hash_pandas_object(pd.DataFrame(rows[chunk], copy=False), index=False)
    return hashes
