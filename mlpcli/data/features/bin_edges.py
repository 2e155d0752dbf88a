"""Bin edges of a column: quantiles, or the splits of a decision tree on this column alone.

The tree grows best first by impurity gain: Gini for classes, variance for numbers and booleans. Both are sums of
squares with one formula: with s the sum of a target column over the n rows of a node, sum of s^2 / n.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.scaling import Standardize, is_distinct
from mlpcli.data.features.weighted_statistics import sort_non_missing, total_weight, values_at_ranks

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

# Maximum number of rows of a tree; more rows hardly change the edges. They are sampled at equal steps of their order by
# value and target, so that the order of the rows in the table does not matter.
MAX_TREE_ROWS = 100_000
# Maximum size of the sums of one column, (n_targets, n_splits): with very many classes, fewer splits are tried.
MAX_TREE_SUMS = 1 << 19
# Minimum number and fraction of the rows in a leaf.
MIN_LEAF_ROWS = 5
MIN_LEAF_FRACTION = 0.001
# Numbers are rounded to multiples of this fraction of the standard deviation: sums of integers are exact in any order.
_UNIT = 2.0**-20
# Rounding error of a deviation, relative to the largest sum.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class SplitTargets:
    """Targets of the training rows, for the trees of all columns.

    Either `codes` (n_rows,) of more than two classes, or integer `numbers` (n_targets, n_rows). `weights` (n_rows,)
    are row weights.
    """

    codes: Codes | None
    numbers: Values
    weights: Values | None = None

    def sorted_rows(self, values: Values) -> NDArray[np.int64]:
        """Non-missing rows sorted by value; a subsample of them if there are many."""
        n_present = len(values) - int(np.count_nonzero(np.isnan(values)))
        step = -(-n_present // MAX_TREE_ROWS) or 1
        if step == 1:
            return np.argsort(values, kind="stable")[:n_present]
        keys = self.numbers if self.codes is None else self.codes[None]
        return np.lexsort((*keys, values))[:n_present:step]


def split_targets(targets: Values | Codes, weights: Values | None = None) -> SplitTargets:
    """Make the targets of trees from class codes (n_rows,), or from numbers or 0 and 1 (n_rows, n_targets)."""
    if targets.ndim == 1 and targets.max() > 1:
        return SplitTargets(np.asarray(targets, np.int64), np.zeros((0, len(targets))), weights)
    columns = [_discretize(column, weights) for column in targets.reshape(len(targets), -1).T]
    return SplitTargets(None, np.stack(columns), weights)


def _discretize(column: NDArray[np.generic], weights: Values | None) -> Values:
    values = np.array(column, np.float64)
    center, scale = Standardize().fit(*sort_non_missing(values.copy(), weights))  # sorted: independent of row order
    return np.rint((values - center) / (scale * _UNIT))


def quantile_edges(ordered: Values, n_edges: int, weights: Values | None = None) -> Values:
    """Edges at values of a sorted column (n_known,): `n_edges`, or all distinct values if there are fewer.

    Quantiles of the rows alternate with quantiles of the distinct values, so that a column that is mostly zero has bins
    elsewhere too. In a column of distinct values both are equal, and bins hold equal numbers of rows.
    """
    distinct = ordered[is_distinct(ordered)]
    if len(distinct) <= n_edges:
        return distinct
    edges = values_at_ranks(ordered, np.round(np.linspace(0, total_weight(ordered, weights) - 1, n_edges)), weights)
    edges[1:-1:2] = distinct[_even_ranks(len(distinct), n_edges)][1:-1:2]
    return pad_with_quantiles(edges, distinct, n_edges)


def _even_ranks(n_values: int, n_steps: int) -> NDArray[np.int64]:
    return np.round(np.linspace(0, n_values - 1, n_steps)).astype(np.int64)


def pad_with_quantiles(edges: Values, distinct: Values, n_edges: int) -> Values:
    """Distinct edges in ascending order, padded to `n_edges` with quantiles of the other `distinct` values."""
    edges = np.sort(edges)
    edges = edges[is_distinct(edges)]
    others = distinct[~np.isin(distinct, edges)]
    n_missing = min(n_edges - len(edges), len(others))
    if n_missing <= 0:
        return edges
    middles = (2 * np.arange(n_missing) + 1) * len(others) // (2 * n_missing)
    edges = np.sort(np.concatenate([edges, others[middles]]))
    return edges[is_distinct(edges)]


def tree_edges(values: Values, targets: SplitTargets, n_leaves: int) -> Values:
    """Unsorted edges between the leaves of a tree with at most `n_leaves`: midpoints of adjacent values.

    `values` (n_rows,), NaN where missing, are of the same rows as `targets`.
    """
    order = targets.sorted_rows(values)
    ordered = values[order]
    n_targets = len(targets.numbers) if targets.codes is None else int(targets.codes.max()) + 1
    starts = np.flatnonzero(is_distinct(ordered))
    max_splits = max(MAX_TREE_SUMS // n_targets, n_leaves)
    if len(starts) > max_splits:
        starts = starts[_even_ranks(len(starts), max_splits)]
    # Element g of counts and sums is over all rows before group g of equal values.
    ends = np.append(starts, len(ordered))
    counts = _prefix_sums(np.ones(len(ordered)) if targets.weights is None else targets.weights[order])[ends]
    if targets.codes is None:
        numbers = targets.numbers[:, order]
        sums = _prefix_sums(numbers if targets.weights is None else numbers * targets.weights[order])[:, ends]
    else:
        group = np.repeat(np.arange(len(starts)), np.diff(ends))
        weights = None if targets.weights is None else targets.weights[order]
        cells = np.bincount(targets.codes[order] * len(starts) + group, weights, n_targets * len(starts))
        sums = _prefix_sums(cells.reshape(n_targets, -1))
    splits = starts[_grow_tree(counts, sums, n_leaves)]
    below, above = ordered[splits - 1], ordered[splits]
    middles = below / 2 + above / 2
    # There may be no float64 between adjacent values.
    is_between = is_distinct(np.column_stack([below, middles, above]).ravel()).reshape(-1, 3)[:, 1:].all(axis=1)
    return np.where(is_between, middles, above)


def _prefix_sums(values: NDArray[np.generic]) -> Values:
    """Cumulative sums along the last axis, starting with 0."""
    sums = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=sums[..., 1:])
    return sums


def _grow_tree(counts: Values, sums: Values, n_leaves: int) -> list[int]:
    """Indices of the groups that start a leaf; `counts` (n_groups + 1,), `sums` (n_targets, n_groups + 1)."""
    min_rows = max(MIN_LEAF_ROWS, int(counts[-1] * MIN_LEAF_FRACTION))
    min_gain = (_ROUNDING * float(np.abs(sums).max())) ** 2
    splits: list[int] = []
    leaves: list[tuple[float, int, int, int]] = []

    def add(low: int, high: int) -> None:
        gain, split = _best_split(counts, sums, low, high, min_rows)
        if gain > min_gain:
            heapq.heappush(leaves, (-gain, low, split, high))

    add(0, len(counts) - 1)
    while leaves and len(splits) < n_leaves - 1:
        _, low, split, high = heapq.heappop(leaves)
        splits.append(split)
        add(low, split)
        add(split, high)
    return splits


def _best_split(counts: Values, sums: Values, low: int, high: int, min_rows: int) -> tuple[float, int]:
    """The largest gain among splits of groups `low` to `high` (exclusive), and the first group after the split."""
    first = int(np.searchsorted(counts, counts[low] + min_rows, "left"))
    last = int(np.searchsorted(counts, counts[high] - min_rows, "right"))
    if first >= last:
        return 0.0, low
    n_total = float(counts[high] - counts[low])
    n_left = counts[first:last] - float(counts[low])
    # Deviation of the left sum from its expected part of the total: squaring the sums themselves would lose precision.
    deviations = sums[:, first:last] - sums[:, low, None]
    deviations -= (sums[:, high] - sums[:, low])[:, None] * (n_left / n_total)
    gains = np.einsum("ij,ij->j", deviations, deviations) * (n_total / (n_left * (n_total - n_left)))
    best = int(np.argmax(gains))
    return float(gains[best]), first + best
