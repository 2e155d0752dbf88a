"""The temperature that makes probabilities honest (Guo et al. 2017, "On Calibration of Modern Neural Networks")."""

from collections.abc import Callable, Sequence
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.scores import score
from mlpcli.probabilities import no_and_yes, tempered

Values = NDArray[np.float64]

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
_NEWTON_STEPS = 50
_LEAST_LOG = -40.0  # of a probability that counts as none
_GOLDEN = (5**0.5 - 1) / 2
_PRECISION = 0.003  # of the logarithm of a temperature that is searched for


def doubt(n_rows: float) -> float:
    """The share of rows that is taken to fall on any class alike, beyond those that were seen.

    It is one row: without it a few rows that are all right, or all but one, would ask for endless sureness.
    """
    return 1.0 / (n_rows + 1.0)


def doubtful_log_loss(log_loss: float, probabilities: Values) -> float:
    """The log loss of probabilities (n_rows, n_classes) with that row added."""
    share = doubt(len(probabilities))
    alike = -float(np.log(np.maximum(probabilities, exp(_LEAST_LOG))).mean())
    return (1.0 - share) * log_loss + share * alike


def fit_temperature(answers: Values, truth: NDArray[Any], weights: Values | None = None) -> float:
    """The temperature of least log loss, between 0.05 and 20; 1 where nothing says otherwise.

    `answers` are probabilities (n_rows, n_classes) with codes `truth` (n_rows,), or those of yes (n_rows, n_targets)
    with `truth` of 0 and 1, for which one temperature serves all columns. In b = 1 / T the loss is convex, so Newton's
    steps, kept in a shrinking bracket, find the least. A row of `doubt` is added, which keeps sureness within what so
    many rows can show; where every row is right, nothing is changed.
    """
    probabilities, codes = answers, truth
    if truth.ndim == 2:
        probabilities, codes = no_and_yes(answers).reshape(-1, 2), truth.astype(np.int64).reshape(-1)
        weights = None if weights is None else np.repeat(weights, truth.shape[1])
    counted = np.ones(len(codes)) if weights is None else weights
    # A probability of 0 stays 0 at any temperature: such a row has no say.
    has_say = (np.take_along_axis(probabilities, codes[:, None], axis=1)[:, 0] > 0.0) & (counted > 0.0)
    if (probabilities.argmax(axis=1) == codes)[has_say].all():
        return 1.0
    logs = np.log(np.maximum(probabilities[has_say], np.finfo(np.float64).tiny))
    shares = counted[has_say] / counted[has_say].sum()
    true_log = float(shares @ np.take_along_axis(logs, codes[has_say][:, None], axis=1)[:, 0])
    share = doubt(float(counted[has_say].sum()))
    true_log = (1.0 - share) * true_log + share * float(shares @ np.maximum(logs, _LEAST_LOG).mean(axis=1))
    low, high, b = 1.0 / HIGHEST_TEMPERATURE, 1.0 / LOWEST_TEMPERATURE, 1.0
    for _ in range(_NEWTON_STEPS):
        slope, curvature = _derivatives(logs, shares, true_log, b)
        low, high = (low, b) if slope > 0.0 else (b, high)
        step = b - slope / curvature if curvature > 0.0 else low
        before, b = b, step if low < step < high else (low + high) / 2
        if abs(b - before) <= 1e-10 * b:
            break
    # Of a probability near 0 the log loss counts the rounding error of 1, so what is least may not be a gain in it.
    fitted, as_is = (
        score("classification", "log_loss", codes, tempered(probabilities, temperature), (), weights)
        for temperature in (1.0 / b, 1.0)
    )
    return 1.0 / b if fitted < as_is else 1.0


def _derivatives(logs: Values, weights: Values, true_log: float, b: float) -> tuple[float, float]:
    """First and second derivative by b of the mean of log(sum over k of exp(b l_k)) - b l_true."""
    shares = np.exp((logs - logs.max(axis=1, keepdims=True)) * b)
    shares /= shares.sum(axis=1, keepdims=True)
    means = (shares * logs).sum(axis=1)
    spreads = (shares * (logs - means[:, None]) ** 2).sum(axis=1)
    return float(weights @ means) - true_log, float(weights @ spreads)


def extrapolated(alone: float, together: float, n_together: float, n_members: float) -> float:
    """What a figure comes to for the mean of `n_members`, from that of one and that of the mean of `n_together`.

    The error of a mean is a constant plus a part that falls with 1 / n: exactly so for squared errors of members that
    differ by chance (Krogh & Vedelsby 1995), nearly so for the others.
    """
    if n_together == 1:
        return alone
    return alone + (together - alone) * (1.0 - 1.0 / n_members) / (1.0 - 1.0 / n_together)


def fit_members_temperature(
    log_loss_at: Callable[[float, tuple[int, ...]], float], counts: Sequence[int], n_members: int
) -> float:
    """The temperature of the logits of each of `n_members` networks, whose probabilities are then averaged.

    `log_loss_at(temperature, which)` is the log loss of the mean over some of the networks that have not seen a row,
    of which each counts as often as `counts` (r,) say. Networks that count unequally are as good as 1 / sum(w^2) that
    count equally (Kish 1965), w being their weights.
    """

    def least(which: tuple[int, ...]) -> float:
        return _least(lambda temperature: log_loss_at(temperature, which))

    total = sum(counts)
    n_together = total**2 / sum(count**2 for count in counts)
    alone = sum(least((one,)) * count for one, count in enumerate(counts)) / total
    together = least(tuple(range(len(counts)))) if len(counts) > 1 else alone
    return exp(extrapolated(alone, together, n_together, n_members * n_together / len(counts)))


def _least(loss: Callable[[float], float]) -> float:
    """The logarithm of the temperature of least loss, by golden section: the loss has one valley."""
    low, high = log(LOWEST_TEMPERATURE), log(HIGHEST_TEMPERATURE)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(exp(left)), loss(exp(right))
    while high - low > _PRECISION:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(exp(right))
    return (low + high) / 2
