"""Checks of the learning rate, from learning curves.

Curves are arrays (n_epochs,) that begin with epoch 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.doctor.finding import Finding
from mlpcli.messages import format_number

Values = NDArray[np.float64]

# A rise counts if the loss grows by these fractions of itself and of the initial loss.
RISE, RISE_OF_START = 0.10, 0.02
MIN_RISES, FREQUENT_RISES = 4, 0.15
# The loss got worse if the median of its last quarter exceeds its best by these fractions of the best and the initial
# loss.
WORSE, WORSE_OF_START = 0.2, 0.1
# Training has not converged if its last quarter, by sum of learning rates, brings more than this fraction of the gain.
LAST_PART, LARGE_GAIN = 0.25, 0.05
MIN_EPOCHS_FOR_RISES, MIN_EPOCHS_FOR_CONVERGENCE = 8, 3


@dataclass(frozen=True)
class Curve:
    """The learning curves of a training.

    `train` is the training loss of each epoch, `validation` the validation loss (NaN for an epoch that was not scored,
    empty without validation rows), `start` the validation loss before the first step (NaN if unknown), `rates` are the
    learning rates. `is_cut_short` is whether it ended before its last epoch.
    """

    train: Values
    validation: Values
    start: float
    rates: Values
    is_cut_short: bool = False


def rate_too_high(curve: Curve, learning_rate: float, key: str) -> list[Finding]:
    """A training loss that rises in many epochs without a rising schedule, or that gets worse permanently.

    `learning_rate` is the configured one, `key` its config key.
    """
    loss = curve.train
    if len(loss) < MIN_EPOCHS_FOR_RISES:
        return []
    start = curve.start if np.isfinite(curve.start) else float(loss[0])
    # Relative rises of a loss near 0 are meaningless, so compare with the initial loss as well.
    rises = np.diff(loss) > np.maximum(RISE * loss[:-1], RISE_OF_START * start)
    rises &= np.diff(curve.rates) <= 1e-9 * curve.rates[:-1]
    n, best, last = int(rises.sum()), int(loss.argmin()), float(np.median(loss[-(len(loss) // 4) :]))
    if n >= max(MIN_RISES, FREQUENT_RISES * len(loss)):
        fact = f"the training loss rises by more than {RISE:.0%} in {n} of {len(loss)} epochs"
    elif last - loss[best] > max(WORSE * loss[best], WORSE_OF_START * start):
        fact = (
            f"the training loss rises again: from {format_number(float(loss[best]))} in epoch {best + 1} to "
            f"{format_number(last)}"
        )
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
    """A loss that is still falling fast at the end of training, measured along the sum of learning rates."""
    is_scored = np.isfinite(curve.validation) if len(curve.validation) else np.zeros(len(curve.train), np.bool_)
    has_validation = int(is_scored.sum()) >= MIN_EPOCHS_FOR_CONVERGENCE
    loss = curve.validation[is_scored] if has_validation else curve.train
    rate_sum = np.cumsum(curve.rates)[is_scored] if has_validation else np.cumsum(curve.rates)
    if len(loss) < MIN_EPOCHS_FOR_CONVERGENCE or curve.is_cut_short or not rate_sum[-1] > 0.0:
        return []
    start = curve.start if has_validation and np.isfinite(curve.start) else float(loss[0])
    best = np.minimum.accumulate(loss)
    loss_before = np.interp((1.0 - LAST_PART) * rate_sum[-1], np.append(0.0, rate_sum), np.append(start, best))
    total_gain, last_gain = start - float(best[-1]), float(loss_before - best[-1])
    if total_gain <= 0.0 or last_gain <= LARGE_GAIN * total_gain:
        return []
    what = "validation" if has_validation else "training"
    return [
        Finding(
            f"the {what} loss is still falling: the last quarter of the training brought "
            f"{last_gain / total_gain:.0%} of its gain",
            "Training stops before it has converged.",
            f"Try {key}: {_rounded(3 * learning_rate)} (now {_rounded(learning_rate)}), or more training.epochs "
            f"(now {len(curve.train)})",
            {"gain": total_gain, "last_gain": last_gain, "epochs": len(curve.train), "learning_rate": learning_rate},
        )
    ]


def _rounded(rate: float) -> str:
    return f"{rate:.2g}"
