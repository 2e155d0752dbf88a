"""The metrics of one target column with K classes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.averages import Bools, Floats, quotient, weighted_mean
from mlpcli.evaluation.ranking import Rankings, rank_columns

N_CALIBRATION_BINS = 15


def confusion_matrix(
    y: NDArray[np.int64], predicted: NDArray[np.int64], n_classes: int, weights: Floats | None = None
) -> Floats:
    """Weight of the rows of each truth (down) and each predicted class (across), as (K, K)."""
    cells = np.bincount(y * n_classes + predicted, weights=weights, minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes).astype(np.float64)


@dataclass(frozen=True, eq=False)
class ClassEvidence:
    """Truth `y` (n_rows,) as codes and `probabilities` (n_rows, K), with what several metrics share worked out once.

    `threshold` (1,) is for two classes: above it the second one is predicted.
    """

    y: NDArray[np.int64]
    probabilities: Floats
    weights: Floats | None
    threshold: Floats | None = None

    @cached_property
    def n_classes(self) -> int:
        """K."""
        return int(self.probabilities.shape[1])

    @cached_property
    def most_probable(self) -> NDArray[np.int64]:
        """The most probable class of each row, the first one on ties."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The class each row gets: the most probable one, or what the threshold says."""
        if self.threshold is None:
            return self.most_probable
        return np.asarray(self.probabilities[:, 1] > self.threshold[0], dtype=np.int64)

    @cached_property
    def confusion(self) -> Floats:
        """The confusion matrix (K, K)."""
        return confusion_matrix(self.y, self.predicted, self.n_classes, self.weights)

    @cached_property
    def occurs(self) -> Bools:
        """Which classes some row has or is predicted to have, (K,): absent ones stay out of macro averages."""
        return np.bincount(self.y, minlength=self.n_classes) + np.bincount(self.predicted, minlength=self.n_classes) > 0

    @cached_property
    def true_probability(self) -> Floats:
        """The probability each row gives to its true class, (n_rows,)."""
        return np.take_along_axis(self.probabilities, self.y[:, None], axis=1)[:, 0]

    @cached_property
    def rankings(self) -> Rankings:
        """ROC AUC and average precision: of the class coded 1 if there are two, else of each class against the rest."""
        if self.n_classes == 2:
            return rank_columns(self.y[:, None] == 1, self.probabilities[:, 1:], self.weights)
        return rank_columns(self.y[:, None] == np.arange(self.n_classes), self.probabilities, self.weights)


def accuracy(evidence: ClassEvidence) -> float:
    """Share of rows whose predicted class is the true one."""
    return float(weighted_mean(evidence.predicted == evidence.y, evidence.weights))


def balanced_accuracy(evidence: ClassEvidence) -> float:
    """Mean recall of the classes that occur in the truth."""
    is_true_somewhere = evidence.confusion.sum(axis=1) > 0
    return float(recall(evidence)[is_true_somewhere].mean())


def log_loss(evidence: ClassEvidence) -> float:
    """Mean of -log of the probability of the true class, clipped to [eps, 1 - eps] of float64."""
    eps = np.finfo(np.float64).eps
    losses = evidence.true_probability.clip(eps, 1 - eps)
    np.log(losses, out=losses)
    return float(weighted_mean(np.negative(losses, out=losses), evidence.weights))


def roc_auc(evidence: ClassEvidence) -> float:
    """ROC AUC; NaN where some class does not occur in the truth, or nothing else does."""
    return float(evidence.rankings.roc_auc.mean())


def average_precision(evidence: ClassEvidence) -> float:
    """Average precision; of more than two classes NaN where one does not occur in the truth."""
    if evidence.n_classes > 2 and not np.bincount(evidence.y, minlength=evidence.n_classes).all():
        return np.nan
    return float(evidence.rankings.average_precision.mean())


def f1(evidence: ClassEvidence) -> Floats:
    """F1 of each class, (K,); 0 where a class is neither true nor predicted."""
    confusion = evidence.confusion
    return quotient(2 * confusion.diagonal(), confusion.sum(axis=0) + confusion.sum(axis=1))


def precision(evidence: ClassEvidence) -> Floats:
    """Precision of each class, (K,); 0 where a class is never predicted."""
    return quotient(evidence.confusion.diagonal(), evidence.confusion.sum(axis=0))


def recall(evidence: ClassEvidence) -> Floats:
    """Recall of each class, (K,); 0 where a class does not occur in the truth."""
    return quotient(evidence.confusion.diagonal(), evidence.confusion.sum(axis=1))


def f1_macro(evidence: ClassEvidence) -> float:
    """Mean F1 of the classes that occur."""
    return float(f1(evidence)[evidence.occurs].mean())


def f1_weighted(evidence: ClassEvidence) -> float:
    """Mean F1 of the classes, each weighted by its share of the truth."""
    return float(weighted_mean(f1(evidence), evidence.confusion.sum(axis=1)))


def precision_macro(evidence: ClassEvidence) -> float:
    """Mean precision of the classes that occur."""
    return float(precision(evidence)[evidence.occurs].mean())


def recall_macro(evidence: ClassEvidence) -> float:
    """Mean recall of the classes that occur."""
    return float(recall(evidence)[evidence.occurs].mean())


def mcc(evidence: ClassEvidence) -> float:
    """Matthews correlation of truth and prediction for K classes (Gorodkin 2004); 0 where either has one class only."""
    truth, predicted = evidence.confusion.sum(axis=1), evidence.confusion.sum(axis=0)
    # Asked of the counts, not of the variance below, which rounding can keep from being exactly zero.
    if np.count_nonzero(truth) < 2 or np.count_nonzero(predicted) < 2:
        return 0.0
    total = truth.sum()
    covariance = evidence.confusion.trace() * total - truth @ predicted
    variances = (total**2 - truth @ truth) * (total**2 - predicted @ predicted)
    return float(covariance / np.sqrt(variances))


def brier(evidence: ClassEvidence) -> float:
    """Mean squared error of the probabilities: of the class coded 1 if there are two, else summed over the classes."""
    p = evidence.probabilities
    if evidence.n_classes == 2:
        return float(weighted_mean((p[:, 1] - evidence.y) ** 2, evidence.weights))
    # sum over k of (p_k - [k = y])^2, without building the one-hot matrix
    errors = np.einsum("nk,nk->n", p, p) - 2 * evidence.true_probability + 1
    return float(weighted_mean(errors, evidence.weights))


def ece(evidence: ClassEvidence) -> float:
    """Expected calibration error: |accuracy - mean top probability| over 15 bins of equal width (Guo et al. 2017).

    Bin i holds the top probabilities in (i/15, (i+1)/15].
    """
    top = evidence.probabilities.max(axis=1)
    inner_edges = np.linspace(0.0, 1.0, N_CALIBRATION_BINS + 1)[1:-1]
    bins = np.searchsorted(inner_edges, top, side="left")
    surplus = np.subtract(top, evidence.most_probable == evidence.y, out=top)
    if evidence.weights is None:
        return float(np.abs(np.bincount(bins, weights=surplus)).sum() / len(surplus))
    gaps = np.bincount(bins, weights=evidence.weights * surplus)
    return float(np.abs(gaps).sum() / evidence.weights.sum())
