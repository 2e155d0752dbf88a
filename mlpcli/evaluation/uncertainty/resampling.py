"""The bootstrap.

Rows are drawn with replacement and keep their weights, so a resample is the same rows with weights `count x weight`.
Metrics score many resamples at a time, and values of single rows are computed only once.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from mlpcli.evaluation.metrics.averages import Floats

MOST_REPLICATES, FEWEST_REPLICATES = 1000, 200
# Limit for rows x replicates.
AFFORDABLE_NUMBERS = 5e7
JACKKNIFE_GROUPS = 100
BLOCK_NUMBERS = 1 << 17  # weights of resamples that are scored at a time: they stay in the cache
STEEPEST = 0.15  # of an acceleration: beyond it the formula turns back
NORMAL = NormalDist()


@dataclass(frozen=True)
class Resampled:
    """Scores by key: of `replicates` (R, ...), and without each group of rows of a jackknife, `left_out` (G, ...)."""

    replicates: dict[str, Floats]
    left_out: dict[str, Floats]


def resample(
    inputs: Any, measures: dict[str, Callable[[Any], Floats]], n_replicates: int, rng: np.random.Generator
) -> Resampled:
    """What each of `measures` gives for resamples of the score inputs."""
    n_rows = len(inputs.rows.y)
    weights = np.ones(n_rows) if inputs.weights is None else inputs.weights
    # A resample of K classes is a confusion matrix as well.
    n_together = max(1, BLOCK_NUMBERS // max(n_rows, getattr(inputs.rows, "n_classes", 1) ** 2))
    left_out = _measure(inputs, measures, weights, _groups_left_out(n_rows, n_together, rng))
    return Resampled(_measure(inputs, measures, weights, draw_counts(n_rows, n_replicates, rng, n_together)), left_out)


def replicates_for(n_rows: int) -> int:
    """The number of resamples: a thousand, fewer for many rows."""
    affordable = int(AFFORDABLE_NUMBERS / max(n_rows, 1))
    return min(max(affordable, FEWEST_REPLICATES), MOST_REPLICATES)


def bca(score: float, replicates: Floats, left_out: Floats, z: float) -> tuple[float, float]:
    """Ends of the bias-corrected and accelerated interval (Efron 1987); NaN where most resamples do not define it.

    `z` is the normal quantile of the upper end. The interval holds the score in any case.
    """
    n_asked = len(replicates)
    replicates, left_out = replicates[np.isfinite(replicates)], left_out[np.isfinite(left_out)]
    if 2 * len(replicates) < n_asked or len(left_out) < 2:
        return math.nan, math.nan
    below = (np.count_nonzero(replicates < score) + np.count_nonzero(replicates <= score)) / (2 * len(replicates))
    least = 0.5 / len(replicates)
    bias = NORMAL.inv_cdf(min(max(below, least), 1 - least))
    distance = left_out.mean() - left_out
    spread = 6 * float(distance @ distance) ** 1.5
    acceleration = min(max(float((distance**3).sum()) / spread, -STEEPEST), STEEPEST) if spread > 0 else 0.0
    levels = [_level(bias, acceleration, end) for end in (-z, z)]
    low, high = np.quantile(replicates, levels).tolist()
    return min(low, score), max(high, score)


def _level(bias: float, acceleration: float, end: float) -> float:
    shrunk = 1 - acceleration * (bias + end)
    return NORMAL.cdf(bias + (bias + end) / shrunk) if shrunk > 0 else float(end > 0)


def draw_counts(
    n_rows: int, n_replicates: int, rng: np.random.Generator, n_together: int | None = None
) -> Iterator[Floats]:
    """The counts of each row in resamples (R, n_rows), in blocks; independent of the block size."""
    n_together = n_together or max(1, BLOCK_NUMBERS // n_rows)
    for first in range(0, n_replicates, n_together):
        n = min(n_together, n_replicates - first)
        counts = [np.bincount(rng.integers(n_rows, size=n_rows), minlength=n_rows) for _ in range(n)]
        yield np.array(counts, dtype=np.float64)


def _groups_left_out(n_rows: int, n_together: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Indicators of the rows that remain without each jackknife group (G, n_rows), in blocks; random groups."""
    n_groups = min(n_rows, JACKKNIFE_GROUPS)
    group = rng.permutation(n_rows) % n_groups
    for first in range(0, n_groups, n_together):
        left_out = np.arange(first, min(first + n_together, n_groups))
        yield (group != left_out[:, None]).astype(np.float64)


def _measure(
    inputs: Any, measures: dict[str, Callable[[Any], Floats]], weights: Floats, blocks: Iterator[Floats]
) -> dict[str, Floats]:
    found: dict[str, list[Floats]] = {key: [] for key in measures}
    for counts in blocks:
        resampled = replace(inputs, weights=counts * weights)
        for key, measure in measures.items():
            found[key].append(measure(resampled))
    return {key: np.concatenate(values) for key, values in found.items()}
