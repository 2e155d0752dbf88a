"""The interval of a score of predicted classes, or of boolean columns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mlpcli.evaluation.averages import Bools, Floats, quotient
from mlpcli.evaluation.classes import ClassEvidence
from mlpcli.evaluation.metrics import Metric, Task
from mlpcli.evaluation.multilabel import YesNoEvidence
from mlpcli.evaluation.ranking import RankedColumn
from mlpcli.evaluation.uncertainty.shares import Interval, effective_rows, logit_interval, no_interval, wilson
from mlpcli.evaluation.uncertainty.skewed_means import degrees, mean_interval, student_quantile

FEWEST_WRONG = 3  # rows with a wrong answer
FEWEST_OF_CLASS = 3  # rows of a class, for means over classes
FEWEST_RANKED = 5  # rows of the rarer kind, for ROC AUC
FEWEST_PRECISE = 10  # rows of the class, for average precision
# Classes that may have fewer: what one of many says of their mean is small.
MOST_SCARCE = 0.1


@dataclass(frozen=True, eq=False)
class ClassSample:
    """What there is to judge scores by; rows with weights count as (sum w)^2 / sum w^2."""

    task: Task
    evidence: ClassEvidence | YesNoEvidence
    names: Sequence[str]

    @cached_property
    def n_rows(self) -> float:
        """Rows."""
        return self._worth_of_one(np.ones(len(self.evidence.rows.y), np.bool_))

    @cached_property
    def n_wrong(self) -> float:
        """Rows with a wrong answer."""
        right = self.evidence.rows.is_right
        return self._worth_of_one(~right if right.ndim == 1 else ~np.asarray(right.all(axis=1)))

    @cached_property
    def rows_of(self) -> dict[str, Floats]:
        """Rows of each class, or with yes in each column, in truth and prediction, (K,) each."""
        evidence = self.evidence
        if isinstance(evidence, YesNoEvidence):
            return {"truth": self._worth(evidence.rows.y), "predicted": self._worth(evidence.rows.predicted)}
        if evidence.weights is None:
            return {"truth": evidence.margins.truth, "predicted": evidence.margins.predicted}
        squared = replace(evidence, weights=evidence.weights**2).margins
        return {
            "truth": quotient(evidence.margins.truth**2, squared.truth),
            "predicted": quotient(evidence.margins.predicted**2, squared.predicted),
        }

    def fewest_of_kinds(self, column: RankedColumn) -> float:
        """Rows of the rarer of the two kinds that a column ranks."""
        return float(self._worth(np.column_stack([column.is_positive, ~column.is_positive])).min())

    def _worth_of_one(self, counted: Bools) -> float:
        return float(self._worth(counted[:, None])[0])

    def _worth(self, counted: Bools) -> Floats:
        return effective_rows(self.evidence.weights, counted)


def class_interval(sample: ClassSample, metric: Metric, score: float, confidence: float, z: float) -> Interval | None:
    """The interval, or None where it is the bootstrap's; `z` is the normal quantile of its upper end."""
    if metric.name == "roc_auc":
        return ranked_interval(sample, list(_columns(sample)), score, confidence, z)
    if metric.name == "average_precision":
        return _why_not_precise(sample)
    scarce = [sample.rows_of[side] < FEWEST_OF_CLASS for side in metric.rows_of]
    is_scarce = np.any(scarce, axis=0) if scarce else np.zeros(1, np.bool_)
    if sample.n_wrong >= FEWEST_WRONG and is_scarce.mean() <= MOST_SCARCE:
        values = metric.pseudo_values[sample.task](sample.evidence)
        weights = sample.evidence.weights
        values = values if weights is None else values[weights > 0]
        if np.ptp(values) > 1e-12 * max(abs(score), 1.0):
            low, high = mean_interval(values, confidence)
            least, largest = _bounds(sample, metric)
            return Interval(min(max(low, least), score), max(min(high, largest), score))
    return _without_enough(sample, metric, score, z)


def ranked_interval(
    sample: ClassSample, columns: Sequence[RankedColumn], score: float, confidence: float, z: float
) -> Interval:
    """The interval of the mean ROC AUC of the columns."""
    fewest = np.array([sample.fewest_of_kinds(column) for column in columns])
    if score in (0.0, 1.0) or (fewest < FEWEST_RANKED).mean() > MOST_SCARCE:
        return wilson(score, float(fewest.min()), z)
    weights = sample.evidence.weights
    deviations = sum((column.auc_deviations(weights) for column in columns), np.zeros(len(sample.evidence.rows.y)))
    deviations /= len(columns)
    error = math.sqrt(deviations @ deviations)
    if not error > 0.0:
        return no_interval("no two rows are ranked differently")
    return logit_interval(score, error, student_quantile((1 + confidence) / 2, degrees(deviations)))


def _columns(sample: ClassSample) -> Sequence[RankedColumn]:
    return sample.evidence.rows.ranked


def _why_not_precise(sample: ClassSample) -> Interval | None:
    """No interval of average precision where a column has too few positive rows."""
    of_column = sample.rows_of["truth"]
    if sample.task == "classification" and len(of_column) == 2:
        of_column = of_column[1:]
    fewest = int(of_column.argmin())
    if of_column[fewest] >= FEWEST_PRECISE:
        return None
    name = sample.names[-1] if len(of_column) == 1 else sample.names[fewest]
    return no_interval(
        f"too few rows of {name!r} for an interval (n = {of_column[fewest]:.0f}, needs {FEWEST_PRECISE})"
    )


def _bounds(sample: ClassSample, metric: Metric) -> tuple[float, float]:
    """The least and the largest score that there is."""
    if metric.name == "log_loss":
        return 0.0, math.inf
    # Squared errors that are summed over classes come to 2 where all are sure and wrong.
    is_summed = metric.name == "brier" and sample.task == "classification" and len(sample.names) > 2
    return (-1.0 if metric.name == "mcc" else 0.0), (2.0 if is_summed else 1.0)


def _without_enough(sample: ClassSample, metric: Metric, score: float, z: float) -> Interval:
    """The interval where pseudo-values say too little: wider than needed, or none."""
    if metric.name == "log_loss":
        if sample.n_wrong < FEWEST_WRONG:
            return no_interval(
                f"too few wrong answers ({sample.n_wrong:.0f} of {sample.n_rows:.0f} rows, needs {FEWEST_WRONG})"
            )
        return no_interval("every row has the same loss")
    _, largest = _bounds(sample, metric)
    if not metric.rows_of:
        share = wilson(score / largest, sample.n_rows, z)
        return Interval(largest * share.low, largest * share.high)
    side = "truth" if "truth" in metric.rows_of else "predicted"
    rows = sample.rows_of[side]
    rarest = int(rows.argmin())
    if not rows[rarest] > 0:
        return no_interval(f"no row is {'of' if side == 'truth' else 'predicted as'} {sample.names[rarest]!r}")
    if score < 0:
        return no_interval(f"too few rows of {sample.names[rarest]!r} for an interval (n = {rows[rarest]:.0f})")
    return wilson(score, float(rows[rarest]), z)
