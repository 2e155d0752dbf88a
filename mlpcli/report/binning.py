"""Reduce many rows to few numbers: curves, bins and quantiles, so that the size of a figure is bounded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST_CURVE_POINTS = 160
RELIABILITY_BINS = 10
HISTOGRAM_BINS = 40
DENSITY_BINS = (30, 22)  # along x and y
OUTSIDE = 0.002  # part of the rows that may lie beyond either end of a density


@dataclass(frozen=True)
class Ranking:
    """The rates at each threshold, from the strictest on, where rows are called positive whose p is above it.

    `area` is under (false_rate, recall), by trapezoids, so a tie counts half; NaN where one side has no rows.
    """

    recall: Values
    false_rate: Values
    precision: Values
    thresholds: Values
    area: float
    average_precision: float

    def at(self, threshold: float) -> int:
        """The index of the last point whose rows are all above a threshold."""
        return int(np.searchsorted(-self.thresholds, -threshold, side="left")) - 1


def ranking(is_positive: Bools, p: Values, weights: Values | None = None) -> Ranking:
    """The curve over all thresholds; arrays are (n_points,), and the first point has no rows."""
    order = np.argsort(-p, kind="stable")
    ordered, own = p[order], is_positive[order]
    counted = np.ones(len(p)) if weights is None else weights[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True)  # of equal p: rows come together
    hits = np.cumsum(np.where(own, counted, 0.0))[is_last]
    claims = np.cumsum(counted)[is_last]
    n_positive, n_negative = hits[-1], claims[-1] - hits[-1]
    with np.errstate(all="ignore"):
        recall = np.concatenate([[0.0], hits / n_positive])
        false_rate = np.concatenate([[0.0], (claims - hits) / n_negative])
        precision = np.concatenate([[1.0], hits / claims])
    area = float(np.diff(false_rate) @ (recall[1:] + recall[:-1])) / 2
    average = float(np.diff(recall) @ precision[1:])
    # The threshold of a point: the p of its last row, which a row must reach; that of the first is above all.
    thresholds = np.concatenate([[np.inf], ordered[is_last]])
    return Ranking(recall, false_rate, precision, thresholds, area, average)


def thinned(x: Values, y: Values, most: int = MOST_CURVE_POINTS) -> tuple[Values, Values]:
    """At most `most` points of a curve, evenly spaced along its length, with both ends."""
    if len(x) <= most:
        return x, y
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    places = np.searchsorted(length, np.linspace(0.0, length[-1], most))
    places = np.unique(np.concatenate([[0], np.minimum(places, len(x) - 1), [len(x) - 1]]))
    return x[places], y[places]


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: mean probability, observed frequency and rows of bins of equal width (n_bins,)."""

    said: Values
    true: Values
    n: Values

    @property
    def gap(self) -> float:
        """The expected calibration error over these bins."""
        return float((self.n * np.abs(self.said - self.true)).sum() / self.n.sum())


def reliability(
    p: Values, is_true: Bools, weights: Values | None = None, n_bins: int = RELIABILITY_BINS
) -> Reliability:
    """The reliability diagram, without empty bins."""
    bins = np.minimum((p * n_bins).astype(np.int64), n_bins - 1)
    n = np.bincount(bins, weights, n_bins).astype(np.float64)
    counted = np.ones(len(p)) if weights is None else weights
    said = np.bincount(bins, p * counted, n_bins)
    true = np.bincount(bins, is_true * counted, n_bins)
    has = n > 0
    return Reliability(said[has] / n[has], true[has] / n[has], n[has])


def probability_histogram(p: Values, weights: Values | None = None, n_bins: int = HISTOGRAM_BINS) -> Values:
    """The fraction of the rows in each bin of equal width from 0 to 1 (n_bins,)."""
    counts, _ = np.histogram(p, n_bins, (0.0, 1.0), weights=weights)
    return np.asarray(counts / max(float(counts.sum()), np.finfo(float).tiny), np.float64)


@dataclass(frozen=True)
class Density:
    """A 2-d histogram: `counts` (n_x, n_y), the bin edges, and the number of rows outside."""

    counts: Values
    x_edges: Values
    y_edges: Values
    n_outside: int


def density(x: Values, y: Values, has_one_range: bool = False, weights: Values | None = None) -> Density:
    """A 2-d histogram over a range without outliers; with `has_one_range` both axes have the same range."""
    ends = [_inner(x), _inner(y)]
    if has_one_range:
        ends = [(min(ends[0][0], ends[1][0]), max(ends[0][1], ends[1][1]))] * 2
    counts, x_edges, y_edges = np.histogram2d(x, y, DENSITY_BINS, ends, weights=weights)
    is_inside = (x >= ends[0][0]) & (x <= ends[0][1]) & (y >= ends[1][0]) & (y <= ends[1][1])
    return Density(counts, x_edges, y_edges, int(np.count_nonzero(~is_inside)))


def _inner(values: Values) -> tuple[float, float]:
    """The range without outliers, of positive width; the full range if it is not much wider."""
    low, high = (float(end) for end in np.quantile(values, (OUTSIDE, 1 - OUTSIDE)))
    least, most = float(values.min()), float(values.max())
    if most - least <= 1.5 * (high - low):
        low, high = least, most
    if not high > low:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    return low, high


@dataclass(frozen=True)
class Band:
    """For groups of equal size by x: the mean of x, and quantiles of y (n_groups, n_quantiles)."""

    x: Values
    quantiles: Values
    low: Values
    high: Values
    n: NDArray[np.int64]


def quantile_band(x: Values, y: Values, quantiles: tuple[float, ...], n_groups: int = 10) -> Band:
    """At most `n_groups` groups of rows with neighbouring x; rows of equal x stay together."""
    edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, n_groups + 1)[1:-1]))
    codes = np.searchsorted(edges, x, side="left")
    rows = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    return Band(
        np.asarray([x[own].mean() for own in rows]),
        np.stack([np.quantile(y[own], quantiles) for own in rows]),
        np.asarray([x[own].min() for own in rows]),
        np.asarray([x[own].max() for own in rows]),
        np.asarray([len(own) for own in rows]),
    )


def fraction(part: Any, whole: Any) -> float:
    """A fraction; 0 if the denominator is 0."""
    return float(part) / float(whole) if whole else 0.0
