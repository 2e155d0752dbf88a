"""Scores of the folds of a cross-validation, their mean and its confidence interval.

The training sets overlap, so the scores of folds are correlated. Nadeau & Bengio 2003 ("Inference for the
Generalization Error", Machine Learning 52) assume a correlation of n_test / (n_test + n_train). The mean of J scores
with variance s^2 then has the variance (1 / J + n_test / n_train) s^2. No unbiased estimate exists (Bengio & Grandvalet
2004).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlpcli.evaluation.metrics.scores import find_metric
from mlpcli.evaluation.uncertainty.paired import Difference
from mlpcli.evaluation.uncertainty.proportions import Interval, no_interval
from mlpcli.evaluation.uncertainty.skewed_means import student_quantile


@dataclass(frozen=True)
class FoldScores:
    """A score of every fold, NaN if undefined; `deviation` is the standard deviation with denominator J - 1."""

    values: tuple[float, ...]
    mean: float
    deviation: float
    interval: Interval


def summarize(key: str, values: Sequence[float], test_ratio: float, confidence: float) -> FoldScores:
    """Mean, standard deviation and interval of a score; `test_ratio` is n_test / n_train, averaged over the folds.

    The interval is for the expected score of a model trained on as many rows, clipped to the range of the metric.
    """
    mean, deviation, interval = _mean_interval(values, test_ratio, confidence)
    if not interval.reason:
        metric = find_metric(key)
        interval = Interval(max(interval.low, metric.lowest), min(interval.high, metric.highest))
    return FoldScores(tuple(values), mean, deviation, interval)


def compare_folds(
    key: str, old: Sequence[float], new: Sequence[float], test_ratio: float, confidence: float, margin: float = 0.0
) -> Difference:
    """The corrected resampled t-test (Nadeau & Bengio 2003) on scores of the same folds.

    The new score is worse (better) if the whole interval of the difference is, by more than `margin`.
    """
    values = [after - before for before, after in zip(old, new, strict=True)]
    _, _, interval = _mean_interval(values, test_ratio, confidence)
    if all(value == 0.0 for value in values):
        interval = Interval(0.0, 0.0)
    verdict: Literal["better", "worse", "undecided"] = "undecided"
    if not interval.reason:
        is_gain = find_metric(key).higher_is_better
        worst, best = (interval.low, interval.high) if is_gain else (-interval.high, -interval.low)
        verdict = "worse" if best < -margin else "better" if worst > margin else "undecided"
    return Difference(key, _mean(old), _mean(new), interval.low, interval.high, verdict, None, interval.reason)


def _mean_interval(values: Sequence[float], test_ratio: float, confidence: float) -> tuple[float, float, Interval]:
    mean = _mean(values)
    if not math.isfinite(mean):
        n_undefined = sum(not math.isfinite(value) for value in values)
        return mean, math.nan, no_interval(f"it is undefined in {n_undefined} of {len(values)} folds")
    deviation = float(np.std(values, ddof=1))
    if not deviation > 0.0:
        return mean, deviation, no_interval("all folds have the same score")
    error = deviation * math.sqrt(1.0 / len(values) + test_ratio)
    half_width = student_quantile((1.0 + confidence) / 2.0, len(values) - 1.0) * error
    return mean, deviation, Interval(mean - half_width, mean + half_width)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
