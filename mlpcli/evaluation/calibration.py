"""Temperature scaling of probabilities (Guo et al. 2017, "On Calibration of Modern Neural Networks")."""

from collections.abc import Callable, Sequence
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics.scores import score
from mlpcli.probabilities import no_and_yes, tempered

Values = NDArray[np.float64]

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
_NEWTON_STEPS = 50
_LEAST_LOG = -40.0  # clips logarithms of probabilities
_GOLDEN = (5**0.5 - 1) / 2
_PRECISION = 0.003  # of the logarithm of a temperature in the golden-section search


def smoothing(n_rows: float) -> float:
    """The weight of a pseudo-row with uniform class probabilities, as in label smoothing.

    Without it, a few rows that are all correct, or all but one, would push the temperature to its bound.
    """
    return 1.0 / (n_rows + 1.0)


def smoothed_log_loss(log_loss: float, probabilities: Values) -> float:
    """The log loss of probabilities (n_rows, n_classes) with the pseudo-row of `smoothing` added."""
    weight = smoothing(len(probabilities))
    uniform = -float(np.log(np.maximum(probabilities, exp(_LEAST_LOG))).mean())
    return (1.0 - weight) * log_loss + weight * uniform


def fit_temperature(probabilities: Values, truth: NDArray[Any], weights: Values | None = None) -> float:
    """The temperature that minimizes the log loss, between 0.05 and 20; 1 if it brings no improvement.

    `probabilities` are (n_rows, n_classes) with codes `truth` (n_rows,). For boolean targets they are those of true
    (n_rows, n_targets) with `truth` of 0 and 1, and all columns share a temperature. The loss is convex in b = 1 / T,
    so Newton's method with a bracket finds the minimum. `smoothing` keeps the temperature of few rows from its bounds;
    if every row is correct, it is 1.
    """
    codes = truth
    if truth.ndim == 2:
        probabilities, codes = no_and_yes(probabilities).reshape(-1, 2), truth.astype(np.int64).reshape(-1)
        weights = None if weights is None else np.repeat(weights, truth.shape[1])
    counted = np.ones(len(codes)) if weights is None else weights
    # A true class with probability 0 has it at any temperature, so such rows are left out.
    is_used = (np.take_along_axis(probabilities, codes[:, None], axis=1)[:, 0] > 0.0) & (counted > 0.0)
    if (probabilities.argmax(axis=1) == codes)[is_used].all():
        return 1.0
    logs = np.log(np.maximum(probabilities[is_used], np.finfo(np.float64).tiny))
    fractions = counted[is_used] / counted[is_used].sum()
    true_log = float(fractions @ np.take_along_axis(logs, codes[is_used][:, None], axis=1)[:, 0])
    weight = smoothing(float(counted[is_used].sum()))
    true_log = (1.0 - weight) * true_log + weight * float(fractions @ np.maximum(logs, _LEAST_LOG).mean(axis=1))
    low, high, b = 1.0 / HIGHEST_TEMPERATURE, 1.0 / LOWEST_TEMPERATURE, 1.0
    for _ in range(_NEWTON_STEPS):
        slope, curvature = _derivatives(logs, fractions, true_log, b)
        low, high = (low, b) if slope > 0.0 else (b, high)
        step = b - slope / curvature if curvature > 0.0 else low
        previous, b = b, step if low < step < high else (low + high) / 2
        if abs(b - previous) <= 1e-10 * b:
            break
    # The log loss clips probabilities near 0, so the minimum may be no improvement.
    fitted, as_is = (
        score("classification", "log_loss", codes, tempered(probabilities, temperature), (), weights)
        for temperature in (1.0 / b, 1.0)
    )
    return 1.0 / b if fitted < as_is else 1.0


def _derivatives(logs: Values, weights: Values, true_log: float, b: float) -> tuple[float, float]:
    """First and second derivative with respect to b of the mean of log(sum over k of exp(b l_k)) - b l_true."""
    p = np.exp((logs - logs.max(axis=1, keepdims=True)) * b)
    p /= p.sum(axis=1, keepdims=True)
    means = (p * logs).sum(axis=1)
    variances = (p * (logs - means[:, None]) ** 2).sum(axis=1)
    return float(weights @ means) - true_log, float(weights @ variances)


def extrapolated(single: float, ensemble: float, n_networks: float, n_members: float) -> float:
    """Extrapolate a score to an ensemble of `n_members`.

    `single` is the score of a single member, `ensemble` that of an ensemble of `n_networks`.

    The error of an ensemble is a constant plus a term proportional to 1 / n: exactly for squared errors of exchangeable
    members (Krogh & Vedelsby 1995), approximately for other scores.
    """
    if n_networks == 1:
        return single
    return single + (ensemble - single) * (1.0 - 1.0 / n_members) / (1.0 - 1.0 / n_networks)


def fit_members_temperature(
    log_loss_at: Callable[[float, tuple[int, ...]], float], counts: Sequence[int], n_members: int
) -> float:
    """The temperature of the logits of each of `n_members` networks, whose probabilities are averaged afterwards.

    `log_loss_at(temperature, networks)` is the out-of-fold log loss of the mean over these networks, with weights
    `counts` (r,). Unequally weighted networks are equivalent to 1 / sum(w^2) equally weighted ones (Kish 1965).
    """

    def best_log(networks: tuple[int, ...]) -> float:
        return _best_log_temperature(lambda temperature: log_loss_at(temperature, networks))

    total = sum(counts)
    n_effective = total**2 / sum(count**2 for count in counts)
    single = sum(best_log((network,)) * count for network, count in enumerate(counts)) / total
    ensemble = best_log(tuple(range(len(counts)))) if len(counts) > 1 else single
    return exp(extrapolated(single, ensemble, n_effective, n_members * n_effective / len(counts)))


def _best_log_temperature(loss: Callable[[float], float]) -> float:
    """The logarithm of the temperature that minimizes a unimodal loss, by golden-section search."""
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
