"""Tail index of losses: whether their mean has a confidence interval, and by how much to widen it.

The variance of a mean cannot be estimated from a sample if the distribution has a heavy tail. A sample whose tail is
light by chance underestimates both the tail and the mean, so intervals near the bound are widened towards larger
losses. The constants are from simulations of twenty error distributions, from uniform to Student's t with 1.5 degrees
of freedom (`python -m benchmarks coverage` runs some of them).
"""

import math
from dataclasses import dataclass

import numpy as np

from mlpcli.evaluation.metrics.averages import Floats

# Below this index a sample does not determine the variance of its mean. Hill's estimator on 10,000 rows gives 1.7 for
# squared exponential errors, 1.4 for squared errors of Student's t with 3 degrees of freedom, and 1.0 for squared
# lognormal errors.
MIN_TAIL_INDEX = 1.45
MIN_TAIL_ROWS = 300  # for an estimate of the index
WIDENING_RANGE = 2.25  # above MIN_TAIL_INDEX, in standard errors of the index


@dataclass(frozen=True)
class TailRule:
    """Safety margin of the index, in its standard errors; widening at MIN_TAIL_INDEX, in those of the mean."""

    margin: float
    widening: float


# Squared and relative errors often have a heavy tail; absolute errors rarely, but then intervals miss by more.
SQUARED_ERRORS, ABSOLUTE_ERRORS = TailRule(1.8, 1.8), TailRule(0.3, 4.5)
# For 1 / truth: a sample of a truth whose mean is 3 standard deviations from 0 rarely contains values beyond 0.
RECIPROCALS = TailRule(3.0, 0.0)


def tail_rows(n_rows: int) -> int:
    """The number of order statistics for the tail index, a decreasing fraction of the rows."""
    return max(round(math.sqrt(3 * n_rows)), 2)


def tail_index(losses: Floats) -> float:
    """Hill's estimator (1975) of the tail index, from the largest k non-negative `losses` (n_rows,).

    Its relative standard error is 1 / sqrt(k). 0 if at most k losses are positive, infinity if the largest are equal.
    """
    k = tail_rows(len(losses))
    largest = np.sort(np.partition(losses, len(losses) - k - 1)[len(losses) - k - 1 :])
    if not largest[0] > 0:
        return 0.0
    slope = float(np.log(largest[1:] / largest[0]).mean())
    return 1 / slope if slope > 0 else math.inf


def heavy_tail_reason(losses: Floats, rule: TailRule) -> str:
    """Why non-negative `losses` (n_rows,) are too heavy-tailed for an interval of their mean; "" if they are not.

    Fewer than MIN_TAIL_ROWS rows are not tested.
    """
    index = tail_index_bound(losses, rule)
    if index >= MIN_TAIL_INDEX:
        return ""
    return (
        f"a few rows dominate it (tail index {index:.2f}, an interval needs {MIN_TAIL_INDEX}); "
        "median_absolute_error is robust to them"
    )


def widening(losses: Floats, rule: TailRule) -> float:
    """By how many standard errors of the mean to widen the interval of `losses` (n_rows,) towards larger ones."""
    index = tail_index_bound(losses, rule)
    if math.isinf(index):
        return 0.0
    k = tail_rows(len(losses))
    above = (index - MIN_TAIL_INDEX) / (tail_index(losses) / math.sqrt(k))
    return rule.widening * min(max(1.0 - above / WIDENING_RANGE, 0.0), 1.0)


def tail_index_bound(losses: Floats, rule: TailRule) -> float:
    """A lower confidence bound of the tail index of `losses` (n_rows,); infinity with fewer than MIN_TAIL_ROWS rows."""
    if len(losses) < MIN_TAIL_ROWS:
        return math.inf
    return tail_index(losses) * (1 - rule.margin / math.sqrt(tail_rows(len(losses))))
