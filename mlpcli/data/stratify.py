"""Iterative stratification of splits and folds for several boolean targets.

Sechidis, Tsoumakas & Vlahavas 2011, "On the stratification of multi-label data": rows of the rarest label are assigned
first, each to the split that lacks most of it. Unlike in the paper, rows with equal label combinations are assigned
together, false is a label of a column as well as true, split sizes are exact, and splits without any row of a label
come first.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.errors import IndivisibleRows

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def split_multilabel(
    y: NDArray[Any], fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the rows of `y` (n_rows, n_columns), 0 and 1, into training and validation; `fraction` is for validation.

    A label of a single row stays in training. Raises IndivisibleRows if no row can be held out.
    """
    n_rows = len(y)
    if n_rows < 2:
        raise IndivisibleRows("a single row: nothing can be held out for validation. Name a file: data.validation.")
    n_held_out = min(max(round(n_rows * fraction), 1), n_rows - 1)
    split_of = _assign(y, np.array([n_rows - n_held_out, n_held_out]), rng, is_first_kept=True)
    return np.flatnonzero(split_of == 0), np.flatnonzero(split_of == 1)


def fold_multilabel(y: NDArray[Any], n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The fold of each row of `y` (n_rows, n_columns), 0 and 1; fold sizes differ by at most one row."""
    sizes = np.bincount(np.arange(len(y)) % n_folds, minlength=n_folds)
    return assign_multilabel(y, sizes, rng)


def assign_multilabel(y: NDArray[Any], sizes: Counts, rng: np.random.Generator) -> NDArray[np.int64]:
    """The split index of each row of `y` (n_rows, n_columns), 0 and 1; split s gets `sizes[s]` of the n_rows rows."""
    return _assign(y, sizes, rng, is_first_kept=False)


def _assign(y: NDArray[Any], sizes: Counts, rng: np.random.Generator, is_first_kept: bool) -> NDArray[np.int64]:
    """The split index of each row (n_rows,); with `is_first_kept`, labels of a single row are in split 0."""
    packed = np.packbits(y.astype(np.bool_), axis=1)
    combinations, combination_of, n_rows_of = np.unique(packed, axis=0, return_inverse=True, return_counts=True)
    is_true = np.unpackbits(combinations, axis=1, count=y.shape[1]).astype(np.bool_)
    assigned = _assign_combinations(np.hstack([is_true, ~is_true]), n_rows_of, sizes, is_first_kept)
    order = rng.permutation(len(y))
    order = order[np.argsort(combination_of.ravel()[order], kind="stable")]
    split_of = np.empty(len(y), np.int64)
    split_of[order] = np.repeat(np.tile(np.arange(len(sizes)), len(assigned)), assigned.ravel())
    return split_of


def _assign_combinations(has_label: NDArray[np.bool_], n_rows_of: Counts, sizes: Counts, is_first_kept: bool) -> Counts:
    """Rows of each label combination per split (n_combinations, n_splits).

    `has_label` (n_combinations, n_labels) marks the labels of a combination, `n_rows_of` counts its rows.
    """
    wanted = _desired_counts(has_label, n_rows_of, sizes, is_first_kept)
    is_missing = wanted >= 1.0  # splits that still lack any row of a label
    room, assigned = sizes.copy(), np.zeros((len(n_rows_of), len(sizes)), np.int64)
    is_left = np.ones(len(n_rows_of), np.bool_)
    while is_left.any():
        n_left = (n_rows_of * is_left) @ has_label
        rarest = int(np.argmin(np.where(n_left > 0, n_left, np.iinfo(np.int64).max)))
        for combination in np.flatnonzero(is_left & has_label[:, rarest]).tolist():
            labels, n = has_label[combination], int(n_rows_of[combination])
            weights = np.maximum(wanted[rarest], 0.0)
            rows = np.minimum(np.floor(weights * (n / max(weights.sum(), n))).astype(np.int64), room)
            _record_assignment(assigned[combination], rows, labels, wanted, is_missing, room)
            for _ in range(n - int(rows.sum())):
                urgency = (is_missing[labels] / np.maximum(n_left[labels], 1)[:, None]).sum(axis=0)
                keys = (wanted[labels].sum(axis=0), wanted[rarest], urgency, room > 0)
                single_row = np.zeros(len(sizes), np.int64)
                single_row[np.lexsort(keys)[-1]] = 1
                _record_assignment(assigned[combination], single_row, labels, wanted, is_missing, room)
            is_left[combination] = False
    return assigned


def _record_assignment(
    assigned: Counts,
    rows: Counts,
    labels: NDArray[np.bool_],
    wanted: Floats,
    is_missing: NDArray[np.bool_],
    room: Counts,
) -> None:
    """Record that each split gets `rows` (n_splits,) of a combination; updates all but `labels` and `rows` in place."""
    assigned += rows
    room -= rows
    wanted[labels] -= rows
    is_missing[labels] &= rows == 0


def _desired_counts(has_label: NDArray[np.bool_], n_rows_of: Counts, sizes: Counts, is_first_kept: bool) -> Floats:
    """Target number of rows per label and split (n_labels, n_splits): at least one if there are enough rows."""
    n_rows = (n_rows_of @ has_label)[:, None]
    wanted = n_rows * (sizes / sizes.sum())
    if not is_first_kept:
        return np.asarray(np.where(n_rows >= len(sizes), np.maximum(wanted, 1.0), wanted))
    wanted = np.where(n_rows >= 2, np.clip(wanted, 1.0, n_rows - 1.0), wanted)
    return np.asarray(np.where(n_rows == 1, np.array([1.0, 0.0]), wanted))
