"""The bootstrap: resamples of rows, and BCa confidence intervals from them.

Rows are drawn with replacement and keep their weights, so a resample is the same rows with weights `count * weight`.
Metrics score a block of resamples at once, and compute values of single rows only once for all blocks.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from mlpcli.evaluation.metrics.averages import Floats

MAX_REPLICATES, MIN_REPLICATES = 1000, 200
# Limit of n_rows * n_replicates, which bounds the time.
MAX_DRAWN_ROWS = 5e7
JACKKNIFE_GROUPS = 100
BLOCK_WEIGHTS = 1 << 17  # weights of a block of resamples, which fit into the cache
MAX_ACCELERATION = 0.15  # the corrected level is not monotonic beyond it
NORMAL = NormalDist()


@dataclass(frozen=True)
class Resampled:
    """Scores by key: of bootstrap `replicates` (R, ...), and without each group of a jackknife, `left_out` (G, ...)."""

    replicates: dict[str, Floats]
    left_out: dict[str, Floats]


def resample(
    inputs: Any, measures: dict[str, Callable[[Any], Floats]], n_replicates: int, rng: np.random.Generator
) -> Resampled:
    """The scores of resamples of the score inputs, by each metric function in `measures`."""
    n_rows = len(inputs.rows.y)
    weights = np.ones(n_rows) if inputs.weights is None else inputs.weights
    # With K classes each resample also has a K x K confusion matrix.
    n_per_block = max(1, BLOCK_WEIGHTS // max(n_rows, getattr(inputs.rows, "n_classes", 1) ** 2))
    left_out = _measure(inputs, measures, weights, _groups_left_out(n_rows, n_per_block, rng))
    return Resampled(_measure(inputs, measures, weights, draw_counts(n_rows, n_replicates, rng, n_per_block)), left_out)


def replicates_for(n_rows: int) -> int:
    """The number of resamples: MAX_REPLICATES, down to MIN_REPLICATES for many rows."""
    affordable = int(MAX_DRAWN_ROWS / max(n_rows, 1))
    return min(max(affordable, MIN_REPLICATES), MAX_REPLICATES)


def bca(score: float, replicates: Floats, left_out: Floats, z: float) -> tuple[float, float]:
    """Ends of the bias-corrected and accelerated (BCa) interval (Efron 1987), widened to contain the score.

    `replicates` (R,) and `left_out` (G,) are from `resample`, `z` is the normal quantile of the upper end. NaN if the
    score is undefined in more than half of the resamples, or fewer than two jackknife samples have a score.
    """
    n_replicates = len(replicates)
    replicates, left_out = replicates[np.isfinite(replicates)], left_out[np.isfinite(left_out)]
    if 2 * len(replicates) < n_replicates or len(left_out) < 2:
        return math.nan, math.nan
    below = (np.count_nonzero(replicates < score) + np.count_nonzero(replicates <= score)) / (2 * len(replicates))
    lowest = 0.5 / len(replicates)
    bias = NORMAL.inv_cdf(min(max(below, lowest), 1 - lowest))
    distance = left_out.mean() - left_out
    spread = 6 * float(distance @ distance) ** 1.5
    acceleration = float((distance**3).sum()) / spread if spread > 0 else 0.0
    acceleration = min(max(acceleration, -MAX_ACCELERATION), MAX_ACCELERATION)
    levels = [_level(bias, acceleration, end) for end in (-z, z)]
    low, high = np.quantile(replicates, levels).tolist()
    return min(low, score), max(high, score)


def _level(bias: float, acceleration: float, end: float) -> float:
    """The quantile level of the replicates at the normal quantile `end`."""
    shrunk = 1 - acceleration * (bias + end)
    return NORMAL.cdf(bias + (bias + end) / shrunk) if shrunk > 0 else float(end > 0)


def draw_counts(
    n_rows: int, n_replicates: int, rng: np.random.Generator, n_per_block: int | None = None
) -> Iterator[Floats]:
    """The counts of each row in resamples (R, n_rows), in blocks; independent of the block size."""
    n_per_block = n_per_block or max(1, BLOCK_WEIGHTS // n_rows)
    for first in range(0, n_replicates, n_per_block):
        n = min(n_per_block, n_replicates - first)
        counts = [np.bincount(rng.integers(n_rows, size=n_rows), minlength=n_rows) for _ in range(n)]
        yield np.array(counts, dtype=np.float64)


def _groups_left_out(n_rows: int, n_per_block: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Indicators of the rows that remain without each jackknife group (G, n_rows), in blocks; random groups."""
    n_groups = min(n_rows, JACKKNIFE_GROUPS)
    group = rng.permutation(n_rows) % n_groups
    for first in range(0, n_groups, n_per_block):
        left_out = np.arange(first, min(first + n_per_block, n_groups))
        yield (group != left_out[:, None]).astype(np.float64)


def _measure(
    inputs: Any, measures: dict[str, Callable[[Any], Floats]], weights: Floats, blocks: Iterator[Floats]
) -> dict[str, Floats]:
    """The scores of all `blocks` of row counts (R, n_rows), by key."""
    scores: dict[str, list[Floats]] = {key: [] for key in measures}
    for counts in blocks:
        resampled = replace(inputs, weights=counts * weights)
        for key, measure in measures.items():
            scores[key].append(measure(resampled))
    return {key: np.concatenate(values) for key, values in scores.items()}
