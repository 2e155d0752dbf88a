"""The metrics of one target column with K classes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics import margins
from mlpcli.evaluation.metrics.averages import (
    Bools,
    Floats,
    Predicted,
    grouped_sums,
    is_resampled,
    mean_of,
    row_blocks,
    sums_of,
)
from mlpcli.evaluation.metrics.margins import Margins, margins_of, mean_of_classes
from mlpcli.evaluation.metrics.ranking import RankedColumn, Rankings, measure_ranks, rank_blocks, rank_columns

N_CALIBRATION_BINS = 15


def confusion_matrix(
    y: NDArray[np.integer], predicted: NDArray[np.integer], n_classes: int, weights: Floats | None = None
) -> Floats:
    """The weighted confusion matrix, true classes by predicted classes (K, K); with resamples (R, K, K)."""
    return _matrix(grouped_sums(_cells(y, predicted, n_classes), n_classes**2, weights), n_classes)


def _cells(y: NDArray[np.integer], predicted: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """The index of the matrix cell of each row (n_rows,)."""
    return np.asarray(y.astype(np.int64, copy=False) * n_classes + predicted)


def _matrix(sums: Floats, n_classes: int) -> Floats:
    return sums.reshape(*sums.shape[:-1], n_classes, n_classes)


@dataclass(frozen=True, eq=False)
class ClassRows:
    """True codes `y` (n_rows,) and `probabilities` (n_rows, K), with derived values that are independent of weights.

    With two classes the second is predicted if its probability is above `threshold` (1,); with more classes, the one
    with the largest ratio of probability to `threshold` (K,).
    """

    y: NDArray[np.integer]
    probabilities: Predicted
    threshold: Floats | None = None

    def blocks(self) -> Iterator[tuple[slice, "ClassRows"]]:
        """Slices of rows, each with an object for these rows alone."""
        for span in row_blocks(self.probabilities.shape):
            yield span, ClassRows(self.y[span], self.probabilities[span], self.threshold)

    @cached_property
    def p(self) -> Floats:
        """The probabilities as one array."""
        return self.probabilities[:]

    @cached_property
    def n_classes(self) -> int:
        """K."""
        return int(self.probabilities.shape[1])

    @cached_property
    def most_probable(self) -> NDArray[np.int64]:
        """The most probable class of each row, the first one on ties."""
        return np.asarray(self.p.argmax(axis=1))

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The predicted class of each row, by threshold or the most probable."""
        if self.threshold is None:
            return self.most_probable
        p, limit = self.p, self.threshold
        return np.asarray(p[:, 1] > limit if len(limit) == 1 else (p / limit).argmax(axis=1), np.int64)

    @cached_property
    def is_right(self) -> Bools:
        """Whether the predicted class is the true one, (n_rows,)."""
        return np.asarray(self.predicted == self.y)

    @property
    def true_probability(self) -> Floats:
        """The predicted probability of the true class (n_rows,)."""
        return np.take_along_axis(self.p, self.y[:, None], axis=1)[:, 0]

    @cached_property
    def negative_log_likelihood(self) -> Floats:
        """-log of the probability of the true class, clipped to [eps, 1 - eps] of float64, (n_rows,)."""
        eps = np.finfo(np.float64).eps
        values = self.true_probability.clip(eps, 1 - eps)
        np.log(values, out=values)
        return np.asarray(np.negative(values, out=values))

    @cached_property
    def squared_error(self) -> Floats:
        """Squared error of the probability of the second of two classes, or summed over more classes (n_rows,)."""
        p = self.p
        if self.n_classes == 2:
            return np.asarray((p[:, 1] - self.y) ** 2)
        # sum over k of (p_k - [k = y])^2, without building the one-hot matrix
        return np.asarray(np.einsum("nk,nk->n", p, p) - 2 * self.true_probability + 1)

    @cached_property
    def calibration(self) -> tuple[NDArray[np.int64], Floats]:
        """The bin of each row's top probability, and that probability minus correctness (n_rows,) each."""
        top = self.p.max(axis=1)
        inner_edges = np.linspace(0.0, 1.0, N_CALIBRATION_BINS + 1)[1:-1]
        bins = np.searchsorted(inner_edges, top, side="left")
        return bins, np.subtract(top, self.most_probable == self.y, out=top)

    def confusion(self, weights: Floats | None) -> Floats:
        """The confusion matrix (K, K); of resamples (R, K, K)."""
        n = self.n_classes
        return _matrix(sums_of(self, weights, n**2, lambda rows: _cells(rows.y, rows.predicted, n)), n)

    @cached_property
    def counts(self) -> Floats:
        """The unweighted confusion matrix."""
        return self.confusion(None)

    @cached_property
    def is_class(self) -> Bools:
        """One-hot true classes (n_rows, K'); with two classes the column of the second only, K' = 1."""
        return np.asarray(self.y[:, None] == (np.array([1]) if self.n_classes == 2 else np.arange(self.n_classes)))

    @property
    def ranking(self) -> Floats:
        """The probabilities of the classes in `is_class` (n_rows, K')."""
        return self.p[:, 1:] if self.n_classes == 2 else self.p

    def rank(self) -> Iterator[RankedColumn]:
        """The ranking of the rows by each column of probabilities."""
        return rank_columns(self.is_class, self.ranking)

    @cached_property
    def ranked(self) -> list[RankedColumn]:
        """`rank()` as a list, cached for many weights."""
        return list(self.rank())


@dataclass(frozen=True, eq=False)
class ClassInputs:
    """Rows and their weights, with intermediate results that several metrics share."""

    rows: ClassRows
    weights: Floats | None

    @cached_property
    def confusion(self) -> Floats:
        """The confusion matrix (K, K)."""
        return self.rows.counts if self.weights is None else self.rows.confusion(self.weights)

    @cached_property
    def margins(self) -> Margins:
        """Correct predictions, true rows and predicted rows of each class."""
        return margins_of(self.confusion)

    @cached_property
    def occurs(self) -> Bools:
        """Which classes occur in truth or prediction (K,); macro averages ignore the others."""
        counts = self.confusion if is_resampled(self.weights) else self.rows.counts
        return margins.occurs(margins_of(counts))

    @cached_property
    def rankings(self) -> Rankings:
        """ROC AUC and average precision of the second of two classes, or of each class against the rest."""
        rows = self.rows
        if self.weights is None:
            n = 1 if rows.n_classes == 2 else rows.n_classes
            return rank_blocks(len(rows.y), n, lambda: ((block.is_class, block.ranking) for _, block in rows.blocks()))
        return measure_ranks(rows.ranked if is_resampled(self.weights) else rows.rank(), self.weights)


def weight_of_all(inputs: ClassInputs) -> Floats:
    """The denominator of accuracy: the total weight, 0-d."""
    return np.asarray(inputs.confusion.sum())


def weight_of_class(inputs: ClassInputs) -> Floats:
    """The denominator of recall: the weight of the true rows of each class (K,)."""
    return np.asarray(inputs.confusion.sum(axis=-1))


def weight_of_predicted(inputs: ClassInputs) -> Floats:
    """The denominator of precision: the weight of the predicted rows of each class (K,)."""
    return np.asarray(inputs.confusion.sum(axis=-2))


def weight_of_either(inputs: ClassInputs) -> Floats:
    """The weight of rows of a class or predicted as it (K,), the denominator of the Jaccard index F1 / (2 - F1)."""
    return weight_of_class(inputs) + weight_of_predicted(inputs) - inputs.margins.correct


def accuracy(inputs: ClassInputs) -> Floats:
    """Fraction of rows whose predicted class is the true one."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.is_right)


def balanced_accuracy(inputs: ClassInputs) -> Floats:
    """Mean recall of the classes that occur in the truth."""
    return margins.balanced_accuracy(inputs.margins)


def log_loss(inputs: ClassInputs) -> Floats:
    """Mean of -log of the probability of the true class."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.negative_log_likelihood)


def roc_auc(inputs: ClassInputs) -> Floats:
    """ROC AUC; NaN if a class does not occur, or is the only one."""
    return np.asarray(inputs.rankings.roc_auc.mean(axis=-1))


def average_precision(inputs: ClassInputs) -> Floats:
    """Average precision; NaN if a class does not occur, or is the only one."""
    return np.asarray(inputs.rankings.average_precision.mean(axis=-1))


def f1(inputs: ClassInputs) -> Floats:
    """F1 of each class, (K,); 0 where a class is neither true nor predicted."""
    return margins.f1(inputs.margins)


def precision(inputs: ClassInputs) -> Floats:
    """Precision of each class, (K,); 0 where a class is never predicted."""
    return margins.precision(inputs.margins)


def recall(inputs: ClassInputs) -> Floats:
    """Recall of each class, (K,); 0 where a class does not occur in the truth."""
    return margins.recall(inputs.margins)


def f1_macro(inputs: ClassInputs) -> Floats:
    """Mean F1 of the classes that occur."""
    return mean_of_classes(f1(inputs), inputs.occurs)


def f1_weighted(inputs: ClassInputs) -> Floats:
    """Mean F1 of the classes, each weighted by its fraction of the rows."""
    return margins.f1_weighted(inputs.margins)


def precision_macro(inputs: ClassInputs) -> Floats:
    """Mean precision of the classes that occur."""
    return mean_of_classes(precision(inputs), inputs.occurs)


def recall_macro(inputs: ClassInputs) -> Floats:
    """Mean recall of the classes that occur."""
    return mean_of_classes(recall(inputs), inputs.occurs)


def mcc(inputs: ClassInputs) -> Floats:
    """Matthews correlation for K classes; 0 if one class is predicted for all rows, NaN if only one class occurs."""
    return margins.mcc(inputs.margins)


def brier(inputs: ClassInputs) -> Floats:
    """Mean squared error of the probability of the second of two classes, or summed over more classes."""
    return mean_of(inputs.rows, inputs.weights, lambda rows: rows.squared_error)


def ece(inputs: ClassInputs) -> Floats:
    """Expected calibration error: |accuracy - mean top probability| over 15 bins of equal width (Guo et al. 2017).

    Bin i has the top probabilities in (i/15, (i+1)/15].
    """
    rows, weights = inputs.rows, inputs.weights
    gaps = sums_of(
        rows, weights, N_CALIBRATION_BINS, lambda block: block.calibration[0], lambda block: block.calibration[1]
    )
    total = len(rows.y) if weights is None else weights.sum(axis=-1)
    return np.asarray(np.abs(gaps).sum(axis=-1) / total)
