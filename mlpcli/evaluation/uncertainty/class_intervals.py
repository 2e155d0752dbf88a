"""Confidence intervals of the scores of classes and boolean columns."""

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
from mlpcli.evaluation.uncertainty.skewed_means import degrees_of_freedom, mean_interval, student_quantile

RANKED = frozenset({"roc_auc", "average_precision"})
ROUNDING = 1e-12  # pseudo-values with a smaller range, relative to the score, are equal up to rounding error
MIN_WRONG = 3  # wrong predictions
MIN_CLASS_ROWS, MIN_CLASS_ROWS_OF_MANY = 5, 3  # of a macro average, the latter from MANY_CLASSES
MANY_CLASSES = 20
MIN_RANKED_ROWS = 5  # positive rows, and for ROC AUC also negative rows
# Fraction of the classes that may have fewer rows, because each has little effect on the mean.
MAX_SCARCE = 0.2


@dataclass(frozen=True, eq=False)
class ClassSample:
    """Score inputs and counts of their rows; weighted rows count as (sum w)^2 / sum w^2."""

    task: Task
    inputs: ClassInputs | BooleanInputs
    names: Sequence[str]

    def select_column(self, column: int) -> "ClassSample":
        """The sample of one boolean column."""
        rows, weights = self.inputs.rows, self.inputs.weights
        columns = slice(column, column + 1)
        threshold = None if rows.threshold is None else rows.threshold[columns]
        selected = BooleanRows(np.asarray(rows.y[:, columns], np.bool_), rows.p[:, columns], threshold)
        return ClassSample(self.task, BooleanInputs(selected, weights), self.names[columns])

    @cached_property
    def n_rows(self) -> float:
        """The number of rows."""
        return self._count(np.ones(len(self.inputs.rows.y), np.bool_))

    @cached_property
    def n_wrong(self) -> float:
        """The number of wrongly predicted rows."""
        right = self.inputs.rows.is_right
        return self._count(~right if right.ndim == 1 else ~np.asarray(right.all(axis=1)))

    @cached_property
    def class_rows(self) -> dict[str, Floats]:
        """True and predicted rows of each class, or positive rows of each boolean column, (K,) each."""
        inputs = self.inputs
        if isinstance(inputs, BooleanInputs):
            return {"truth": self._counts(inputs.rows.y), "predicted": self._counts(inputs.rows.predicted)}
        if inputs.weights is None:
            return {"truth": inputs.margins.truth, "predicted": inputs.margins.predicted}
        squared = replace(inputs, weights=inputs.weights**2).margins
        return {
            "truth": safe_divide(inputs.margins.truth**2, squared.truth),
            "predicted": safe_divide(inputs.margins.predicted**2, squared.predicted),
        }

    @cached_property
    def ranked_rows(self) -> tuple[Floats, Floats]:
        """Positive and negative rows of each ranked column, (K,) each."""
        positives = self.class_rows["truth"]
        if self.task == "classification" and len(positives) == 2:
            return positives[1:], positives[:1]
        is_class = self.inputs.rows.y if isinstance(self.inputs, BooleanInputs) else self.inputs.rows.is_class
        return positives, self._counts(~is_class)

    def _count(self, counted: Bools) -> float:
        """The number of `counted` rows (n_rows,)."""
        return float(self._counts(counted[:, None])[0])

    def _counts(self, counted: Bools) -> Floats:
        """The number of `counted` rows (n_rows, K) of each column."""
        return effective_rows(self.inputs.weights, counted)


def insufficient_rows_reason(sample: ClassSample, metric: Metric) -> str:
    """Why the rows are too few for an interval by pseudo-values; "" if they suffice."""
    return few_errors_reason(sample, metric) or scarce_classes_reason(sample, metric)


def few_errors_reason(sample: ClassSample, metric: Metric) -> str:
    """Why there are too few wrong predictions: one more would change the score much; "" for a ranking metric."""
    if metric.name in RANKED or sample.n_wrong >= MIN_WRONG:
        return ""
    return f"too few wrong predictions ({sample.n_wrong:.0f} of {sample.n_rows:.0f} rows, needs {MIN_WRONG})"


def scarce_classes_reason(sample: ClassSample, metric: Metric) -> str:
    """Why too few rows of some classes make an average over classes or a ranking unreliable; "" if they suffice."""
    if metric.name in RANKED:
        positives, negatives = sample.ranked_rows
        counts = positives if metric.name == "average_precision" else np.minimum(positives, negatives)
        is_scarce, needed = counts < MIN_RANKED_ROWS, MIN_RANKED_ROWS
    elif metric.needed_rows:
        counts = np.min([sample.class_rows[side] for side in metric.needed_rows], axis=0)
        needed = MIN_CLASS_ROWS if len(counts) < MANY_CLASSES else MIN_CLASS_ROWS_OF_MANY
        is_scarce = counts < needed
    else:
        return ""
    if is_scarce.mean() <= MAX_SCARCE:
        return ""
    names = sample.names[-1:] if len(counts) == 1 else sample.names
    rarest = int(counts.argmin())
    return f"too few rows for {names[rarest]!r} (n = {counts[rarest]:.0f}, needs {needed})"


def class_interval(sample: ClassSample, metric: Metric, score: float, confidence: float, z: float) -> Interval:
    """The confidence interval, or the reason why there is none; `z` is the normal quantile of its upper end."""
    reason = insufficient_rows_reason(sample, metric)
    values = np.full(2, score) if reason else metric.pseudo_values[sample.task](sample.inputs)
    if metric.name in RANKED:
        return _ranked_interval(sample, metric, score, values, reason, (confidence, z))
    if not reason and sample.inputs.weights is not None:
        values = values[sample.inputs.weights > 0]
    if not np.ptp(values) > ROUNDING * max(abs(score), 1.0):
        return _conservative_interval(sample, metric, score, reason or "every row has the same loss", z)
    low, high = mean_interval(values, confidence)
    if len(metric.needed_rows) == 1 and isinstance(sample.inputs, ClassInputs):
        (side,) = metric.needed_rows
        by_class = _mean_of_proportions(sample.inputs, sample.class_rows[side], side, score, z)
        low, high = min(low, by_class.low), max(high, by_class.high)
    lowest, highest = _bounds(sample, metric)
    return Interval(min(max(low, lowest), score), max(min(high, highest), score))


def _mean_of_proportions(
    inputs: ClassInputs, rows: Floats, side: Literal["truth", "predicted"], score: float, z: float
) -> Interval:
    """The interval of a mean of recalls or precisions, from Wilson's interval of each (MOVER: Zou & Donner 2008).

    `rows` (K,) are the rows of each class. Pseudo-values have no variance for a class without a correct prediction.
    """
    margins = inputs.margins
    proportions = safe_divide(margins.correct, margins.truth if side == "truth" else margins.predicted)[rows > 0]
    ends = [wilson(p, n, z) for p, n in zip(proportions.tolist(), rows[rows > 0].tolist(), strict=True)]
    down = math.sqrt(sum((p - end.low) ** 2 for p, end in zip(proportions, ends, strict=True))) / len(ends)
    up = math.sqrt(sum((end.high - p) ** 2 for p, end in zip(proportions, ends, strict=True))) / len(ends)
    return Interval(score - down, score + up)


def _ranked_interval(
    sample: ClassSample, metric: Metric, score: float, values: Floats, reason: str, levels: tuple[float, float]
) -> Interval:
    """The interval of a mean over ranked columns, on the logit scale; `levels` are confidence and normal quantile."""
    confidence, z = levels
    counts = sample.ranked_rows
    is_precision = metric.name == "average_precision"
    n_rarest = float((counts[0] if is_precision else np.minimum(*counts)).min())
    deviations = (values - score) / len(values)
    error = math.sqrt(deviations @ deviations)
    if not reason and 0 < score < 1 and math.isfinite(error):
        if error > ROUNDING:
            return logit_interval(score, error, student_quantile((1 + confidence) / 2, degrees_of_freedom(deviations)))
        return no_interval("no two rows are ranked differently")
    if is_precision and (reason or score < 1):
        return no_interval(reason or "a class has one row")
    return wilson(score, n_rarest, z)


def _bounds(sample: ClassSample, metric: Metric) -> tuple[float, float]:
    """Lower and upper bound of the score."""
    if metric.name == "log_loss":
        return 0.0, math.inf
    # The Brier score summed over classes is 2 if all predictions are certain and wrong.
    is_summed = metric.name == "brier" and sample.task == "classification" and len(sample.names) > 2
    return (-1.0 if metric.name == "mcc" else 0.0), (2.0 if is_summed else 1.0)


def _conservative_interval(sample: ClassSample, metric: Metric, score: float, reason: str, z: float) -> Interval:
    """Wilson's interval over the rows of the rarest class instead of pseudo-values, or none with the `reason`."""
    if metric.name == "log_loss" or score < 0:
        return no_interval(reason)
    _, highest = _bounds(sample, metric)
    if not metric.needed_rows:
        scaled = wilson(score / highest, sample.n_rows, z)
        return Interval(highest * scaled.low, highest * scaled.high)
    side = "truth" if "truth" in metric.needed_rows else "predicted"
    rows = sample.class_rows[side]
    rarest = int(rows.argmin())
    if not rows[rarest] > 0:
        return no_interval(f"no row is {'of' if side == 'truth' else 'predicted as'} {sample.names[rarest]!r}")
    return wilson(score, float(rows[rarest]), z)
