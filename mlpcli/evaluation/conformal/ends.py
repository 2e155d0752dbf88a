"""Conformal prediction: interval ends and label sets from the scores of rows that the model was not trained on.

A conformity score measures how badly a prediction fits the truth. If the calibration rows and a new row are
exchangeable, the rank of the new score among theirs is uniform, whatever the model and the data (Vovk, Gammerman &
Shafer 2005, "Algorithmic Learning in a Random World"). So at most a fraction 1 - level of new rows exceeds the
ceil((n + 1) level)-th smallest of n scores.

One set of scores is split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018). With folds there is a set
of scores per fold, and a prediction per fold by the members that were not trained on it: CV+ (Barber, Candes, Ramdas &
Tibshirani 2021, "Predictive inference with the jackknife+"); for classes, the cross-conformal sets of Vovk 2015 in the
form of Romano, Sesia & Candes 2020 ("Classification with valid and adaptive coverage").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ranks = NDArray[np.int64]

# All scores of a fold are stored up to this number; of more scores, those at the ranks of `kept_ranks`.
MAX_STORED = 500
# The grid that CV+ starts from: cells per interquartile range, and cells to either side.
CELLS_PER_RANGE, CELLS = 512, 1 << 13
BLOCK_ROWS = 1 << 13  # which fit into the cache
LARGEST = 1e300  # replaces the logarithm of 0
HALVINGS = 14  # of the range of possible ends, for rows beyond the grid

Kind = Literal["absolute", "signed", "quantiles", "probability"]


@dataclass(frozen=True, eq=False)
class Scores:
    """Stored scores of `n_rows` rows: `values` (n_kept,) in ascending order, and their `ranks`, from 1.

    A score that is not stored counts as the next larger one that is, so intervals are too wide rather than too narrow.
    """

    n_rows: int
    values: Floats
    ranks: Ranks

    @property
    def negated(self) -> "Scores":
        """The negated scores of the same rows."""
        return Scores(self.n_rows, -self.values[::-1], self.n_rows + 1 - self.ranks[::-1])

    def n_up_to(self, values: NDArray[np.floating]) -> Ranks:
        """Number of scores at most each value, or fewer if not all scores are stored."""
        return self._counts(np.searchsorted(self.values, values, side="right"))

    def n_below(self, values: NDArray[np.floating]) -> Ranks:
        """Number of scores below each value, or fewer if not all scores are stored."""
        return self._counts(np.searchsorted(self.values, values, side="left"))

    def _counts(self, n_kept: NDArray[np.intp]) -> Ranks:
        return np.concatenate([[0], self.ranks])[n_kept]


def keep(scores: Floats, n_folds: int = 1, both_ends: bool = False) -> Scores:
    """The scores (n_rows,) of one of `n_folds` folds as a model stores them; n_rows may be 0."""
    ranks = kept_ranks(len(scores), n_folds, both_ends)
    return Scores(len(scores), np.sort(scores)[ranks - 1], ranks)


@cache
def kept_ranks(n_rows: int, n_folds: int = 1, both_ends: bool = False) -> Ranks:
    """The ranks of the scores that are stored, ascending to `n_rows`; with `both_ends` they include 1.

    Their distance grows by 1% of the distance from the end, with folds by 4%: 1 - level has this relative precision,
    whatever the number of rows.
    """
    if n_rows <= MAX_STORED:
        return np.arange(1, n_rows + 1)
    growth = 100 if n_folds == 1 else 25
    distances, distance = [], 1
    while distance <= n_rows:
        distances.append(distance)
        distance += max(1, distance // growth)
    from_end = np.asarray([*distances, n_rows])
    return np.unique(np.concatenate([n_rows + 1 - from_end, from_end] if both_ends else [n_rows + 1 - from_end]))


def rank_of(n_rows: int, level: float) -> int:
    """Rank of the score that a new one does not exceed at `level`; above `n_rows` if there are too few scores."""
    return max(math.ceil((n_rows + 1) * level - 1e-9), 1)


def rows_needed(level: float) -> int:
    """Smallest number of scores for which `rank_of` is at most their number."""
    return math.ceil(level / (1.0 - level) - 1e-9)


def level_of_end(kind: Kind, level: float) -> float:
    """The level of each end of an interval: ends calibrated separately share the miscoverage."""
    return (1.0 + level) / 2.0 if kind == "signed" else level


@dataclass(frozen=True, eq=False)
class UpperEnds:
    """Upper interval ends from the scores of `folds` and the predictions of each fold's members.

    An end is the smallest number that at least `rank` sums of prediction and score do not exceed. With several folds
    the search starts on a grid of `step` around `pooled`, the end for predictions of 0: for each number of the grid,
    `kept` (n_folds, 2 CELLS + 1) counts the stored scores of a fold up to it, and `counts` all scores. From at most 2
    steps below the end the sums are counted one by one; if predictions are more than CELLS / 2 steps apart, from
    2^-HALVINGS of their distance below it.
    """

    folds: tuple[Scores, ...]
    rank: int
    pooled: float
    step: float
    counts: NDArray[Any]
    kept: NDArray[Any]

    @cached_property
    def _table(self) -> tuple[Floats, Ranks]:
        """Scores of each fold, padded with infinity, and the number of scores below each: (n_folds, n_kept + 1)."""
        width = 1 + max(len(fold.values) for fold in self.folds)
        scores, n_below = np.full((len(self.folds), width), np.inf), np.zeros((len(self.folds), width), np.int64)
        for fold, padded, n in zip(self.folds, scores, n_below, strict=True):
            padded[: len(fold.values)] = fold.values
            n[1 : len(fold.ranks) + 1] = fold.ranks
        return scores, n_below

    def __call__(self, predictions: Floats) -> Floats:
        """The ends (n_rows,) for `predictions` (n_folds, n_rows) of each fold's members; infinite if scores are few."""
        if len(self.folds) == 1 or not math.isfinite(self.pooled):
            return np.asarray(predictions[0] + self.pooled)
        ends = np.empty(predictions.shape[1])
        for start in range(0, predictions.shape[1], BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            ends[block] = self._block_ends(np.clip(predictions[:, block], -LARGEST, LARGEST))
        return ends

    def _block_ends(self, predictions: Floats) -> Floats:
        """The ends of a block of rows."""
        with np.errstate(invalid="ignore", divide="ignore"):
            distances = predictions - predictions[0]
            distances /= self.step
            np.ceil(distances + 1e-9, out=distances)
        distances[0] = 0.0
        low, high = distances.min(axis=0), distances.max(axis=0)
        is_far = ~(high - low <= CELLS // 2)
        if is_far.any():
            distances[:, is_far] = low[is_far] = high[is_far] = 0.0
        steps = self._steps_up(distances, low, high)
        cells = len(self.counts[0]) * np.arange(len(self.folds))[:, None] + CELLS - 2 + steps - distances
        indices = self.kept.take(cells.astype(np.int64), mode="clip")
        if is_far.any():
            indices[:, is_far] = self._bisect(predictions[:, is_far])
        return self._ends_from(indices, predictions)

    def _ends_from(self, indices: Ranks, predictions: Floats) -> Floats:
        """The ends, given a lower bound of the number of stored scores below them, `indices` (n_folds, n_rows)."""
        scores, n_below = (table.ravel() for table in self._table)
        indices = indices + len(scores) // len(self.folds) * np.arange(len(self.folds))[:, None]
        ends, rows = np.empty(predictions.shape[1]), np.arange(predictions.shape[1])
        while len(rows):
            sums = predictions + scores.take(indices, mode="clip")
            ends[rows] = least = sums.min(axis=0)
            indices += sums == least
            is_open = n_below.take(indices, mode="clip").sum(axis=0) < self.rank
            left = np.flatnonzero(is_open)
            rows, indices, predictions = rows[left], indices.take(left, axis=1), predictions.take(left, axis=1)
        return ends

    def _steps_up(self, distances: Floats, low: Floats, high: Floats) -> NDArray[np.int64]:
        """The smallest step with enough scores, for predictions that are `distances` steps from those of fold 1.

        The distances range from `low` to `high` (n_rows,); one step below `low` has too few scores, `high` enough.
        """
        n_folds, n_cells = self.counts.shape
        first = CELLS + n_cells * np.arange(n_folds)[:, None] - 1.0  # of step -1 in `counts`
        indices = (first + low - distances).astype(np.int64)
        return np.asarray(low + _steps_beyond(self.counts.ravel(), indices, (high - low).astype(np.int64), self.rank))

    def _bisect(self, predictions: Floats) -> Floats:
        """Counts of stored scores below the ends, for predictions too far apart for the grid, by bisection."""
        slack = 1e-12 * (np.abs(predictions).max(axis=0) + abs(self.pooled))  # for rounded sums and differences
        low, high = predictions.min(axis=0) + self.pooled - slack, predictions.max(axis=0) + self.pooled + slack
        for _ in range(HALVINGS):
            middle = (low + high) / 2.0
            n = sum(fold.n_up_to(middle - prediction) for fold, prediction in zip(self.folds, predictions, strict=True))
            is_enough = n >= self.rank
            high, low = np.where(is_enough, middle, high), np.where(is_enough, low, middle)
        pairs = zip(self.folds, predictions, strict=True)
        return np.stack([fold.values.searchsorted(low - slack - prediction) for fold, prediction in pairs])


def _steps_beyond(counts: NDArray[Any], indices: Ranks, span: Ranks, rank: int) -> Ranks:
    """Number of steps, up to `span`, for which a row counts fewer than `rank` scores from `indices` (n_folds, n_rows).

    By bisection, bit by bit; the highest bits only for the few rows whose span has them.
    """
    n_rows = indices.shape[1]
    steps, bits = np.zeros(n_rows, np.int64), int(span.max()).bit_length()
    while bits:
        wide = np.flatnonzero(span >= 1 << (bits - 1))
        if 2 * len(wide) > n_rows:
            break
        bits -= 1
        candidates = steps[wide] + (1 << bits)
        counted = np.take(counts, indices[:, wide] + candidates, mode="clip").sum(axis=0, dtype=counts.dtype)
        steps[wide] = np.where(counted < rank, candidates, steps[wide])
    positions, candidates = np.empty_like(indices), np.empty_like(steps)
    each, counted = np.empty(indices.shape, counts.dtype), np.empty(n_rows, counts.dtype)
    for bit in reversed(range(bits)):
        np.add(steps, 1 << bit, out=candidates)
        np.add(indices, candidates, out=positions)
        np.take(counts, positions, out=each, mode="clip")
        np.add.reduce(each, axis=0, out=counted)
        np.copyto(steps, candidates, where=counted < rank)
    return steps


def upper_ends(folds: Sequence[Scores], level: float) -> UpperEnds:
    """Upper ends that a fraction `level` of new rows does not exceed."""
    rank = rank_of(sum(fold.n_rows for fold in folds), level)
    pooled = _pooled(folds, rank)
    n_rows = sum(fold.n_rows for fold in folds)
    quartiles = [_pooled(folds, max(1, round(n_rows * quantile))) for quantile in (0.25, 0.75)]
    step = (quartiles[1] - quartiles[0]) / CELLS_PER_RANGE
    if len(folds) == 1 or not math.isfinite(pooled):
        empty = np.zeros((len(folds), 0), np.int64)
        return UpperEnds(tuple(folds), rank, pooled, step, empty, empty)
    grid = np.asarray(pooled + step * np.arange(-CELLS, CELLS + 1), np.float64)
    counts = np.stack([fold.n_up_to(grid) for fold in folds])
    kept = np.stack([fold.values.searchsorted(grid, side="right") for fold in folds])
    if n_rows < 2**31:
        counts = counts.astype(np.int32)  # so that more of them fit into the cache
    return UpperEnds(tuple(folds), rank, pooled, step, counts, kept)


@dataclass(frozen=True)
class Intervals:
    """Intervals at one level from the scores of folds.

    "absolute" scores are |y - prediction|. "quantiles" scores are max(lower - y, y - upper) of a lower and an upper
    quantile: conformalized quantile regression (Romano, Patterson & Candes 2019, theorem 1). "signed" scores are
    y - prediction, with separately calibrated ends (theorem 2 there). An end is infinite if the rows are too few for
    the level.
    """

    above: UpperEnds
    below: UpperEnds

    def __call__(self, predictions: Floats, upper: Floats | None = None) -> tuple[Floats, Floats]:
        """Lower and upper ends (n_rows,) for the `predictions` (n_folds, n_rows) of each fold's members.

        For "quantiles", `predictions` are the lower quantiles and `upper` the upper ones.
        """
        return -self.below(-predictions), self.above(predictions if upper is None else upper)


def intervals_of(kind: Kind, folds: Sequence[Scores], level: float) -> Intervals:
    """The intervals at `level`."""
    level = level_of_end(kind, level)
    above = upper_ends(folds, level)
    return Intervals(above, upper_ends([fold.negated for fold in folds], level) if kind == "signed" else above)


@dataclass(frozen=True)
class LabelSets:
    """Prediction sets from the scores of `folds`: the labels with fewer than `rank` better scores."""

    folds: tuple[Scores, ...]
    rank: int
    pooled: float

    def __call__(self, scores: Floats) -> NDArray[np.bool_]:
        """Whether a label with `scores` (n_folds, n_rows) belongs to the set of each row (n_rows,)."""
        # Up to the pooled score, fewer than `rank` scores of all folds together are better; beyond it, at least `rank`.
        is_member = np.asarray(scores.min(axis=0) <= self.pooled)
        is_open = is_member & (scores.max(axis=0) > self.pooled)
        if len(self.folds) > 1 and is_open.any():
            fold_scores = zip(self.folds, scores[:, is_open], strict=True)
            is_member[is_open] = sum(fold.n_below(values) for fold, values in fold_scores) < self.rank
        return is_member


def sets_of(folds: Sequence[Scores], level: float) -> LabelSets:
    """The prediction sets at `level`; with too few rows they contain every label."""
    rank = rank_of(sum(fold.n_rows for fold in folds), level)
    return LabelSets(tuple(folds), rank, _pooled(folds, rank))


def _pooled(folds: Sequence[Scores], rank: int) -> float:
    """The score at this rank among all folds; infinite beyond the last."""
    values = np.concatenate([fold.values for fold in folds])
    counts = np.concatenate([np.diff(fold.ranks, prepend=0) for fold in folds])
    order = np.argsort(values, kind="stable")
    index = int(np.searchsorted(np.cumsum(counts[order]), rank))
    return float(values[order[index]]) if index < len(values) else math.inf
