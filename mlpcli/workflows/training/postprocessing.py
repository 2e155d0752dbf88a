"""Fit temperature and decision threshold on validation rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.schema.sections import PostprocessConfig
from mlpcli.data.targets.target import NumberTarget, State, Target, Values, decode_outputs, prediction_names
from mlpcli.evaluation.calibration import fit_temperature
from mlpcli.evaluation.thresholds import choose_threshold


def is_fitted(options: PostprocessConfig) -> bool:
    """Whether calibration or threshold is fitted on validation rows."""
    return options.calibration == "temperature" or isinstance(options.threshold, str)


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
