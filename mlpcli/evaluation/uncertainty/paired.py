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
from mlpcli.evaluation.metrics.scores import ScoreInputs, find_metric, gather, keys_of_parts, measure_of, score
from mlpcli.evaluation.uncertainty import pseudo_values
from mlpcli.evaluation.uncertainty.of_classes import ClassSample, why_few_wrong, why_scarce
from mlpcli.evaluation.uncertainty.of_numbers import output_alone
from mlpcli.evaluation.uncertainty.proportions import Interval, effective_rows, no_interval
from mlpcli.evaluation.uncertainty.resampling import draw_counts
from mlpcli.evaluation.uncertainty.skewed_means import mean_interval
from mlpcli.evaluation.uncertainty.tails import AMOUNTS, why_heavy

N_RESAMPLES = 2000
# Why metrics without an interval have none.
UNDECIDABLE = {
    "max_error": "is the error of a single row and does not generalise to other rows",
    "ece": "is an absolute difference, which chance alone makes positive",
}
# Scores of single classes, and pseudo-values of scores of single boolean columns.
_OF_CLASSES = {"f1": margins.f1, "precision": margins.precision, "recall": margins.recall}
_OF_COLUMNS: dict[str, Callable[[Any], Floats]] = {
    "accuracy": lambda inputs: pseudo_values.of_mean_loss(inputs.rows.is_right, inputs.weights),
    "f1": pseudo_values.f1_macro,
}
# Fewest rows for an interval.
FEWEST_ROWS = 30


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
    """Numbers of rows that only one prediction has correct, and the p-value of their difference."""

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
    metric that cannot decide has no interval, and no verdict.
    """
    both_inputs = [gather(truth.task, truth.y, one.predictions, truth.weights, one.threshold) for one in (old, new)]
    is_same = np.array_equal(old.predictions, new.predictions) and _is_same_threshold(old, new)
    compared = []
    for metric in metrics:
        before, after = (_score(truth, metric, one, truth.weights) for one in (old, new))
        with np.errstate(all="ignore"):
            interval = _interval(truth, both_inputs, metric, after - before, confidence)
        if is_same and can_decide(metric) and before == after:
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


def can_decide(metric: str) -> bool:
    """Whether a difference in the metric can be tested; see UNDECIDABLE."""
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
    if not can_decide(key):
        return no_interval(f"{key} {UNDECIDABLE[metric.name]}")
    if math.isnan(difference):
        return no_interval(f"{key} itself is not defined for these rows")
    n_rows = float(effective_rows(truth.weights, np.ones((len(truth.y), 1), np.bool_))[0])
    if n_rows < FEWEST_ROWS:
        return no_interval(f"too few rows for an interval (n = {n_rows:.0f}, needs about {FEWEST_ROWS})")
    part = None if key == metric.name else keys_of_parts(metric, truth.names).index(key)
    if part is not None and truth.task != "classification":
        truth, both_inputs = _column_alone(truth, both_inputs, part)
    values_of = _values_of(truth.task, metric, part)
    if values_of is None:
        return _percentiles(_resampled_differences(truth, both_inputs, metric.name), confidence)
    reason = _why_too_few(truth, both_inputs, metric)
    if reason:
        return no_interval(reason)
    if truth.task in metric.differences:
        moved = metric.differences[truth.task](*both_inputs)
    else:
        before, after = (values_of(inputs) for inputs in both_inputs)
        moved = np.asarray(after - before)
    moved = moved if truth.weights is None else moved[truth.weights > 0]
    reason = why_heavy(np.abs(moved - np.median(moved)), AMOUNTS) if metric.losses and np.ptp(moved) > 0 else ""
    if reason:
        return no_interval(reason)
    # Differences of equally good predictions are symmetric, so the correction for skewness may only widen the interval.
    ends = (*mean_interval(moved, confidence), *mean_interval(moved, confidence, is_skewed=False))
    return Interval(min(*ends, difference), max(*ends, difference))


def _column_alone(
    truth: Truth, both_inputs: Sequence[ScoreInputs], column: int
) -> tuple[Truth, Sequence[NumberInputs | BooleanInputs]]:
    """The data of a single output or boolean column."""
    alone = [
        output_alone(inputs, column)
        if isinstance(inputs, NumberInputs)
        else ClassSample(truth.task, inputs, truth.names).only(column).inputs
        for inputs in both_inputs
        if not isinstance(inputs, ClassInputs)
    ]
    some = slice(column, column + 1)
    return replace(truth, y=truth.y[:, some], names=truth.names[some]), alone  # type: ignore[return-value]


def _values_of(task: Task, metric: Metric, part: int | None) -> Callable[[Any], Floats] | None:
    """The function for pseudo-values of a score, or of the score of a class; None if there are none."""
    if part is not None and task == "classification":
        return pseudo_values.of_class(_OF_CLASSES[metric.name], part)
    if part is not None and task == "multilabel":
        return _OF_COLUMNS.get(metric.name, metric.pseudo_values.get(task))
    return metric.pseudo_values.get(task)


def _why_too_few(truth: Truth, both_inputs: Sequence[ScoreInputs], metric: Metric) -> str:
    """Why there are too few rows to compare two class scores, "" if there are enough.

    Enough errors of one prediction suffice; enough rows of a class are needed for both.
    """
    samples = [
        ClassSample(truth.task, inputs, truth.names) for inputs in both_inputs if not isinstance(inputs, NumberInputs)
    ]
    few_wrong = [why_few_wrong(sample, metric) for sample in samples]
    scarce = [why_scarce(sample, metric) for sample in samples]
    return min(few_wrong, default="") or max(scarce, default="")


def _resampled_differences(truth: Truth, both_inputs: Sequence[ScoreInputs], key: str) -> Floats:
    """`new - old` in resamples of seed 0, (N_RESAMPLES,); NaN where a resample does not define it."""
    measure, rng = measure_of(truth.task, key, truth.names), np.random.default_rng(0)
    found = []
    for counts in draw_counts(len(truth.y), N_RESAMPLES, rng):
        weights = counts if truth.weights is None else counts * truth.weights
        before, after = (measure(replace(inputs, weights=weights)) for inputs in both_inputs)
        found.append(np.broadcast_to(after - before, len(counts)))
    return np.concatenate(found)


def _percentiles(differences: Floats, confidence: float) -> Interval:
    """The percentile interval (Efron 1982, chapter 10)."""
    known = differences[np.isfinite(differences)]
    if 2 * len(known) < len(differences):
        return no_interval("it is undefined in most resamples of these rows")
    low, high = np.quantile(known, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]).tolist()
    return Interval(low, high)


def _score(truth: Truth, metric: str, prediction: Prediction, weights: Floats | None) -> float:
    return score(truth.task, metric, truth.y, prediction.predictions, truth.names, weights, prediction.threshold)


def _is_right(truth: Truth, prediction: Prediction) -> Bools:
    inputs: Any = gather(truth.task, truth.y, prediction.predictions, None, prediction.threshold)
    right: Bools = inputs.rows.is_right.reshape(len(truth.y), -1).all(axis=1)
    return right
