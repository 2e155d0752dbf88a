"""Reduce many rows to few numbers: curves, bins and quantiles, so that the size of a figure is bounded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]

MAX_CURVE_POINTS = 160
RELIABILITY_BINS = 10
HISTOGRAM_BINS = 40
DENSITY_BINS = (30, 22)  # along x and y
OUTSIDE = 0.002  # fraction of the rows that may lie beyond each end of a density


@dataclass(frozen=True)
class Ranking:
    """Recall, false positive rate and precision at each threshold, from the highest; (n_points,) each.

    `area` is the area under (false_rate, recall) by the trapezoidal rule, so ties count half; NaN without positive or
    without negative rows.
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
    sorted_p, sorted_positive = p[order], is_positive[order]
    counted = np.ones(len(p)) if weights is None else weights[order]
    is_last = np.append(sorted_p[1:] != sorted_p[:-1], True)  # of rows with equal p, which share a point
    true_positives = np.cumsum(np.where(sorted_positive, counted, 0.0))[is_last]
    retrieved = np.cumsum(counted)[is_last]
    n_positive, n_negative = true_positives[-1], retrieved[-1] - true_positives[-1]
    with np.errstate(all="ignore"):
        recall = np.concatenate([[0.0], true_positives / n_positive])
        false_rate = np.concatenate([[0.0], (retrieved - true_positives) / n_negative])
        precision = np.concatenate([[1.0], true_positives / retrieved])
    area = float(np.diff(false_rate) @ (recall[1:] + recall[:-1])) / 2
    average = float(np.diff(recall) @ precision[1:])
    # The threshold of a point is the p of its last row; that of the first point is above all.
    thresholds = np.concatenate([[np.inf], sorted_p[is_last]])
    return Ranking(recall, false_rate, precision, thresholds, area, average)


def thinned(x: Values, y: Values, max_points: int = MAX_CURVE_POINTS) -> tuple[Values, Values]:
    """About `max_points` points of a curve, evenly spaced along its length, with both ends."""
    if len(x) <= max_points:
        return x, y
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    indices = np.searchsorted(length, np.linspace(0.0, length[-1], max_points))
    indices = np.unique(np.concatenate([[0], np.minimum(indices, len(x) - 1), [len(x) - 1]]))
    return x[indices], y[indices]


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: mean probability, observed frequency and rows of bins of equal width (n_bins,)."""

    predicted: Values
    observed: Values
    n_rows: Values

    @property
    def calibration_error(self) -> float:
        """The expected calibration error over these bins."""
        return float((self.n_rows * np.abs(self.predicted - self.observed)).sum() / self.n_rows.sum())


def reliability(
    p: Values, is_true: Bools, weights: Values | None = None, n_bins: int = RELIABILITY_BINS
) -> Reliability:
    """The reliability diagram, without empty bins."""
    bins = np.minimum((p * n_bins).astype(np.int64), n_bins - 1)
    n = np.bincount(bins, weights, n_bins).astype(np.float64)
    counted = np.ones(len(p)) if weights is None else weights
    predicted = np.bincount(bins, p * counted, n_bins)
    observed = np.bincount(bins, is_true * counted, n_bins)
    is_filled = n > 0
    return Reliability(predicted[is_filled] / n[is_filled], observed[is_filled] / n[is_filled], n[is_filled])


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
    minimum, maximum = float(values.min()), float(values.max())
    if maximum - minimum <= 1.5 * (high - low):
        low, high = minimum, maximum
    if not high > low:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    return low, high


@dataclass(frozen=True)
class Band:
    """Groups of about equal size by x: mean, range and number `n` of x, and quantiles of y (n_groups, n_quantiles)."""

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
        np.asarray([x[group].mean() for group in rows]),
        np.stack([np.quantile(y[group], quantiles) for group in rows]),
        np.asarray([x[group].min() for group in rows]),
        np.asarray([x[group].max() for group in rows]),
        np.asarray([len(group) for group in rows]),
    )


def fraction(numerator: Any, denominator: Any) -> float:
    """A fraction; 0 if the denominator is 0."""
    return float(numerator) / float(denominator) if denominator else 0.0
