"""Intervals of proportions, and of scores with no larger variance."""

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


def wilson(share: float, n_rows: float, z: float) -> Interval:
    """Wilson's score interval (1927) of a share of `n_rows`; of no rows all of [0, 1].

    It holds any mean of values in [0, 1] at least as surely: none has a larger variance than the share.
    """
    center, radius = share * n_rows + z**2 / 2, z * math.sqrt(n_rows * share * (1 - share) + z**2 / 4)
    low, high = ((center + side) / (n_rows + z**2) for side in (-radius, radius))
    return Interval(max(0.0, min(low, share)), min(1.0, max(high, share)))


def wilson_of_f1(score: float, n_rows: float, z: float) -> Interval:
    """The interval of F1 from that of the proportion F1 / (2 - F1), the Jaccard index (Lam, Gopal & Qian 2023)."""
    ends = wilson(score / (2 - score), n_rows, z)
    return Interval(2 * ends.low / (1 + ends.low), 2 * ends.high / (1 + ends.high))


def logit_interval(share: float, error: float, z: float) -> Interval:
    """The interval of a proportion in (0, 1) with this standard error, on the logit scale."""
    center, radius = math.log(share / (1 - share)), z * error / (share * (1 - share))
    low, high = (0.5 + 0.5 * math.tanh((center + side) / 2) for side in (-radius, radius))
    return Interval(low, high)


def effective_rows(weights: Floats | None, counted: Bools) -> Floats:
    """The effective sample size of the counted rows of each column (n_rows, K), as (K,).

    (sum w)^2 / sum w^2 (Kish 1965).
    """
    if weights is None:
        return np.asarray(counted.sum(axis=0), dtype=np.float64)
    return safe_divide((weights @ counted) ** 2, weights**2 @ counted)
