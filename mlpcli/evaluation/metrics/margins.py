"""Scores computed from the margins of a confusion matrix: per class, correct, true and predicted rows.

Arrays are (..., K), for one or many confusion matrices, so that a leave-one-out score changes a few sums instead of a
matrix.
"""

from typing import NamedTuple

import numpy as np

from mlpcli.evaluation.metrics.averages import Bools, Floats, safe_divide

# A smaller fraction of the weight is rounding error of the sums of squares.
NEGLIGIBLE = 1e-12


class Margins(NamedTuple):
    """Weight of the correct rows, the true rows and the predicted rows of each class, (..., K) each."""

    correct: Floats
    truth: Floats
    predicted: Floats


def margins_of(confusion: Floats) -> Margins:
    """The margins of confusion matrices (..., K, K), with true classes as rows."""
    return Margins(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1), confusion.sum(axis=-2))


def occurs(margins: Margins) -> Bools:
    """Which classes occur in truth or prediction."""
    return np.asarray(margins.truth + margins.predicted > 0)


def recall(margins: Margins) -> Floats:
    """Recall of each class; 0 where a class does not occur in the truth."""
    return safe_divide(margins.correct, margins.truth)


def precision(margins: Margins) -> Floats:
    """Precision of each class; 0 where a class is never predicted."""
    return safe_divide(margins.correct, margins.predicted)


def f1(margins: Margins) -> Floats:
    """F1 of each class; 0 where a class is neither true nor predicted."""
    return safe_divide(2 * margins.correct, margins.predicted + margins.truth)


def mean_of_classes(values: Floats, counts: Bools) -> Floats:
    """Mean over the classes selected by `counts`."""
    return np.asarray(np.where(counts, values, 0.0).sum(axis=-1) / counts.sum(axis=-1))


def balanced_accuracy(margins: Margins) -> Floats:
    """Mean recall of the classes that occur in the truth."""
    return mean_of_classes(recall(margins), margins.truth > 0)


def recall_macro(margins: Margins) -> Floats:
    """Mean recall of the classes that occur."""
    return mean_of_classes(recall(margins), occurs(margins))


def precision_macro(margins: Margins) -> Floats:
    """Mean precision of the classes that occur."""
    return mean_of_classes(precision(margins), occurs(margins))


def f1_macro(margins: Margins) -> Floats:
    """Mean F1 of the classes that occur."""
    return mean_of_classes(f1(margins), occurs(margins))


def f1_weighted(margins: Margins) -> Floats:
    """Mean F1 of the classes, each weighted by its fraction of the true rows."""
    return np.asarray((f1(margins) * margins.truth).sum(axis=-1) / margins.truth.sum(axis=-1))


def mcc(margins: Margins) -> Floats:
    """Matthews correlation for K classes (Gorodkin 2004); 0 if all rows are predicted as one class.

    NaN if only one class occurs, where scikit-learn returns 0. A class with all but a fraction 1e-12 of the weight
    counts as the only one, because the rest is within rounding error.
    """
    correct, truth, predicted = margins
    total = truth.sum(axis=-1)
    covariance = correct.sum(axis=-1) * total - (truth * predicted).sum(axis=-1)
    truth_variance, predicted_variance = (total**2 - (counts**2).sum(axis=-1) for counts in (truth, predicted))
    is_constant = np.minimum(truth_variance, predicted_variance) <= NEGLIGIBLE * total**2
    correlation = np.where(
        is_constant, 0.0, covariance / np.sqrt(np.where(is_constant, 1.0, truth_variance * predicted_variance))
    )
    return np.where(truth_variance <= NEGLIGIBLE * total**2, np.nan, correlation)
