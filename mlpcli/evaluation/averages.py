"""Mean, median and quotient as every metric takes them: weighted, along the rows, without a warning."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]


def weighted_mean(values: Floats | Bools, weights: Floats | None) -> Floats:
    """Mean along the rows: (n_rows,) gives a 0-d result, (n_rows, M) gives (M,)."""
    if weights is None:
        return np.asarray(values.mean(axis=0), dtype=np.float64)
    return np.asarray(weights @ values / weights.sum(), dtype=np.float64)


def weighted_median(values: Floats, weights: Floats | None) -> Floats:
    """Median of each column of `values` (n_rows, M), as (M,)."""
    return weighted_quantile(values, 0.5, weights)


def weighted_quantile(values: Floats, quantile: float, weights: Floats | None) -> Floats:
    """A quantile, in (0, 1), of each column of `values` (n_rows, M), as (M,).

    With weights it is the value at which that share of the weight is reached, or the mean of two neighbours where it is
    reached exactly between them (Hyndman & Fan 1996, definition 2; scikit-learn's median since 1.7).
    """
    if weights is None:
        return np.asarray(np.quantile(values, quantile, axis=0), dtype=np.float64)
    counted = weights > 0
    return np.array([_quantile_of_column(column, quantile, weights[counted]) for column in values[counted].T])


def _quantile_of_column(column: Floats, quantile: float, weights: Floats) -> float:
    order = np.argsort(column)
    reached = np.cumsum(weights[order])
    share = reached[-1] * quantile
    position = int(np.searchsorted(reached, share))
    if reached[position] - share > np.finfo(np.float64).eps:
        return float(column[order[position]])
    following = min(position + 1, len(order) - 1)
    return float(column[order[position]] + column[order[following]]) / 2


def quotient(part: Floats, whole: Floats) -> Floats:
    """`part / whole`, and 0 where `whole` is 0: what precision, recall and F1 are when nothing was there to find."""
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole != 0)
