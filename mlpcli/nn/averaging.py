"""Weight averaging: a running average of the parameters, which replaces the last parameters in the model."""

from math import floor
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.options import Setting, options

State = dict[str, NDArray[np.generic]]
Array = NDArray[np.floating]


@options
class ExponentialAverage:
    """Exponential moving average: average = decay * average + (1 - decay) * weights, after each step."""

    name: Literal["ema"] = "ema"
    decay: Annotated[float, Setting("Decay rate of the average per step.", gt=0, lt=1)] = 0.998

    def weight(self, step: int, n_steps: int) -> float:
        """Weight of the parameters after step `step` (from 1); larger at first, to forget the initial parameters."""
        return max(1.0 - self.decay, 9.0 / (step + 9.0))


@options
class StochasticAverage:
    """The plain mean of the weights after each step in the last part of training (Izmailov et al. 2018)."""

    name: Literal["swa"] = "swa"
    start: Annotated[float, Setting("Fraction of the training after which averaging begins.", ge=0, lt=1)] = 0.75

    def weight(self, step: int, n_steps: int) -> float:
        """Weight of the parameters after step `step` (from 1) of `n_steps`; 1 until averaging begins."""
        return 1.0 / max(1, step - floor(self.start * n_steps))


Averaging = ExponentialAverage | StochasticAverage


def update_average(average: Array, flat: Array, weight: float, scratch: Array) -> None:
    """average += weight * (flat - average), in place."""
    if weight >= 1.0:
        average[...] = flat
        return
    np.subtract(flat, average, out=scratch)
    scratch *= weight
    average += scratch
