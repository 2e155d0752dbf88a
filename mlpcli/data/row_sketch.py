"""Which rows a model was trained on, in a few kilobytes: the lowest hashes of its training rows.

Of any rows those whose hash lies below the highest one that is kept are a random sample (bottom-k sketch, Cohen &
Kaplan 2007); how many of them are among the kept hashes estimates how many of all rows the training had.
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
HEX_DIGITS = 8  # of a hash, hexadecimal: its upper half
# The chance, were the rows new, below which they are not.
SIGNIFICANCE = 1e-3
_HALF = np.uint64(32)


@dataclass(frozen=True)
class RowSketch:
    """Hashes of training rows, rising, eight hexadecimal digits each; `is_sample` where there were more than are kept.

    `repeated` is the fraction of the training rows that equal another one: a new row that is drawn in the same way
    equals a training row about as often (Good & Turing, Good 1953).
    """

    hashes: str = ""
    is_sample: bool = False
    repeated: float = 0.0

    @cached_property
    def values(self) -> NDArray[np.uint32]:
        """The hashes as numbers."""
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
    """How many of the rows that the sketch can tell were trained on."""

    n_comparable: int
    n_trained: int

    @property
    def fraction(self) -> float:
        """Of all rows, as far as they can be comparable."""
        return self.n_trained / max(self.n_comparable, 1)


def sketch_rows(table: Table, names: Sequence[str], rows: Rows) -> RowSketch:
    """The sketch of some rows of a cast table, by the cells of these columns."""
    hashes, counts = np.unique((row_hashes(table, names, rows) >> _HALF).astype(np.uint32), return_counts=True)
    kept = hashes[:MAX_HASHES]
    repeated = 1.0 - float(np.count_nonzero(counts == 1)) / max(len(rows), 1)
    return RowSketch("".join(f"{one:0{HEX_DIGITS}x}" for one in kept.tolist()), len(hashes) > MAX_HASHES, repeated)


def merge_row_sketches(one: RowSketch, other: RowSketch) -> RowSketch:
    """The sketch of the rows of both; the fraction of repeated rows is the larger one."""
    kept = np.union1d(one.values, other.values)
    for sketch in (one, other):
        if sketch.is_sample:  # above its highest hash it says nothing
            kept = kept[kept <= sketch.values[-1]]
    is_sample = one.is_sample or other.is_sample or len(kept) > MAX_HASHES
    hashes = "".join(f"{hash:0{HEX_DIGITS}x}" for hash in kept[:MAX_HASHES].tolist())
    return RowSketch(hashes, is_sample, max(one.repeated, other.repeated))


def count_trained_rows(sketch: RowSketch, table: Table, names: Sequence[str], rows: Rows) -> TrainedRows:
    """How many rows of another table, cast alike, are training rows."""
    kept = sketch.values
    if not len(kept):
        return TrainedRows(0, 0)
    hashes = (row_hashes(table, names, rows) >> _HALF).astype(np.uint32)
    comparable = hashes[hashes <= kept[-1]] if sketch.is_sample else hashes
    return TrainedRows(len(comparable), int(np.isin(comparable, kept).sum()))


def exceeds_expected(found: TrainedRows, sketch: RowSketch) -> bool:
    """Whether new rows would hardly be training rows so often: Chernoff's bound on the binomial tail."""
    share, usual = found.fraction, min(sketch.repeated + 0.01, 1.0 - 1e-9)
    if share <= usual:
        return False
    divergence = share * np.log(share / usual)
    if share < 1.0:
        divergence += (1.0 - share) * np.log((1.0 - share) / (1.0 - usual))
    return bool(found.n_comparable * divergence > -np.log(SIGNIFICANCE))
