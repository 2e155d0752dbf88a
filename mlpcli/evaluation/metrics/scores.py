"""The scores of a prediction, all of them or one.

A score has a key: the name of a metric (`f1_macro`), or a name and a part of the target in brackets: a class
(`f1[Adelie]`), an output (`rmse[height]`) or a boolean column (`roc_auc[late]`). A score that is not defined is NaN; so
are all scores where no row has weight.
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

ENDS = (".low", ".high")  # of an interval, as a gate names them: `roc_auc.low`

ScoreInputs: TypeAlias = ClassInputs | NumberInputs | BooleanInputs


def score_classes(
    y: NDArray[np.integer],
    probabilities: Predicted,
    labels: Sequence[str],
    weights: Floats | None = None,
    threshold: Floats | None = None,
) -> dict[str, float]:
    """All scores of class `probabilities` (n_rows, K) for the codes `y` (n_rows,); `labels` names the K classes.

    The predicted class is the most probable one, the first on ties. With two classes the second is the positive one; it
    is predicted where its probability is above `threshold` (1,), if there is one.
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
    """The one score `key`, without the cost of the others; arrays as in the function that scores all of `task`."""
    if not _has_weight(y, weights):
        return np.nan
    inputs = gather(task, y, predicted, weights, threshold)
    with np.errstate(all="ignore"):
        return float(measure_of(task, key, names)(inputs))


def measure_of(task: Task, key: str, names: Sequence[str]) -> Callable[[Any], Floats]:
    """The function of the score inputs that gives a score, 0-d, or (R,) of resamples."""
    metric = find_metric(key)
    if key == metric.name:
        return metric.together[task]
    part = keys_of_parts(metric, names).index(key)
    return lambda inputs: np.asarray(metric.each[task](inputs)[..., part])


def find_metric(key: str) -> Metric:
    """The metric of a score: `find_metric("f1[Adelie]").higher_is_better`."""
    name = key.partition("[")[0]
    return METRICS[name] if name in METRICS else INTERVAL_METRICS[name]


def metric_names(task: Task, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The keys of all scores of a task, in the order of display.

    `names` are the class labels, outputs or boolean columns of the target; without them the names that any target
    of the task can have, which includes `f1`, `precision` and `recall` though only targets with two classes have these.
    """
    together = [
        metric.name
        for metric in METRICS.values()
        if task in metric.together and (names is None or len(names) == 2 or not metric.needs_two_classes)
    ]
    in_parts = _metrics_in_parts(task, names or ())
    return (*together, *(f"{metric.name}[{name}]" for name in names or () for metric in in_parts))


def explain_unknown_metric(key: str, keys: Sequence[str]) -> str:
    """Two lines for the user who asked for a score that is not among `keys`: the nearest one, and all of them."""
    known_ends = [known for known in keys if known.endswith(ENDS)]
    keys = [known for known in keys if not known.endswith(ENDS)]
    if known_ends and "." in key.rpartition("]")[2]:
        keys += known_ends
    whole = [known for known in keys if "[" not in known]
    wanted = key.strip().lower().replace("-", "_")
    # Another program's word first, then an abbreviation: acc is short for accuracy, though mcc is spelt more like it.
    near = (
        [ours for ours in (value_of(wanted, whole),) if ours]
        or [known for known in whole if len(wanted) > 1 and known.startswith(wanted)]
        or difflib.get_close_matches(wanted, whole, n=1)
        or difflib.get_close_matches(key, keys, n=1)
    )
    in_parts = dict.fromkeys(f"{known.partition('[')[0]}[NAME]" for known in keys if "[" in known)
    hint = f" Did you mean {near[0]}?" if near else ""
    listed = [*(known for known in whole if not known.endswith(ENDS)), *in_parts]
    of_ends = f"; NAME{ENDS[0]} and NAME{ENDS[1]} are the ends of its interval" if known_ends else ""
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
    inputs = gather(task, y, predicted, weights, threshold)
    # Predictions of a diverging network overflow when squared: the score is then infinite, and no gate passes it.
    with np.errstate(all="ignore"):
        for key in scores:
            if "[" not in key:
                scores[key] = float(METRICS[key].together[task](inputs))
        for metric in _metrics_in_parts(task, names):
            scores.update(zip(keys_of_parts(metric, names), metric.each[task](inputs).tolist(), strict=True))
    return scores


def _has_weight(y: NDArray[Any], weights: Floats | None) -> bool:
    return len(y) > 0 and (weights is None or bool(weights.any()))


def gather(
    task: Task, y: NDArray[Any], predicted: Predicted, weights: Floats | None, threshold: Floats | None
) -> ScoreInputs:
    """What the metrics of a task ask: arrays as in the function that scores all of it."""
    if isinstance(predicted, np.ndarray):  # else it gives float64 by itself
        predicted = np.asarray(predicted, dtype=np.float64)
    weights = None if weights is None else np.asarray(weights, dtype=np.float64)
    if task == "classification":
        return ClassInputs(ClassRows(y, predicted, threshold), weights)
    if task == "regression":
        return NumberInputs(NumberRows(y, predicted), weights)
    return BooleanInputs(BooleanRows(y.astype(np.bool_, copy=False), predicted, threshold), weights)


def _metrics_in_parts(task: Task, names: Sequence[str]) -> list[Metric]:
    """The metrics shown per class, output or column; a single output has no parts."""
    if task == "regression" and len(names) < 2:
        return []
    return [metric for metric in METRICS.values() if task in metric.each]


def keys_of_parts(metric: Metric, names: Sequence[str]) -> list[str]:
    """The keys of a metric's scores per class, output or column."""
    return [f"{metric.name}[{name}]" for name in names]
