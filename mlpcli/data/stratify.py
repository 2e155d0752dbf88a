"""Iterative stratification of splits and folds for several boolean targets.

Sechidis, Tsoumakas & Vlahavas 2011, "On the stratification of multi-label data": rows of the rarest label are assigned
first, each to the split that lacks most of it. Unlike there, rows with equal label combinations are assigned together,
the no of a column is a label like its yes, split sizes are exact, and a split without any row of a label comes first.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.errors import IndivisibleRows

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def split_multilabel(
    y: NDArray[Any], share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the rows of `y` (n_rows, n_columns), 0 and 1, into training and a fraction `share` for validation.

    A label of a single row stays in training. Raises IndivisibleRows if no row can be held out.
    """
    n_rows = len(y)
    if n_rows < 2:
        raise IndivisibleRows("a single row: nothing can be held out for validation. Name a file: data.validation.")
    n_held_out = min(max(round(n_rows * share), 1), n_rows - 1)
    side = _assign(y, np.array([n_rows - n_held_out, n_held_out]), rng, is_first_kept=True)
    return np.flatnonzero(side == 0), np.flatnonzero(side == 1)


def fold_multilabel(y: NDArray[Any], n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The fold of each row of `y` (n_rows, n_columns), 0 and 1; fold sizes differ by at most one row."""
    sizes = np.bincount(np.arange(len(y)) % n_folds, minlength=n_folds)
    return assign_multilabel(y, sizes, rng)


def assign_multilabel(y: NDArray[Any], sizes: Counts, rng: np.random.Generator) -> NDArray[np.int64]:
    """The split index of each row of `y` (n_rows, n_columns), 0 and 1; split s gets `sizes[s]` of the n_rows rows."""
    return _assign(y, sizes, rng, is_first_kept=False)


def _assign(y: NDArray[Any], sizes: Counts, rng: np.random.Generator, is_first_kept: bool) -> NDArray[np.int64]:
    """The side of each row, side s getting `sizes[s]` rows."""
    packed = np.packbits(y.astype(np.bool_), axis=1)
    combinations, of_row, n_of = np.unique(packed, axis=0, return_inverse=True, return_counts=True)
    yes = np.unpackbits(combinations, axis=1, count=y.shape[1]).astype(np.bool_)
    dealt = _assign_combinations(np.hstack([yes, ~yes]), n_of, sizes, is_first_kept)
    order = rng.permutation(len(y))
    order = order[np.argsort(of_row.ravel()[order], kind="stable")]
    side = np.empty(len(y), np.int64)
    side[order] = np.repeat(np.tile(np.arange(len(sizes)), len(dealt)), dealt.ravel())
    return side


def _assign_combinations(answers: NDArray[np.bool_], n_of: Counts, sizes: Counts, is_first_kept: bool) -> Counts:
    """Rows of each label combination per split (n_combinations, n_splits).

    `answers` (n_combinations, n_labels) marks the labels of a combination, `n_of` counts its rows.
    """
    wanted = _desired_counts(answers, n_of, sizes, is_first_kept)
    lacks = wanted >= 1.0  # splits that still lack any row of a label
    room, dealt = sizes.copy(), np.zeros((len(n_of), len(sizes)), np.int64)
    is_left = np.ones(len(n_of), np.bool_)
    while is_left.any():
        n_left = (n_of * is_left) @ answers
        rarest = int(np.argmin(np.where(n_left > 0, n_left, np.iinfo(np.int64).max)))
        for which in np.flatnonzero(is_left & answers[:, rarest]).tolist():
            has, n = answers[which], int(n_of[which])
            share = np.maximum(wanted[rarest], 0.0)
            many = np.minimum(np.floor(share * (n / max(share.sum(), n))).astype(np.int64), room)
            _record_assignment(dealt[which], many, has, wanted, lacks, room)
            for _ in range(n - int(many.sum())):
                urgent = (lacks[has] / np.maximum(n_left[has], 1)[:, None]).sum(axis=0)
                keys = (wanted[has].sum(axis=0), wanted[rarest], urgent, room > 0)
                one = np.zeros(len(sizes), np.int64)
                one[np.lexsort(keys)[-1]] = 1
                _record_assignment(dealt[which], one, has, wanted, lacks, room)
            is_left[which] = False
    return dealt


def _record_assignment(
    dealt: Counts, rows: Counts, has: NDArray[np.bool_], wanted: Floats, lacks: NDArray[np.bool_], room: Counts
) -> None:
    """Record that each split gets `rows` (n_splits,) of a combination; updates all but `has` and `rows` in place."""
    dealt += rows
    room -= rows
    wanted[has] -= rows
    lacks[has] &= rows == 0


def _desired_counts(answers: NDArray[np.bool_], n_of: Counts, sizes: Counts, is_first_kept: bool) -> Floats:
    """Target number of rows per label and split (n_labels, n_splits): at least one if there are enough rows."""
    n_rows = (n_of @ answers)[:, None]
    wanted = n_rows * (sizes / sizes.sum())
    if not is_first_kept:
        return np.asarray(np.where(n_rows >= len(sizes), np.maximum(wanted, 1.0), wanted))
    wanted = np.where(n_rows >= 2, np.clip(wanted, 1.0, n_rows - 1.0), wanted)
    return np.asarray(np.where(n_rows == 1, np.array([1.0, 0.0]), wanted))
