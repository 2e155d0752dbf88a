"""What the curve of a training says of its learning rate.

Curves are arrays (n_epochs,), the first entry being that of epoch 1; a loss is smaller for better.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.doctor.finding import Finding
from mlpcli.messages import number

Values = NDArray[np.float64]

# A rise counts where the loss grows by this fraction of itself, and by this fraction of the loss before the first step.
RISE, RISE_OF_START = 0.10, 0.02
FEWEST_RISES, FREQUENT_RISES = 4, 0.15
# The loss got worse where the median of its last quarter is above its best by fractions of that and of the start.
WORSE, WORSE_OF_START = 0.2, 0.1
# Training is unfinished where the last quarter of its way brings more than this fraction of the whole gain.
LAST_PART, LARGE_GAIN = 0.25, 0.05
FEWEST_EPOCHS_OF_RISES, FEWEST_EPOCHS_OF_WAY = 8, 3


@dataclass(frozen=True)
class Curve:
    """The course of a training.

    `train` is the training loss of each epoch, `validation` the loss on the validation rows (NaN where an epoch was not
    judged, empty without validation rows), `start` the validation loss before the first step (NaN if unknown), `rates`
    the learning rates. `is_cut_short` says whether it ended before its last epoch.
    """

    train: Values
    validation: Values
    start: float
    rates: Values
    is_cut_short: bool = False


def rate_too_high(curve: Curve, learning_rate: float, key: str) -> list[Finding]:
    """A training loss that jumps up in many epochs, where no schedule raises the rate, or that gets worse for good.

    `learning_rate` is that of the config, under `key`.
    """
    loss = curve.train
    if len(loss) < FEWEST_EPOCHS_OF_RISES:
        return []
    start = curve.start if np.isfinite(curve.start) else float(loss[0])
    rises = np.diff(loss) > np.maximum(RISE * loss[:-1], RISE_OF_START * start)  # near 0 twice as much is nothing
    rises &= np.diff(curve.rates) <= 1e-9 * curve.rates[:-1]
    n, best, last = int(rises.sum()), int(loss.argmin()), float(np.median(loss[-(len(loss) // 4) :]))
    if n >= max(FEWEST_RISES, FREQUENT_RISES * len(loss)):
        fact = f"the training loss rises by more than {RISE:.0%} in {n} of {len(loss)} epochs"
    elif last - loss[best] > max(WORSE * loss[best], WORSE_OF_START * start):
        fact = f"the training loss rises again: from {number(float(loss[best]))} in epoch {best + 1} to {number(last)}"
    else:
        return []
    return [
        Finding(
            fact,
            "The steps overshoot the minimum.",
            f"Try {key}: {_rounded(learning_rate / 4)} (now {_rounded(learning_rate)})",
            {"epochs": len(loss), "rises": n, "learning_rate": learning_rate},
        )
    ]


def rate_too_low(curve: Curve, learning_rate: float, key: str) -> list[Finding]:
    """A loss that is still falling fast when the epochs end: measured along the sum of the learning rates."""
    is_judged = np.isfinite(curve.validation) if len(curve.validation) else np.zeros(len(curve.train), np.bool_)
    has_validation = int(is_judged.sum()) >= FEWEST_EPOCHS_OF_WAY
    loss = curve.validation[is_judged] if has_validation else curve.train
    way = np.cumsum(curve.rates)[is_judged] if has_validation else np.cumsum(curve.rates)
    if len(loss) < FEWEST_EPOCHS_OF_WAY or curve.is_cut_short or not way[-1] > 0.0:
        return []
    start = curve.start if has_validation and np.isfinite(curve.start) else float(loss[0])
    best = np.minimum.accumulate(loss)
    before = np.interp((1.0 - LAST_PART) * way[-1], np.append(0.0, way), np.append(start, best))
    whole, last = start - float(best[-1]), float(before - best[-1])
    if whole <= 0.0 or last <= LARGE_GAIN * whole:
        return []
    what = "validation" if has_validation else "training"
    return [
        Finding(
            f"the {what} loss is still falling: the last quarter of the training brought {last / whole:.0%} of "
            f"its gain",
            "Training stops before it has converged.",
            f"Try {key}: {_rounded(3 * learning_rate)} (now {_rounded(learning_rate)}), or more training.epochs "
            f"(now {len(curve.train)})",
            {"gain": whole, "last_gain": last, "epochs": len(curve.train), "learning_rate": learning_rate},
        )
    ]


def _rounded(rate: float) -> str:
    return f"{rate:.2g}"
