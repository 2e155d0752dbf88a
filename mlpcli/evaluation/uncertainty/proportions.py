"""Confidence intervals of proportions, and of other means of values in [0, 1]."""

import math
from dataclasses import dataclass

import numpy as np

from mlpcli.evaluation.metrics.averages import Bools, Floats, safe_divide


@dataclass(frozen=True)
class Interval:
    """Confidence interval of a score; if there is none, both ends are NaN and `reason` says why."""

    low: float
    high: float
    reason: str = ""


def no_interval(reason: str) -> Interval:
    """A missing interval with its reason, a clause without a full stop."""
    return Interval(math.nan, math.nan, reason)


def wilson(proportion: float, n_rows: float, z: float) -> Interval:
    """Wilson's score interval (1927) of a proportion of `n_rows` rows; [0, 1] for 0 rows.

    It is conservative for other means of values in [0, 1], whose variance is at most that of a proportion.
    """
    center = proportion * n_rows + z**2 / 2
    radius = z * math.sqrt(n_rows * proportion * (1 - proportion) + z**2 / 4)
    low, high = ((center + side) / (n_rows + z**2) for side in (-radius, radius))
    return Interval(max(0.0, min(low, proportion)), min(1.0, max(high, proportion)))


def wilson_of_f1(score: float, n_rows: float, z: float) -> Interval:
    """The interval of F1 from that of the proportion F1 / (2 - F1), the Jaccard index (Lam, Gopal & Qian 2023)."""
    ends = wilson(score / (2 - score), n_rows, z)
    return Interval(2 * ends.low / (1 + ends.low), 2 * ends.high / (1 + ends.high))


def logit_interval(proportion: float, error: float, z: float) -> Interval:
    """The interval, on the logit scale, of a proportion in (0, 1) with standard error `error`."""
    center = math.log(proportion / (1 - proportion))
    radius = z * error / (proportion * (1 - proportion))
    low, high = (0.5 + 0.5 * math.tanh((center + side) / 2) for side in (-radius, radius))
    return Interval(low, high)


def effective_rows(weights: Floats | None, counted: Bools) -> Floats:
    """Effective sample size (K,) of the `counted` rows (n_rows, K) of each column: (sum w)^2 / sum w^2 (Kish 1965)."""
    if weights is None:
        return np.asarray(counted.sum(axis=0), dtype=np.float64)
    return safe_divide((weights @ counted) ** 2, weights**2 @ counted)
