"""Scores of a model on rows whose truth is known, and of the constant baseline."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.targets import ClassTarget, NumberTarget, Target, decode_outputs
from mlpcli.evaluation.constant import constant_classes, constant_numbers, constant_yes_no
from mlpcli.evaluation.metrics import METRICS
from mlpcli.evaluation.scores import score, score_classes, score_multilabel, score_numbers
from mlpcli.nn.losses import AbsoluteError, Loss, Quantile
from mlpcli.workflows.postprocessing import fit_temperature

Values = NDArray[np.float64]


def score_answers(
    target: Target,
    truth: NDArray[Any],
    answers: Values,
    weights: Values | None = None,
    threshold: Values | None = None,
) -> dict[str, float]:
    """Every score of decoded answers, in the order of display; `threshold` as for `predicted_labels`."""
    if isinstance(target, ClassTarget):
        return score_classes(truth, answers, target.labels, weights, threshold)
    if isinstance(target, NumberTarget):
        return score_numbers(truth, answers, target.names, weights)
    return score_multilabel(truth, answers, target.names, weights, threshold)


def metric_of_outputs(
    metric: str,
    target: Target,
    target_state: dict[str, Values],
    truth: NDArray[Any],
    weights: Values | None,
    is_calibrated: bool = False,
) -> Callable[[NDArray[Any]], float]:
    """A function from network outputs (n_rows, n_out) to one metric, for the choice of the best epoch.

    With `is_calibrated` probabilities are judged as they will be once they have their temperature: an epoch that is too
    sure of itself is not worse for that.
    """
    names = target.labels if isinstance(target, ClassTarget) else target.names
    finds_temperature = is_calibrated and metric in METRICS and METRICS[metric].judges_probabilities

    def measure(outputs: NDArray[Any]) -> float:
        answers = decode_outputs(target, target_state, outputs)
        if finds_temperature and not isinstance(target, NumberTarget):
            temperature = np.array([fit_temperature(answers, truth, weights)])
            answers = decode_outputs(target, target_state | {"temperature": temperature}, outputs)
        return score(target.task, metric, truth, answers, names, weights, target_state.get("threshold"))

    return measure


def constant_answers(target: Target, loss: Loss, truth: NDArray[Any], weights: Values | None, n_rows: int) -> Values:
    """What someone who knows only the training targets `truth` would answer for each of `n_rows` rows."""
    if isinstance(target, ClassTarget):
        answer = constant_classes(truth, len(target.labels), weights)
    elif isinstance(target, NumberTarget):
        answer = constant_numbers(truth, weights, _quantile_of(loss))
    else:
        answer = constant_yes_no(truth, weights)
    return np.broadcast_to(answer, (n_rows, len(answer)))


def _quantile_of(loss: Loss) -> float | None:
    """The quantile that a loss fits; None for the mean."""
    if isinstance(loss, Quantile):
        return loss.quantile
    return 0.5 if isinstance(loss, AbsoluteError) else None
