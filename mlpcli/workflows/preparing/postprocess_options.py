"""The options of `postprocess`, checked against the target; the target state that needs no network."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.targets.target import ClassTarget, NumberTarget, State, Target, Values
from mlpcli.evaluation.metrics.registry import METRICS
from mlpcli.evaluation.metrics.scores import explain_unknown_metric, find_metric, metric_names
from mlpcli.workflows.preparing.resolution import (
    estimates_means,
    has_validation,
    resolve_loss,
    resolve_output_activation,
)


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


def _check(loaded: LoadedConfig, target: Target) -> None:
    options, task = loaded.config.postprocess, target.task
    has_classes = not isinstance(target, NumberTarget)
    for key, is_asked in (("clamp", options.clamp), ("bias_correction", options.bias_correction)):
        if is_asked and has_classes:
            raise loaded.error(f"postprocess.{key}", f"applies to regression only; the task is {task}. Leave it out.")
    if options.bias_correction:
        _check_bias_correction(loaded, target)
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
        allowed = threshold_metrics(target)
        if options.threshold not in allowed:
            raise loaded.error("postprocess.threshold", explain_unknown_metric(options.threshold, allowed))


def _check_bias_correction(loaded: LoadedConfig, target: Target) -> None:
    """Raise ConfigError if there is no bias to correct, or nothing to estimate it from."""
    key, loss = "postprocess.bias_correction", resolve_loss(loaded, target.task)
    if not isinstance(target, NumberTarget) or target.transform not in ("log", "quantile"):
        raise loaded.error(key, "applies to preprocess.target: log and quantile. Leave it out.")
    if not estimates_means(loss) or resolve_output_activation(loaded, loss) != "identity":
        raise loaded.error(key, "needs loss: squared_error and output_activation: identity. Leave it out.")
    if not has_validation(loaded):
        raise loaded.error(key, "is fitted on validation rows: set data.validation, or leave it out.")


def threshold_metrics(target: Target) -> list[str]:
    """The metrics for which a threshold can be chosen: those of labels, not of probabilities."""
    if isinstance(target, ClassTarget):
        names = metric_names("classification", target.labels)
        return [name for name in names if not find_metric(name).judges_probabilities]
    return [
        name for name, metric in METRICS.items() if "multilabel" in metric.tasks and not metric.judges_probabilities
    ]
