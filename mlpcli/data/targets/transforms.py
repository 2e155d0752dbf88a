"""Transforms of numeric targets and their inverses, one column per target.

`scale` divides by the mean absolute value; every other transform except `none` ends in mean 0 and standard deviation 1
over the training rows. The state is `target_center` and `target_scale` (n_targets,); for `quantile` also
`target_quantiles` and `target_scores`, the concatenated knots of the targets, `n_quantiles[j]` of target j.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.scaling import Standardize, evenly_ranked, normal_scores
from mlpcli.data.features.weighted_statistics import sort_non_missing, total_weight, weighted_mean

TargetTransform = Literal["none", "standardize", "log", "quantile", "scale"]
Values = NDArray[np.float64]

MAX_QUANTILES = 1000

# The largest logarithm whose exponential is finite.
_LARGEST_LOG = float(np.log(np.finfo(np.float64).max))


def fit_transform(
    columns: Sequence[Values], transform: TargetTransform, weights: Values | None = None
) -> tuple[dict[str, Values], tuple[int, ...]]:
    """State and `n_quantiles` from the training values per target, NaN where missing, not constant.

    `log` needs non-negative values. `weights` (n_rows,) are row weights.
    """
    centers, scales = np.zeros(len(columns)), np.ones(len(columns))
    sorted_columns = [
        sort_non_missing(values.copy(), weights) for values in columns
    ]  # the order of the rows decides no last digit
    knots = [_fit_knots(*pair) for pair in sorted_columns] if transform == "quantile" else []
    for index, (values, sorted_weights) in enumerate(sorted_columns):
        if transform == "scale":
            scales[index] = weighted_mean(np.abs(values), sorted_weights)
        elif transform != "none":
            transformed = np.log1p(values) if transform == "log" else values
            transformed = np.interp(transformed / 2, knots[index][0] / 2, knots[index][1]) if knots else transformed
            centers[index], scales[index] = Standardize().fit(transformed, sorted_weights)
    state = {"target_center": centers, "target_scale": scales}
    if knots:
        state["target_quantiles"] = np.concatenate([quantiles for quantiles, _ in knots])
        state["target_scores"] = np.concatenate([scores for _, scores in knots])
    return state, tuple(len(quantiles) for quantiles, _ in knots)


def transform_targets(
    values: Values, transform: TargetTransform, n_quantiles: tuple[int, ...], state: dict[str, Values]
) -> Values:
    """Network targets for `values` (n_rows, n_targets); `quantile` is constant beyond its knots."""
    if transform == "log":
        values = np.log1p(values)
    if transform == "quantile":
        by_target = zip(values.T, _knots_by_target(n_quantiles, state), strict=True)
        values = np.column_stack([np.interp(column / 2, knots / 2, scores) for column, (knots, scores) in by_target])
    return (values - state["target_center"]) / state["target_scale"]


def inverse_transform(
    outputs: Values, transform: TargetTransform, n_quantiles: tuple[int, ...], state: dict[str, Values]
) -> Values:
    """Inverse of `transform_targets`: numbers in original units (n_rows, n_targets)."""
    numbers = outputs * state["target_scale"] + state["target_center"]
    if transform == "log":
        return np.asarray(np.expm1(np.minimum(numbers, _LARGEST_LOG)))
    if transform == "quantile":
        by_target = zip(numbers.T, _knots_by_target(n_quantiles, state), strict=True)
        return np.column_stack([np.interp(column, scores, knots / 2) * 2 for column, (knots, scores) in by_target])
    return numbers


def _knots_by_target(n_quantiles: tuple[int, ...], state: dict[str, Values]) -> Iterator[tuple[Values, Values]]:
    ends = np.cumsum(n_quantiles)[:-1]
    return zip(np.split(state["target_quantiles"], ends), np.split(state["target_scores"], ends), strict=True)


def _fit_knots(ordered: Values, weights: Values | None) -> tuple[Values, Values]:
    """Distinct values in ascending order, with their normal scores."""
    is_small = total_weight(ordered, weights) <= MAX_QUANTILES
    knots = np.unique(ordered if is_small else evenly_ranked(ordered, MAX_QUANTILES, weights))
    return knots, normal_scores(ordered, knots, weights)
