"""Scores of predictions.

The key of a score is the name of a metric (`f1_macro`), followed in brackets by a class (`f1[Adelie]`), an output
(`rmse[height]`) or a boolean column (`roc_auc[late]`) if the metric is computed for each. An undefined score is NaN.
Without a row of positive weight all scores are NaN.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlpcli.aliases import value_of
from mlpcli.evaluation.conformal.metrics import INTERVAL_METRICS
from mlpcli.evaluation.metrics.averages import Floats, Predicted
from mlpcli.evaluation.metrics.classes import ClassInputs, ClassRows
from mlpcli.evaluation.metrics.multilabel import BooleanInputs, BooleanRows
from mlpcli.evaluation.metrics.numbers import NumberInputs, NumberRows
from mlpcli.evaluation.metrics.registry import METRICS, Metric, Task

ENDS = (".low", ".high")  # of an interval, in the keys of gates: `roc_auc.low`

ScoreInputs: TypeAlias = ClassInputs | NumberInputs | BooleanInputs


def score_classes(
    y: NDArray[np.integer],
    probabilities: Predicted,
    labels: Sequence[str],
    weights: Floats | None = None,
    threshold: Floats | None = None,
) -> dict[str, float]:
    """All scores of class `probabilities` (n_rows, K) for the codes `y` (n_rows,); `labels` names the K classes.

    The predicted class is the most probable one, the first on ties. With two classes the second is the positive class,
    which is predicted if its probability is above `threshold` (1,), by default 0.5.
    """
    return _score_all("classification", y, probabilities, labels, weights, threshold)


def score_numbers(
    y: Floats, predicted: Predicted, names: Sequence[str], weights: Floats | None = None
) -> dict[str, float]:
    """All scores of `predicted` numbers (n_rows, M) for `y` (n_rows, M); `names` names the M outputs."""
    return _score_all("regression", y, predicted, names, weights)


def score_multilabel(
    y: NDArray[Any],
    probabilities: Predicted,
    names: Sequence[str],
    weights: Floats | None = None,
    threshold: Floats | None = None,
) -> dict[str, float]:
    """All scores of the `probabilities` of yes (n_rows, M) for `y` (n_rows, M) of 0 and 1; `names` names the M columns.

    Yes is predicted where the probability is above the `threshold` (M,) of its column, or 0.5.
    """
    return _score_all("multilabel", y, probabilities, names, weights, threshold)


def score(
    task: Task,
    key: str,
    y: NDArray[Any],
    predicted: Predicted,
    names: Sequence[str],
    weights: Floats | None = None,
    threshold: Floats | None = None,
) -> float:
    """The score `key` alone; arguments as for the function that computes all scores of `task`."""
    if not _has_weight(y, weights):
        return np.nan
    inputs = score_inputs(task, y, predicted, weights, threshold)
    with np.errstate(all="ignore"):
        return float(metric_function(task, key, names)(inputs))


def metric_function(task: Task, key: str, names: Sequence[str]) -> Callable[[Any], Floats]:
    """The function that computes a score from the score inputs, 0-d, or (R,) for resamples."""
    metric = find_metric(key)
    if key == metric.name:
        return metric.overall[task]
    output = keys_per_output(metric, names).index(key)
    return lambda inputs: np.asarray(metric.per_output[task](inputs)[..., output])


def find_metric(key: str) -> Metric:
    """The metric of a score: `find_metric("f1[Adelie]").higher_is_better`."""
    name = key.partition("[")[0]
    return METRICS[name] if name in METRICS else INTERVAL_METRICS[name]


def metric_names(task: Task, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The keys of all scores of a task, in the order of display.

    `names` are the class labels, outputs or boolean columns of the target. Without them the keys for any target of the
    task, including `f1`, `precision` and `recall`, which only targets with two classes have.
    """
    overall = [
        metric.name
        for metric in METRICS.values()
        if task in metric.overall and (names is None or len(names) == 2 or not metric.needs_two_classes)
    ]
    per_output = _metrics_per_output(task, names or ())
    return (*overall, *(f"{metric.name}[{name}]" for name in names or () for metric in per_output))


def explain_unknown_metric(key: str, keys: Sequence[str]) -> str:
    """Two lines of an error message for a score that is not among `keys`: the most similar key, and all of them."""
    end_keys = [known_key for known_key in keys if known_key.endswith(ENDS)]
    keys = [known_key for known_key in keys if not known_key.endswith(ENDS)]
    if end_keys and "." in key.rpartition("]")[2]:
        keys += end_keys
    overall = [known_key for known_key in keys if "[" not in known_key]
    wanted = key.strip().lower().replace("-", "_")
    # Aliases from other programs first, then abbreviations: acc is short for accuracy, although mcc is more similar.
    near = (
        [alias for alias in (value_of(wanted, overall),) if alias]
        or [known_key for known_key in overall if len(wanted) > 1 and known_key.startswith(wanted)]
        or difflib.get_close_matches(wanted, overall, n=1)
        or difflib.get_close_matches(key, keys, n=1)
    )
    per_output = dict.fromkeys(f"{known_key.partition('[')[0]}[NAME]" for known_key in keys if "[" in known_key)
    hint = f" Did you mean {near[0]}?" if near else ""
    listed = [*(known_key for known_key in overall if not known_key.endswith(ENDS)), *per_output]
    of_ends = f"; NAME{ENDS[0]} and NAME{ENDS[1]} are the ends of its interval" if end_keys else ""
    return f"unknown metric {key!r}.{hint}\nMetrics: {', '.join(listed)}{of_ends}"


def _score_all(
    task: Task,
    y: NDArray[Any],
    predicted: Predicted,
    names: Sequence[str],
    weights: Floats | None,
    threshold: Floats | None = None,
) -> dict[str, float]:
    scores = dict.fromkeys(metric_names(task, names), np.nan)
    if not _has_weight(y, weights):
        return scores
    inputs = score_inputs(task, y, predicted, weights, threshold)
    # Predictions of a diverging network overflow when squared: the score is then infinite, and no gate passes it.
    with np.errstate(all="ignore"):
        for key in scores:
            if "[" not in key:
                scores[key] = float(METRICS[key].overall[task](inputs))
        for metric in _metrics_per_output(task, names):
            scores.update(zip(keys_per_output(metric, names), metric.per_output[task](inputs).tolist(), strict=True))
    return scores


def _has_weight(y: NDArray[Any], weights: Floats | None) -> bool:
    return len(y) > 0 and (weights is None or bool(weights.any()))


def score_inputs(
    task: Task, y: NDArray[Any], predicted: Predicted, weights: Floats | None, threshold: Floats | None
) -> ScoreInputs:
    """The score inputs of a task; arguments as for the function that computes all its scores."""
    if isinstance(predicted, np.ndarray):  # `Predicted` objects compute float64
        predicted = np.asarray(predicted, dtype=np.float64)
    weights = None if weights is None else np.asarray(weights, dtype=np.float64)
    if task == "classification":
        return ClassInputs(ClassRows(y, predicted, threshold), weights)
    if task == "regression":
        return NumberInputs(NumberRows(y, predicted), weights)
    return BooleanInputs(BooleanRows(y.astype(np.bool_, copy=False), predicted, threshold), weights)


def _metrics_per_output(task: Task, names: Sequence[str]) -> list[Metric]:
    """The metrics with a score per class, output or column; none for a single numeric output."""
    if task == "regression" and len(names) < 2:
        return []
    return [metric for metric in METRICS.values() if task in metric.per_output]


def keys_per_output(metric: Metric, names: Sequence[str]) -> list[str]:
    """The keys of a metric's scores per class, output or column."""
    return [f"{metric.name}[{name}]" for name in names]
