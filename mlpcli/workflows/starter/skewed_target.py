"""For `mlp init`: whether a trial of the logarithm of a target is worth its time; imports nothing that trains."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

FEWEST_ROWS = 1000
LEAST_SKEWNESS = 1.0


def is_worth_trying(targets: Values) -> bool:
    """Whether the logarithm of the targets (n_rows,) is defined, and makes a skewed distribution less skewed."""
    if len(targets) < FEWEST_ROWS or targets.min() < 0.0:
        return False
    skewness = _skewness(targets)
    return skewness >= LEAST_SKEWNESS and abs(_skewness(np.log1p(targets))) < skewness


def _skewness(values: Values) -> float:
    deviations = values / np.abs(values).max()  # so that no power overflows
    deviations -= deviations.mean()
    variance = float(np.mean(deviations**2))
    return float(np.mean(deviations**3)) / variance**1.5 if variance > 0.0 else 0.0
