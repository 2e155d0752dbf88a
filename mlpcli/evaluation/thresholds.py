"""Choice of a decision threshold by a metric."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics.registry import METRICS, Task
from mlpcli.evaluation.metrics.scores import find_metric, score

Values = NDArray[np.float64]

MOST_THRESHOLDS = 200


def choose_threshold(
    task: Task,
    names: Sequence[str],
    metric: str,
    probabilities: Values,
    truth: NDArray[Any],
    weights: Values | None = None,
) -> Values:
    """The threshold of the best `metric`, (1,) for two classes, or (n_targets,): of each boolean column on its own.

    `names` are those of the classes or columns, `probabilities` theirs (n_rows, n_names).

    Where several are best, the one nearest to 0.5. Thresholds of columns that together score less than 0.5 are not
    taken.
    """
    if task == "classification":

        def of_classes(threshold: Values) -> float:
            return score(task, metric, truth, probabilities, names, weights, threshold)

        return np.array([_best(_candidates(probabilities[:, 1]), of_classes, metric)])
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
    together = _column_score(metric, probabilities, truth, weights, list(range(len(names))))
    halves = np.full(len(chosen), 0.5)
    sign = 1.0 if find_metric(metric).higher_is_better else -1.0
    return chosen if sign * together(chosen) >= sign * together(halves) else halves


def _column_score(
    metric: str, probabilities: Values, truth: NDArray[Any], weights: Values | None, columns: list[int]
) -> Callable[[Values], float]:
    """The metric of boolean columns as a function of their thresholds: overall, or the mean over columns."""
    names = [str(column) for column in columns]
    has_one = "multilabel" in METRICS[metric].together
    keys = [metric] if has_one else [f"{metric}[{name}]" for name in names]

    def measured(thresholds: Values) -> float:
        found = [
            score("multilabel", key, truth[:, columns], probabilities[:, columns], names, weights, thresholds)
            for key in keys
        ]
        return float(np.mean(found))

    return measured


def _candidates(probabilities: Values) -> Values:
    """0.5 and the midpoints between neighbouring probabilities, or an evenly spaced subset of them."""
    distinct = np.unique(probabilities)
    middles = (distinct[1:] + distinct[:-1]) / 2
    if len(middles) > MOST_THRESHOLDS:
        middles = middles[np.round(np.linspace(0, len(middles) - 1, MOST_THRESHOLDS)).astype(np.int64)]
    middles = np.append(middles, 0.5)
    middles = middles[(middles > 0.0) & (middles < 1.0)]
    return middles[np.argsort(np.abs(middles - 0.5), kind="stable")]


def _best(candidates: Values, measure: Callable[[Values], float], metric: str) -> float:
    """The candidate with the best score, the first of a tie; 0.5 if no score is defined."""
    sign = 1.0 if find_metric(metric).higher_is_better else -1.0
    scores = np.array([sign * measure(candidates[[index]]) for index in range(len(candidates))])
    if np.isnan(scores).all():
        return 0.5
    return float(candidates[np.nanargmax(scores)])
