"""Whether true values are so close to 0 that the mean relative error does not exist."""

import math

import numpy as np

from mlpcli.evaluation.metrics.averages import Floats
from mlpcli.evaluation.uncertainty.tails import MIN_TAIL_INDEX, RECIPROCALS, tail_index_bound, tail_rows

# How much the relative error grows towards small truths, in logarithms, as a fraction of the growth for errors of
# constant size. Below it errors shrink with the truth, and the mean relative error exists.
MAX_GROWTH = 0.75
# Values expected beyond 0 if the density continues there, from which the truth may change sign.
MAX_ROWS_BEYOND = 0.1
# Advantage in log-likelihood by which a density that ends at 0 must beat one that continues.
MIN_LOG_LIKELIHOOD_GAIN = 1.0


def near_zero_reason(y: Floats, relative_errors: Floats) -> str:
    """Why the mean of `relative_errors` of `y` (n_rows, M) does not exist; "" if it does.

    It does not if the truth is 0, changes sign or comes close to 0, unless errors shrink with the truth.
    """
    if ((y == 0).any(axis=0) | ((y.min(axis=0) < 0) & (y.max(axis=0) > 0))).any():
        return "the true value is 0 or changes sign, and near 0 a relative error has no finite mean"
    for truth, errors in zip(np.abs(y).T, relative_errors.T, strict=True):
        k = tail_rows(len(truth))
        if k >= len(truth):
            continue
        smallest = np.argpartition(truth, k)[: k + 1]
        growth, growth_of_constant_errors = (
            math.log(np.median(values[smallest[:k]]) / np.median(values)) if np.median(values) > 0 else 0.0
            for values in (np.maximum(errors, np.finfo(float).tiny), 1.0 / truth)
        )
        if growth <= MAX_GROWTH * growth_of_constant_errors:
            continue
        index = tail_index_bound(1.0 / truth, RECIPROCALS)
        if index < MIN_TAIL_INDEX:
            return (
                f"the true value comes near 0, where a relative error has no finite mean (tail index of 1 / truth "
                f"{index:.2f}, an interval needs {MIN_TAIL_INDEX})"
            )
        if _may_change_sign(truth[smallest]):
            return "the true value approaches 0, where a relative error has no finite mean"
    return ""


def _may_change_sign(smallest: Floats) -> bool:
    """Whether the density of the truth seems to continue beyond 0, from its smallest values (k + 1,), the largest last.

    Compares the likelihoods of two one-parameter models: an exponential decay below the last value, which continues
    beyond 0, and a power of the value, which ends at 0.
    """
    end, values = float(smallest[-1]), smallest[:-1]
    mean_distance, mean_log = float((end - values).mean()), float(np.log(end / values).mean())
    if not (mean_distance > 0 and mean_log > 0):
        return False
    rows_beyond = len(values) * math.exp(-end / mean_distance)
    exponential = -math.log(mean_distance) - 1.0
    power = -math.log(mean_log * end) - (1.0 / mean_log - 1.0) * mean_log
    return rows_beyond > MAX_ROWS_BEYOND and len(values) * (power - exponential) < MIN_LOG_LIKELIHOOD_GAIN
