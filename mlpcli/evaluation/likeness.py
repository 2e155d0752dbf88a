"""Tests whether rows of a group or neighbouring rows are correlated, which makes a random split leak."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Hashes = NDArray[np.uint64]

# Significance in standard deviations, and correlation, from which rows count as correlated; needs this many groups.
DEVIATIONS = 6.0
ALIKE = 0.15
FEWEST_GROUPS = 20
MOST_CLASSES = 20


def as_columns(truth: NDArray[Any]) -> Floats:
    """Targets as scaled columns (n_rows, k); class codes (n_rows,) become indicators of the most frequent classes."""
    if truth.ndim == 1:
        classes = np.argsort(-np.bincount(truth), kind="stable")[:MOST_CLASSES]
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


def pairs_alike(left: NDArray[Any], right: NDArray[Any]) -> int:
    """The number of pairs of a row of `left` (n,) and one of `right` (m,) with equal hashes."""
    names, counts = np.unique(right, return_counts=True)
    place = np.minimum(np.searchsorted(names, left), len(names) - 1)
    return int(counts[place[names[place] == left]].sum()) if len(names) else 0


def outnumber_near_copies(left: Hashes, right: Hashes, most_columns: int = 32) -> bool:
    """Whether more pairs of rows agree in all columns than in all but one, so that they are duplicates.

    `left` (n, n_columns) and `right` (m, n_columns) are hashes of cells. If rows agree by chance, because columns have
    few distinct values, far more pairs differ in one column than in none. Of many columns a sample is tested.
    """
    left_sum, right_sum = left.sum(axis=1, dtype=np.uint64), right.sum(axis=1, dtype=np.uint64)
    n_equal, n_columns = pairs_alike(left_sum, right_sum), left.shape[1]
    if n_columns == 1:
        return False
    tried = np.unique(np.linspace(0, n_columns - 1, min(n_columns, most_columns)).astype(np.int64)).tolist()
    n_near = sum(pairs_alike(left_sum - left[:, j], right_sum - right[:, j]) - n_equal for j in tried)
    return bool(n_near * n_columns < n_equal * len(tried))
