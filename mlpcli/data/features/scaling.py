"""Scaling and imputation of numeric columns.

The `fit` of a scaler takes the non-missing training values of a column in ascending order (`Standardize` accepts any
order) and their row weights, and returns `(center, scale)`; an input is `(x - center) / scale`, computed in float64. A
constant column has scale 1. `Quantile` interpolates between knots instead: values of the column and their scores.
"""

import math
from statistics import NormalDist
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.weighted_statistics import (
    sort_non_missing,
    total_weight,
    values_at_ranks,
    weighted_mean,
    weights_below,
)
from mlpcli.options import Setting, options

Values = NDArray[np.float64]

# Sums of squares of larger values may overflow, so such a column is divided by its largest absolute value.
_LARGE = 1e100

# Values that differ by less are one knot: the slope between them would overflow.
_MIN_DISTANCE = 1e-300

# Values per chunk of a sum of squares, which avoids a temporary array of the column's length.
_VALUES_PER_CHUNK = 1 << 17

# Maximum count of distinct values.
MAX_DISTINCT = 1000


@options
class Standardize:
    """Mean 0 and standard deviation 1 over the training rows."""

    name: Literal["standardize"] = "standardize"

    def fit(self, values: Values, weights: Values | None = None) -> tuple[float, float]:
        """Mean and population standard deviation of `values` (n_known,)."""
        center, deviation = moments(values, weights)
        return center, handle_zero_scale(deviation, values)


@options
class Robust:
    """Median 0 and interquartile range 1: outliers do not affect the scale."""

    name: Literal["robust"] = "robust"
    clip: Annotated[
        float | None,
        Setting("Smooth clipping of inputs z to (-clip, clip): z / sqrt(1 + (z / clip)^2); null: no clipping.", gt=0),
    ] = None

    def fit(self, ordered: Values, weights: Values | None = None) -> tuple[float, float]:
        """Median and interquartile range of sorted values.

        If the quartiles are equal, the scale is half the median distance of the other values from the median: the range
        would depend on the most distant value.
        """
        unit = _unit(ordered)
        scaled_values = _divide_by_unit(ordered, unit)
        low, median, high = (_quantile(scaled_values, fraction, weights) for fraction in (0.25, 0.5, 0.75))
        scale = high - low if high != low else _half_median_distance(scaled_values, median, weights)
        return median * unit, handle_zero_scale(scale * unit, ordered)


@options
class MinMax:
    """Training minimum 0, training maximum 1."""

    name: Literal["minmax"] = "minmax"

    def fit(self, values: Values, weights: Values | None = None) -> tuple[float, float]:
        """Minimum and range of `values`."""
        low, high = float(values.min()), float(values.max())
        return low, handle_zero_scale(high - low, values)


@options
class Divide:
    """Every number divided by the same constant, in every column: pixels by 255."""

    name: Literal["divide"] = "divide"
    by: Annotated[float, Setting("The divisor.", gt=0)] = 255.0

    def fit(self, values: Values, weights: Values | None = None) -> tuple[float, float]:
        """Returns center 0 and the divisor."""
        return 0.0, float(self.by)


@options
class Quantile:
    """Normal scores: the rank of a value among the training values, mapped to a quantile of the normal distribution."""

    name: Literal["quantile"] = "quantile"
    points: Annotated[
        int,
        Setting(
            "Largest number of quantiles stored for a column; values between two of them are interpolated linearly.",
            ge=2,
            le=100_000,
        ),
    ] = 1000

    def fit(self, values: Values, weights: Values | None = None) -> tuple[float, float]:
        """Returns center 0 and scale 1, as scores are standardized already."""
        return 0.0, 1.0

    def knots(self, ordered: Values, weights: Values | None = None) -> tuple[Values, Values]:
        """At most `points` of the sorted values, and the normal score of each, both in ascending order.

        Scores are constant beyond the first and the last knot.
        """
        knots = ordered[is_distinct(ordered)]
        if len(knots) > self.points:
            knots = evenly_ranked(ordered, self.points, weights)
            knots = knots[is_distinct(knots)]
        return knots, normal_scores(ordered, knots, weights)


@options
class NoScaling:
    """No scaling."""

    name: Literal["none"] = "none"

    def fit(self, values: Values, weights: Values | None = None) -> tuple[float, float]:
        """Returns center 0 and scale 1."""
        return 0.0, 1.0


Scaler = Standardize | Robust | MinMax | Quantile | Divide | NoScaling

IndicatorOption = Annotated[
    bool,
    Setting(
        "Missing indicator: each column with missing training cells gets an input that is 1 where the cell is "
        "missing; in a categorical column missing is a level of its own."
    ),
]


@options
class MedianFill:
    """A missing number is imputed with the median of the training rows."""

    name: Literal["median"] = "median"
    flag: IndicatorOption = True


@options
class MeanFill:
    """A missing number is imputed with the mean of the training rows."""

    name: Literal["mean"] = "mean"
    flag: IndicatorOption = True


@options
class RefuseMissing:
    """A missing cell in any input column is an error, in training and in prediction."""

    name: Literal["error"] = "error"


MissingPolicy = MedianFill | MeanFill | RefuseMissing


def fit_imputed_value(missing: MissingPolicy, ordered: Values, weights: Values | None = None) -> float:
    """The imputed value of a column with sorted non-missing values (n_known,); 0 if there are none."""
    if not len(ordered):
        return 0.0
    unit = _unit(ordered)
    if isinstance(missing, MeanFill):
        return weighted_mean(_divide_by_unit(ordered, unit), weights) * unit
    n_rows = total_weight(ordered, weights)
    middle_values = values_at_ranks(ordered, np.asarray([(n_rows - 1) // 2, n_rows // 2]), weights)
    return float(np.mean(_divide_by_unit(middle_values, unit))) * unit


def moments(values: Values, weights: Values | None = None) -> tuple[float, float]:
    """Mean and population standard deviation of `values` (n_known,), at least one."""
    unit = _unit(values)
    scaled_values = _divide_by_unit(values, unit)
    # Rounding must not move the mean out of the range, so that equal values are scaled to exactly 0.
    center = float(np.clip(weighted_mean(scaled_values, weights) * unit, values.min(), values.max()))
    return center, _deviation(scaled_values, weights) * unit


def _deviation(values: Values, weights: Values | None) -> float:
    """Standard deviation of the population."""
    center, squares = weighted_mean(values, weights), 0.0
    for start in range(0, len(values), _VALUES_PER_CHUNK):
        chunk = slice(start, start + _VALUES_PER_CHUNK)
        distances = values[chunk] - center
        np.multiply(distances, distances, out=distances)
        if weights is not None:
            distances *= weights[chunk]
        squares += float(distances.sum())
    return math.sqrt(squares / total_weight(values, weights))


def _quantile(ordered: Values, fraction: float, weights: Values | None = None) -> float:
    """`np.quantile` of sorted values, without a copy."""
    rank = (total_weight(ordered, weights) - 1) * fraction
    first = int(rank)
    return float(np.quantile(values_at_ranks(ordered, np.asarray([first, first + 1]), weights), rank - first))


def _divide_by_unit(values: Values, unit: float) -> Values:
    return values if unit == 1.0 else values / unit


def normal_scores(values: Values, knots: Values, weights: Values | None = None) -> Values:
    """Normal scores of `knots`: standard normal quantiles of their ranks among the sorted `values`.

    Rank r of n, from 0, is the fraction (r + 1/2) / n; equal values have the mean of their ranks.
    """
    below, up_to = weights_below(values, knots, weights)
    fractions = (below + up_to) / (2 * total_weight(values, weights))
    return np.asarray([NormalDist().inv_cdf(fraction) for fraction in fractions.tolist()], np.float64)


def evenly_ranked(values: Values, n_values: int, weights: Values | None = None) -> Values:
    """Select `n_values` of the sorted `values` at equal steps of rank, including both ends."""
    return values_at_ranks(values, np.round(np.linspace(0, total_weight(values, weights) - 1, n_values)), weights)


def is_distinct(values: Values) -> NDArray[np.bool_]:
    """Mask of sorted `values` (n_values,) that differ from their predecessor by enough for a finite slope."""
    halves = values / 2  # differences of halves are finite
    return np.concatenate([np.ones(len(values[:1]), np.bool_), np.diff(halves) > _MIN_DISTANCE])


def count_distinct(ordered: Values) -> int:
    """Number of distinct values of a non-empty sorted column (n_known,), at most MAX_DISTINCT."""
    return min(1 + int(np.count_nonzero(ordered[1:] > ordered[:-1])), MAX_DISTINCT)


def _unit(values: Values) -> float:
    largest = max(float(values.max()), -float(values.min()))
    return largest if largest > _LARGE else 1.0


def _half_median_distance(values: Values, center: float, weights: Values | None) -> float:
    """Half the median distance from `center` of the values unequal to it; 0 if all are equal."""
    differs = values != center
    if not differs.any():
        return 0.0
    distances = np.abs(values[differs] / 2 - center / 2)
    ordered, sorted_weights = sort_non_missing(distances, None if weights is None else weights[differs])
    return _quantile(ordered, 0.5, sorted_weights)


def handle_zero_scale(scale: float, values: Values) -> float:
    """Replace a scale that is rounding error or not finite by 1; `values` may be only the minimum and maximum."""
    rounding = 1000 * np.finfo(np.float64).eps * max(float(values.max()), -float(values.min()))
    return scale if scale > rounding and np.isfinite(scale) and np.isfinite(1.0 / scale) else 1.0
