"""The constant baseline: the one answer, the same for every row, that the training targets suggest.

A model is worth something when it beats this. Broadcast the result to the rows of a table and score it as a prediction.
"""

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.averages import Floats, weighted_mean, weighted_median


def constant_classes(y: NDArray[np.int64], n_classes: int, weights: Floats | None = None) -> Floats:
    """Share of each class in the codes `y` (n_rows,), as (K,): the constant probabilities of least log loss."""
    counts = np.bincount(y, weights=weights, minlength=n_classes)
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def constant_numbers(y: Floats, loss_name: str, weights: Floats | None = None) -> Floats:
    """Mean of each column of `y` (n_rows, M), as (M,); the median for the loss "absolute_error", which it minimises."""
    return weighted_median(y, weights) if loss_name == "absolute_error" else weighted_mean(y, weights)


def constant_yes_no(y: Floats, weights: Floats | None = None) -> Floats:
    """Share of yes in each column of `y` (n_rows, M) of 0 and 1, as (M,)."""
    return weighted_mean(y, weights)
