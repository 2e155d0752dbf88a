"""Greedy ensemble selection with replacement (Caruana et al. 2004)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Outputs = NDArray[np.floating[Any]]

# Members that are put together, one after the other: the weights are fractions of as many at most.
STEPS = 50


def greedy_counts(outputs: Outputs, loss: Callable[[Outputs], float], steps: int = STEPS) -> tuple[int, ...]:
    """The count of each of k members in the mean with the smallest loss, from their outputs (k, n_rows, n_out).

    Members are added one by one, with replacement, each time the one that minimizes the loss of the mean. The ensemble
    with the smallest loss along this path is returned, the smallest one of a tie. `loss(mean)` is that of mean outputs
    (n_rows, n_out); a mean with a loss that is not finite is skipped.
    """
    total, found = np.zeros(outputs.shape[1:]), np.zeros(len(outputs), np.int64)
    least, best = np.inf, np.ones(len(outputs), np.int64)
    for step in range(1, steps + 1):
        losses = [loss((total + own) / step) for own in outputs]
        place = int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
        total += outputs[place]
        found[place] += 1
        if losses[place] < least:
            least, best = losses[place], found.copy()
    return tuple((best // np.gcd.reduce(best)).tolist())
