"""Lack of fit: whether the values of a numeric column act as category levels, each with an effect of its own.

The codes of districts or products, and numbers with a few special values, have means of the target that jump from one
value to the next. No smooth function of the number follows them; one-hot levels do.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.bin_edges import quantile_edges
from mlpcli.data.features.bins import write_bins

Values = NDArray[np.float64]

N_EDGES = 17
SEED = 1987_0412  # of the halves: one that no table is likely to be drawn with
# A mean is shrunk as by so many rows without an effect, and the coefficients of the bins by a ridge of one.
SHRINKAGE = 10.0


def lack_of_fit(values: Values, targets: NDArray[Any]) -> float:
    """Fraction of the target's variance that a mean per value explains beyond a piecewise linear function, out of fold.

    The function has 16 bins, as `PiecewiseLinear`. It is fitted to one half of the rows, then the mean of its
    residuals for each value; both are compared on the other half, and the halves exchanged. Below 0 for values without
    an effect of their own. `values` (n_rows,) without missing ones; `targets` are class codes (n_rows,), of which each
    class counts as a 0/1 target, or numbers (n_rows, n_targets).
    """
    if targets.ndim == 2:
        targets = targets - targets.mean(axis=0)  # else the ridge would shrink the mean, too
    distinct, codes = np.unique(values, return_inverse=True)
    halves = np.random.default_rng(SEED).integers(2, size=len(values))
    counts, sums = _totals(halves * len(distinct) + codes, 2 * len(distinct), targets)
    counts, sums = counts.reshape(2, -1), sums.reshape(2, len(distinct), -1)
    edges = quantile_edges(np.sort(values), N_EDGES)
    design = np.ones((len(distinct), len(edges)))
    write_bins(design[:, 1:], distinct, edges)

    gain = 0.0
    for fitted, judged in ((0, 1), (1, 0)):
        n, total = counts[fitted][:, None], sums[fitted]
        smooth = design @ np.linalg.solve(design.T @ (n * design) + np.eye(len(edges)), design.T @ total)
        by_value = smooth + (total - n * smooth) / (n + SHRINKAGE)
        gain += _squares(smooth, counts[judged], sums[judged]) - _squares(by_value, counts[judged], sums[judged])
    variance = _variance(targets)
    return gain / (len(values) * variance) if variance > 0.0 else 0.0


def _totals(cells: NDArray[np.int64], n_cells: int, targets: NDArray[Any]) -> tuple[Values, Values]:
    """Rows of each cell (n_cells,), and the sums of their targets (n_cells, n_targets)."""
    counts = np.bincount(cells, minlength=n_cells).astype(np.float64)
    if targets.ndim == 1:
        n_classes = int(targets.max()) + 1
        sums = np.bincount(cells * n_classes + targets, minlength=n_cells * n_classes).reshape(n_cells, n_classes)
        return counts, sums.astype(np.float64)
    return counts, np.stack([np.bincount(cells, column, n_cells) for column in targets.T], axis=1)


def _squares(predictions: Values, counts: Values, sums: Values) -> float:
    """Sum of squared errors of predictions (n_values, n_targets), without the squares of the targets."""
    return float(counts @ (predictions**2).sum(axis=1) - 2.0 * (predictions * sums).sum())


def _variance(targets: NDArray[Any]) -> float:
    """Sum of the variances of the targets."""
    if targets.ndim == 1:
        fractions = np.bincount(targets) / len(targets)
        return float(1.0 - fractions @ fractions)
    return float(targets.var(axis=0).sum())
