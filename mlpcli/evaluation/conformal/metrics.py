"""Metrics of prediction intervals, prediction sets and quantile predictions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics.averages import Floats, weighted_mean
from mlpcli.evaluation.metrics.registry import ROWS_FOR_NUMBERS, ROWS_FOR_SQUARES, Metric, Task
from mlpcli.evaluation.uncertainty import pseudo_values
from mlpcli.evaluation.uncertainty.number_intervals import fewest_rows_reason
from mlpcli.evaluation.uncertainty.proportions import Interval, no_interval, wilson
from mlpcli.evaluation.uncertainty.skewed_means import mean_interval
from mlpcli.evaluation.uncertainty.tails import ABSOLUTE_ERRORS, SQUARED_ERRORS, TailRule, heavy_tail_reason, widening

INTERVAL_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "coverage",
            "Fraction of rows whose true value is in the interval or the set; mean of the outputs or columns.",
            higher_is_better=True,
        ),
        Metric(
            "mean_width",
            "Mean width of the intervals, in the unit of the target; mean of the outputs.",
            higher_is_better=False,
            highest=math.inf,
            has_unit=True,
            fewest_rows=ROWS_FOR_NUMBERS,
        ),
        Metric(
            "interval_score",
            "Winkler score: the width plus 2 / (1 - level) times the distance of a true value outside; mean of "
            "the outputs.",
            higher_is_better=False,
            highest=math.inf,
            has_unit=True,
            fewest_rows=ROWS_FOR_SQUARES,
        ),
        Metric(
            "mean_set_size",
            "Mean number of labels in a set; mean of the columns.",
            higher_is_better=False,
            highest=math.inf,
            fewest_rows=ROWS_FOR_NUMBERS,
        ),
        Metric(
            "pinball",
            "Mean pinball loss at the fitted quantile, in the unit of the target; mean of the outputs.",
            higher_is_better=False,
            highest=math.inf,
            has_unit=True,
            fewest_rows=ROWS_FOR_NUMBERS,
        ),
    )
}
INTERVAL_KEYS, SET_KEYS = ("coverage", "mean_width", "interval_score"), ("coverage", "mean_set_size")


@dataclass(frozen=True)
class RowScores:
    """Values of rows (n_rows,) by the key of the score, which is their mean; the score of a class has only its rows."""

    values: Mapping[str, Floats]
    weights: Floats | None = None

    @property
    def scores(self) -> dict[str, float]:
        """The mean of the values of each score; NaN without rows."""
        return {key: self._mean(values) for key, values in self.values.items()}

    def intervals(self, confidence: float, z: float) -> dict[str, Interval]:
        """The confidence interval of each mean, or the reason why there is none."""
        return {key: self._interval(key, values, confidence, z) for key, values in self.values.items()}

    def _mean(self, values: Floats) -> float:
        if not len(values) or (self.weights is not None and not self.weights.any()):
            return math.nan
        return float(weighted_mean(values, self.weights))

    def _interval(self, key: str, values: Floats, confidence: float, z: float) -> Interval:
        metric, mean = INTERVAL_METRICS[key.partition("[")[0]], self._mean(values)
        if math.isnan(mean):
            return no_interval(f"{key} itself is not defined for these rows")
        if metric.name == "coverage":
            return wilson(mean, len(values), z)
        if np.isfinite(values).all() and np.ptp(values) <= 1e-9 * abs(mean):  # equal in every row, up to rounding
            return Interval(mean, mean)
        if reason := self._missing_reason(metric, values):
            return no_interval(reason)
        row_values = pseudo_values.of_mean_loss(values, self.weights)
        row_values = row_values if self.weights is None else row_values[self.weights > 0]
        low, high = mean_interval(row_values, confidence)
        wider = (
            widening(self._losses(values), _tail_rule(metric)) * float(row_values.std()) / math.sqrt(len(row_values))
        )
        return Interval(max(low, 0.0), high + wider)

    def _missing_reason(self, metric: Metric, values: Floats) -> str:
        if not np.isfinite(values).all():
            return "an interval is infinite"
        if reason := fewest_rows_reason(len(values), self.weights, metric.fewest_rows):
            return reason
        return heavy_tail_reason(self._losses(values), _tail_rule(metric))

    def _losses(self, values: Floats) -> Floats:
        return values if self.weights is None else np.asarray((values * self.weights)[self.weights > 0])


def _tail_rule(metric: Metric) -> TailRule:
    return SQUARED_ERRORS if metric.fewest_rows == ROWS_FOR_SQUARES else ABSOLUTE_ERRORS


def rows_of_ends(y: Floats, low: Floats, high: Floats, level: float, names: Sequence[str]) -> RowScores:
    """Row scores of intervals `low` to `high` at `level` for `y`, all (n_rows, n_targets); `names` of the targets."""
    with np.errstate(invalid="ignore"):
        columns = {
            "coverage": ((low <= y) & (y <= high)).astype(np.float64),
            "mean_width": high - low,
            "interval_score": interval_scores(y, low, high, level),
        }
    return RowScores(_with_outputs(columns, names if len(names) > 1 else ()))


def rows_of_class_sets(y: NDArray[np.integer], holds: NDArray[np.bool_], names: Sequence[str]) -> RowScores:
    """Row scores of prediction sets (n_rows, n_classes) for codes `y` (n_rows,) of the classes `names`."""
    is_covered = holds[np.arange(len(y)), y].astype(np.float64)
    overall = {"coverage": is_covered, "mean_set_size": holds.sum(axis=1).astype(np.float64)}
    return RowScores(overall | {f"coverage[{name}]": is_covered[y == code] for code, name in enumerate(names)})


def rows_of_boolean_sets(y: NDArray[np.bool_], holds: NDArray[np.bool_], names: Sequence[str]) -> RowScores:
    """Row scores of prediction sets of boolean targets (n_rows, n_targets, 2) for `y` (n_rows, n_targets)."""
    is_covered = np.where(y, holds[..., 1], holds[..., 0]).astype(np.float64)
    return RowScores(
        _with_outputs({"coverage": is_covered, "mean_set_size": holds.sum(axis=2).astype(np.float64)}, names)
    )


def rows_of_quantile(
    y: Floats, predicted: Floats, quantile: float, names: Sequence[str], weights: Floats | None
) -> RowScores:
    """Row scores of quantile predictions (n_rows, n_targets)."""
    columns = {"pinball": pinball_loss(y, predicted, quantile)}
    return RowScores(_with_outputs(columns, names if len(names) > 1 else ()), weights)


def further_keys(task: Task, names: Sequence[str], has_level: bool, is_quantile: bool) -> tuple[str, ...]:
    """The keys of the scores of intervals or sets, if there is a level, and of quantile predictions."""
    level_keys: tuple[str, ...] = INTERVAL_KEYS if task == "regression" else SET_KEYS
    metrics = (*(level_keys if has_level else ()), *(["pinball"] if is_quantile else []))
    per_output = metrics if task != "classification" else metrics[:1]
    has_outputs = task != "regression" or len(names) > 1
    return (*metrics, *(f"{metric}[{name}]" for name in names if has_outputs for metric in per_output))


def _with_outputs(columns: Mapping[str, Floats], names: Sequence[str]) -> dict[str, Floats]:
    """Means over the outputs of `columns` (n_rows, n_outputs), then each output by its name."""
    scores = {key: values.mean(axis=1) for key, values in columns.items()}
    for key, values in columns.items():
        scores |= {f"{key}[{name}]": values[:, index] for index, name in enumerate(names)}
    return scores


def pinball_loss(y: Floats, predicted: Floats, quantile: float) -> Floats:
    """The pinball loss of each row, whose expectation is minimized by the `quantile` of y (Koenker & Bassett 1978)."""
    error = y - predicted
    return np.maximum(quantile * error, (quantile - 1.0) * error)


def interval_scores(y: Floats, low: Floats, high: Floats, level: float) -> Floats:
    """Winkler's score of each interval: the width plus 2 / (1 - level) times the distance of a true value outside it.

    Winkler 1972; Gneiting & Raftery 2007, eq. 43. It is infinite for infinite intervals.
    """
    outside = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return np.asarray(high - low + 2.0 / (1.0 - level) * outside)
