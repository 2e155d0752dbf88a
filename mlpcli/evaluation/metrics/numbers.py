"""The metrics of M numeric target columns: each function returns one value per output, (M,)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlpcli.evaluation.metrics.averages import (
    Floats,
    Predicted,
    SortedColumn,
    is_resampled,
    mean_of,
    row_blocks,
    safe_divide,
    weighted_mean,
    weighted_quantile,
)


@dataclass(frozen=True, eq=False)
class NumberRows:
    """True `y` and `predicted` values (n_rows, M), with derived values that are independent of weights."""

    y: Floats
    predicted: Predicted

    def blocks(self) -> Iterator[tuple[slice, "NumberRows"]]:
        """Slices of rows, each with an object for these rows alone."""
        for span in row_blocks(self.predicted.shape):
            yield span, NumberRows(self.y[span], self.predicted[span])

    @cached_property
    def absolute_error(self) -> Floats:
        """Absolute error of each row and output, (n_rows, M)."""
        distance = self.predicted[:] - self.y
        return np.abs(distance, out=distance)

    @cached_property
    def squared_error(self) -> Floats:
        """Squared error of each row and output (n_rows, M)."""
        return np.asarray(self.absolute_error**2)

    @cached_property
    def relative_error(self) -> Floats:
        """Relative absolute error (n_rows, M); a true value of 0 counts as the eps of float64."""
        return np.asarray(self.absolute_error / np.maximum(np.abs(self.y), np.finfo(np.float64).eps))

    @cached_property
    def centered(self) -> Floats:
        """The centered true values (n_rows, M), whose squares suffer less from cancellation."""
        return np.asarray(self.y - self.y.mean(axis=0))

    @cached_property
    def sorted_errors(self) -> list[SortedColumn]:
        """The absolute errors of each output in ascending order."""
        return [SortedColumn(column) for column in self.absolute_error.T]


@dataclass(frozen=True, eq=False)
class NumberInputs:
    """Rows and their weights."""

    rows: NumberRows
    weights: Floats | None


def rmse(inputs: NumberInputs) -> Floats:
    """Root of the mean squared error."""
    return np.sqrt(mean_of(inputs.rows, inputs.weights, lambda rows: rows.squared_error))


def mae(inputs: NumberInputs) -> Floats:
    """Mean absolute error."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.absolute_error)


def median_absolute_error(inputs: NumberInputs) -> Floats:
    """Median of the absolute errors."""
    rows, weights = inputs.rows, inputs.weights
    if not is_resampled(weights):
        distance = np.empty(rows.y.shape)
        for span, block in rows.blocks():
            distance[span] = block.absolute_error
        return weighted_quantile(distance, 0.5, weights)
    return np.stack([column.medians(weights) for column in rows.sorted_errors], axis=-1)


def r2(inputs: NumberInputs) -> Floats:
    """Fraction of the variance of the truth that is explained; NaN for one row, and where the truth is constant.

    A constant target has no variance to explain. scikit-learn returns 1 or 0, which a gate would accept as a score.
    """
    y, weights = inputs.rows.y, inputs.weights
    if len(y) < 2:
        return np.full(y.shape[1] if weights is None else (*weights.shape[:-1], y.shape[1]), np.nan)
    residual = mean_of(inputs.rows, weights, lambda rows: rows.squared_error)
    if not is_resampled(weights):
        mean = mean_of(inputs.rows, weights, lambda rows: rows.y)
        variance = mean_of(inputs.rows, weights, lambda rows: np.asarray((rows.y - mean) ** 2))
        counted = y if weights is None else y[weights > 0]
        is_constant = (counted.min(axis=0) == counted.max(axis=0)) | (variance == 0)
    else:
        mean_square = weighted_mean(inputs.rows.centered**2, weights)
        variance = mean_square - weighted_mean(inputs.rows.centered, weights) ** 2
        is_constant = variance <= 1e-12 * mean_square  # rounding error in a resample with a constant truth
    return np.where(is_constant, np.nan, 1 - residual / np.where(is_constant, 1.0, variance))


def losses_of_rmse(inputs: NumberInputs) -> Floats:
    """The contribution of each row to the mean RMSE of the outputs, up to a factor (n_rows,)."""
    return _in_units(inputs.rows.squared_error, rmse(inputs))


def losses_of_r2(inputs: NumberInputs) -> Floats:
    """Squared errors and squared deviations of the target, whose ratio determines R2 (n_rows, 2)."""
    rows, weights = inputs.rows, inputs.weights
    squares = np.asarray((rows.y - weighted_mean(rows.y, weights)) ** 2)
    return np.stack(
        [_in_units(values, weighted_mean(values, weights)) for values in (rows.squared_error, squares)], axis=1
    )


def _in_units(values: Floats, units: Floats) -> Floats:
    """The mean over outputs of values (n_rows, M) divided by units (M,)."""
    return np.asarray(safe_divide(values, np.broadcast_to(units, values.shape)).mean(axis=1))


def mape(inputs: NumberInputs) -> Floats:
    """Mean absolute error as a fraction of the truth (0.1 is 10%)."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.relative_error)


def max_error(inputs: NumberInputs) -> Floats:
    """Largest absolute error of any row, independent of weights."""
    return np.asarray(np.max([block.absolute_error.max(axis=0) for _, block in inputs.rows.blocks()], axis=0))
