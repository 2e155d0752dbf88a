"""The metrics of M boolean target columns predicted together."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlpcli.evaluation.metrics.averages import Bools, Floats, Predicted, is_resampled, mean_of, row_blocks, safe_divide
from mlpcli.evaluation.metrics.ranking import RankedColumn, Rankings, measure_ranks, rank_blocks, rank_columns


@dataclass(frozen=True, eq=False)
class BooleanRows:
    """True `y` and `probabilities` of true (n_rows, M), with derived values that are independent of weights.

    A probability above `threshold` (M,) is predicted true; None means 0.5.
    """

    y: Bools
    probabilities: Predicted
    threshold: Floats | None = None

    def blocks(self) -> Iterator[tuple[slice, "BooleanRows"]]:
        """Slices of rows, each with an object for these rows alone."""
        for span in row_blocks(self.probabilities.shape):
            yield span, BooleanRows(self.y[span], self.probabilities[span], self.threshold)

    @cached_property
    def p(self) -> Floats:
        """The probabilities as one array."""
        return self.probabilities[:]

    @cached_property
    def predicted(self) -> Bools:
        """Whether the probability is above the threshold of its column (n_rows, M)."""
        return np.asarray(self.p > (0.5 if self.threshold is None else self.threshold))

    @cached_property
    def is_right(self) -> Bools:
        """Whether each prediction is correct (n_rows, M)."""
        return np.asarray(self.predicted == self.y)

    @property
    def is_all_right(self) -> Bools:
        """Whether every prediction of a row is correct (n_rows,)."""
        return np.asarray(self.is_right.all(axis=1))

    @property
    def is_wrong(self) -> Bools:
        """Whether each prediction is wrong (n_rows, M)."""
        return ~self.is_right

    @cached_property
    def negative_log_likelihood(self) -> Floats:
        """-log of the probability of the truth, clipped to [eps, 1 - eps] of float64, (n_rows, M)."""
        eps = np.finfo(np.float64).eps
        true_probability = np.where(self.y, self.p, 1 - self.p)
        return np.asarray(-np.log(true_probability.clip(eps, 1 - eps)))

    @cached_property
    def squared_error(self) -> Floats:
        """Squared error of the probabilities (n_rows, M)."""
        return np.asarray((self.p - self.y) ** 2)

    def rank(self) -> Iterator[RankedColumn]:
        """The ranking of the rows by the probabilities of each column."""
        return rank_columns(self.y, self.p)

    @cached_property
    def ranked(self) -> list[RankedColumn]:
        """`rank()` as a list, cached for many weights."""
        return list(self.rank())


@dataclass(frozen=True, eq=False)
class BooleanInputs:
    """Rows and their weights, with intermediate results that several metrics share."""

    rows: BooleanRows
    weights: Floats | None

    @cached_property
    def rankings(self) -> Rankings:
        """ROC AUC and average precision of each column."""
        rows = self.rows
        if self.weights is None:
            return rank_blocks(len(rows.y), rows.y.shape[1], lambda: ((block.y, block.p) for _, block in rows.blocks()))
        return measure_ranks(rows.ranked if is_resampled(self.weights) else rows.rank(), self.weights)

    @cached_property
    def f1_counts(self) -> tuple[Floats, Floats]:
        """Fractions of rows per column (M,): true positives, and true plus predicted positives."""
        rows, weights = self.rows, self.weights
        true_positives = mean_of(rows, weights, lambda block: block.y & block.predicted)
        true = mean_of(rows, weights, lambda block: block.y)
        return true_positives, true + mean_of(rows, weights, lambda block: block.predicted)


def weight_of_all(inputs: BooleanInputs) -> Floats:
    """The denominator of accuracy: the total weight (M,)."""
    n_rows, n_columns = inputs.rows.y.shape
    return np.full(n_columns, n_rows if inputs.weights is None else inputs.weights.sum(), dtype=np.float64)


def weight_of_either(inputs: BooleanInputs) -> Floats:
    """The weight of true or predicted positives (M,), the denominator of the Jaccard index F1 / (2 - F1)."""
    either = mean_of(inputs.rows, inputs.weights, lambda rows: rows.y | rows.predicted)
    return either * weight_of_all(inputs)


def subset_accuracy(inputs: BooleanInputs) -> Floats:
    """Fraction of rows with every column correct (scikit-learn's accuracy_score for several columns)."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.is_all_right)


def accuracy(inputs: BooleanInputs) -> Floats:
    """Fraction of correct predictions in each column (M,)."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.is_right)


def hamming_loss(inputs: BooleanInputs) -> Floats:
    """Fraction of wrong predictions over all columns."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.is_wrong.mean(axis=1))


def log_loss(inputs: BooleanInputs) -> Floats:
    """Mean over the columns of the log loss of each."""
    return np.asarray(mean_of(inputs.rows, inputs.weights, lambda rows: rows.negative_log_likelihood).mean(axis=-1))


def roc_auc(inputs: BooleanInputs) -> Floats:
    """ROC AUC of each column (M,); NaN for a constant column."""
    return inputs.rankings.roc_auc


def average_precision(inputs: BooleanInputs) -> Floats:
    """Average precision of each column (M,); NaN for a constant column."""
    return inputs.rankings.average_precision


def f1(inputs: BooleanInputs) -> Floats:
    """F1 of each column (M,); 0 without true or predicted positives."""
    true_positives, positives = inputs.f1_counts
    return safe_divide(2 * true_positives, positives)


def f1_micro(inputs: BooleanInputs) -> Floats:
    """F1 of true over the predictions of all columns."""
    true_positives, positives = inputs.f1_counts
    return safe_divide(2 * true_positives.sum(axis=-1), positives.sum(axis=-1))


def brier(inputs: BooleanInputs) -> Floats:
    """Mean squared error of the probabilities, over all columns."""
    return np.asarray(mean_of(inputs.rows, inputs.weights, lambda rows: rows.squared_error).mean(axis=-1))
