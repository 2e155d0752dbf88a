"""Whether the tail of losses allows an interval of their mean, and what rows that are not seen add to it.

A sample is judged by its own tail, and one whose tail is light by luck has too low a mean by the same luck: of errors
whose tail is near what an interval needs, those samples that get one are such. So near that bound the interval is wider
at the end where the losses are larger. The figures are by simulation, of errors of twenty distributions from uniform to
Student's t of 1.5 degrees (`python -m benchmarks coverage` has some of them).
"""

import math
from dataclasses import dataclass

import numpy as np

from mlpcli.evaluation.metrics.averages import Floats

# Below it rows do not tell the variance of a mean. Hill's index reads 1.7 of squares of exponential errors in 10,000
# rows, 1.4 of squares of Student's t of 3 degrees, 1.0 of squares of lognormal amounts.
LEAST_TAIL_INDEX = 1.45
ENOUGH_FOR_A_TAIL = 300  # rows
WIDENED_FOR = 2.25  # standard errors of the index above the bound


@dataclass(frozen=True)
class TailRule:
    """How much the index must be above LEAST_TAIL_INDEX, and by how much intervals are wider at the bound.

    `off` counts standard errors of the index, `widening` those of the mean.
    """

    off: float
    widening: float


# Squares and shares have a heavy tail more often than not; amounts seldom have, but miss by more where they have.
SQUARES, AMOUNTS = TailRule(1.8, 1.8), TailRule(0.3, 4.5)
# Of a truth about 3 deviations from 0 rows seldom tell that it passes it.
INVERSES = TailRule(3.0, 0.0)


def tail_rows(n_rows: int) -> int:
    """The number of order statistics for the tail index, a decreasing fraction of the rows."""
    return max(round(math.sqrt(3 * n_rows)), 2)


def tail_index(losses: Floats) -> float:
    """Hill's index of the largest `losses` (n_rows,), not negative (Hill 1975); its standard error is 1 / sqrt(k).

    0 where they are all that is not 0, infinite where they are equal.
    """
    k = tail_rows(len(losses))
    largest = np.sort(np.partition(losses, len(losses) - k - 1)[len(losses) - k - 1 :])
    if not largest[0] > 0:
        return 0.0
    slope = float(np.log(largest[1:] / largest[0]).mean())
    return 1 / slope if slope > 0 else math.inf


def why_heavy(losses: Floats, rule: TailRule) -> str:
    """Why the tail of `losses` (n_rows,), not negative, allows no interval of their mean; "" where it does.

    Fewer than ENOUGH_FOR_A_TAIL rows do not tell.
    """
    index = sure_index(losses, rule)
    if index >= LEAST_TAIL_INDEX:
        return ""
    return (
        f"a few rows dominate it (tail index {index:.2f}, an interval needs {LEAST_TAIL_INDEX}); "
        "median_absolute_error is robust to them"
    )


def widening(losses: Floats, rule: TailRule) -> float:
    """The widening of the interval at the end of larger `losses` (n_rows,), in standard errors of the mean."""
    index = sure_index(losses, rule)
    if math.isinf(index):
        return 0.0
    k = tail_rows(len(losses))
    above = (index - LEAST_TAIL_INDEX) / (tail_index(losses) / math.sqrt(k))
    return rule.widening * min(max(1.0 - above / WIDENED_FOR, 0.0), 1.0)


def sure_index(losses: Floats, rule: TailRule) -> float:
    """The index, less what the rule takes off; infinite where there are too few rows to tell."""
    if len(losses) < ENOUGH_FOR_A_TAIL:
        return math.inf
    return tail_index(losses) * (1 - rule.off / math.sqrt(tail_rows(len(losses))))
