"""What each row says of a score: pseudo-values (n_rows,), whose mean estimates it and whose spread says how well.

Of a mean over rows they are the rows' own values; of a smooth function of means the score plus the row's influence
(the infinitesimal jackknife: Jaeckel 1972; Efron 1982, chapter 6). Of what follows from a confusion matrix they are
those of the jackknife, n times the score less n - 1 times the score without the row (Quenouille 1956; Tukey 1958), so
that their mean is free of the bias that scores of classes with few rows have. A row of weight w moves the score w times
as much, and a little more, as without it there is less weight. Rows of weight 0 are not counted.
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

CELLS_TOGETHER = 1 << 20  # classes x cells of a confusion matrix that lose a row at a time
ROUNDING = 1e-9  # of a sum: what is left of it where all of its rows are taken out


def of_mean(values: Floats, weights: Floats | None) -> Floats:
    """Pseudo-values of the mean of `values` (n_rows,); with weights the jackknife's, but for the bias of their mean.

    Without the row the mean is away by w / (sum w - w) times the row's distance from it.
    """
    if weights is None:
        return np.asarray(values, dtype=np.float64)
    mean, n_counted = float(weighted_mean(values, weights)), np.count_nonzero(weights)
    moved = (n_counted - 1) * safe_divide(weights, weights.sum() - weights) * (values - mean)
    return np.asarray(mean + np.where(weights > 0, moved - moved.sum() / max(n_counted, 1), 0.0))


def of_mean_loss(losses: Floats | Bools, weights: Floats | None) -> Floats:
    """Pseudo-values of the mean of `losses` (n_rows,) or (n_rows, M) over rows and columns."""
    return of_mean(np.asarray(losses if losses.ndim == 1 else losses.mean(axis=1), dtype=np.float64), weights)


def of_margins(measure: Callable[[Margins], Floats]) -> Callable[[ClassInputs], Floats]:
    """Pseudo-values of a score computed from the margins of the confusion matrix.

    Rows of one cell of the matrix are alike. With weights, a cell counts as (sum w)^2 / sum w^2 rows of equal weight.
    """

    def values_of(inputs: ClassInputs) -> Floats:
        rows, weights, n_classes = inputs.rows, inputs.weights, inputs.rows.n_classes
        cells = rows.y.astype(np.int64) * n_classes + rows.predicted
        cell, of_row = np.unique(cells, return_inverse=True)
        own = np.ones(len(cells)) if weights is None else weights
        weight = grouped_sums(of_row, len(cell), own)
        row_weight = safe_divide(grouped_sums(of_row, len(cell), own**2), weight)
        whole = margins_of(inputs.confusion)
        without = _without_a_row(measure, whole, cell, row_weight)
        score = float(measure(whole))
        moved = safe_divide(score - without, row_weight)  # by a unit of weight
        n_rows = float(safe_divide(weight, row_weight).sum())
        bias = (n_rows - 1) / n_rows * float(moved @ weight)  # what leaving out each row moves the score, summed
        return np.asarray(score + bias + (own * np.count_nonzero(own) * moved[of_row] - float(moved @ weight)))

    return values_of


def _without_a_row(
    measure: Callable[[Margins], Floats], whole: Margins, cells: NDArray[np.int64], row_weight: Floats
) -> Floats:
    """The score without a row of each cell of the confusion matrix, (n_cells,)."""
    n_classes = len(whole.truth)
    truth, predicted = np.divmod(cells, n_classes)
    found = np.empty(len(cells))
    n_together = max(1, CELLS_TOGETHER // n_classes)
    for first in range(0, len(cells), n_together):
        some = slice(first, first + n_together)
        place = np.arange(len(cells[some]))
        less = [np.repeat(of[None, :], len(place), axis=0) for of in whole]
        is_hit = truth[some] == predicted[some]
        less[0][place[is_hit], truth[some][is_hit]] -= row_weight[some][is_hit]
        less[1][place, truth[some]] -= row_weight[some]
        less[2][place, predicted[some]] -= row_weight[some]
        found[some] = measure(
            Margins(*(np.where(part <= ROUNDING * of, 0.0, part) for part, of in zip(less, whole, strict=True)))
        )
    return found


def of_class(measure: Callable[[Margins], Floats], which: int) -> Callable[[ClassInputs], Floats]:
    """Pseudo-values of the score of one class by `measure`, which computes one for each."""
    return of_margins(lambda some: np.asarray(measure(some)[..., which]))


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
    moved, n_rows = np.zeros(len(inputs.rows.y)), len(inputs.rows.y)
    for column in inputs.rows.rank():
        moved += deviations_of(column, inputs.weights)
    return np.asarray(scores.mean() + moved / len(scores) * n_rows)


def f1_macro(inputs: BooleanInputs) -> Floats:
    """Pseudo-values of the mean F1 of boolean columns."""
    hits, claims = inputs.hits_and_claims
    score, rows = safe_divide(2 * hits, claims), inputs.rows
    counted: Floats = rows.y.astype(np.float64) + rows.predicted
    own: Floats = 2.0 * (rows.y & rows.predicted) - score * counted
    moved = safe_divide(own, np.broadcast_to(claims, own.shape))
    return of_mean(np.asarray(score.mean() + moved.mean(axis=1)), inputs.weights)


def f1_micro(inputs: BooleanInputs) -> Floats:
    """Pseudo-values of F1 over the predictions of all boolean columns."""
    hits, claims = (float(part.sum()) for part in inputs.hits_and_claims)
    if not claims:
        return np.zeros(len(inputs.rows.y))
    score, rows = 2 * hits / claims, inputs.rows
    own = 2.0 * (rows.y & rows.predicted).sum(axis=1) - score * (rows.y.sum(axis=1) + rows.predicted.sum(axis=1))
    return of_mean(np.asarray(score + own / claims), inputs.weights)


def rmse(inputs: NumberInputs) -> Floats:
    """Pseudo-values of the mean RMSE of the outputs."""
    own, squares = numbers.rmse(inputs), inputs.rows.squared_error
    moved = safe_divide(np.asarray(squares - own**2), np.broadcast_to(2 * own, squares.shape))
    return of_mean(np.asarray(own.mean() + moved.mean(axis=1)), inputs.weights)


def r2(inputs: NumberInputs) -> Floats:
    """Pseudo-values of the mean R2 of the outputs."""
    own, rows, weights = numbers.r2(inputs), inputs.rows, inputs.weights
    squares = np.asarray((rows.y - weighted_mean(rows.y, weights)) ** 2)
    variance = weighted_mean(squares, weights)
    moved = safe_divide((1 - own) * squares - rows.squared_error, np.broadcast_to(variance, squares.shape))
    return of_mean(np.asarray(own.mean() + moved.mean(axis=1)), weights)


def rmse_differences(old: NumberInputs, new: NumberInputs) -> Floats:
    """What each row says of the difference of the mean RMSE: of squares, over the sum of both roots.

    So rows that are as good for both cancel whatever the roots are, and a large error moves no scale.
    """
    both = numbers.rmse(old) + numbers.rmse(new)
    moved = np.asarray(new.rows.squared_error - old.rows.squared_error)
    return of_mean(safe_divide(moved, np.broadcast_to(both, moved.shape)).mean(axis=1), old.weights)


def r2_differences(old: NumberInputs, new: NumberInputs) -> Floats:
    """What each row says of the difference of the mean R2: of squares, over the variance of the truth of these rows."""
    rows, weights = old.rows, old.weights
    variance = weighted_mean(np.asarray((rows.y - weighted_mean(rows.y, weights)) ** 2), weights)
    moved = np.asarray(rows.squared_error - new.rows.squared_error)
    return of_mean(safe_divide(moved, np.broadcast_to(variance, moved.shape)).mean(axis=1), weights)
