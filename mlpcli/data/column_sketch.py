"""Mergeable quantile sketches of numeric columns whose rows are in several shards, with a bound on the rank error.

Each shard sorts its values, cuts them into runs of `step` adjacent values, and represents each run by its middle value.
The rank error of a shard is at most half a run; `error` is the sum over all shards. A shard with at most MAX_POINTS
distinct values stores each with its count, without error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.scaling import MAX_DISTINCT, moments

Values = NDArray[np.float64]
Counts = NDArray[np.int64]

# Maximum number of runs per shard: the rank error is at most one row in 32768, plus half a row.
MAX_POINTS = 1 << 14


@dataclass(frozen=True)
class ColumnSketch:
    """Quantile sketch: `values` (n_values,) in ascending order, minimum and maximum included, with a row count each.

    Ranks from the counts are exact within `error` rows. `shard_moments` holds the number of non-missing cells, their
    mean and standard deviation per shard; `missing_hash` identifies which cells are missing.
    """

    values: Values
    counts: Counts
    error: int
    n_missing: int
    are_integers: bool
    shard_moments: tuple[tuple[int, float, float], ...]
    missing_hash: bytes

    @property
    def n_known(self) -> int:
        """Number of non-missing cells."""
        return int(self.counts.sum())

    @property
    def moments(self) -> tuple[float, float]:
        """Mean and population standard deviation of the non-missing cells, at least one."""
        unit = max(max(abs(mean), deviation) for _, mean, deviation in self.shard_moments) or 1.0
        shards = [(n / self.n_known, mean / unit, deviation / unit) for n, mean, deviation in self.shard_moments]
        mean = math.fsum(
            fraction * shard_mean for fraction, shard_mean, _ in shards
        )  # rounded once, so that the order of shards does not matter
        variance = math.fsum(
            fraction * (deviation**2 + (shard_mean - mean) ** 2) for fraction, shard_mean, deviation in shards
        )
        return float(np.clip(mean * unit, self.values[0], self.values[-1])), math.sqrt(variance) * unit


def sketch_column(values: Values) -> ColumnSketch:
    """Sketch of one shard: `values` (n_rows,), NaN where a cell is missing."""
    is_missing = np.isnan(values)
    present = np.sort(values[~is_missing]) + 0.0  # -0.0 becomes 0.0
    bounds, error = np.flatnonzero(np.append(np.ones(len(present[:1]), np.bool_), present[1:] > present[:-1])), 0
    if len(bounds) > MAX_POINTS:
        step = -(-len(present) // MAX_POINTS)
        runs, error = np.concatenate([[0], np.arange(1, len(present) - 1, step), [len(present) - 1]]), step // 2
        bounds = np.union1d(runs, bounds[: MAX_DISTINCT + 1])  # exact counts of distinct values up to MAX_DISTINCT
    ends = np.append(bounds[1:], len(present))
    representatives = present[(bounds + ends - 1) // 2]
    return ColumnSketch(
        *_aggregate(representatives, ends - bounds),
        error,
        int(is_missing.sum()),
        bool((present == np.floor(present)).all()),
        ((len(present), *moments(present)),) if len(present) else (),
        hash_missing(is_missing),
    )


def hash_missing(is_missing: NDArray[np.bool_]) -> bytes:
    """Hash of the missing mask (n_rows,) of a shard."""
    return blake2b(np.packbits(is_missing).tobytes(), digest_size=16).digest()


def merge_sketches(sketches: Sequence[ColumnSketch]) -> ColumnSketch:
    """Sketch of all rows; quantiles and moments do not depend on the order of merging."""
    values, counts = (np.concatenate([getattr(sketch, name) for sketch in sketches]) for name in ("values", "counts"))
    return ColumnSketch(
        *_aggregate(values, counts),
        sum(sketch.error for sketch in sketches),
        sum(sketch.n_missing for sketch in sketches),
        all(sketch.are_integers for sketch in sketches),
        tuple(shard for sketch in sketches for shard in sketch.shard_moments),
        b"".join(sketch.missing_hash for sketch in sketches),
    )


def _aggregate(values: Values, counts: Counts) -> tuple[Values, Counts]:
    """Distinct values in ascending order, with the sum of their counts."""
    uniques, indices = np.unique(values, return_inverse=True)
    return uniques, np.bincount(indices, counts, len(uniques)).astype(np.int64)
