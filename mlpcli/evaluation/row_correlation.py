"""Tests for correlated rows, within groups, between neighbours or as duplicates, which make a random split leak."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Hashes = NDArray[np.uint64]

# Rows count as correlated from this z-score and correlation on, in at least this many groups.
MIN_Z_SCORE = 6.0
MIN_CORRELATION = 0.15
MIN_GROUPS = 20
MAX_CLASSES = 20  # whose indicators are compared


def as_columns(truth: NDArray[Any]) -> Floats:
    """Targets as scaled columns (n_rows, k); class codes (n_rows,) become indicators of the most frequent classes."""
    if truth.ndim == 1:
        classes = np.argsort(-np.bincount(truth), kind="stable")[:MAX_CLASSES]
        return np.asarray(truth[:, None] == classes, np.float64)
    deviations = truth.std(axis=0)
    return np.asarray(truth / np.where(deviations > 0.0, deviations, 1.0), np.float64)


def intraclass_correlation(groups: Codes, values: Floats) -> tuple[float, float]:
    """The intraclass correlation of groups, from 0 for independent to 1 for equal rows, and its z-score.

    `groups` (n_rows,) are codes from 0, `values` (n_rows, k) numbers, whose variances are added. One-way analysis of
    variance (Shrout & Fleiss 1979, ICC(1)); for independent rows its standard deviation is about
    sqrt(1 / pairs of rows within groups).
    """
    sizes = np.bincount(groups).astype(np.float64)
    groups, sizes = np.unique(groups, return_inverse=True)[1], sizes[sizes > 0]
    n_rows, n_groups = len(groups), len(sizes)
    if n_groups < 2 or n_rows <= n_groups:
        return 0.0, 0.0
    values = values - values.mean(axis=0)
    sums = np.column_stack([np.bincount(groups, column, n_groups) for column in values.T])
    total, between = float((values**2).sum()), float((sums**2 / sizes[:, None]).sum())
    if total <= 0.0:
        return 0.0, 0.0
    mean_square_between = between / (n_groups - 1)
    mean_square_within = max(total - between, 0.0) / (n_rows - n_groups)
    size = (n_rows - (sizes**2).sum() / n_rows) / (n_groups - 1)
    correlation = (mean_square_between - mean_square_within) / (mean_square_between + (size - 1) * mean_square_within)
    pairs = float((sizes * (sizes - 1)).sum()) / 2
    return float(correlation), float(correlation * np.sqrt(pairs))


def neighbour_correlation(values: Floats) -> tuple[float, float]:
    """The correlation of neighbouring rows of `values` (n_rows, k), from 0 to 1, and its z-score.

    One minus half of von Neumann's ratio (1941), over all columns.
    """
    values = values - values.mean(axis=0)
    total = float((values**2).sum())
    if len(values) < 3 or total <= 0.0:
        return 0.0, 0.0
    correlation = 1.0 - float((np.diff(values, axis=0) ** 2).sum()) / (2.0 * total)
    return correlation, correlation * float(np.sqrt(len(values)))


def count_equal_pairs(left: NDArray[Any], right: NDArray[Any]) -> int:
    """The number of pairs of an element of `left` (n,) and one of `right` (m,) that are equal."""
    values, counts = np.unique(right, return_counts=True)
    index = np.minimum(np.searchsorted(values, left), len(values) - 1)
    return int(counts[index[values[index] == left]].sum()) if len(values) else 0


def are_duplicates(left: Hashes, right: Hashes, most_columns: int = 32) -> bool:
    """Whether equal rows are duplicates: more pairs of rows agree in all columns than in all but one.

    `left` (n, n_columns) and `right` (m, n_columns) are hashes of cells. If columns have few distinct
    values, rows agree by chance, and far more pairs differ in one column than in none. Tests at most `most_columns`.
    """
    left_sum, right_sum = left.sum(axis=1, dtype=np.uint64), right.sum(axis=1, dtype=np.uint64)
    n_equal, n_columns = count_equal_pairs(left_sum, right_sum), left.shape[1]
    if n_columns == 1:
        return False
    tested = np.unique(np.linspace(0, n_columns - 1, min(n_columns, most_columns)).astype(np.int64)).tolist()
    n_near = sum(count_equal_pairs(left_sum - left[:, j], right_sum - right[:, j]) - n_equal for j in tested)
    return bool(n_near * n_columns < n_equal * len(tested))
