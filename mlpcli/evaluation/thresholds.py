"""Choice of decision thresholds that maximize a metric."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics.registry import METRICS, Task
from mlpcli.evaluation.metrics.scores import find_metric, score

Values = NDArray[np.float64]

MAX_CANDIDATES = 200  # for the threshold of a column


def choose_threshold(
    task: Task,
    names: Sequence[str],
    metric: str,
    probabilities: Values,
    truth: NDArray[Any],
    weights: Values | None = None,
) -> Values:
    """The threshold with the best `metric`, (1,) for two classes, or (n_targets,) for boolean columns, one at a time.

    `names` are the classes or columns of `probabilities` (n_rows, n_names). On ties the threshold nearest to 0.5 wins.
    If all columns together score worse with their thresholds than with 0.5, all thresholds are 0.5.
    """
    if task == "classification":

        def class_score(threshold: Values) -> float:
            return score(task, metric, truth, probabilities, names, weights, threshold)

        return np.array([_best(_candidates(probabilities[:, 1]), class_score, metric)])
    chosen = np.array(
        [
            _best(
                _candidates(probabilities[:, index]),
                _column_score(metric, probabilities, truth, weights, [index]),
                metric,
            )
            for index in range(len(names))
        ]
    )
    overall_score = _column_score(metric, probabilities, truth, weights, list(range(len(names))))
    default = np.full(len(chosen), 0.5)
    sign = 1.0 if find_metric(metric).higher_is_better else -1.0
    return chosen if sign * overall_score(chosen) >= sign * overall_score(default) else default


def _column_score(
    metric: str, probabilities: Values, truth: NDArray[Any], weights: Values | None, columns: list[int]
) -> Callable[[Values], float]:
    """The function from thresholds of boolean columns to their overall score, or the mean of their scores."""
    names = [str(column) for column in columns]
    has_overall = "multilabel" in METRICS[metric].overall
    keys = [metric] if has_overall else [f"{metric}[{name}]" for name in names]

    def mean_score(thresholds: Values) -> float:
        scores = [
            score("multilabel", key, truth[:, columns], probabilities[:, columns], names, weights, thresholds)
            for key in keys
        ]
        return float(np.mean(scores))

    return mean_score


def _candidates(probabilities: Values) -> Values:
    """0.5 and at most MAX_CANDIDATES midpoints between neighbouring probabilities, nearest to 0.5 first."""
    distinct = np.unique(probabilities)
    midpoints = (distinct[1:] + distinct[:-1]) / 2
    if len(midpoints) > MAX_CANDIDATES:
        midpoints = midpoints[np.round(np.linspace(0, len(midpoints) - 1, MAX_CANDIDATES)).astype(np.int64)]
    midpoints = np.append(midpoints, 0.5)
    midpoints = midpoints[(midpoints > 0.0) & (midpoints < 1.0)]
    return midpoints[np.argsort(np.abs(midpoints - 0.5), kind="stable")]


def _best(candidates: Values, measure: Callable[[Values], float], metric: str) -> float:
    """The candidate with the best score, the first one on ties; 0.5 if no score is defined."""
    sign = 1.0 if find_metric(metric).higher_is_better else -1.0
    scores = np.array([sign * measure(candidates[[index]]) for index in range(len(candidates))])
    if np.isnan(scores).all():
        return 0.5
    return float(candidates[np.nanargmax(scores)])
