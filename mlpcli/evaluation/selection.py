"""Which members of an ensemble are averaged, and how often each counts: greedy selection (Caruana et al. 2004)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Outputs = NDArray[np.floating[Any]]

# Members that are put together, one after the other: the weights are fractions of as many at most.
STEPS = 50


def greedy_counts(outputs: Outputs, loss: Callable[[Outputs], float], steps: int = STEPS) -> tuple[int, ...]:
    """How many times each of k members counts in the mean of least loss, from their outputs (k, n_rows, n_out).

    One member after the other is put in, each time the one by which the loss of the mean is least, and any may come
    again. Of the ensembles that are passed on the way that of least loss is taken, of equal ones the smallest.
    `loss(mean)` is that of mean outputs (n_rows, n_out); where it is not finite the mean is not taken.
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
