"""Weighted means, sums and quantiles over rows, used by all metrics.

`weights` is None, (n_rows,), or (R, n_rows) for R bootstrap resamples, whose results have a leading axis R. Values of
rows are computed block by block to save memory, except for resamples, which reuse the values of all rows.
"""

import math
from collections.abc import Callable, Iterator
from typing import Protocol, Self, TypeAlias, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

# Cells of a block of predictions, which fits into the cache.
BLOCK_CELLS = 1 << 15
FEWEST_ROWS = 1 << 10
# Rounding tolerance, relative to the total weight, for a quantile exactly between two values.
TOLERANCE = 1e-11


class Predicted(Protocol):
    """Predictions (n_rows, K) as float64: an array, or an object that computes slices of rows on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_rows, K)."""

    def __getitem__(self, rows: slice, /) -> Floats:
        """The predictions of a slice of rows."""


class Rows(Protocol):
    """Rows that can be taken block by block."""

    def blocks(self) -> Iterator[tuple[slice, Self]]:
        """Slices of rows, each with an object for these rows alone."""


AnyRows = TypeVar("AnyRows", bound=Rows)


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices that divide the rows of predictions of this shape into blocks."""
    n_rows = max(FEWEST_ROWS, BLOCK_CELLS // max(shape[1], 1))
    return (slice(start, min(start + n_rows, shape[0])) for start in range(0, shape[0], n_rows))


def is_resampled(weights: Floats | None) -> TypeGuard[Floats]:
    """Whether the weights are those of resamples."""
    return weights is not None and weights.ndim > 1


def mean_of(rows: AnyRows, weights: Floats | None, values_of: Callable[[AnyRows], Floats | Bools]) -> Floats:
    """The weighted mean of values that `values_of` computes for a block of rows; shapes as for `weighted_mean`."""
    if is_resampled(weights):
        return weighted_mean(values_of(rows), weights)
    total, n_rows = np.zeros(()), 0
    for span, block in rows.blocks():
        values = values_of(block)
        total = total + (values.sum(axis=0) if weights is None else weights[span] @ values)
        n_rows += len(values)
    return np.asarray(total / (n_rows if weights is None else weights.sum()), dtype=np.float64)


def sums_of(
    rows: AnyRows,
    weights: Floats | None,
    n_groups: int,
    groups_of: Callable[[AnyRows], NDArray[np.int64]],
    values_of: Callable[[AnyRows], Floats] | None = None,
) -> Floats:
    """Weighted sums by group, as `grouped_sums`; the functions compute groups and values (by default 1) of a block."""

    def sums(block: AnyRows, block_weights: Floats | None) -> Floats:
        if values_of is not None:
            values = values_of(block)
            block_weights = values if block_weights is None else block_weights * values
        return grouped_sums(groups_of(block), n_groups, block_weights)

    if is_resampled(weights):
        return sums(rows, weights)
    total = np.zeros(n_groups)
    for span, block in rows.blocks():
        total += sums(block, None if weights is None else weights[span])
    return total


def weighted_mean(values: Floats | Bools, weights: Floats | None) -> Floats:
    """Mean over rows of `values` (n_rows,) or (n_rows, M), as 0-d or (M,); for resamples (R,) or (R, M)."""
    if weights is None:
        return np.asarray(values.mean(axis=0), dtype=np.float64)
    total = weights.sum(axis=-1)
    return np.asarray(weights @ values / (total if values.ndim == 1 else total[..., None]), dtype=np.float64)


def grouped_sums(groups: NDArray[np.int64], n_groups: int, weights: Floats | None) -> Floats:
    """Total weight of each group (n_groups,), or (R, n_groups) for resamples; `groups` (n_rows,) are codes from 0."""
    if weights is None or weights.ndim == 1:
        return np.bincount(groups, weights=weights, minlength=n_groups).astype(np.float64)
    return np.array([np.bincount(groups, weights=row, minlength=n_groups) for row in weights])


def weighted_quantile(values: Floats, quantile: float, weights: Floats | None) -> Floats:
    """A quantile, in (0, 1), of each column of `values` (n_rows, M), as (M,); a row of weight k counts as k rows.

    The inverse of the weighted cumulative distribution, averaged at discontinuities (Hyndman & Fan 1996, definition 2;
    scikit-learn's median since 1.7).
    """
    if weights is None:
        n_rows = len(values)
        at, tolerance = n_rows * quantile, n_rows * TOLERANCE
        low, high = max(math.ceil(at - tolerance) - 1, 0), min(math.floor(at + tolerance), n_rows - 1)
        ordered = np.partition(values, [low, high], axis=0)
        return np.asarray((ordered[low] + ordered[high]) / 2, dtype=np.float64)
    counted = weights > 0
    return np.array([_quantile_of_column(column, quantile, weights[counted]) for column in values[counted].T])


def _quantile_of_column(column: Floats, quantile: float, weights: Floats) -> float:
    order = np.argsort(column)
    reached = np.cumsum(weights[order])
    at, tolerance = reached[-1] * quantile, reached[-1] * TOLERANCE
    low, high = np.minimum(np.searchsorted(reached, [at - tolerance, at + tolerance]), len(order) - 1)
    return float(column[order[low]] + column[order[high]]) / 2


class SortedColumn:
    """A sorted column (n_rows,), to compute medians for many weights."""

    def __init__(self, column: Floats) -> None:
        self.order = np.argsort(column)
        self.values = column[self.order]

    def medians(self, weights: Floats) -> Floats:
        """The median for each row of `weights` (R, n_rows), as (R,), defined as in `weighted_quantile`."""
        reached = np.cumsum(weights[:, self.order], axis=1)
        half = reached[:, -1] / 2
        tolerance = TOLERANCE * reached[:, -1]
        ends = [
            [np.searchsorted(row, limit) for row, limit in zip(reached, limits, strict=True)]
            for limits in (half - tolerance, half + tolerance)
        ]
        low, high = np.minimum(ends, len(self.values) - 1)
        return np.asarray((self.values[low] + self.values[high]) / 2)


def safe_divide(numerator: Floats, denominator: Floats) -> Floats:
    """`numerator / denominator`, and 0 where the denominator is 0: the convention for precision, recall and F1."""
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator != 0)
