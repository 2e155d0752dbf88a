"""Initial biases of the last layer: those of the constant prediction with the least loss on a member's rows.

Then the first steps are not spent on the mean of the targets, and a loss whose gradient grows with it, as Poisson's
does, does not diverge (Goodfellow et al. 2016, Deep Learning, section 8.4).
"""

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics.averages import weighted_mean, weighted_quantile
from mlpcli.nn.activations import ACTIVATIONS, LEAK
from mlpcli.nn.losses import AbsoluteError, CrossEntropy, Huber, Loss, Quantile
from mlpcli.training.dataset import Dataset, Rows

Values = NDArray[np.float64]

_BISECTIONS = 200
# Arguments of the minimum of activations that are not monotonic.
_LOWEST = {"silu": -1.2784645, "gelu": -0.7524614, "mish": -1.1924312}
_SUM_TOLERANCE = 1e-5


def best_output_bias(loss: Loss, output: str, dataset: Dataset, rows: Rows | int) -> Values:
    """The logits (n_out,) of the best constant for the given rows, or the first `rows` ones, with their weights.

    Class frequencies are clipped to half a row from 0 and 1, where logits are infinite. If the activation does not
    reach the best constant (the median of 0 and 1 from a sigmoid), the mean is used; 0 if it does not reach that
    either, or if the loss has no best constant (cross_entropy without a softmax).
    """
    values, weights = _targets(dataset, rows)
    n_rows = rows if isinstance(rows, int) else len(rows)
    nothing = np.zeros(values.shape[1])
    if not len(values) or (isinstance(loss, CrossEntropy) and output != "softmax"):
        return nothing
    means = weighted_mean(values, weights)
    if output == "softmax":
        return _softmax_logits(means, n_rows)
    logits = inverse_activation(output, _clip_constants(output, _center(loss, values, weights, means), n_rows))
    if not np.isnan(logits).any():
        return logits
    at_means = inverse_activation(output, _clip_constants(output, means, n_rows))
    return np.asarray(np.nan_to_num(np.where(np.isnan(logits), at_means, logits), nan=0.0))


def _targets(dataset: Dataset, rows: Rows | int) -> tuple[Values, Values | None]:
    """Target rows and their weights; for class targets one row per class, with the total weight of its rows."""
    taken = slice(rows) if isinstance(rows, int) else rows
    y, weights = dataset.y[taken], None if dataset.weights is None else dataset.weights[taken].astype(np.float64)
    if weights is not None and not weights.sum() > 0:
        weights = None
    if dataset.class_targets is None:
        return np.asarray(y, np.float64), weights
    counts = np.bincount(y, weights=weights, minlength=len(dataset.class_targets)).astype(np.float64)
    return dataset.class_targets.astype(np.float64), counts


def _center(loss: Loss, values: Values, weights: Values | None, means: Values) -> Values:
    """The constant outputs (n_out,) of least loss, regardless of the output activation."""
    match loss:
        case AbsoluteError():
            return weighted_quantile(values, 0.5, weights)
        case Quantile():
            levels = loss.quantile_by_output(values.shape[1]).tolist()
            each = [weighted_quantile(values[:, [i]], level, weights) for i, level in enumerate(levels)]
            return np.concatenate(each)
        case Huber():
            return _huber_center(values, weights, loss.delta)
        case _:
            return means


def _huber_center(values: Values, weights: Values | None, delta: float) -> Values:
    """The constant at which the mean of the clipped errors is 0, by bisection: it decreases with the constant."""
    low, high = values.min(axis=0), values.max(axis=0)
    for _ in range(_BISECTIONS):
        middle = low + (high - low) / 2
        is_below = weighted_mean(np.clip(values - middle, -delta, delta), weights) > 0.0
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.asarray(low + (high - low) / 2)


def _clip_constants(output: str, constants: Values, n_rows: int) -> Values:
    """Clip constants to half a row inside the range of sigmoid or exp; values outside the range are unchanged."""
    margin = 0.5 / n_rows
    if output == "sigmoid":
        is_fraction = (constants >= 0.0) & (constants <= 1.0)
        return np.where(is_fraction, np.clip(constants, margin, 1.0 - margin), constants)
    return np.where(constants == 0.0, margin, constants) if output == "exp" else constants


def _softmax_logits(fractions: Values, n_rows: int) -> Values:
    """Logits of mean 0 for fractions that sum to 1; zeros for other numbers."""
    if (fractions < 0.0).any() or abs(fractions.sum() - 1.0) > _SUM_TOLERANCE:
        return np.zeros(len(fractions))
    logs = np.log(np.maximum(fractions, 0.5 / n_rows))
    return np.asarray(logs - logs.mean())


def inverse_activation(name: str, a: Values) -> Values:
    """The z with f(z) = a (any shape), by bisection where f increases; NaN if f does not reach a, or is flat there."""
    bound = 750.0 + np.abs(a) / LEAK * 2.0
    low, high = np.maximum(-bound, _LOWEST.get(name, -np.inf)), bound
    with np.errstate(over="ignore"):
        for _ in range(_BISECTIONS):
            middle = low + (high - low) / 2
            is_below = _value_and_slope(name, middle)[0] < a
            if (middle == np.where(is_below, low, high)).all():  # neighbouring numbers: no further step changes them
                break
            low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
        value, slope = _value_and_slope(name, high)
    is_met = (np.abs(value - a) <= 1e-6 * np.abs(a) + 1e-12) & (slope > 0.0)
    return np.where(is_met, high, np.nan)


def _value_and_slope(name: str, z: Values) -> tuple[Values, Values]:
    a, slope = np.empty_like(z), np.empty_like(z)
    ACTIVATIONS[name].evaluate(z, a, slope, np.empty_like(z))
    return a, slope
