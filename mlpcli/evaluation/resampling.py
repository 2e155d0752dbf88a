"""Scores of many bootstrap resamples of the same rows at once.

A resample is told by how often it holds each row: `counts` (n_resamples, n_rows). What a metric sums over rows becomes
one matrix product. A metric with no such form here is scored resample by resample, the counts being its weights.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.averages import Floats
from mlpcli.evaluation.classes import ClassEvidence
from mlpcli.evaluation.metrics import Task
from mlpcli.evaluation.multilabel import YesNoEvidence
from mlpcli.evaluation.numbers import NumberEvidence

# Numbers of a block of counts: a few of these arrays fit into the memory of a small machine.
BLOCK_SIZE = 2_000_000

Resampled: TypeAlias = Callable[[Any, Floats], Floats]


def draw_counts(n_rows: int, n_resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Blocks (n, n_rows) of counts: each resample draws `n_rows` rows with replacement."""
    size = max(1, min(n_resamples, BLOCK_SIZE // n_rows))
    for start in range(0, n_resamples, size):
        n = min(size, n_resamples - start)
        drawn = rng.integers(0, n_rows, (n, n_rows))
        drawn += np.arange(n)[:, None] * n_rows
        yield np.bincount(drawn.ravel(), minlength=n * n_rows).reshape(n, n_rows).astype(np.float64)


def _mean(values_of: Callable[[Any], NDArray[Any]]) -> Resampled:
    """A metric that is the mean of one number per row."""

    def resampled(evidence: Any, counts: Floats) -> Floats:
        means: Floats = counts @ values_of(evidence).astype(np.float64) / counts.sum(axis=1)
        return means

    return resampled


def _log_loss(probability: Floats) -> Floats:
    eps = np.finfo(np.float64).eps
    losses: Floats = -np.log(probability.clip(eps, 1 - eps))
    return losses


def _yes_no_log_loss(evidence: YesNoEvidence) -> Floats:
    losses = _log_loss(np.where(evidence.y, evidence.probabilities, 1 - evidence.probabilities))
    means: Floats = losses.mean(axis=1)
    return means


def _balanced_accuracy(evidence: ClassEvidence, counts: Floats) -> Floats:
    """Mean recall of the classes that a resample holds."""
    is_of = (evidence.y[:, None] == np.arange(evidence.n_classes)).astype(np.float64)
    is_hit = is_of * (evidence.predicted == evidence.y)[:, None]
    n_of, n_hit = counts @ is_of, counts @ is_hit
    is_there = n_of > 0
    recall = np.divide(n_hit, n_of, out=np.zeros_like(n_of), where=is_there)
    means: Floats = recall.sum(axis=1) / is_there.sum(axis=1)
    return means


def _rmse(evidence: NumberEvidence, counts: Floats) -> Floats:
    squares = counts @ evidence.distance**2 / counts.sum(axis=1, keepdims=True)
    means: Floats = np.sqrt(squares).mean(axis=1)
    return means


def _r2(evidence: NumberEvidence, counts: Floats) -> Floats:
    """Share of the variance explained; NaN where an output of a resample is constant."""
    total = counts.sum(axis=1, keepdims=True)
    y = evidence.y - evidence.y.mean(axis=0)  # differences of large squares would lose their digits
    variance = counts @ y**2 / total - (counts @ y / total) ** 2
    residual = counts @ evidence.distance**2 / total
    is_constant = variance <= 1e-12 * np.maximum(y.var(axis=0), np.finfo(np.float64).tiny)
    explained = 1 - residual / np.where(is_constant, np.nan, variance)
    means: Floats = explained.mean(axis=1)
    return means


def _class_auc(evidence: ClassEvidence, counts: Floats) -> Floats:
    if evidence.n_classes == 2:
        return _auc(evidence.y == 1, evidence.probabilities[:, 1], counts)
    columns = [_auc(evidence.y == k, evidence.probabilities[:, k], counts) for k in range(evidence.n_classes)]
    means: Floats = np.mean(columns, axis=0)
    return means


def _yes_no_auc(evidence: YesNoEvidence, counts: Floats) -> Floats:
    columns = [
        _auc(is_yes, probability, counts)
        for is_yes, probability in zip(evidence.y.T, evidence.probabilities.T, strict=True)
    ]
    means: Floats = np.mean(columns, axis=0)
    return means


def _auc(is_positive: NDArray[np.bool_], scores: Floats, counts: Floats) -> Floats:
    """Share of pairs of a positive and a negative in order, a tie counting half; NaN without such a pair."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    ranked_counts = np.take(counts, order, axis=1)
    positives = ranked_counts * is_positive[order]
    negatives = ranked_counts - positives
    if len(starts) < len(order):  # ties, whose rows are taken together
        positives, negatives = (np.add.reduceat(part, starts, axis=1) for part in (positives, negatives))
    below = np.cumsum(negatives, axis=1)
    pairs = positives.sum(axis=1) * below[:, -1]
    below -= negatives / 2
    in_order = np.einsum("ij,ij->i", positives, below)
    shares: Floats = np.divide(in_order, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return shares


RESAMPLED: dict[tuple[Task, str], Resampled] = {
    ("classification", "accuracy"): _mean(lambda evidence: evidence.predicted == evidence.y),
    ("classification", "log_loss"): _mean(lambda evidence: _log_loss(evidence.true_probability)),
    ("classification", "balanced_accuracy"): _balanced_accuracy,
    ("classification", "roc_auc"): _class_auc,
    ("multilabel", "subset_accuracy"): _mean(lambda evidence: (evidence.predicted == evidence.y).all(axis=1)),
    ("multilabel", "hamming_loss"): _mean(lambda evidence: (evidence.predicted != evidence.y).mean(axis=1)),
    ("multilabel", "log_loss"): _mean(_yes_no_log_loss),
    ("multilabel", "roc_auc"): _yes_no_auc,
    ("regression", "mae"): _mean(lambda evidence: evidence.distance.mean(axis=1)),
    ("regression", "mape"): _mean(
        lambda evidence: (evidence.distance / np.maximum(np.abs(evidence.y), np.finfo(np.float64).eps)).mean(axis=1)
    ),
    ("regression", "rmse"): _rmse,
    ("regression", "r2"): _r2,
}
