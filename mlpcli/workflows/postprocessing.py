"""What is done to answers after the network: temperature, decision threshold, clamp. All of it is target state."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema import PostprocessConfig
from mlpcli.data.targets.target import BooleanTarget, ClassTarget, NumberTarget, Target, decode_outputs
from mlpcli.evaluation.metrics import METRICS
from mlpcli.evaluation.scores import explain_unknown_metric, find_metric, metric_names, score
from mlpcli.workflows.calibration import fit_temperature
from mlpcli.workflows.resolution import has_validation

Values = NDArray[np.float64]
State = dict[str, Values]

MOST_THRESHOLDS = 200


def given_state(
    loaded: LoadedConfig, target: Target, state: State, truth: NDArray[Any], class_weights: Values | None = None
) -> State:
    """The target state with what needs no network: the range of the training targets `truth`, a given threshold.

    `class_weights` (n_classes,) are taken out of the probabilities, which become those of rows as they are. Who sets
    them wants other labels, so they stay in the threshold.
    Raises ConfigError for what does not go with the target, or needs validation rows where there are none.
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
    """What class weights do to the probabilities."""
    if class_weights is None:
        return []
    if is_undone:
        return ["class_weights choose the labels, and are taken out of the probabilities."]
    return ["class_weights stay in the probabilities: those of classes with more weight are too high for the rows."]


def is_fitted(options: PostprocessConfig) -> bool:
    """Whether `fitted_state` has anything to do."""
    return options.calibration == "temperature" or isinstance(options.threshold, str)


def fitted_state(
    options: PostprocessConfig,
    target: Target,
    state: State,
    outputs: NDArray[Any],
    truth: NDArray[Any],
    weights: Values | None,
) -> State:
    """The target state with what is fitted on the validation rows: first the temperature, then the threshold.

    `outputs` (n_rows, n_out) are the network's, `truth` and `weights` those of the rows.
    """
    if isinstance(target, NumberTarget):
        return state
    if options.calibration == "temperature":
        answers = decode_outputs(target, state, outputs)
        state = state | {"temperature": np.array([fit_temperature(answers, truth, weights)])}
    if isinstance(options.threshold, str):
        answers = decode_outputs(target, state, outputs)
        state = state | {"threshold": choose_threshold(target, options.threshold, answers, truth, weights)}
    return state


def choose_threshold(
    target: ClassTarget | BooleanTarget,
    metric: str,
    answers: Values,
    truth: NDArray[Any],
    weights: Values | None = None,
) -> Values:
    """The threshold of the best `metric`, (1,) for two classes, or (n_targets,): of each yes/no column on its own.

    Where several are best, the one nearest to 0.5. Thresholds of columns that together score less than 0.5 are not
    taken.
    """
    if isinstance(target, ClassTarget):

        def of_classes(threshold: Values) -> float:
            return score(target.task, metric, truth, answers, target.labels, weights, threshold)

        return np.array([_best(_candidates(answers[:, 1]), of_classes, metric)])
    chosen = np.array(
        [
            _best(_candidates(answers[:, index]), _column_score(metric, answers, truth, weights, [index]), metric)
            for index in range(len(target.names))
        ]
    )
    together = _column_score(metric, answers, truth, weights, list(range(len(target.names))))
    halves = np.full(len(chosen), 0.5)
    sign = 1.0 if find_metric(metric).higher_is_better else -1.0
    return chosen if sign * together(chosen) >= sign * together(halves) else halves


def _column_score(
    metric: str, answers: Values, truth: NDArray[Any], weights: Values | None, columns: list[int]
) -> Callable[[Values], float]:
    """The metric of some yes/no columns by their thresholds: over all of them, or the mean of each."""
    names = [str(column) for column in columns]
    has_one = "multilabel" in METRICS[metric].together
    keys = [metric] if has_one else [f"{metric}[{name}]" for name in names]

    def measured(thresholds: Values) -> float:
        found = [
            score("multilabel", key, truth[:, columns], answers[:, columns], names, weights, thresholds) for key in keys
        ]
        return float(np.mean(found))

    return measured


def _candidates(probabilities: Values) -> Values:
    """0.5 and the middles between neighbouring probabilities, or as many of them at equal steps as is bearable."""
    distinct = np.unique(probabilities)
    middles = (distinct[1:] + distinct[:-1]) / 2
    if len(middles) > MOST_THRESHOLDS:
        middles = middles[np.round(np.linspace(0, len(middles) - 1, MOST_THRESHOLDS)).astype(np.int64)]
    middles = np.append(middles, 0.5)
    middles = middles[(middles > 0.0) & (middles < 1.0)]
    return middles[np.argsort(np.abs(middles - 0.5), kind="stable")]


def _best(candidates: Values, measure: Callable[[Values], float], metric: str) -> float:
    """The candidate of the best score, the first of equals; 0.5 where no score is defined."""
    sign = 1.0 if find_metric(metric).higher_is_better else -1.0
    scores = np.array([sign * measure(candidates[[index]]) for index in range(len(candidates))])
    if np.isnan(scores).all():
        return 0.5
    return float(candidates[np.nanargmax(scores)])


def _check(loaded: LoadedConfig, target: Target) -> None:
    options, task = loaded.config.postprocess, target.task
    has_classes = not isinstance(target, NumberTarget)
    if options.clamp and has_classes:
        raise loaded.error("postprocess.clamp", f"goes with regression only; the task is {task}. Leave it out.")
    for key, is_asked in (("calibration", options.calibration != "none"), ("threshold", options.threshold is not None)):
        if is_asked and not has_classes:
            raise loaded.error(f"postprocess.{key}", f"goes with probabilities; the task is {task}. Leave it out.")
        is_fitted_here = key == "calibration" or isinstance(options.threshold, str)
        if is_asked and is_fitted_here and not has_validation(loaded):
            raise loaded.error(
                f"postprocess.{key}", "needs validation rows to be fitted on: set data.validation, or leave it out."
            )
    if options.threshold is not None and isinstance(target, ClassTarget) and len(target.labels) != 2:
        raise loaded.error(
            "postprocess.threshold",
            f"goes with two classes or yes/no columns; there are {len(target.labels)} classes. Leave it out.",
        )
    if isinstance(options.threshold, str):
        known = threshold_metrics(target)
        if options.threshold not in known:
            raise loaded.error("postprocess.threshold", explain_unknown_metric(options.threshold, known))


def threshold_metrics(target: Target) -> list[str]:
    """The metrics that a threshold can be chosen for: those that judge labels, not probabilities."""
    if isinstance(target, ClassTarget):
        names = metric_names("classification", target.labels)
        return [name for name in names if not find_metric(name).judges_probabilities]
    return [
        name for name, metric in METRICS.items() if "multilabel" in metric.tasks and not metric.judges_probabilities
    ]
