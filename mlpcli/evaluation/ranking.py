"""How well a score ranks the rows of one class above the others: ROC AUC and average precision.

Both are means over the positive rows, so no curve is built and ties need no care: ROC AUC of the share of negatives
below a positive (a tie counts half; Mann & Whitney 1947), average precision of the precision among the rows at or above
it (the step-wise sum without interpolation, as in scikit-learn).
"""

from typing import Literal, NamedTuple

import numpy as np

from mlpcli.evaluation.averages import Bools, Floats


class Rankings(NamedTuple):
    """The two metrics for each class or column, (K,) each."""

    roc_auc: Floats
    average_precision: Floats


def rank_columns(is_positive: Bools, scores: Floats, weights: Floats | None) -> Rankings:
    """Rank each column of `scores` (n_rows, K) by the same column of `is_positive` (n_rows, K)."""
    columns = [rank_column(is_positive[:, k], scores[:, k], weights) for k in range(scores.shape[1])]
    return Rankings(*np.array(columns, dtype=np.float64).T)


def rank_column(is_positive: Bools, scores: Floats, weights: Floats | None) -> tuple[float, float]:
    """ROC AUC and average precision of one score (n_rows,).

    ROC AUC is NaN where there are only positives or only negatives; average precision is 0 where no row is positive.
    """
    if weights is not None:
        counted = weights > 0
        is_positive, scores, weights = is_positive[counted], scores[counted], weights[counted]
    positives = _SortedScores(scores[is_positive], None if weights is None else weights[is_positive])
    negatives = _SortedScores(scores[~is_positive], None if weights is None else weights[~is_positive])
    if not positives.total:
        return np.nan, 0.0

    positives_at_or_above = positives.total - positives.weight_left_of(positives.scores, "left")
    negatives_below = negatives.weight_left_of(positives.scores, "left")
    precision = positives_at_or_above / (positives_at_or_above + negatives.total - negatives_below)
    average_precision = positives.mean(precision)
    if not negatives.total:
        return np.nan, average_precision

    negatives_not_above = negatives.weight_left_of(positives.scores, "right")
    return positives.mean((negatives_below + negatives_not_above) / 2) / negatives.total, average_precision


class _SortedScores:
    """Scores in ascending order, and the weight that lies left of any score."""

    def __init__(self, scores: Floats, weights: Floats | None) -> None:
        if weights is None:  # sorting values is several times faster than sorting indices
            self.scores, self.weights, self.cumulative = np.sort(scores), None, None
            self.total = float(len(scores))
            return
        order = np.argsort(scores)
        self.scores, self.weights = scores[order], weights[order]
        self.cumulative = np.concatenate([[0.0], np.cumsum(self.weights)])
        self.total = float(self.cumulative[-1])

    def weight_left_of(self, scores: Floats, side: Literal["left", "right"]) -> Floats:
        """Weight of the own scores below each of `scores`; the side "right" includes those that are equal."""
        positions = np.searchsorted(self.scores, scores, side=side)
        return positions.astype(np.float64) if self.cumulative is None else self.cumulative[positions]

    def mean(self, values: Floats) -> float:
        """Mean of `values` that stand in the order of the own scores."""
        return float(values.mean() if self.weights is None else self.weights @ values / self.total)
