"""Compare two predictions of the same rows: score differences with intervals, and McNemar's exact test.

Intervals use paired differences of pseudo-values (`uncertainty.pseudo_values`), so that rows that are hard for both
predictions do not add variance. Scores without pseudo-values use a paired bootstrap.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics import margins
from mlpcli.evaluation.metrics.averages import Bools, Floats
from mlpcli.evaluation.metrics.classes import ClassInputs
from mlpcli.evaluation.metrics.multilabel import BooleanInputs
from mlpcli.evaluation.metrics.numbers import NumberInputs
from mlpcli.evaluation.metrics.registry import Metric, Task
from mlpcli.evaluation.metrics.scores import (
    ScoreInputs,
    find_metric,
    keys_per_output,
    metric_function,
    score,
    score_inputs,
)
from mlpcli.evaluation.uncertainty import pseudo_values
from mlpcli.evaluation.uncertainty.class_intervals import ClassSample, few_errors_reason, scarce_classes_reason
from mlpcli.evaluation.uncertainty.number_intervals import select_output
from mlpcli.evaluation.uncertainty.proportions import Interval, effective_rows, no_interval
from mlpcli.evaluation.uncertainty.resampling import draw_counts
from mlpcli.evaluation.uncertainty.skewed_means import mean_interval
from mlpcli.evaluation.uncertainty.tails import ABSOLUTE_ERRORS, heavy_tail_reason

N_RESAMPLES = 2000
# Why metrics without an interval have none.
NO_INTERVAL_REASONS = {
    "max_error": "is the error of a single row and does not generalise to other rows",
    "ece": "is an absolute difference, which chance alone makes positive",
}
# Scores per class, and pseudo-values of scores per boolean column.
_CLASS_SCORES = {"f1": margins.f1, "precision": margins.precision, "recall": margins.recall}
_COLUMN_PSEUDO_VALUES: dict[str, Callable[[Any], Floats]] = {
    "accuracy": lambda inputs: pseudo_values.of_mean_loss(inputs.rows.is_right, inputs.weights),
    "f1": pseudo_values.f1_macro,
}
# Fewest rows for an interval.
MIN_ROWS = 30


@dataclass(frozen=True)
class Truth:
    """The true values: `y` and `names` as in `evaluation.scores`, `weights` (n_rows,) or None."""

    task: Task
    y: NDArray[Any]
    names: Sequence[str]
    weights: Floats | None = None


@dataclass(frozen=True)
class Prediction:
    """The `predictions` (n_rows, n_classes or n_targets), and the decision threshold of classification."""

    predictions: Floats
    threshold: Floats | None = None


@dataclass(frozen=True)
class McNemar:
    """Numbers of rows that only the old or only the new prediction has correct, and the p-value of their difference."""

    only_old: int
    only_new: int
    p: float


@dataclass(frozen=True)
class Difference:
    """A score of both predictions, the interval of `new - old`, and the verdict.

    `reason` is why there is no interval and no verdict, "" if there is one. `mcnemar` is present for accuracy, and must
    be significant for a verdict.
    """

    metric: str
    old: float
    new: float
    low: float
    high: float
    verdict: Literal["better", "worse", "undecided"]
    mcnemar: McNemar | None = None
    reason: str = ""

    @property
    def difference(self) -> float:
        """`new - old`, in the unit of the metric."""
        return self.new - self.old


def compare_scores(
    truth: Truth, old: Prediction, new: Prediction, metrics: Sequence[str], confidence: float, margin: dict[str, float]
) -> list[Difference]:
    """The difference of each score, with its interval.

    The new prediction is worse (better) in a metric if the whole interval is, by more than the metric's `margin`. A
    metric without an interval has no verdict.
    """
    both_inputs = [
        score_inputs(truth.task, truth.y, prediction.predictions, truth.weights, prediction.threshold)
        for prediction in (old, new)
    ]
    is_same = np.array_equal(old.predictions, new.predictions) and _is_same_threshold(old, new)
    compared = []
    for metric in metrics:
        before, after = (_score(truth, metric, prediction, truth.weights) for prediction in (old, new))
        with np.errstate(all="ignore"):
            interval = _interval(truth, both_inputs, metric, after - before, confidence)
        if is_same and has_interval(metric) and before == after:
            interval = Interval(0.0, 0.0)
        low, high = interval.low, interval.high
        test = None
        if metric in ("accuracy", "subset_accuracy") and truth.weights is None:
            test = mcnemar(_is_right(truth, old), _is_right(truth, new))
        is_gain, bound = find_metric(metric).higher_is_better, margin.get(metric, 0.0)
        worst, best = (low, high) if is_gain else (-high, -low)
        verdict: Literal["better", "worse", "undecided"] = "undecided"
        if test is None or test.p < 1.0 - confidence:
            verdict = "worse" if best < -bound else "better" if worst > bound else "undecided"
        compared.append(Difference(metric, before, after, low, high, verdict, test, interval.reason))
    return compared


def _is_same_threshold(old: Prediction, new: Prediction) -> bool:
    if old.threshold is None or new.threshold is None:
        return old.threshold is new.threshold
    return np.array_equal(old.threshold, new.threshold)


def has_interval(metric: str) -> bool:
    """Whether differences in the metric have a confidence interval; if not, NO_INTERVAL_REASONS has the reason."""
    return find_metric(metric).has_interval


def mcnemar(old_is_right: Bools, new_is_right: Bools) -> McNemar:
    """McNemar's exact two-sided test: a binomial test on the rows that only one prediction has correct."""
    only_old = int(np.count_nonzero(old_is_right & ~new_is_right))
    only_new = int(np.count_nonzero(new_is_right & ~old_is_right))
    n, fewer = only_old + only_new, min(only_old, only_new)
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(fewer + 1)]
    tail = sum(math.exp(log - n * math.log(2.0)) for log in logs)
    return McNemar(only_old, only_new, min(1.0, 2.0 * tail))


def _interval(
    truth: Truth, both_inputs: Sequence[ScoreInputs], key: str, difference: float, confidence: float
) -> Interval:
    """The interval of the difference of a score, or the reason why there is none."""
    metric = find_metric(key)
    if not has_interval(key):
        return no_interval(f"{key} {NO_INTERVAL_REASONS[metric.name]}")
    if math.isnan(difference):
        return no_interval(f"{key} itself is not defined for these rows")
    n_rows = float(effective_rows(truth.weights, np.ones((len(truth.y), 1), np.bool_))[0])
    if n_rows < MIN_ROWS:
        return no_interval(f"too few rows for an interval (n = {n_rows:.0f}, needs about {MIN_ROWS})")
    output = None if key == metric.name else keys_per_output(metric, truth.names).index(key)
    if output is not None and truth.task != "classification":
        truth, both_inputs = _select_column(truth, both_inputs, output)
    pseudo_values_of = _pseudo_values_function(truth.task, metric, output)
    if pseudo_values_of is None:
        return _percentiles(_resampled_differences(truth, both_inputs, metric.name), confidence)
    reason = _insufficient_rows_reason(truth, both_inputs, metric)
    if reason:
        return no_interval(reason)
    if truth.task in metric.differences:
        differences = metric.differences[truth.task](*both_inputs)
    else:
        before, after = (pseudo_values_of(inputs) for inputs in both_inputs)
        differences = np.asarray(after - before)
    differences = differences if truth.weights is None else differences[truth.weights > 0]
    reason = (
        heavy_tail_reason(np.abs(differences - np.median(differences)), ABSOLUTE_ERRORS)
        if metric.losses and np.ptp(differences) > 0
        else ""
    )
    if reason:
        return no_interval(reason)
    # Differences of equally good predictions are symmetric, so the correction for skewness may only widen the interval.
    ends = (*mean_interval(differences, confidence), *mean_interval(differences, confidence, is_skewed=False))
    return Interval(min(*ends, difference), max(*ends, difference))


def _select_column(
    truth: Truth, both_inputs: Sequence[ScoreInputs], column: int
) -> tuple[Truth, Sequence[NumberInputs | BooleanInputs]]:
    """Truth and score inputs of a single output or boolean column."""
    selected = [
        select_output(inputs, column)
        if isinstance(inputs, NumberInputs)
        else ClassSample(truth.task, inputs, truth.names).select_column(column).inputs
        for inputs in both_inputs
        if not isinstance(inputs, ClassInputs)
    ]
    columns = slice(column, column + 1)
    return replace(truth, y=truth.y[:, columns], names=truth.names[columns]), selected  # type: ignore[return-value]


def _pseudo_values_function(task: Task, metric: Metric, output: int | None) -> Callable[[Any], Floats] | None:
    """The function that computes the pseudo-values of a score, overall or per output; None if it has none."""
    if output is not None and task == "classification":
        return pseudo_values.of_class(_CLASS_SCORES[metric.name], output)
    if output is not None and task == "multilabel":
        return _COLUMN_PSEUDO_VALUES.get(metric.name, metric.pseudo_values.get(task))
    return metric.pseudo_values.get(task)


def _insufficient_rows_reason(truth: Truth, both_inputs: Sequence[ScoreInputs], metric: Metric) -> str:
    """Why there are too few rows to compare the scores of two predictions; "" if there are enough.

    One prediction with enough errors suffices, but both need enough rows of each class.
    """
    samples = [
        ClassSample(truth.task, inputs, truth.names) for inputs in both_inputs if not isinstance(inputs, NumberInputs)
    ]
    few_wrong = [few_errors_reason(sample, metric) for sample in samples]
    scarce = [scarce_classes_reason(sample, metric) for sample in samples]
    return min(few_wrong, default="") or max(scarce, default="")


def _resampled_differences(truth: Truth, both_inputs: Sequence[ScoreInputs], key: str) -> Floats:
    """`new - old` in bootstrap resamples with seed 0 (N_RESAMPLES,); NaN where a score is undefined."""
    measure, rng = metric_function(truth.task, key, truth.names), np.random.default_rng(0)
    blocks = []
    for counts in draw_counts(len(truth.y), N_RESAMPLES, rng):
        weights = counts if truth.weights is None else counts * truth.weights
        before, after = (measure(replace(inputs, weights=weights)) for inputs in both_inputs)
        blocks.append(np.broadcast_to(after - before, len(counts)))
    return np.concatenate(blocks)


def _percentiles(differences: Floats, confidence: float) -> Interval:
    """The percentile interval (Efron 1982, chapter 10)."""
    defined = differences[np.isfinite(differences)]
    if 2 * len(defined) < len(differences):
        return no_interval("it is undefined in most resamples of these rows")
    low, high = np.quantile(defined, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]).tolist()
    return Interval(low, high)


def _score(truth: Truth, metric: str, prediction: Prediction, weights: Floats | None) -> float:
    return score(truth.task, metric, truth.y, prediction.predictions, truth.names, weights, prediction.threshold)


def _is_right(truth: Truth, prediction: Prediction) -> Bools:
    inputs: Any = score_inputs(truth.task, truth.y, prediction.predictions, None, prediction.threshold)
    right: Bools = inputs.rows.is_right.reshape(len(truth.y), -1).all(axis=1)
    return right
