"""Intervals of regression scores."""

import math

import numpy as np

from mlpcli.evaluation.metrics.averages import Floats
from mlpcli.evaluation.metrics.numbers import NumberInputs, NumberRows
from mlpcli.evaluation.metrics.registry import ROWS_FOR_SQUARES, Metric
from mlpcli.evaluation.uncertainty.near_zero import why_near_zero
from mlpcli.evaluation.uncertainty.proportions import Interval, effective_rows, no_interval
from mlpcli.evaluation.uncertainty.skewed_means import mean_interval
from mlpcli.evaluation.uncertainty.tails import AMOUNTS, SQUARES, TailRule, why_heavy, widening


def number_interval(metric: Metric, inputs: NumberInputs, score: float, confidence: float) -> Interval | None:
    """The interval, or None if the score needs the bootstrap."""
    reason = _why_none(metric, inputs)
    if reason:
        return no_interval(reason)
    if not metric.pseudo_values:
        return None
    values = metric.pseudo_values["regression"](inputs)
    if inputs.weights is not None:
        values = values[inputs.weights > 0]
    low, high = _widened(metric, inputs, values, mean_interval(values, confidence))
    if metric.name == "rmse":
        # The pseudo-values are linear in the squared errors: the same interval of the mean square, and its root.
        low, high = (math.sqrt(max(score * (2 * end - score), 0.0)) for end in (low, high))
    return Interval(min(low if metric.higher_is_better else max(low, 0.0), score), max(high, score))


def output_alone(inputs: NumberInputs, output: int) -> NumberInputs:
    """The score inputs of one output."""
    some = slice(output, output + 1)
    return NumberInputs(NumberRows(inputs.rows.y[:, some], inputs.rows.predicted[:][:, some]), inputs.weights)


def _why_none(metric: Metric, inputs: NumberInputs) -> str:
    rows, weights = inputs.rows, inputs.weights
    if reason := fewest_rows_reason(len(rows.y), weights, metric.fewest_rows):
        return reason
    counted = np.ones(len(rows.y), np.bool_) if weights is None else weights > 0
    if (rows.distance[counted].min(axis=0) == rows.distance[counted].max(axis=0)).all():
        return "every row has the same error"
    if metric.name == "mape" and (reason := why_near_zero(rows.y[counted], rows.share[counted])):
        return reason
    rule = _tail_rule(metric)
    return next(filter(None, (why_heavy(column, rule) for column in _losses(metric, inputs))), "")


def _tail_rule(metric: Metric) -> TailRule:
    return SQUARES if metric.fewest_rows == ROWS_FOR_SQUARES else AMOUNTS


def _losses(metric: Metric, inputs: NumberInputs) -> list[Floats]:
    """The values (n_rows,) that must not be heavy-tailed, of rows with weight, times their weights."""
    if not metric.losses:
        return []
    losses, weights = metric.losses["regression"](inputs), inputs.weights
    columns = losses.reshape(len(losses), -1).T
    return list(columns if weights is None else (columns * weights)[:, weights > 0])


def _widened(metric: Metric, inputs: NumberInputs, values: Floats, ends: tuple[float, float]) -> tuple[float, float]:
    """The ends, widened on the side to which unseen rows would move the score."""
    error = float(values.std()) / math.sqrt(len(values))
    by = [error * widening(column, _tail_rule(metric)) for column in _losses(metric, inputs)]
    if len(by) == 1:
        return ends[0], ends[1] + by[0]
    of_errors, of_truth = by  # larger errors lower R2, a larger variance of the truth raises it
    return ends[0] - of_errors, ends[1] + of_truth


def fewest_rows_reason(n_rows: int, weights: Floats | None, fewest: int) -> str:
    """The reason if there are fewer rows than the `fewest` for an interval, otherwise ""."""
    worth = float(effective_rows(weights, np.ones((n_rows, 1), np.bool_))[0])
    if worth >= fewest:
        return ""
    of_rows = "" if weights is None else f"{n_rows} rows, with weights worth "
    return f"too few rows for an interval ({of_rows}n = {worth:.0f}, needs about {fewest})"
