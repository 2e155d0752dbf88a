"""Bottom-k sketch of the training rows (Cohen & Kaplan 2007): their lowest hashes, in a few kilobytes.

Rows of another table whose hash is at most the highest stored hash are a random sample of it; the fraction of these
that is in the sketch estimates the fraction of all its rows that are training rows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.row_hashes import row_hashes
from mlpcli.data.table import Rows, Table

MAX_HASHES = 2048
HEX_DIGITS = 8  # of a stored hash: the upper 32 bits
# Significance level of the test that rows are new.
SIGNIFICANCE = 1e-3
_HALF = np.uint64(32)


@dataclass(frozen=True)
class RowSketch:
    """Hashes of training rows in ascending order, eight hexadecimal digits each; `is_sample` if only the lowest.

    `repeated` is the fraction of training rows that equal another one, which estimates how often a new row of the same
    distribution equals a training row (Good-Turing, Good 1953).
    """

    hashes: str = ""
    is_sample: bool = False
    repeated: float = 0.0

    @cached_property
    def values(self) -> NDArray[np.uint32]:
        """The hashes as integers (n_hashes,)."""
        digits = self.hashes
        return np.asarray([int(digits[i : i + HEX_DIGITS], 16) for i in range(0, len(digits), HEX_DIGITS)], np.uint32)

    @property
    def fault(self) -> str:
        """What is wrong with a sketch from a file, or ""."""
        if len(self.hashes) > MAX_HASHES * HEX_DIGITS or not re.fullmatch(rf"([0-9a-f]{{{HEX_DIGITS}}})*", self.hashes):
            return "invalid hashes of training rows"
        if (np.diff(self.values.astype(np.int64)) <= 0).any() or not 0.0 <= self.repeated <= 1.0:
            return "hashes of training rows that are not increasing, or a fraction outside 0 and 1"
        return ""


@dataclass(frozen=True)
class TrainedRows:
    """Rows in the range of the sketch, and how many of them are training rows."""

    n_comparable: int
    n_trained: int

    @property
    def fraction(self) -> float:
        """Estimated fraction of training rows."""
        return self.n_trained / max(self.n_comparable, 1)


def sketch_rows(table: Table, names: Sequence[str], rows: Rows) -> RowSketch:
    """Sketch of rows of a cast table, over the columns `names`."""
    hashes, counts = np.unique((row_hashes(table, names, rows) >> _HALF).astype(np.uint32), return_counts=True)
    repeated = 1.0 - float(np.count_nonzero(counts == 1)) / max(len(rows), 1)
    return _row_sketch(hashes, False, repeated)


def _row_sketch(hashes: NDArray[np.uint32], is_sample: bool, repeated: float) -> RowSketch:
    """Sketch of the lowest of `hashes` (n_hashes,), in ascending order."""
    lowest = "".join(f"{value:0{HEX_DIGITS}x}" for value in hashes[:MAX_HASHES].tolist())
    return RowSketch(lowest, is_sample or len(hashes) > MAX_HASHES, repeated)


def merge_row_sketches(first: RowSketch, second: RowSketch) -> RowSketch:
    """Merge two sketches; `repeated` is the larger fraction."""
    lowest = np.union1d(first.values, second.values)
    for sketch in (first, second):
        if sketch.is_sample:  # hashes above its highest are unknown
            lowest = lowest[lowest <= sketch.values[-1]]
    return _row_sketch(lowest, first.is_sample or second.is_sample, max(first.repeated, second.repeated))


def count_trained_rows(sketch: RowSketch, table: Table, names: Sequence[str], rows: Rows) -> TrainedRows:
    """Count the training rows among rows of another table with the same schema."""
    stored = sketch.values
    if not len(stored):
        return TrainedRows(0, 0)
    hashes = (row_hashes(table, names, rows) >> _HALF).astype(np.uint32)
    comparable = hashes[hashes <= stored[-1]] if sketch.is_sample else hashes
    return TrainedRows(len(comparable), int(np.isin(comparable, stored).sum()))


def exceeds_expected(counts: TrainedRows, sketch: RowSketch) -> bool:
    """Whether new rows would equal training rows this often with probability below SIGNIFICANCE (Chernoff bound)."""
    fraction, expected = counts.fraction, min(sketch.repeated + 0.01, 1.0 - 1e-9)
    if fraction <= expected:
        return False
    divergence = fraction * np.log(fraction / expected)
    if fraction < 1.0:
        divergence += (1.0 - fraction) * np.log((1.0 - fraction) / (1.0 - expected))
    return bool(counts.n_comparable * divergence > -np.log(SIGNIFICANCE))
