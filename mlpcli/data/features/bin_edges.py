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

# A tree looks at no more rows than this, at equal steps of their order by value and target, so that the order of the
# rows in the table does not matter: edges move little with more.
MAX_TREE_ROWS = 100_000
# Sums kept of one column, (n_targets, n_splits): fewer splits are tried where there are very many classes.
MAX_TREE_SUMS = 1 << 19
# A leaf has at least this many rows, and this share of them.
MIN_LEAF_ROWS = 5
MIN_LEAF_FRACTION = 0.001
# Numbers in units of this many deviations are integers, whose sums are exact in any order of the rows.
_UNIT = 2.0**-20
# Of the largest sum: the excess on one side that rounding alone can make.
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
        n_known = len(values) - int(np.count_nonzero(np.isnan(values)))
        step = -(-n_known // MAX_TREE_ROWS) or 1
        if step == 1:
            return np.argsort(values, kind="stable")[:n_known]
        keys = self.numbers if self.codes is None else self.codes[None]
        return np.lexsort((*keys, values))[:n_known:step]


def split_targets(targets: Values | Codes, weights: Values | None = None) -> SplitTargets:
    """From class codes (n_rows,), or numbers or 0 and 1 (n_rows, n_targets)."""
    if targets.ndim == 1 and targets.max() > 1:
        return SplitTargets(np.asarray(targets, np.int64), np.zeros((0, len(targets))), weights)
    columns = [_discretize(column, weights) for column in targets.reshape(len(targets), -1).T]
    return SplitTargets(None, np.stack(columns), weights)


def _discretize(column: NDArray[np.generic], weights: Values | None) -> Values:
    values = np.array(column, np.float64)
    center, scale = Standardize().fit(*sort_non_missing(values.copy(), weights))  # the same in any order of the rows
    return np.rint((values - center) / (scale * _UNIT))


def quantile_edges(ordered: Values, n_edges: int, weights: Values | None = None) -> Values:
    """Edges at values of a sorted column (n_known,), `n_edges` or as many as it has distinct values.

    Quantiles of the rows alternate with quantiles of the distinct values, so that a column of which most is zero has
    bins elsewhere too; of a column of distinct values they are the same, and bins hold equal shares.
    """
    distinct = ordered[is_distinct(ordered)]
    if len(distinct) <= n_edges:
        return distinct
    of_rows = values_at_ranks(ordered, np.round(np.linspace(0, total_weight(ordered, weights) - 1, n_edges)), weights)
    of_rows[1:-1:2] = distinct[_even_ranks(len(distinct), n_edges)][1:-1:2]
    return pad_with_quantiles(of_rows, distinct, n_edges)


def _even_ranks(n_values: int, n_steps: int) -> NDArray[np.int64]:
    return np.round(np.linspace(0, n_values - 1, n_steps)).astype(np.int64)


def pad_with_quantiles(edges: Values, distinct: Values, n_edges: int) -> Values:
    """Distinct edges in ascending order, padded to `n_edges` with quantiles of the other `distinct` values."""
    edges = np.sort(edges)
    edges = edges[is_distinct(edges)]
    others = distinct[~np.isin(distinct, edges)]
    n_lacking = min(n_edges - len(edges), len(others))
    if n_lacking <= 0:
        return edges
    middles = (2 * np.arange(n_lacking) + 1) * len(others) // (2 * n_lacking)
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
    n_kept = max(MAX_TREE_SUMS // n_targets, n_leaves)
    if len(starts) > n_kept:
        starts = starts[_even_ranks(len(starts), n_kept)]
    # Entry g: over all rows before group g of equal values.
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
    # Neighbours may have no number between them.
    is_between = is_distinct(np.column_stack([below, middles, above]).ravel()).reshape(-1, 3)[:, 1:].all(axis=1)
    return np.where(is_between, middles, above)


def _prefix_sums(values: NDArray[np.generic]) -> Values:
    """Cumulative sums along the last axis, starting with 0."""
    sums = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=sums[..., 1:])
    return sums


def _grow_tree(counts: Values, sums: Values, n_leaves: int) -> list[int]:
    """Indices of the groups that start a leaf; `counts` (n_groups + 1,), `sums` (n_targets, n_groups + 1)."""
    least = max(MIN_LEAF_ROWS, int(counts[-1] * MIN_LEAF_FRACTION))
    smallest = (_ROUNDING * float(np.abs(sums).max())) ** 2
    splits: list[int] = []
    leaves: list[tuple[float, int, int, int]] = []

    def add(low: int, high: int) -> None:
        gain, split = _best_split(counts, sums, low, high, least)
        if gain > smallest:
            heapq.heappush(leaves, (-gain, low, split, high))

    add(0, len(counts) - 1)
    while leaves and len(splits) < n_leaves - 1:
        _, low, split, high = heapq.heappop(leaves)
        splits.append(split)
        add(low, split)
        add(split, high)
    return splits


def _best_split(counts: Values, sums: Values, low: int, high: int, least: int) -> tuple[float, int]:
    """The largest gain among splits of groups `low` to `high` (exclusive), and the first group after the split."""
    first = int(np.searchsorted(counts, counts[low] + least, "left"))
    last = int(np.searchsorted(counts, counts[high] - least, "right"))
    if first >= last:
        return 0.0, low
    n_all = float(counts[high] - counts[low])
    n_left = counts[first:last] - float(counts[low])
    # Left sum against its share of the whole: squares of small numbers, where squares of sums would cancel out.
    excess = sums[:, first:last] - sums[:, low, None]
    excess -= (sums[:, high] - sums[:, low])[:, None] * (n_left / n_all)
    gains = np.einsum("ij,ij->j", excess, excess) * (n_all / (n_left * (n_all - n_left)))
    best = int(np.argmax(gains))
    return float(gains[best]), first + best
