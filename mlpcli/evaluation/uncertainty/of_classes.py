"""Intervals of scores of classes or boolean columns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from mlpcli.evaluation.metrics.averages import Bools, Floats, safe_divide
from mlpcli.evaluation.metrics.classes import ClassInputs
from mlpcli.evaluation.metrics.multilabel import BooleanInputs, BooleanRows
from mlpcli.evaluation.metrics.registry import Metric, Task
from mlpcli.evaluation.uncertainty.proportions import Interval, effective_rows, logit_interval, no_interval, wilson
from mlpcli.evaluation.uncertainty.skewed_means import degrees, mean_interval, student_quantile

RANKED = frozenset({"roc_auc", "average_precision"})
ROUNDING = 1e-12  # of a score: the spread of values that differ by rounding alone
FEWEST_WRONG = 3  # rows with a wrong answer
FEWEST_OF_CLASS, FEWEST_OF_MANY = 5, 3  # rows of a class, for means over classes, and over MANY classes
MANY = 20
FEWEST_RANKED = 5  # rows of the class, and for ROC AUC of the others
# Classes that may have fewer: what one of many says of their mean is small.
MOST_SCARCE = 0.2


@dataclass(frozen=True, eq=False)
class ClassSample:
    """What there is to judge scores by; rows with weights count as (sum w)^2 / sum w^2."""

    task: Task
    inputs: ClassInputs | BooleanInputs
    names: Sequence[str]

    def only(self, column: int) -> "ClassSample":
        """One boolean column."""
        rows, weights = self.inputs.rows, self.inputs.weights
        some = slice(column, column + 1)
        threshold = None if rows.threshold is None else rows.threshold[some]
        one = BooleanRows(np.asarray(rows.y[:, some], np.bool_), rows.p[:, some], threshold)
        return ClassSample(self.task, BooleanInputs(one, weights), self.names[some])

    @cached_property
    def n_rows(self) -> float:
        """Rows."""
        return self._worth_of_one(np.ones(len(self.inputs.rows.y), np.bool_))

    @cached_property
    def n_wrong(self) -> float:
        """The number of wrongly predicted rows."""
        right = self.inputs.rows.is_right
        return self._worth_of_one(~right if right.ndim == 1 else ~np.asarray(right.all(axis=1)))

    @cached_property
    def rows_of(self) -> dict[str, Floats]:
        """Rows of each class, or with yes in each column, in truth and prediction, (K,) each."""
        inputs = self.inputs
        if isinstance(inputs, BooleanInputs):
            return {"truth": self._worth(inputs.rows.y), "predicted": self._worth(inputs.rows.predicted)}
        if inputs.weights is None:
            return {"truth": inputs.margins.truth, "predicted": inputs.margins.predicted}
        squared = replace(inputs, weights=inputs.weights**2).margins
        return {
            "truth": safe_divide(inputs.margins.truth**2, squared.truth),
            "predicted": safe_divide(inputs.margins.predicted**2, squared.predicted),
        }

    @cached_property
    def of_ranked(self) -> tuple[Floats, Floats]:
        """Rows of the class, and of the others, of each column that is ranked, (K,) each."""
        of_class = self.rows_of["truth"]
        if self.task == "classification" and len(of_class) == 2:
            return of_class[1:], of_class[:1]
        is_class = self.inputs.rows.y if isinstance(self.inputs, BooleanInputs) else self.inputs.rows.is_class
        return of_class, self._worth(~is_class)

    def _worth_of_one(self, counted: Bools) -> float:
        return float(self._worth(counted[:, None])[0])

    def _worth(self, counted: Bools) -> Floats:
        return effective_rows(self.inputs.weights, counted)


def why_too_few(sample: ClassSample, metric: Metric) -> str:
    """Why pseudo-values are insufficient for an interval, "" if they suffice."""
    return why_few_wrong(sample, metric) or why_scarce(sample, metric)


def why_few_wrong(sample: ClassSample, metric: Metric) -> str:
    """That there are too few errors, so that one more would change the score much; "" for a ranking metric."""
    if metric.name in RANKED or sample.n_wrong >= FEWEST_WRONG:
        return ""
    return f"too few wrong answers ({sample.n_wrong:.0f} of {sample.n_rows:.0f} rows, needs {FEWEST_WRONG})"


def why_scarce(sample: ClassSample, metric: Metric) -> str:
    """That classes over which the metric is a mean, or which it ranks, have too few rows; "" if not."""
    if metric.name in RANKED:
        of_class, of_others = sample.of_ranked
        counts = of_class if metric.name == "average_precision" else np.minimum(of_class, of_others)
        is_scarce, needed = counts < FEWEST_RANKED, FEWEST_RANKED
    elif metric.rows_of:
        counts = np.min([sample.rows_of[side] for side in metric.rows_of], axis=0)
        needed = FEWEST_OF_CLASS if len(counts) < MANY else FEWEST_OF_MANY
        is_scarce = counts < needed
    else:
        return ""
    if is_scarce.mean() <= MOST_SCARCE:
        return ""
    names = sample.names[-1:] if len(counts) == 1 else sample.names
    rarest = int(counts.argmin())
    return f"too few rows for {names[rarest]!r} (n = {counts[rarest]:.0f}, needs {needed})"


def class_interval(sample: ClassSample, metric: Metric, score: float, confidence: float, z: float) -> Interval:
    """The interval, or the reason why there is none; `z` is the normal quantile of its upper end."""
    reason = why_too_few(sample, metric)
    values = np.full(2, score) if reason else metric.pseudo_values[sample.task](sample.inputs)
    if metric.name in RANKED:
        return _ranked_interval(sample, metric, score, values, reason, (confidence, z))
    if not reason and sample.inputs.weights is not None:
        values = values[sample.inputs.weights > 0]
    if not np.ptp(values) > ROUNDING * max(abs(score), 1.0):
        return _without_spread(sample, metric, score, reason or "every row has the same loss", z)
    low, high = mean_interval(values, confidence)
    if len(metric.rows_of) == 1 and isinstance(sample.inputs, ClassInputs):
        (side,) = metric.rows_of
        of_classes = _mean_of_proportions(sample.inputs, sample.rows_of[side], side, score, z)
        low, high = min(low, of_classes.low), max(high, of_classes.high)
    least, largest = _bounds(sample, metric)
    return Interval(min(max(low, least), score), max(min(high, largest), score))


def _mean_of_proportions(
    inputs: ClassInputs, rows: Floats, side: Literal["truth", "predicted"], score: float, z: float
) -> Interval:
    """The interval of a mean of recalls, or of precisions, from Wilson's of each (MOVER: Zou & Donner 2008).

    `rows` (K,) are those of each class. A class of which no row is right has no spread that pseudo-values could tell.
    """
    margins = inputs.margins
    each = safe_divide(margins.hits, margins.truth if side == "truth" else margins.predicted)[rows > 0]
    ends = [wilson(one, n, z) for one, n in zip(each.tolist(), rows[rows > 0].tolist(), strict=True)]
    down = math.sqrt(sum((one - end.low) ** 2 for one, end in zip(each, ends, strict=True))) / len(ends)
    up = math.sqrt(sum((end.high - one) ** 2 for one, end in zip(each, ends, strict=True))) / len(ends)
    return Interval(score - down, score + up)


def _ranked_interval(
    sample: ClassSample, metric: Metric, score: float, values: Floats, reason: str, levels: tuple[float, float]
) -> Interval:
    """The interval of a mean over ranked columns, on the logit scale; `levels` are confidence and normal quantile."""
    confidence, z = levels
    counts = sample.of_ranked
    is_precision = metric.name == "average_precision"
    fewest = float((counts[0] if is_precision else np.minimum(*counts)).min())
    moved = (values - score) / len(values)
    error = math.sqrt(moved @ moved)
    if not reason and 0 < score < 1 and math.isfinite(error):
        if error > ROUNDING:
            return logit_interval(score, error, student_quantile((1 + confidence) / 2, degrees(moved)))
        return no_interval("no two rows are ranked differently")
    if is_precision and (reason or score < 1):
        return no_interval(reason or "a class has one row")
    return wilson(score, fewest, z)


def _bounds(sample: ClassSample, metric: Metric) -> tuple[float, float]:
    """The range of the score."""
    if metric.name == "log_loss":
        return 0.0, math.inf
    # Squared errors that are summed over classes come to 2 where all are sure and wrong.
    is_summed = metric.name == "brier" and sample.task == "classification" and len(sample.names) > 2
    return (-1.0 if metric.name == "mcc" else 0.0), (2.0 if is_summed else 1.0)


def _without_spread(sample: ClassSample, metric: Metric, score: float, reason: str, z: float) -> Interval:
    """The conservative interval if pseudo-values are insufficient, or none with the reason."""
    if metric.name == "log_loss" or score < 0:
        return no_interval(reason)
    _, largest = _bounds(sample, metric)
    if not metric.rows_of:
        share = wilson(score / largest, sample.n_rows, z)
        return Interval(largest * share.low, largest * share.high)
    side = "truth" if "truth" in metric.rows_of else "predicted"
    rows = sample.rows_of[side]
    rarest = int(rows.argmin())
    if not rows[rarest] > 0:
        return no_interval(f"no row is {'of' if side == 'truth' else 'predicted as'} {sample.names[rarest]!r}")
    return wilson(score, float(rows[rarest]), z)
