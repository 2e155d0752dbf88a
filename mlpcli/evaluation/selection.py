"""Greedy ensemble selection with replacement (Caruana et al. 2004)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Outputs = NDArray[np.floating[Any]]

# Members added in turn, so weights are multiples of 1 / STEPS or coarser.
STEPS = 50


def greedy_counts(outputs: Outputs, loss: Callable[[Outputs], float], steps: int = STEPS) -> tuple[int, ...]:
    """The count of each of k members in the mean with the smallest loss, from their outputs (k, n_rows, n_out).

    Each step adds, with replacement, the member that minimizes the loss of the mean. The result is the ensemble with
    the smallest loss along this path, the smaller one on ties. `loss(mean)` is the loss of mean outputs (n_rows,
    n_out); members whose loss is not finite are skipped.
    """
    total, counts = np.zeros(outputs.shape[1:]), np.zeros(len(outputs), np.int64)
    best_loss, best_counts = np.inf, np.ones(len(outputs), np.int64)
    for step in range(1, steps + 1):
        losses = [loss((total + member) / step) for member in outputs]
        chosen = int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
        total += outputs[chosen]
        counts[chosen] += 1
        if losses[chosen] < best_loss:
            best_loss, best_counts = losses[chosen], counts.copy()
    return tuple((best_counts // np.gcd.reduce(best_counts)).tolist())
