"""Fit temperature, decision threshold and bias correction on validation rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.schema.sections import PostprocessConfig
from mlpcli.data.targets.target import NumberTarget, State, Target, Values, decode_outputs, prediction_names
from mlpcli.data.targets.transforms import transform_targets
from mlpcli.evaluation.calibration import fit_temperature
from mlpcli.evaluation.metrics.averages import weighted_mean
from mlpcli.evaluation.thresholds import choose_threshold

_BISECTIONS = 40  # the precision of a constant is then far below that of float32


def is_fitted(options: PostprocessConfig) -> bool:
    """Whether calibration, threshold or bias correction is fitted on validation rows."""
    return options.calibration == "temperature" or isinstance(options.threshold, str) or options.bias_correction


def fitted_state(
    options: PostprocessConfig,
    target: Target,
    state: State,
    outputs: NDArray[Any],
    truth: NDArray[Any],
    weights: Values | None,
) -> State:
    """The target state with the temperature and then the threshold fitted on the validation rows.

    `outputs` (n_rows, n_out) are the network's, `truth` and `weights` those of the rows.
    """
    if isinstance(target, NumberTarget):
        return state
    if options.calibration == "temperature":
        predictions = decode_outputs(target, state, outputs)
        state = state | {"temperature": np.array([fit_temperature(predictions, truth, weights)])}
    if isinstance(options.threshold, str):
        predictions = decode_outputs(target, state, outputs)
        state = state | {
            "threshold": choose_threshold(
                target.task, prediction_names(target), options.threshold, predictions, truth, weights
            )
        }
    return state


def fit_bias_correction(
    target: NumberTarget, state: State, outputs: Values, truth: Values, weights: Values | None = None
) -> Values:
    """The constants (n_targets,) that, added to outputs (n_rows, n_targets), make the mean prediction the true mean.

    After `preprocess.target: log` each is the logarithm of a factor of 1 + y, as in the smearing estimate of Duan
    (1983, "Smearing Estimate: A Nonparametric Retransformation Method"), but a ratio of means, which rows of small
    predictions and large relative errors do not dominate. Predictions are clipped to the range of `truth` (n_rows,
    n_targets), so that a single extreme one does not count for many. The mean grows with the constant: it is bisected.
    """
    state = state | {"target_low": truth.min(axis=0), "target_high": truth.max(axis=0)}
    scaled = transform_targets(truth, target.transform, target.n_quantiles, state)
    wanted = weighted_mean(truth, weights)
    # At these bounds every prediction is the smallest, or the largest, target.
    low, high = scaled.min(axis=0) - outputs.max(axis=0), scaled.max(axis=0) - outputs.min(axis=0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        is_low = weighted_mean(decode_outputs(target, state, outputs + middle), weights) < wanted
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return np.asarray((low + high) / 2)
