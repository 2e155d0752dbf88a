"""Postprocessing of predictions: temperature, decision threshold, clamp. All of it is target state."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema.sections import PostprocessConfig
from mlpcli.data.targets.target import ClassTarget, NumberTarget, Target, decode_outputs, prediction_names
from mlpcli.evaluation.calibration import fit_temperature
from mlpcli.evaluation.metrics.registry import METRICS
from mlpcli.evaluation.metrics.scores import explain_unknown_metric, find_metric, metric_names
from mlpcli.evaluation.thresholds import choose_threshold
from mlpcli.workflows.preparing.resolution import has_validation

Values = NDArray[np.float64]
State = dict[str, Values]


def configured_state(
    loaded: LoadedConfig, target: Target, state: State, truth: NDArray[Any], class_weights: Values | None = None
) -> State:
    """The target state that needs no network: the range of the training targets `truth`, and a configured threshold.

    Probabilities are corrected for `class_weights` (n_classes,), to match the class frequencies of the data. The
    decision threshold compensates, so that the weights still affect the predicted labels.
    Raises ConfigError for an option that does not apply to the target, or needs validation rows if there are none.
    """
    options = loaded.config.postprocess
    _check(loaded, target)
    if options.clamp:
        state = state | {"target_low": truth.min(axis=0), "target_high": truth.max(axis=0)}
    if class_weights is not None and (class_weights > 0.0).all():
        inverse = 1.0 / class_weights
        shares = inverse / inverse.sum()
        state = state | {"class_weights": class_weights, "threshold": shares[1:] if len(shares) == 2 else shares}
    if isinstance(options.threshold, float):
        n = 1 if isinstance(target, ClassTarget) else len(target.names)
        state = state | {"threshold": np.full(n, options.threshold)}
    return state


def class_weight_notes(class_weights: Values | None, is_undone: bool) -> list[str]:
    """A note on the effect of class weights on probabilities."""
    if class_weights is None:
        return []
    if is_undone:
        return ["class_weights affect the predicted labels; the probabilities are corrected for them."]
    return ["the probabilities are not corrected for class_weights: those of classes with more weight are too high."]


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
        answers = decode_outputs(target, state, outputs)
        state = state | {"temperature": np.array([fit_temperature(answers, truth, weights)])}
    if isinstance(options.threshold, str):
        answers = decode_outputs(target, state, outputs)
        state = state | {
            "threshold": choose_threshold(
                target.task, prediction_names(target), options.threshold, answers, truth, weights
            )
        }
    return state


def _check(loaded: LoadedConfig, target: Target) -> None:
    options, task = loaded.config.postprocess, target.task
    has_classes = not isinstance(target, NumberTarget)
    if options.clamp and has_classes:
        raise loaded.error("postprocess.clamp", f"applies to regression only; the task is {task}. Leave it out.")
    for key, is_asked in (("calibration", options.calibration != "none"), ("threshold", options.threshold is not None)):
        if is_asked and not has_classes:
            raise loaded.error(f"postprocess.{key}", f"applies to probabilities; the task is {task}. Leave it out.")
        is_fitted_here = key == "calibration" or isinstance(options.threshold, str)
        if is_asked and is_fitted_here and not has_validation(loaded):
            raise loaded.error(
                f"postprocess.{key}", "is fitted on validation rows: set data.validation, or leave it out."
            )
    if options.threshold is not None and isinstance(target, ClassTarget) and len(target.labels) != 2:
        raise loaded.error(
            "postprocess.threshold",
            f"applies to two classes or boolean columns; there are {len(target.labels)} classes. Leave it out.",
        )
    if isinstance(options.threshold, str):
        known = threshold_metrics(target)
        if options.threshold not in known:
            raise loaded.error("postprocess.threshold", explain_unknown_metric(options.threshold, known))


def threshold_metrics(target: Target) -> list[str]:
    """The metrics for which a threshold can be chosen: those of labels, not of probabilities."""
    if isinstance(target, ClassTarget):
        names = metric_names("classification", target.labels)
        return [name for name in names if not find_metric(name).judges_probabilities]
    return [
        name for name, metric in METRICS.items() if "multilabel" in metric.tasks and not metric.judges_probabilities
    ]
