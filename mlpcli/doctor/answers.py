"""What held-out predictions show: overfitting, worse than the baseline, unpredicted classes, miscalibration, bias."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from mlpcli.doctor.finding import Finding
from mlpcli.evaluation.drift import gamma_tail
from mlpcli.messages import count, listed, number

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

# Of what a network gains over the constant answer on training rows, the fraction that must hold on others.
LEAST_KEPT = 0.5
# And the fraction of the constant answer's loss that a network must save at least.
LEAST_GAIN = 0.005
# The chance below which a deviation is none of chance.
CHANCE = 1e-4
# A temperature this far from 1, or a mean error of this many deviations of the error, is worth a word.
TEMPERATURE, BIAS, OFF_QUANTILE = 1.25, 0.2, 0.05
FEWEST_OF_CLASS = 5


@dataclass(frozen=True)
class Losses:
    """One loss on training rows, on rows that were held out, and that of the constant answer on these.

    `metric` names it, `part` the held-out rows; `error` is the standard error of the held-out one, NaN if unknown.
    """

    metric: str
    part: str
    train: float
    held_out: float
    constant: float
    error: float = float("nan")

    def shown(self, loss: float) -> float:
        """As the metric has it: of r2 the losses are what is left unexplained."""
        return 1.0 - loss if self.metric == "r2" else loss


def gap(losses: Losses, remedies: str) -> list[Finding]:
    """Most of what was gained on the training rows is lost on others: the network remembers rows."""
    gained, kept = losses.constant - losses.train, losses.constant - losses.held_out
    if not gained > 0.0 or kept >= LEAST_KEPT * gained:
        return []
    if losses.held_out - losses.train < 3.0 * losses.error:  # NaN says no more
        return []
    return [
        Finding(
            f"{losses.metric}: train {number(losses.shown(losses.train))}, {losses.part} "
            f"{number(losses.shown(losses.held_out))}, constant {number(losses.shown(losses.constant))}: "
            f"{max(kept / gained, 0.0):.0%} of the gain carries over to held-out rows",
            "The network memorizes training rows instead of learning what they have in common (overfitting).",
            f"Try {remedies}",
            {"train": losses.train, "held_out": losses.held_out, "constant": losses.constant},
        )
    ]


def no_better_than_constant(losses: Losses) -> list[Finding]:
    """A model that is hardly better than an answer which ignores the inputs, or worse."""
    if losses.held_out < (1.0 - LEAST_GAIN) * losses.constant:
        return []
    return [
        Finding(
            f"{losses.metric} on the {losses.part} rows is {number(losses.shown(losses.held_out))}, that of the "
            f"constant baseline {number(losses.shown(losses.constant))}",
            "A model that ignores its inputs is as good, or better.",
            "Check the target and the columns (mlp check), then try training.optimizer.learning_rate ten times "
            "smaller, or stop at the best epoch with training.early_stopping",
            {"held_out": losses.held_out, "constant": losses.constant},
        )
    ]


def never_answered(labels: Sequence[str], n_true: Codes, n_answered: Codes, remedy: str) -> list[Finding]:
    """Classes with rows, but no answer; `n_true` and `n_answered` (n_classes,) count the same rows."""
    never = np.flatnonzero((n_answered == 0) & (n_true >= FEWEST_OF_CLASS))
    if not len(never):
        return []
    total = int(n_true.sum())
    shown = listed(
        [f"{labels[i]} ({n_true[i]} of {count(total, 'row')}, {n_true[i] / total:.1%})" for i in never.tolist()], 4
    )
    return [
        Finding(
            f"never predicted: {shown}",
            "Accuracy does not show it if a class is rare.",
            f"Try {remedy}",
            {"classes": len(never), "rows": int(n_true[never].sum())},
        )
    ]


def miscalibrated(temperature: float, gain: float, n_rows: int, part: str) -> list[Finding]:
    """Probabilities that a temperature makes better by more than chance does.

    `gain` is the mean log loss that it saves on `n_rows` rows; twice its sum is chi-squared with one degree of freedom.
    """
    is_large = max(temperature, 1.0 / temperature) >= TEMPERATURE
    if not is_large or gamma_tail(0.5, max(gain, 0.0) * n_rows) > CHANCE:
        return []
    what = "overconfident" if temperature > 1.0 else "underconfident"
    return [
        Finding(
            f"the probabilities are {what}: a temperature of {temperature:.2f} lowers the log_loss by "
            f"{number(gain)} on the {part} rows",
            "A probability of 0.9 should be correct in nine of ten cases.",
            "Try postprocess.calibration: temperature",
            {"temperature": temperature, "gain": gain, "rows": n_rows},
        )
    ]


def biased(name: str, errors: Values, part: str) -> list[Finding]:
    """Predicted numbers that are too high or too low on average; `errors` (n_rows,) are predicted minus true."""
    n, deviation = len(errors), float(errors.std())
    mean = float(errors.mean())
    if n < 2 or deviation <= 0.0 or abs(mean) < BIAS * deviation:
        return []
    z = mean / (deviation / sqrt(n))
    if gamma_tail(0.5, z * z / 2.0) > CHANCE:
        return []
    return [
        Finding(
            f"{name} is predicted {number(abs(mean))} too {'high' if mean > 0 else 'low'} on average over the "
            f"{part} rows ({abs(mean) / deviation:.2f} standard deviations of the error)",
            "A bias does not cancel out in sums over rows.",
            "Check preprocess.target (log and quantile shift the mean) and drift between the splits",
            {"bias": mean, "deviation": deviation, "rows": n},
        )
    ]


def off_quantile(name: str, asked: float, n_below: int, n_rows: int, part: str) -> list[Finding]:
    """A quantile that another fraction of the rows lies below; Hoeffding's inequality bounds the chance."""
    share = n_below / max(n_rows, 1)
    distance = abs(share - asked)
    if distance < OFF_QUANTILE or 2.0 * exp(-2.0 * n_rows * distance**2) > CHANCE:
        return []
    return [
        Finding(
            f"{share:.0%} of the {part} rows lie below the predicted quantile {asked:g} of {name}",
            "A quantile is the value that this fraction of rows lies below.",
            "Try more rows, model.dropout, or fewer model.layers: the network overfits",
            {"quantile": asked, "below": share, "rows": n_rows},
        )
    ]
