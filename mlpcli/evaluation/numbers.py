"""The metrics of M target columns that are numbers: each function gives one value per output, (M,)."""

from functools import cached_property

import numpy as np

from mlpcli.dataclass import dataclass
from mlpcli.evaluation.averages import Floats, SortedColumn, weighted_mean, weighted_quantile


@dataclass(frozen=True, eq=False)
class NumberRows:
    """Truth `y` and `predicted`, both (n_rows, M), and what follows from them whatever the weights."""

    y: Floats
    predicted: Floats

    @cached_property
    def distance(self) -> Floats:
        """Absolute error of each row and output, (n_rows, M)."""
        return np.abs(self.predicted - self.y)

    @cached_property
    def squared_error(self) -> Floats:
        """The square of it, (n_rows, M)."""
        return np.asarray(self.distance**2)

    @cached_property
    def share(self) -> Floats:
        """Absolute error as a share of the truth, (n_rows, M); a truth of 0 counts as the eps of float64."""
        return np.asarray(self.distance / np.maximum(np.abs(self.y), np.finfo(np.float64).eps))

    @cached_property
    def centered(self) -> Floats:
        """The truth less its mean, (n_rows, M): squares of it keep their digits when sums of them are subtracted."""
        return np.asarray(self.y - self.y.mean(axis=0))

    @cached_property
    def sorted_distances(self) -> list[SortedColumn]:
        """The absolute errors of each output in ascending order."""
        return [SortedColumn(column) for column in self.distance.T]


@dataclass(frozen=True, eq=False)
class NumberEvidence:
    """Rows and their weights."""

    rows: NumberRows
    weights: Floats | None


def rmse(evidence: NumberEvidence) -> Floats:
    """Root of the mean squared error."""
    return np.sqrt(weighted_mean(evidence.rows.squared_error, evidence.weights))


def mae(evidence: NumberEvidence) -> Floats:
    """Mean absolute error."""
    return weighted_mean(evidence.rows.distance, evidence.weights)


def median_absolute_error(evidence: NumberEvidence) -> Floats:
    """Median of the absolute errors."""
    weights = evidence.weights
    if weights is None or weights.ndim == 1:
        return weighted_quantile(evidence.rows.distance, 0.5, weights)
    return np.stack([column.medians(weights) for column in evidence.rows.sorted_distances], axis=-1)


def r2(evidence: NumberEvidence) -> Floats:
    """Share of the variance of the truth that is explained; NaN for one row.

    Where the truth is constant: 1 if it is predicted exactly, else 0 (scikit-learn's rule, kept also where a rounded
    mean would hide that the truth is constant).
    """
    y, weights = evidence.rows.y, evidence.weights
    if len(y) < 2:
        return np.full(y.shape[1] if weights is None else (*weights.shape[:-1], y.shape[1]), np.nan)
    residual = weighted_mean(evidence.rows.squared_error, weights)
    if weights is None or weights.ndim == 1:
        variance = weighted_mean((y - weighted_mean(y, weights)) ** 2, weights)
        counted = y if weights is None else y[weights > 0]
        is_constant = (counted.min(axis=0) == counted.max(axis=0)) | (variance == 0)
    else:
        mean_square = weighted_mean(evidence.rows.centered**2, weights)
        variance = mean_square - weighted_mean(evidence.rows.centered, weights) ** 2
        is_constant = variance <= 1e-12 * mean_square  # what rounding leaves of a resample of equal truths
    explained = 1 - residual / np.where(is_constant, 1.0, variance)
    return np.where(residual == 0, 1.0, np.where(is_constant, 0.0, explained))


def mape(evidence: NumberEvidence) -> Floats:
    """Mean absolute error as a share of the truth (0.1 is 10 %)."""
    return weighted_mean(evidence.rows.share, evidence.weights)


def max_error(evidence: NumberEvidence) -> Floats:
    """Largest absolute error of any row, whatever its weight."""
    return np.asarray(evidence.rows.distance.max(axis=0))
