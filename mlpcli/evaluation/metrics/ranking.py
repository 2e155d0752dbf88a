"""How well a score ranks the rows of one class above the others: ROC AUC and average precision.

Both are means over the positive rows, so no curve is built and ties need no care: ROC AUC of the share of negatives
below a positive (a tie counts half; Mann & Whitney 1947), average precision of the precision among the rows at or above
it (the step-wise sum without interpolation, as in scikit-learn).
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

# For rows in blocks: the largest number of passes over them, each for some of the columns.
MOST_PASSES = 8
# Sorted scores that are looked up at a time.
LOOKED_UP = 1 << 14


class Rankings(NamedTuple):
    """The two metrics for each class or column, (K,) each; of resamples (R, K)."""

    roc_auc: Floats
    average_precision: Floats


class RankedColumn:
    """Sorted scores of positive and negative rows, and their ranks, independent of weights.

    Row indices are sorted only if weights need them, because sorting values is several times faster.
    """

    def __init__(self, is_positive: Bools, scores: Floats) -> None:
        self._scores, self.is_positive = scores, is_positive
        self.positives, self.negatives = np.sort(scores[is_positive]), np.sort(scores[~is_positive])

    @cached_property
    def rows(self) -> tuple[Positions, Positions]:
        """The rows of `positives` and of `negatives`."""
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
        """ROC AUC and average precision, 0-d, or (R,) with resamples.

        NaN if there are only positives or only negatives.
        """
        if weights is None:
            return _measure_sorted(self.positives, self.negatives)
        own, up_to_positive = self._weight_up_to(weights, 0)
        _, up_to_negative = self._weight_up_to(weights, 1)
        total, n_negative = up_to_positive[..., -1], up_to_negative[..., -1]
        below = up_to_negative[..., self.negatives_below]
        not_above = up_to_negative[..., self.negatives_not_above]
        at_or_above = total[..., None] - up_to_positive[..., self.positives_below]
        precision = safe_divide(at_or_above, at_or_above + n_negative[..., None] - below)
        return _means((own * (below + not_above) / 2).sum(axis=-1), (own * precision).sum(axis=-1), total, n_negative)

    def auc_variance(self, weights: Floats | None) -> float:
        """Variance of ROC AUC (DeLong et al. 1988), by sorting (Sun & Xu 2014); NaN with under two rows of a kind."""
        return float(sum(deviations @ deviations for deviations in self._sorted_deviations(weights)))

    def precision_deviations(self, weights: Floats | None) -> Floats:
        """What each row adds to the difference of average precision from its expectation, (n_rows,).

        The row's influence, times its weight: a positive has a precision of its own and adds to that of every positive
        that scores no higher, a negative takes from these. NaN with fewer than two positives.
        """
        positive, up_to_positive = self._weight_up_to(weights, 0)
        _, up_to_negative = self._weight_up_to(weights, 1)
        hits = up_to_positive[-1] - up_to_positive[self.positives_below]
        claims = hits + up_to_negative[-1] - up_to_negative[self.negatives_below]
        precision, total = hits / claims, up_to_positive[-1]
        n = total**2 / float(positive @ positive)
        per_weight = math.sqrt(n / (n - 1)) / total if n > 1 else math.nan
        rises, falls = (
            np.concatenate([[0.0], np.cumsum(positive * part / claims**2)]) for part in (claims - hits, hits)
        )
        own = precision - positive @ precision / total
        found = np.empty(len(self.is_positive))
        for rows, side in zip(self.rows, (self.positives, self.negatives), strict=True):
            no_higher = np.searchsorted(self.positives, side, side="right")
            found[rows] = own + rises[no_higher] if side is self.positives else -falls[no_higher]
        return np.asarray(found * per_weight * (1.0 if weights is None else weights))

    def auc_deviations(self, weights: Floats | None) -> Floats:
        """What each row adds to the difference of ROC AUC from its expectation, (n_rows,); see `auc_variance`."""
        found = np.empty(len(self.is_positive))
        for rows, deviations in zip(self.rows, self._sorted_deviations(weights), strict=True):
            found[rows] = deviations
        return found

    def _sorted_deviations(self, weights: Floats | None) -> tuple[Floats, Floats]:
        """Of positives and negatives: the deviation of each placement among the other kind, times the row's share.

        Weights (n_rows,) weight each row's placement, and its share. The sum of the squares is the variance.
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
        """Weight of each sorted score of a side, and of the first 0, 1, 2, ... of them."""
        if weights is None:
            n = len((self.positives, self.negatives)[side])
            return np.ones(n), np.arange(n + 1.0)
        own = weights[..., self.rows[side]]
        start = np.zeros((*own.shape[:-1], 1))
        return own, np.concatenate([start, np.cumsum(own, axis=-1)], axis=-1)


def _measure_sorted(positives: NDArray[np.floating], negatives: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """The same from the sorted scores of rows that all count as one, looked up some at a time."""
    halfway_sum = precision_sum = 0.0
    for start in range(0, len(positives), LOOKED_UP):
        own = positives[start : start + LOOKED_UP]
        below, not_above = (np.searchsorted(negatives, own, side=side) for side in _SIDES)
        at_or_above = len(positives) - np.searchsorted(positives, own, side="left")
        halfway_sum += float(((below + not_above) / 2).sum())
        precision_sum += float((at_or_above / (at_or_above + len(negatives) - below)).sum())
    return _means(
        *(np.asarray(part, np.float64) for part in (halfway_sum, precision_sum, len(positives), len(negatives)))
    )


def _means(halfway_sum: Floats, precision_sum: Floats, total: Floats, n_negative: Floats) -> tuple[Floats, Floats]:
    """ROC AUC and average precision from sums over positives of weight `total`, among negatives of `n_negative`."""
    pairs = total * n_negative
    is_ranked = pairs > 0
    auc = np.where(is_ranked, halfway_sum / np.where(is_ranked, pairs, 1.0), np.nan)
    return auc, np.where(is_ranked, safe_divide(precision_sum, total), np.nan)


def _deviations_of_mean(values: Floats, weights: Floats) -> Floats:
    """What each value adds to the deviation of their weighted mean, (n,): the squares sum to its variance."""
    share = weights / weights.sum()
    n = 1 / (share @ share)
    return np.asarray(
        share * (values - share @ values) * math.sqrt(n / (n - 1)) if n > 1 else np.full(len(values), np.nan)
    )


def rank_columns(is_positive: Bools, scores: Floats) -> Iterator[RankedColumn]:
    """Rank each column of `scores` (n_rows, K) by the same column of `is_positive` (n_rows, K), one after the other."""
    return (RankedColumn(is_positive[:, k], scores[:, k]) for k in range(scores.shape[1]))


def measure_ranks(ranked: Iterable[RankedColumn], weights: Floats | None) -> Rankings:
    """The two metrics of each column."""
    columns = [column.measure(weights) for column in ranked]
    return Rankings(*(np.stack(values, axis=-1) for values in zip(*columns, strict=True)))


def rank_blocks(n_rows: int, n_columns: int, blocks: Callable[[], Iterable[tuple[Bools, Floats]]]) -> Rankings:
    """The two metrics of each column, where all rows count as one; what is held is the scores of a few columns.

    `blocks` goes through the rows: which are positive, and their scores, (n, n_columns) each.
    """
    n_together = math.ceil(n_columns / MOST_PASSES)
    found = []
    for first in range(0, n_columns, n_together):
        columns = range(first, min(first + n_together, n_columns))
        found += [_measure_sorted(*sides) for sides in _sorted_sides(n_rows, columns, blocks())]
    return Rankings(*(np.stack(values, axis=-1) for values in zip(*found, strict=True)))


def _sorted_sides(
    n_rows: int, columns: range, blocks: Iterable[tuple[Bools, Floats]]
) -> Iterator[tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """The scores of positive and of negative rows of each column, sorted: both in one array, from either end of it."""
    held: NDArray[np.floating] = np.empty((0, 0))
    ends = [(0, n_rows)] * len(columns)
    for is_positive, scores in blocks:
        if not held.size or held.dtype == np.float32:
            # What a network gives in float32 is held in float32: half the memory, and sorted in half the time.
            some = scores[:, columns.start : columns.stop]
            dtype = np.float32 if (some.astype(np.float32) == some).all() else np.float64
            if not held.size:
                held = np.empty((len(columns), n_rows), dtype)
            held = held.astype(dtype, copy=False)
        for place, column in enumerate(columns):
            is_own, own, (low, high) = is_positive[:, column], scores[:, column], ends[place]
            n_positive = int(np.count_nonzero(is_own))
            ends[place] = low + n_positive, high - (len(own) - n_positive)
            held[place, low : ends[place][0]] = own[is_own]
            held[place, ends[place][1] : high] = own[~is_own]
    for scores, (end, _) in zip(held, ends, strict=True):
        scores[:end].sort()
        scores[end:].sort()
        yield scores[:end], scores[end:]
