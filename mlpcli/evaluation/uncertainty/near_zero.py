"""Whether true values come so close to 0 that the mean relative error does not exist."""

import math

import numpy as np

from mlpcli.evaluation.metrics.averages import Floats
from mlpcli.evaluation.uncertainty.tails import INVERSES, LEAST_TAIL_INDEX, sure_index, tail_rows

# Of the factor by which errors of one size have larger shares among the smallest truths, in logarithms: with less the
# errors shrink with the truth, and with them their shares keep a mean.
AS_OF_ONE_SIZE = 0.75
# Further rows, of as many again, that lie beyond 0 where the truth runs on as its smallest values do.
MOST_BEYOND = 0.1
# By so much, in log likelihood, a truth that ends at 0 must be likelier than one that runs on.
CLEARLY = 1.0


def why_near_zero(y: Floats, shares: Floats) -> str:
    """Why shares of `y` (n_rows, M) have no mean: it is on both sides of 0, or comes too near to it; "" else.

    Errors that shrink with the truth leave their shares a mean, however near to 0 it comes.
    """
    if ((y == 0).any(axis=0) | ((y.min(axis=0) < 0) & (y.max(axis=0) > 0))).any():
        return "the true value is 0 or changes sign, and near 0 a relative error has no finite mean"
    for truth, share in zip(np.abs(y).T, shares.T, strict=True):
        k = tail_rows(len(truth))
        if k >= len(truth):
            continue
        smallest = np.argpartition(truth, k)[: k + 1]
        larger, of_one_size = (
            math.log(np.median(of[smallest[:k]]) / np.median(of)) if np.median(of) > 0 else 0.0
            for of in (np.maximum(share, np.finfo(float).tiny), 1.0 / truth)
        )
        if larger <= AS_OF_ONE_SIZE * of_one_size:
            continue
        index = sure_index(1.0 / truth, INVERSES)
        if index < LEAST_TAIL_INDEX:
            return (
                f"the true value comes near 0, where a relative error has no finite mean (tail index of 1 / truth "
                f"{index:.2f}, an interval needs {LEAST_TAIL_INDEX})"
            )
        if _may_pass_zero(truth[smallest]):
            return "the true value approaches 0, where a relative error has no finite mean"
    return ""


def _may_pass_zero(smallest: Floats) -> bool:
    """Whether a truth seems to go on beyond 0, by its smallest values (k + 1,), of which the last is the largest.

    Values that run on fall off exponentially below the last one; values that end at 0 go by a power of their size. Both
    have one parameter, so their likelihoods are compared as they are.
    """
    end, values = float(smallest[-1]), smallest[:-1]
    mean_distance, mean_log = float((end - values).mean()), float(np.log(end / values).mean())
    if not (mean_distance > 0 and mean_log > 0):
        return False
    beyond = len(values) * math.exp(-end / mean_distance)
    runs_on = -math.log(mean_distance) - 1.0
    ends_there = -math.log(mean_log * end) - (1.0 / mean_log - 1.0) * mean_log
    return beyond > MOST_BEYOND and len(values) * (ends_there - runs_on) < CLEARLY
