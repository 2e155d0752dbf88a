"""Weighted means, ranks and quantiles: a row of weight k counts as k copies.

Ranks are 0-based indices among these copies. `weights` is aligned with the values; None is a weight of 1 each.
"""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# Sums of non-integer weights are rounded to so many decimals, as rounding errors could shift a rank.
DIGITS = 9
# float64 represents ranks up to this exactly.
MAX_EXACT_RANK = 2.0**53


def normalize_weights(weights: Values) -> Values | None:
    """Row weights from positive weights (n_rows,); None if all are 1.

    Integers are numbers of copies, unless too many to count. Others are relative and scaled to mean 1.
    """
    are_copies = _are_integers(weights) and float(np.sum(weights / MAX_EXACT_RANK)) <= 1.0
    fractions = weights / weights.max()  # their sum is finite
    counts = weights if are_copies else fractions / fractions.mean()
    return None if np.allclose(counts, 1.0, rtol=1e-12, atol=0.0) else counts


def total_weight(values: Values, weights: Values | None) -> float:
    """Number of rows, copies included."""
    return len(values) if weights is None else round(float(weights.sum()), DIGITS)


def weighted_mean(values: Values, weights: Values | None) -> float:
    """Mean over all copies."""
    return float(np.mean(values)) if weights is None else float(np.sum(values * weights) / weights.sum())


def values_at_ranks(ordered: Values, ranks: NDArray[np.generic], weights: Values | None) -> Values:
    """Values of `ordered` at ranks among the copies."""
    indices = np.asarray(ranks, np.int64)
    if weights is not None:
        indices = np.searchsorted(_cumulative(weights), indices, side="right")
    return np.asarray(ordered[np.minimum(indices, len(ordered) - 1)])


def weights_below(ordered: Values, values: Values, weights: Values | None) -> tuple[Values, Values]:
    """Copies below, and copies below or equal to, each of `values`."""
    indices = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    if weights is None:
        return indices[0].astype(np.float64), indices[1].astype(np.float64)
    cumulative = np.append(0.0, _cumulative(weights))
    return cumulative[indices[0]], cumulative[indices[1]]


def sort_non_missing(values: Values, weights: Values | None = None) -> tuple[Values, Values | None]:
    """Sort `values` in place; returns a view of the non-missing ones in ascending order, and their weights."""
    if weights is not None:
        order = np.lexsort((weights, values))  # ties by weight, so that sums do not depend on row order
        values[:] = values[order]
        n_present = int(np.searchsorted(values, np.nan))
        return values[:n_present], weights[order[:n_present]]
    if not (values[1:] >= values[:-1]).all():
        values.sort()
    return values[: np.searchsorted(values, np.nan)], None


def _cumulative(weights: Values) -> Values:
    cumulative = np.cumsum(weights)
    return np.asarray(cumulative if _are_integers(weights) else np.round(cumulative, DIGITS))


def _are_integers(weights: Values) -> bool:
    return bool((weights == np.rint(weights)).all())
