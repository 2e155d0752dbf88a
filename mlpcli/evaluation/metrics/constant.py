"""The constant baseline: one prediction for all rows, from the training targets alone.

A useful model beats it. Broadcast the result to the rows of a table and score it as a prediction.
"""

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics.averages import Floats, row_blocks, weighted_mean, weighted_quantile


def constant_classes(y: NDArray[np.integer], n_classes: int, weights: Floats | None = None) -> Floats:
    """The fraction of each class in the codes `y` (n_rows,), as (K,), which minimizes the log loss."""
    counts = np.zeros(n_classes)
    for span in row_blocks((len(y), 1)):
        counts += np.bincount(y[span], weights=None if weights is None else weights[span], minlength=n_classes)
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def constant_numbers(y: Floats, weights: Floats | None = None, quantile: float | None = None) -> Floats:
    """The mean of each column of `y` (n_rows, M), as (M,), which minimizes the squared error; or its `quantile`."""
    return weighted_mean(y, weights) if quantile is None else weighted_quantile(y, quantile, weights)


def constant_yes_no(y: Floats, weights: Floats | None = None) -> Floats:
    """The fraction of true in each column of `y` (n_rows, M) of 0 and 1, as (M,)."""
    return weighted_mean(y, weights)
