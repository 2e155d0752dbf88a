"""The metrics of M target columns that are numbers: each function gives one value per output, (M,)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlpcli.evaluation.averages import Floats, weighted_mean, weighted_median


@dataclass(frozen=True, eq=False)
class NumberEvidence:
    """Truth `y` and `predicted`, both (n_rows, M)."""

    y: Floats
    predicted: Floats
    weights: Floats | None

    @cached_property
    def distance(self) -> Floats:
        """Absolute error of each row and output, (n_rows, M)."""
        return np.abs(self.predicted - self.y)


def rmse(evidence: NumberEvidence) -> Floats:
    """Root of the mean squared error."""
    return np.sqrt(weighted_mean(evidence.distance**2, evidence.weights))


def mae(evidence: NumberEvidence) -> Floats:
    """Mean absolute error."""
    return weighted_mean(evidence.distance, evidence.weights)


def median_absolute_error(evidence: NumberEvidence) -> Floats:
    """Median of the absolute errors."""
    return weighted_median(evidence.distance, evidence.weights)


def r2(evidence: NumberEvidence) -> Floats:
    """Share of the variance of the truth that is explained; NaN for one row.

    Where the truth is constant: 1 if it is predicted exactly, else 0 (scikit-learn's rule, kept also where a rounded
    mean would hide that the truth is constant).
    """
    y, weights = evidence.y, evidence.weights
    if len(y) < 2:
        return np.full(y.shape[1], np.nan)
    residual = weighted_mean(evidence.distance**2, weights)
    variance = weighted_mean((y - weighted_mean(y, weights)) ** 2, weights)
    counted = y if weights is None else y[weights > 0]
    is_constant = (counted.min(axis=0) == counted.max(axis=0)) | (variance == 0)
    explained = 1 - residual / np.where(is_constant, 1.0, variance)
    return np.where(residual == 0, 1.0, np.where(is_constant, 0.0, explained))


def mape(evidence: NumberEvidence) -> Floats:
    """Mean absolute error as a share of the truth (0.1 is 10 %); a truth of 0 counts as the eps of float64."""
    size = np.maximum(np.abs(evidence.y), np.finfo(np.float64).eps)
    return weighted_mean(evidence.distance / size, evidence.weights)


def max_error(evidence: NumberEvidence) -> Floats:
    """Largest absolute error of any row, whatever its weight."""
    return np.asarray(evidence.distance.max(axis=0))
