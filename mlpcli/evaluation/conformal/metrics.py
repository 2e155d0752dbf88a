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
OF_INTERVALS, OF_SETS = ("coverage", "mean_width", "interval_score"), ("coverage", "mean_set_size")


@dataclass(frozen=True)
class RowScores:
    """By key what each row adds to a score, which is the mean (n_rows,); of a class only its rows."""

    values: Mapping[str, Floats]
    weights: Floats | None = None

    @property
    def scores(self) -> dict[str, float]:
        """The mean of each; NaN without rows."""
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
        if np.isfinite(values).all() and np.ptp(values) <= 1e-9 * abs(mean):  # but for rounding: as wide in every row
            return Interval(mean, mean)
        if reason := self._missing_reason(metric, values):
            return no_interval(reason)
        of_rows = pseudo_values.of_mean_loss(values, self.weights)
        of_rows = of_rows if self.weights is None else of_rows[self.weights > 0]
        low, high = mean_interval(of_rows, confidence)
        wider = widening(self._losses(values), _tail_rule(metric)) * float(of_rows.std()) / math.sqrt(len(of_rows))
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
        each = {
            "coverage": ((low <= y) & (y <= high)).astype(np.float64),
            "mean_width": high - low,
            "interval_score": interval_scores(y, low, high, level),
        }
    return RowScores(_with_parts(each, names if len(names) > 1 else ()))


def rows_of_class_sets(y: NDArray[np.integer], holds: NDArray[np.bool_], names: Sequence[str]) -> RowScores:
    """Row scores of prediction sets (n_rows, n_classes) for the classes `y` (n_rows,) with these `names`."""
    is_held = holds[np.arange(len(y)), y].astype(np.float64)
    whole = {"coverage": is_held, "mean_set_size": holds.sum(axis=1).astype(np.float64)}
    return RowScores(whole | {f"coverage[{name}]": is_held[y == code] for code, name in enumerate(names)})


def rows_of_boolean_sets(y: NDArray[np.bool_], holds: NDArray[np.bool_], names: Sequence[str]) -> RowScores:
    """Row scores of prediction sets of boolean targets (n_rows, n_targets, 2) for `y` (n_rows, n_targets)."""
    is_held = np.where(y, holds[..., 1], holds[..., 0]).astype(np.float64)
    return RowScores(_with_parts({"coverage": is_held, "mean_set_size": holds.sum(axis=2).astype(np.float64)}, names))


def rows_of_quantile(
    y: Floats, predicted: Floats, quantile: float, names: Sequence[str], weights: Floats | None
) -> RowScores:
    """Row scores of quantile predictions (n_rows, n_targets)."""
    each = {"pinball": pinball_loss(y, predicted, quantile)}
    return RowScores(_with_parts(each, names if len(names) > 1 else ()), weights)


def further_keys(task: Task, names: Sequence[str], has_level: bool, is_quantile: bool) -> tuple[str, ...]:
    """The keys of these scores for a task."""
    asked: tuple[str, ...] = OF_INTERVALS if task == "regression" else OF_SETS
    metrics = (*(asked if has_level else ()), *(["pinball"] if is_quantile else []))
    of_parts = metrics if task != "classification" else metrics[:1]
    has_parts = task != "regression" or len(names) > 1
    return (*metrics, *(f"{metric}[{name}]" for name in names if has_parts for metric in of_parts))


def _with_parts(each: Mapping[str, Floats], names: Sequence[str]) -> dict[str, Floats]:
    """The mean over the columns, then each column by its name."""
    found = {key: values.mean(axis=1) for key, values in each.items()}
    for key, values in each.items():
        found |= {f"{key}[{name}]": values[:, place] for place, name in enumerate(names)}
    return found


def pinball_loss(y: Floats, predicted: Floats, quantile: float) -> Floats:
    """The pinball loss of each row, whose expectation is minimized by the `quantile` of y (Koenker & Bassett 1978)."""
    error = y - predicted
    return np.maximum(quantile * error, (quantile - 1.0) * error)


def interval_scores(y: Floats, low: Floats, high: Floats, level: float) -> Floats:
    """Winkler's score of intervals, row by row: the width, and 2 / (1 - level) times what the truth lies outside.

    Winkler 1972; Gneiting & Raftery 2007, eq. 43. Of ends without bound it is infinite.
    """
    outside = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return np.asarray(high - low + 2.0 / (1.0 - level) * outside)
