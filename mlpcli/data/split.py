"""Which rows are for training and which are held out, and rows that stand on both sides."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.stratify import assign_multilabel
from mlpcli.data.table import Rows, row_dtype
from mlpcli.errors import IndivisibleRows

# Rows that are dealt out at a time, and cells that are hashed at a time.
ROWS_PER_CHUNK = 1 << 16
CELLS_PER_CHUNK = 1 << 23
# Groups of one row, for each part, that are dealt like larger ones; the others fill up at once.
SINGLE_ROW_GROUPS = 16


def split_rows(n_rows: int, share: float, strata: NDArray[Any] | None, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Part the rows into training and validation, both sorted; `share` in (0, 1) goes to validation.

    With `strata` (n_rows,), a class code per row, each class gives its share (largest remainder) and keeps at least one
    row in training. Raises IndivisibleRows when no row can be held out.
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
    """How many rows each class gives, `wanted` in all and never more than it can spare."""
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
    """The part of each row (n_rows,), rows of one group in one part; each part gets about its fraction of the rows.

    Groups with most of any answer come first, each into the part that has least of what it has, half of the group
    counted (Webster's and Sainte-Lague's rule, which favours neither large nor small parts). So every answer is spread
    as evenly as groups allow. `strata` are class codes (n_rows,), or 0 and 1 of boolean columns (n_rows, n_columns),
    each of which has two answers. Raises IndivisibleRows where there are fewer groups than parts.
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
    """Rows of each group and answer (n_groups, n_answers), of the answers that occur: the classes, or yes and no."""
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
    """The part of each group of one row, which are in a random order: what a part lacks of each class.

    `kinds` (n_singles,) are their classes, `lacking` (n_parts, n_classes) the rows that parts lack.
    """
    part_of = np.empty(len(kinds), np.int64)
    for kind in range(lacking.shape[1]):
        own = np.flatnonzero(kinds == kind)
        part_of[own] = np.repeat(np.arange(len(lacking)), _allocate(lacking[:, kind], len(own)))
    return part_of


def _allocate(lacking: NDArray[np.float64], n_rows: int) -> NDArray[np.int64]:
    """`n_rows` in integers over parts (n_parts,) that lack so many."""
    share = np.maximum(lacking, 1e-9)
    ends = np.round(np.cumsum(share) / share.sum() * n_rows).astype(np.int64)
    return np.asarray(np.diff(ends, prepend=0))


def cut_by_time(times: NDArray[np.float64], fractions: Sequence[float]) -> NDArray[np.int64]:
    """The part of each row (n_rows,): consecutive spans of time, each of about its fraction of the rows.

    Rows of one time are in one part. Missing times (NaN) count as the first. Raises IndivisibleRows where there are
    fewer distinct times than parts.
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
        # The cut nearest to the fraction, which leaves a time for this part and for each one after it.
        cuts = np.arange(first + 1, len(distinct) - (len(fractions) - part) + 1)
        first = int(cuts[np.argmin(np.abs(reached[cuts - 1] - share * len(times)))])
        part_of[first:] = part
    return part_of[places]


def count_shared_rows(X: NDArray[Any], others: NDArray[Any]) -> int:
    """How many rows of `others` (n_others, n_inputs) are, in every input, a row of `X` (n_rows, n_inputs).

    Rows are compared by a 64-bit hash: two different rows have the same one with a chance of 2^-64.
    """
    return int(np.isin(_hash_rows(others), _hash_rows(X)).sum())


def _hash_rows(rows: NDArray[Any]) -> NDArray[np.uint64]:
    hashes = np.zeros(len(rows), np.uint64)
    n_at_once = max(CELLS_PER_CHUNK // max(rows.shape[1], 1), 1)
    for start in range(0, len(rows), n_at_once):
        some = slice(start, start + n_at_once)
        hashes[some] = pd.util.hash_pandas_object(pd.DataFrame(rows[some], copy=False), index=False)
    return hashes
