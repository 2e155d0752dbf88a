"""Pseudo-values of scores: a value for each row, (n_rows,), whose mean estimates the score and its standard error.

- A mean over rows: the values of the rows.
- A smooth function of means: the score plus the influence of the row (the infinitesimal jackknife, Jaeckel 1972; Efron
  1982, chapter 6).
- A function of the confusion matrix: the jackknife, n times the score minus n - 1 times the score without the row
  (Quenouille 1956; Tukey 1958). Their mean has no bias of order 1 / n, which matters for classes with few rows.

A row of weight w has w times the influence, and slightly more, because the total weight is smaller without it. Rows
with weight 0 do not count.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics import numbers
from mlpcli.evaluation.metrics.averages import Bools, Floats, grouped_sums, safe_divide, weighted_mean
from mlpcli.evaluation.metrics.classes import ClassInputs
from mlpcli.evaluation.metrics.margins import Margins, margins_of
from mlpcli.evaluation.metrics.multilabel import BooleanInputs
from mlpcli.evaluation.metrics.numbers import NumberInputs
from mlpcli.evaluation.metrics.ranking import RankedColumn

BLOCK_CELLS = 1 << 20  # limit of classes x cells of the confusion matrix in a block
ROUNDING = 1e-9  # a smaller fraction of a sum is the rounding error of removing all its rows


def of_mean(values: Floats, weights: Floats | None) -> Floats:
    """Pseudo-values of the mean of `values` (n_rows,); with weights the jackknife's, centered on the mean.

    Leaving out a row moves the mean by w / (sum w - w) times the distance of the row from the mean.
    """
    if weights is None:
        return np.asarray(values, dtype=np.float64)
    mean, n_counted = float(weighted_mean(values, weights)), np.count_nonzero(weights)
    influence = (n_counted - 1) * safe_divide(weights, weights.sum() - weights) * (values - mean)
    return np.asarray(mean + np.where(weights > 0, influence - influence.sum() / max(n_counted, 1), 0.0))


def of_mean_loss(losses: Floats | Bools, weights: Floats | None) -> Floats:
    """Pseudo-values of the mean of `losses` (n_rows,) or (n_rows, M) over rows and columns."""
    return of_mean(np.asarray(losses if losses.ndim == 1 else losses.mean(axis=1), dtype=np.float64), weights)


def of_margins(measure: Callable[[Margins], Floats]) -> Callable[[ClassInputs], Floats]:
    """Pseudo-values of a score computed from the margins of the confusion matrix.

    All rows of a cell of the matrix have the same influence. With weights, a cell counts as (sum w)^2 / sum w^2 rows of
    equal weight.
    """

    def values_of(inputs: ClassInputs) -> Floats:
        rows, weights, n_classes = inputs.rows, inputs.weights, inputs.rows.n_classes
        cells, cell_of_row = np.unique(rows.y.astype(np.int64) * n_classes + rows.predicted, return_inverse=True)
        row_weights = np.ones(len(rows.y)) if weights is None else weights
        cell_weights = grouped_sums(cell_of_row, len(cells), row_weights)
        effective_weights = safe_divide(grouped_sums(cell_of_row, len(cells), row_weights**2), cell_weights)  # of a row
        whole = margins_of(inputs.confusion)
        without = _scores_without_row(measure, whole, cells, effective_weights)
        score = float(measure(whole))
        influence = safe_divide(score - without, effective_weights)  # per unit of weight
        total = float(influence @ cell_weights)
        n_rows = float(safe_divide(cell_weights, effective_weights).sum())
        bias = (n_rows - 1) / n_rows * total  # of the jackknife
        return np.asarray(score + bias + (row_weights * np.count_nonzero(row_weights) * influence[cell_of_row] - total))

    return values_of


def _scores_without_row(
    measure: Callable[[Margins], Floats], whole: Margins, cells: NDArray[np.int64], row_weight: Floats
) -> Floats:
    """The score without one row of each of the `cells` of the confusion matrix, (n_cells,)."""
    n_classes = len(whole.truth)
    truth, predicted = np.divmod(cells, n_classes)
    scores = np.empty(len(cells))
    n_per_block = max(1, BLOCK_CELLS // n_classes)
    for first in range(0, len(cells), n_per_block):
        block = slice(first, first + n_per_block)
        index = np.arange(len(cells[block]))
        reduced = [np.repeat(margin[None, :], len(index), axis=0) for margin in whole]
        is_hit = truth[block] == predicted[block]
        reduced[0][index[is_hit], truth[block][is_hit]] -= row_weight[block][is_hit]
        reduced[1][index, truth[block]] -= row_weight[block]
        reduced[2][index, predicted[block]] -= row_weight[block]
        scores[block] = measure(
            Margins(*(np.where(rest <= ROUNDING * sums, 0.0, rest) for rest, sums in zip(reduced, whole, strict=True)))
        )
    return scores


def of_class(measure: Callable[[Margins], Floats], which: int) -> Callable[[ClassInputs], Floats]:
    """Pseudo-values of the score of class `which`, where `measure` computes the scores of all classes."""
    return of_margins(lambda margins: np.asarray(measure(margins)[..., which]))


def roc_auc(inputs: ClassInputs | BooleanInputs) -> Floats:
    """Pseudo-values of the mean ROC AUC of the columns, by placement values (DeLong et al. 1988)."""
    return _of_columns(inputs, inputs.rankings.roc_auc, RankedColumn.auc_deviations)


def average_precision(inputs: ClassInputs | BooleanInputs) -> Floats:
    """Pseudo-values of the mean average precision of the columns."""
    return _of_columns(inputs, inputs.rankings.average_precision, RankedColumn.precision_deviations)


def _of_columns(
    inputs: ClassInputs | BooleanInputs,
    scores: Floats,
    deviations_of: Callable[[RankedColumn, Floats | None], Floats],
) -> Floats:
    """Pseudo-values of the mean score of ranked columns, one column at a time."""
    influence, n_rows = np.zeros(len(inputs.rows.y)), len(inputs.rows.y)
    for column in inputs.rows.rank():
        influence += deviations_of(column, inputs.weights)
    return np.asarray(scores.mean() + influence / len(scores) * n_rows)


def f1_macro(inputs: BooleanInputs) -> Floats:
    """Pseudo-values of the mean F1 of boolean columns."""
    true_positives, positives = inputs.f1_counts
    score, rows = safe_divide(2 * true_positives, positives), inputs.rows
    row_positives: Floats = rows.y.astype(np.float64) + rows.predicted
    residuals: Floats = 2.0 * (rows.y & rows.predicted) - score * row_positives
    influence = safe_divide(residuals, np.broadcast_to(positives, residuals.shape))
    return of_mean(np.asarray(score.mean() + influence.mean(axis=1)), inputs.weights)


def f1_micro(inputs: BooleanInputs) -> Floats:
    """Pseudo-values of F1 over the predictions of all boolean columns."""
    true_positives, positives = (float(counts.sum()) for counts in inputs.f1_counts)
    if not positives:
        return np.zeros(len(inputs.rows.y))
    score, rows = 2 * true_positives / positives, inputs.rows
    row_positives = rows.y.sum(axis=1) + rows.predicted.sum(axis=1)
    residuals = 2.0 * (rows.y & rows.predicted).sum(axis=1) - score * row_positives
    return of_mean(np.asarray(score + residuals / positives), inputs.weights)


def rmse(inputs: NumberInputs) -> Floats:
    """Pseudo-values of the mean RMSE of the outputs."""
    scores, squares = numbers.rmse(inputs), inputs.rows.squared_error
    influence = safe_divide(np.asarray(squares - scores**2), np.broadcast_to(2 * scores, squares.shape))
    return of_mean(np.asarray(scores.mean() + influence.mean(axis=1)), inputs.weights)


def r2(inputs: NumberInputs) -> Floats:
    """Pseudo-values of the mean R2 of the outputs."""
    scores, rows, weights = numbers.r2(inputs), inputs.rows, inputs.weights
    squares = np.asarray((rows.y - weighted_mean(rows.y, weights)) ** 2)
    variance = weighted_mean(squares, weights)
    influence = safe_divide((1 - scores) * squares - rows.squared_error, np.broadcast_to(variance, squares.shape))
    return of_mean(np.asarray(scores.mean() + influence.mean(axis=1)), weights)


def rmse_differences(old: NumberInputs, new: NumberInputs) -> Floats:
    """Pseudo-values of the difference of the mean RMSE of the outputs.

    The difference of two RMSEs is that of their squares divided by their sum, so a row with equal errors contributes 0.
    """
    rmse_sum = numbers.rmse(old) + numbers.rmse(new)
    differences = np.asarray(new.rows.squared_error - old.rows.squared_error)
    return of_mean(safe_divide(differences, np.broadcast_to(rmse_sum, differences.shape)).mean(axis=1), old.weights)


def r2_differences(old: NumberInputs, new: NumberInputs) -> Floats:
    """Pseudo-values of the difference of the mean R2: those of squared errors, divided by the variance of the truth."""
    rows, weights = old.rows, old.weights
    variance = weighted_mean(np.asarray((rows.y - weighted_mean(rows.y, weights)) ** 2), weights)
    differences = np.asarray(rows.squared_error - new.rows.squared_error)
    return of_mean(safe_divide(differences, np.broadcast_to(variance, differences.shape)).mean(axis=1), weights)
