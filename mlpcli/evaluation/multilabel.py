"""The metrics of M boolean target columns predicted together."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlpcli.evaluation.averages import Bools, Floats, Predicted, is_resampled, mean_of, row_blocks, safe_divide
from mlpcli.evaluation.ranking import RankedColumn, Rankings, measure_ranks, rank_blocks, rank_columns


@dataclass(frozen=True, eq=False)
class YesNoRows:
    """Truth `y` (n_rows, M) and `probabilities` of yes (n_rows, M), and what follows from them whatever the weights.

    `threshold` (M,) is what a probability must be above for yes; None means 0.5.
    """

    y: Bools
    probabilities: Predicted
    threshold: Floats | None = None

    def blocks(self) -> Iterator[tuple[slice, "YesNoRows"]]:
        """See `averages.Rows`."""
        for some in row_blocks(self.probabilities.shape):
            yield some, YesNoRows(self.y[some], self.probabilities[some], self.threshold)

    @cached_property
    def p(self) -> Floats:
        """The probabilities as one array."""
        return self.probabilities[:]

    @cached_property
    def predicted(self) -> Bools:
        """Yes where the probability is above the threshold of its column, (n_rows, M)."""
        return np.asarray(self.p > (0.5 if self.threshold is None else self.threshold))

    @cached_property
    def is_right(self) -> Bools:
        """Whether each answer is right, (n_rows, M)."""
        return np.asarray(self.predicted == self.y)

    @property
    def is_all_right(self) -> Bools:
        """Whether every answer of a row is right, (n_rows,)."""
        return np.asarray(self.is_right.all(axis=1))

    @property
    def is_wrong(self) -> Bools:
        """Whether each answer is wrong, (n_rows, M)."""
        return ~self.is_right

    @cached_property
    def negative_log_likelihood(self) -> Floats:
        """-log of the probability of the truth, clipped to [eps, 1 - eps] of float64, (n_rows, M)."""
        eps = np.finfo(np.float64).eps
        true_probability = np.where(self.y, self.p, 1 - self.p)
        return np.asarray(-np.log(true_probability.clip(eps, 1 - eps)))

    @cached_property
    def squared_error(self) -> Floats:
        """Of the probabilities, (n_rows, M)."""
        return np.asarray((self.p - self.y) ** 2)

    def rank(self) -> Iterator[RankedColumn]:
        """How the probabilities of each column rank yes above no."""
        return rank_columns(self.y, self.p)

    @cached_property
    def ranked(self) -> list[RankedColumn]:
        """The same, kept for many weights."""
        return list(self.rank())


@dataclass(frozen=True, eq=False)
class BooleanInputs:
    """Rows and their weights, with what several metrics share worked out once."""

    rows: YesNoRows
    weights: Floats | None

    @cached_property
    def rankings(self) -> Rankings:
        """ROC AUC and average precision of each column."""
        rows = self.rows
        if self.weights is None:
            return rank_blocks(len(rows.y), rows.y.shape[1], lambda: ((own.y, own.p) for _, own in rows.blocks()))
        return measure_ranks(rows.ranked if is_resampled(self.weights) else rows.rank(), self.weights)

    @cached_property
    def hits_and_claims(self) -> tuple[Floats, Floats]:
        """Shares of rows per column, (M,) each: truly predicted yes; yes in the truth plus yes in the prediction."""
        rows, weights = self.rows, self.weights
        hits = mean_of(rows, weights, lambda some: some.y & some.predicted)
        return hits, mean_of(rows, weights, lambda some: some.y) + mean_of(rows, weights, lambda some: some.predicted)


def weight_of_all(inputs: BooleanInputs) -> Floats:
    """Weight of the rows of which accuracy is a share, (M,)."""
    n_rows, n_columns = inputs.rows.y.shape
    return np.full(n_columns, n_rows if inputs.weights is None else inputs.weights.sum(), dtype=np.float64)


def weight_of_either(inputs: BooleanInputs) -> Floats:
    """Weight of the rows with yes in truth or prediction, (M,): the hits among them are F1 / (2 - F1)."""
    either = mean_of(inputs.rows, inputs.weights, lambda rows: rows.y | rows.predicted)
    return either * weight_of_all(inputs)


def subset_accuracy(inputs: BooleanInputs) -> Floats:
    """Fraction of rows with every column right (scikit-learn's accuracy_score for several columns)."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.is_all_right)


def accuracy(inputs: BooleanInputs) -> Floats:
    """Fraction of right answers in each column, (M,)."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.is_right)


def hamming_loss(inputs: BooleanInputs) -> Floats:
    """Fraction of wrong answers among all columns."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.is_wrong.mean(axis=1))


def log_loss(inputs: BooleanInputs) -> Floats:
    """Mean over the columns of the log loss of each."""
    return np.asarray(mean_of(inputs.rows, inputs.weights, lambda rows: rows.negative_log_likelihood).mean(axis=-1))


def roc_auc(inputs: BooleanInputs) -> Floats:
    """ROC AUC of each column, (M,); NaN where a column is all yes or all no."""
    return inputs.rankings.roc_auc


def average_precision(inputs: BooleanInputs) -> Floats:
    """Average precision of each column, (M,); NaN where a column is all yes or all no."""
    return inputs.rankings.average_precision


def f1(inputs: BooleanInputs) -> Floats:
    """F1 of yes in each column, (M,); 0 where yes is neither true nor predicted."""
    hits, claims = inputs.hits_and_claims
    return safe_divide(2 * hits, claims)


def f1_micro(inputs: BooleanInputs) -> Floats:
    """F1 of true over the predictions of all columns."""
    hits, claims = inputs.hits_and_claims
    return safe_divide(2 * hits.sum(axis=-1), claims.sum(axis=-1))


def brier(inputs: BooleanInputs) -> Floats:
    """Mean squared error of the probabilities, over all columns."""
    return np.asarray(mean_of(inputs.rows, inputs.weights, lambda rows: rows.squared_error).mean(axis=-1))
