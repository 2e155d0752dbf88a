"""Confidence intervals of regression scores."""

import math

import numpy as np

from mlpcli.evaluation.metrics.averages import Floats
from mlpcli.evaluation.metrics.numbers import NumberInputs, NumberRows
from mlpcli.evaluation.metrics.registry import ROWS_FOR_SQUARES, Metric
from mlpcli.evaluation.uncertainty.near_zero import near_zero_reason
from mlpcli.evaluation.uncertainty.proportions import Interval, effective_rows, no_interval
from mlpcli.evaluation.uncertainty.skewed_means import mean_interval
from mlpcli.evaluation.uncertainty.tails import ABSOLUTE_ERRORS, SQUARED_ERRORS, TailRule, heavy_tail_reason, widening


def number_interval(metric: Metric, inputs: NumberInputs, score: float, confidence: float) -> Interval | None:
    """The interval, or the reason why there is none; None if the score needs the bootstrap."""
    reason = _missing_reason(metric, inputs)
    if reason:
        return no_interval(reason)
    if not metric.pseudo_values:
        return None
    values = metric.pseudo_values["regression"](inputs)
    if inputs.weights is not None:
        values = values[inputs.weights > 0]
    low, high = _widened(metric, inputs, values, mean_interval(values, confidence))
    if metric.name == "rmse":
        # The pseudo-values are linear in the squared errors, so the ends are those of the mean squared error.
        low, high = (math.sqrt(max(score * (2 * end - score), 0.0)) for end in (low, high))
    return Interval(min(low if metric.higher_is_better else max(low, 0.0), score), max(high, score))


def select_output(inputs: NumberInputs, output: int) -> NumberInputs:
    """The score inputs of one output."""
    outputs = slice(output, output + 1)
    return NumberInputs(NumberRows(inputs.rows.y[:, outputs], inputs.rows.predicted[:][:, outputs]), inputs.weights)


def _missing_reason(metric: Metric, inputs: NumberInputs) -> str:
    """Why a score has no interval; "" if it has one."""
    rows, weights = inputs.rows, inputs.weights
    if reason := fewest_rows_reason(len(rows.y), weights, metric.fewest_rows):
        return reason
    counted = np.ones(len(rows.y), np.bool_) if weights is None else weights > 0
    if (rows.absolute_error[counted].min(axis=0) == rows.absolute_error[counted].max(axis=0)).all():
        return "every row has the same error"
    if metric.name == "mape" and (reason := near_zero_reason(rows.y[counted], rows.relative_error[counted])):
        return reason
    rule = _tail_rule(metric)
    return next(filter(None, (heavy_tail_reason(column, rule) for column in _losses(metric, inputs))), "")


def _tail_rule(metric: Metric) -> TailRule:
    return SQUARED_ERRORS if metric.fewest_rows == ROWS_FOR_SQUARES else ABSOLUTE_ERRORS


def _losses(metric: Metric, inputs: NumberInputs) -> list[Floats]:
    """Values (n_rows,) that must not be heavy-tailed, times the weights of the rows, without rows of weight 0."""
    if not metric.losses:
        return []
    losses, weights = metric.losses["regression"](inputs), inputs.weights
    columns = losses.reshape(len(losses), -1).T
    return list(columns if weights is None else (columns * weights)[:, weights > 0])


def _widened(metric: Metric, inputs: NumberInputs, values: Floats, ends: tuple[float, float]) -> tuple[float, float]:
    """Widen the ends on the side to which unseen rows with a large loss would move the score."""
    error = float(values.std()) / math.sqrt(len(values))
    widenings = [error * widening(column, _tail_rule(metric)) for column in _losses(metric, inputs)]
    if len(widenings) == 1:
        return ends[0], ends[1] + widenings[0]
    by_errors, by_truth = widenings  # larger errors lower R2, a larger variance of the truth raises it
    return ends[0] - by_errors, ends[1] + by_truth


def fewest_rows_reason(n_rows: int, weights: Floats | None, fewest: int) -> str:
    """Why there are fewer rows than the `fewest` that an interval needs; "" if there are enough."""
    n_effective = float(effective_rows(weights, np.ones((n_rows, 1), np.bool_))[0])
    if n_effective >= fewest:
        return ""
    before_weights = "" if weights is None else f"{n_rows} rows, with weights worth "
    return f"too few rows for an interval ({before_weights}n = {n_effective:.0f}, needs about {fewest})"
