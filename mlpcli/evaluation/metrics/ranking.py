"""Ranking metrics of one class against the others: ROC AUC and average precision.

Both are means over the positive rows, so no curve is built. ROC AUC is the mean fraction of negatives that score below
a positive, where ties count half (Mann & Whitney 1947). Average precision is the mean precision among the rows that
score at least as high as a positive (the step-wise sum without interpolation, as in scikit-learn).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics.averages import Bools, Floats, safe_divide

Positions = NDArray[np.intp]
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")

# Of `rank_blocks` over the rows, each for some of the columns.
MAX_PASSES = 8
# Positives whose ranks are searched at once.
SEARCH_BLOCK = 1 << 14


class Rankings(NamedTuple):
    """The two metrics for each class or column, (K,) each; of resamples (R, K)."""

    roc_auc: Floats
    average_precision: Floats


class RankedColumn:
    """Sorted scores of the positive and the negative rows of a column, and their ranks, independent of weights.

    Row indices are sorted only if there are weights, because sorting values is several times faster.
    """

    def __init__(self, is_positive: Bools, scores: Floats) -> None:
        self._scores, self.is_positive = scores, is_positive
        self.positives, self.negatives = np.sort(scores[is_positive]), np.sort(scores[~is_positive])

    @cached_property
    def rows(self) -> tuple[Positions, Positions]:
        """Row indices of `positives` and of `negatives`."""
        positive, negative = np.flatnonzero(self.is_positive), np.flatnonzero(~self.is_positive)
        return positive[np.argsort(self._scores[positive])], negative[np.argsort(self._scores[negative])]

    @cached_property
    def positives_below(self) -> Positions:
        """The number of positives that score below each positive."""
        return np.searchsorted(self.positives, self.positives, side="left")

    @cached_property
    def negatives_below(self) -> Positions:
        """The number of negatives that score below each positive."""
        return np.searchsorted(self.negatives, self.positives, side="left")

    @cached_property
    def negatives_not_above(self) -> Positions:
        """The number of negatives that score at or below each positive."""
        return np.searchsorted(self.negatives, self.positives, side="right")

    def measure(self, weights: Floats | None) -> tuple[Floats, Floats]:
        """ROC AUC and average precision, 0-d, or (R,) for R resamples; NaN without positives or without negatives."""
        if weights is None:
            return _measure_sorted(self.positives, self.negatives)
        weight, up_to_positive = self._weight_up_to(weights, 0)
        _, up_to_negative = self._weight_up_to(weights, 1)
        total, n_negative = up_to_positive[..., -1], up_to_negative[..., -1]
        below = up_to_negative[..., self.negatives_below]
        not_above = up_to_negative[..., self.negatives_not_above]
        at_or_above = total[..., None] - up_to_positive[..., self.positives_below]
        precision = safe_divide(at_or_above, at_or_above + n_negative[..., None] - below)
        return _means(
            (weight * (below + not_above) / 2).sum(axis=-1), (weight * precision).sum(axis=-1), total, n_negative
        )

    def auc_variance(self, weights: Floats | None) -> float:
        """Variance of ROC AUC (DeLong et al. 1988), by sorting (Sun & Xu 2014); NaN if a side has one row or none."""
        return float(sum(deviations @ deviations for deviations in self._sorted_deviations(weights)))

    def precision_deviations(self, weights: Floats | None) -> Floats:
        """The contribution of each row to the deviation of average precision from its expectation (n_rows,).

        The influence of the row times its weight: a positive has a precision of its own, and increases that of every
        positive that scores no higher; a negative decreases these. NaN with fewer than two positives.
        """
        positive, up_to_positive = self._weight_up_to(weights, 0)
        _, up_to_negative = self._weight_up_to(weights, 1)
        true_positives = up_to_positive[-1] - up_to_positive[self.positives_below]
        retrieved = true_positives + up_to_negative[-1] - up_to_negative[self.negatives_below]
        precision, total = true_positives / retrieved, up_to_positive[-1]
        n = total**2 / float(positive @ positive)
        per_weight = math.sqrt(n / (n - 1)) / total if n > 1 else math.nan
        rises, falls = (
            np.concatenate([[0.0], np.cumsum(positive * counts / retrieved**2)])
            for counts in (retrieved - true_positives, true_positives)
        )
        centered = precision - positive @ precision / total
        influence = np.empty(len(self.is_positive))
        for rows, scores in zip(self.rows, (self.positives, self.negatives), strict=True):
            no_higher = np.searchsorted(self.positives, scores, side="right")
            influence[rows] = centered + rises[no_higher] if scores is self.positives else -falls[no_higher]
        return np.asarray(influence * per_weight * (1.0 if weights is None else weights))

    def auc_deviations(self, weights: Floats | None) -> Floats:
        """The contribution of each row to the deviation of ROC AUC from its expectation (n_rows,)."""
        in_row_order = np.empty(len(self.is_positive))
        for rows, deviations in zip(self.rows, self._sorted_deviations(weights), strict=True):
            in_row_order[rows] = deviations
        return in_row_order

    def _sorted_deviations(self, weights: Floats | None) -> tuple[Floats, Floats]:
        """Deviations of the placement values of positives and of negatives, times the normalized weights of the rows.

        The placement value of a row is the weighted fraction of the other side that it is ranked correctly against. The
        sum of the squared deviations is the variance of ROC AUC.
        """
        positive, up_to_positive = self._weight_up_to(weights, 0)
        negative, up_to_negative = self._weight_up_to(weights, 1)
        below = up_to_negative[self.negatives_below] + up_to_negative[self.negatives_not_above]
        left, right = (np.searchsorted(self.positives, self.negatives, side=side) for side in _SIDES)
        above = 2 * up_to_positive[-1] - up_to_positive[left] - up_to_positive[right]
        return (
            _deviations_of_mean(below / 2 / up_to_negative[-1], positive),
            _deviations_of_mean(above / 2 / up_to_positive[-1], negative),
        )

    def _weight_up_to(self, weights: Floats | None, side: int) -> tuple[Floats, Floats]:
        """Weights of the sorted rows of a side (0 positive, 1 negative), and their cumulative sums from 0."""
        if weights is None:
            n = len((self.positives, self.negatives)[side])
            return np.ones(n), np.arange(n + 1.0)
        sorted_weights = weights[..., self.rows[side]]
        start = np.zeros((*sorted_weights.shape[:-1], 1))
        return sorted_weights, np.concatenate([start, np.cumsum(sorted_weights, axis=-1)], axis=-1)


def _measure_sorted(positives: NDArray[np.floating], negatives: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """ROC AUC and average precision from sorted scores without weights; ranks are searched block by block."""
    placement_sum = precision_sum = 0.0
    for start in range(0, len(positives), SEARCH_BLOCK):
        block = positives[start : start + SEARCH_BLOCK]
        below, not_above = (np.searchsorted(negatives, block, side=side) for side in _SIDES)
        at_or_above = len(positives) - np.searchsorted(positives, block, side="left")
        placement_sum += float(((below + not_above) / 2).sum())
        precision_sum += float((at_or_above / (at_or_above + len(negatives) - below)).sum())
    return _means(
        *(np.asarray(value, np.float64) for value in (placement_sum, precision_sum, len(positives), len(negatives)))
    )


def _means(placement_sum: Floats, precision_sum: Floats, total: Floats, n_negative: Floats) -> tuple[Floats, Floats]:
    """ROC AUC and average precision from sums over positives of weight `total`; negatives weigh `n_negative`."""
    pairs = total * n_negative
    is_ranked = pairs > 0
    auc = np.where(is_ranked, placement_sum / np.where(is_ranked, pairs, 1.0), np.nan)
    return auc, np.where(is_ranked, safe_divide(precision_sum, total), np.nan)


def _deviations_of_mean(values: Floats, weights: Floats) -> Floats:
    """The contribution of each value (n,) to the deviation of their weighted mean; the squares sum to its variance."""
    fractions = weights / weights.sum()
    n = 1 / (fractions @ fractions)
    if not n > 1:
        return np.full(len(values), np.nan)
    return np.asarray(fractions * (values - fractions @ values) * math.sqrt(n / (n - 1)))


def rank_columns(is_positive: Bools, scores: Floats) -> Iterator[RankedColumn]:
    """The ranking of each column of `scores` and `is_positive` (n_rows, K), computed one at a time."""
    return (RankedColumn(is_positive[:, k], scores[:, k]) for k in range(scores.shape[1]))


def measure_ranks(ranked: Iterable[RankedColumn], weights: Floats | None) -> Rankings:
    """ROC AUC and average precision of each column."""
    columns = [column.measure(weights) for column in ranked]
    return Rankings(*(np.stack(values, axis=-1) for values in zip(*columns, strict=True)))


def rank_blocks(n_rows: int, n_columns: int, blocks: Callable[[], Iterable[tuple[Bools, Floats]]]) -> Rankings:
    """ROC AUC and average precision of each column without weights, with the scores of a few columns in memory at once.

    `blocks()` iterates over all rows: whether they are positive, and their scores, (n, n_columns) each.
    """
    n_per_pass = math.ceil(n_columns / MAX_PASSES)
    measured = []
    for first in range(0, n_columns, n_per_pass):
        columns = range(first, min(first + n_per_pass, n_columns))
        measured += [_measure_sorted(*sides) for sides in _sorted_sides(n_rows, columns, blocks())]
    return Rankings(*(np.stack(values, axis=-1) for values in zip(*measured, strict=True)))


def _sorted_sides(
    n_rows: int, columns: range, blocks: Iterable[tuple[Bools, Floats]]
) -> Iterator[tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """Sorted scores of the positive and the negative rows of each column, which share an array."""
    sorted_scores: NDArray[np.floating] = np.empty((0, 0))
    ends = [(0, n_rows)] * len(columns)
    for is_positive, scores in blocks:
        if not sorted_scores.size or sorted_scores.dtype == np.float32:
            # Keep float32 outputs of a network as float32: half the memory, and half the time to sort.
            selected = scores[:, columns.start : columns.stop]
            dtype = np.float32 if (selected.astype(np.float32) == selected).all() else np.float64
            if not sorted_scores.size:
                sorted_scores = np.empty((len(columns), n_rows), dtype)
            sorted_scores = sorted_scores.astype(dtype, copy=False)
        for index, column in enumerate(columns):
            is_row_positive, column_scores, (low, high) = is_positive[:, column], scores[:, column], ends[index]
            n_positive = int(np.count_nonzero(is_row_positive))
            ends[index] = low + n_positive, high - (len(column_scores) - n_positive)
            sorted_scores[index, low : ends[index][0]] = column_scores[is_row_positive]
            sorted_scores[index, ends[index][1] : high] = column_scores[~is_row_positive]
    for scores, (end, _) in zip(sorted_scores, ends, strict=True):
        scores[:end].sort()
        scores[end:].sort()
        yield scores[:end], scores[end:]
