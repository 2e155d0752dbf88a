"""Checks of held-out predictions: overfitting, baseline, classes never predicted, miscalibration, bias."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from mlpcli.doctor.finding import Finding
from mlpcli.evaluation.drift import gamma_tail
from mlpcli.messages import format_count, format_list, format_number

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

# The fraction of the gain over the constant baseline on training rows that must remain on held-out rows.
MIN_KEPT = 0.5
# The fraction of the baseline's loss that a network must save.
MIN_GAIN = 0.005
SIGNIFICANCE = 1e-4  # largest p-value of a finding
# Smallest temperature (or its inverse), bias in standard deviations of the error, and error of a quantile's coverage.
TEMPERATURE, BIAS, OFF_QUANTILE = 1.25, 0.2, 0.05
MIN_CLASS_ROWS = 5


@dataclass(frozen=True)
class Losses:
    """A loss on training rows and on held-out rows, and that of the constant baseline on held-out rows.

    `metric` is its name, `split` that of the held-out split; `error` is the standard error on it, NaN if unknown.
    """

    metric: str
    split: str
    train: float
    held_out: float
    constant: float
    error: float = float("nan")

    def shown(self, loss: float) -> float:
        """The value of the metric; the loss of r2 is the unexplained fraction 1 - r2."""
        return 1.0 - loss if self.metric == "r2" else loss


def gap(losses: Losses, remedies: str) -> list[Finding]:
    """Overfitting: most of the gain over the baseline on training rows is lost on held-out rows."""
    gained, kept = losses.constant - losses.train, losses.constant - losses.held_out
    if not gained > 0.0 or kept >= MIN_KEPT * gained:
        return []
    if losses.held_out - losses.train < 3.0 * losses.error:  # false for NaN
        return []
    return [
        Finding(
            f"{losses.metric}: train {format_number(losses.shown(losses.train))}, {losses.split} "
            f"{format_number(losses.shown(losses.held_out))}, constant {format_number(losses.shown(losses.constant))}: "
            f"{max(kept / gained, 0.0):.0%} of the gain carries over to held-out rows",
            "The network memorizes training rows instead of learning what they have in common (overfitting).",
            f"Try {remedies}",
            {"train": losses.train, "held_out": losses.held_out, "constant": losses.constant},
        )
    ]


def no_better_than_constant(losses: Losses) -> list[Finding]:
    """A model that is hardly better than the constant baseline, or worse."""
    if losses.held_out < (1.0 - MIN_GAIN) * losses.constant:
        return []
    return [
        Finding(
            f"{losses.metric} on the {losses.split} rows is {format_number(losses.shown(losses.held_out))}, that of "
            f"the constant baseline {format_number(losses.shown(losses.constant))}",
            "A model that ignores its inputs is as good, or better.",
            "Check the target and the columns (mlp check), then try training.optimizer.learning_rate ten times "
            "smaller, or stop at the best epoch with training.early_stopping",
            {"held_out": losses.held_out, "constant": losses.constant},
        )
    ]


def never_predicted(labels: Sequence[str], n_true: Codes, n_predicted: Codes, remedy: str) -> list[Finding]:
    """Classes that occur but are never predicted; `n_true` and `n_predicted` (n_classes,) count the same rows."""
    never = np.flatnonzero((n_predicted == 0) & (n_true >= MIN_CLASS_ROWS))
    if not len(never):
        return []
    total = int(n_true.sum())
    shown = format_list(
        [f"{labels[i]} ({n_true[i]} of {format_count(total, 'row')}, {n_true[i] / total:.1%})" for i in never.tolist()],
        4,
    )
    return [
        Finding(
            f"never predicted: {shown}",
            "Accuracy does not show it if a class is rare.",
            f"Try {remedy}",
            {"classes": len(never), "rows": int(n_true[never].sum())},
        )
    ]


def miscalibrated(temperature: float, gain: float, n_rows: int, split: str) -> list[Finding]:
    """Probabilities that temperature scaling improves significantly.

    `gain` is the reduction of the mean log loss on `n_rows` rows; twice its sum is chi-squared with one degree of
    freedom (likelihood ratio test).
    """
    is_large = max(temperature, 1.0 / temperature) >= TEMPERATURE
    if not is_large or gamma_tail(0.5, max(gain, 0.0) * n_rows) > SIGNIFICANCE:
        return []
    what = "overconfident" if temperature > 1.0 else "underconfident"
    return [
        Finding(
            f"the probabilities are {what}: a temperature of {temperature:.2f} lowers the log_loss by "
            f"{format_number(gain)} on the {split} rows",
            "A probability of 0.9 should be correct in nine of ten cases.",
            "Try postprocess.calibration: temperature",
            {"temperature": temperature, "gain": gain, "rows": n_rows},
        )
    ]


def biased(name: str, errors: Values, split: str) -> list[Finding]:
    """Predicted numbers that are too high or too low on average; `errors` (n_rows,) are predicted minus true."""
    n, deviation = len(errors), float(errors.std())
    mean = float(errors.mean())
    if n < 2 or deviation <= 0.0 or abs(mean) < BIAS * deviation:
        return []
    z = mean / (deviation / sqrt(n))
    if gamma_tail(0.5, z * z / 2.0) > SIGNIFICANCE:
        return []
    return [
        Finding(
            f"{name} is predicted {format_number(abs(mean))} too {'high' if mean > 0 else 'low'} on average over the "
            f"{split} rows ({abs(mean) / deviation:.2f} standard deviations of the error)",
            "A bias does not cancel out in sums over rows.",
            "Check preprocess.target (log and quantile shift the mean) and drift between the splits",
            {"bias": mean, "deviation": deviation, "rows": n},
        )
    ]


def off_quantile(name: str, quantile: float, n_below: int, n_rows: int, split: str) -> list[Finding]:
    """A predicted quantile with the wrong fraction of rows below it, significant by Hoeffding's inequality."""
    fraction = n_below / max(n_rows, 1)
    distance = abs(fraction - quantile)
    if distance < OFF_QUANTILE or 2.0 * exp(-2.0 * n_rows * distance**2) > SIGNIFICANCE:
        return []
    return [
        Finding(
            f"{fraction:.0%} of the {split} rows lie below the predicted quantile {quantile:g} of {name}",
            "A quantile is the value that this fraction of rows lies below.",
            "Try more rows, model.dropout, or fewer model.layers: the network overfits",
            {"quantile": quantile, "below": fraction, "rows": n_rows},
        )
    ]
