"""The metrics of M yes/no target columns predicted together."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlpcli.evaluation.averages import Bools, Floats, quotient, weighted_mean
from mlpcli.evaluation.ranking import Rankings, rank_columns


@dataclass(frozen=True, eq=False)
class YesNoEvidence:
    """Truth `y` (n_rows, M) and `probabilities` of yes (n_rows, M), with what several metrics share worked out once.

    `threshold` (M,) is what a probability must be above for yes; None means 0.5.
    """

    y: Bools
    probabilities: Floats
    weights: Floats | None
    threshold: Floats | None = None

    @cached_property
    def predicted(self) -> Bools:
        """Yes where the probability is above the threshold of its column, (n_rows, M)."""
        return np.asarray(self.probabilities > (0.5 if self.threshold is None else self.threshold))

    @cached_property
    def rankings(self) -> Rankings:
        """ROC AUC and average precision of each column."""
        return rank_columns(self.y, self.probabilities, self.weights)

    @cached_property
    def hits_and_claims(self) -> tuple[Floats, Floats]:
        """Shares of rows per column, (M,) each: truly predicted yes; yes in the truth plus yes in the prediction."""
        hits = weighted_mean(self.y & self.predicted, self.weights)
        claims = weighted_mean(self.y, self.weights) + weighted_mean(self.predicted, self.weights)
        return hits, claims


def subset_accuracy(evidence: YesNoEvidence) -> float:
    """Share of rows with every column right (scikit-learn's accuracy_score for several columns)."""
    return float(weighted_mean((evidence.predicted == evidence.y).all(axis=1), evidence.weights))


def accuracy(evidence: YesNoEvidence) -> Floats:
    """Share of right answers in each column, (M,)."""
    return weighted_mean(evidence.predicted == evidence.y, evidence.weights)


def hamming_loss(evidence: YesNoEvidence) -> float:
    """Share of wrong answers among all columns."""
    return float(weighted_mean((evidence.predicted != evidence.y).mean(axis=1), evidence.weights))


def log_loss(evidence: YesNoEvidence) -> float:
    """Mean over the columns of the log loss of each, clipped to [eps, 1 - eps] of float64."""
    eps = np.finfo(np.float64).eps
    true_probability = np.where(evidence.y, evidence.probabilities, 1 - evidence.probabilities)
    return float(weighted_mean(-np.log(true_probability.clip(eps, 1 - eps)), evidence.weights).mean())


def roc_auc(evidence: YesNoEvidence) -> Floats:
    """ROC AUC of each column, (M,); NaN where a column is all yes or all no."""
    return evidence.rankings.roc_auc


def average_precision(evidence: YesNoEvidence) -> Floats:
    """Average precision of each column, (M,); 0 where a column is all no."""
    return evidence.rankings.average_precision


def f1(evidence: YesNoEvidence) -> Floats:
    """F1 of yes in each column, (M,); 0 where yes is neither true nor predicted."""
    hits, claims = evidence.hits_and_claims
    return quotient(2 * hits, claims)


def f1_micro(evidence: YesNoEvidence) -> float:
    """F1 of yes over the answers of all columns."""
    hits, claims = evidence.hits_and_claims
    return float(quotient(2 * hits.sum(), claims.sum()))


def brier(evidence: YesNoEvidence) -> float:
    """Mean squared error of the probabilities, over all columns."""
    return float(weighted_mean((evidence.probabilities - evidence.y) ** 2, evidence.weights).mean())
