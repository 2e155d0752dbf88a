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

MOST_HASHES = 2048
DIGITS = 8  # of a hash, hexadecimal: its upper half
# The chance, were the rows new, below which they are not.
CHANCE = 1e-3
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
    def kept(self) -> NDArray[np.uint32]:
        """The hashes as numbers."""
        digits = self.hashes
        return np.asarray([int(digits[i : i + DIGITS], 16) for i in range(0, len(digits), DIGITS)], np.uint32)

    @property
    def fault(self) -> str:
        """What is wrong with a sketch from a file, or ""."""
        if len(self.hashes) > MOST_HASHES * DIGITS or not re.fullmatch(rf"([0-9a-f]{{{DIGITS}}})*", self.hashes):
            return "invalid hashes of training rows"
        if (np.diff(self.kept.astype(np.int64)) <= 0).any() or not 0.0 <= self.repeated <= 1.0:
            return "hashes of training rows that are not increasing, or a fraction outside 0 and 1"
        return ""


@dataclass(frozen=True)
class TrainedRows:
    """How many of the rows that the sketch can tell were trained on."""

    n_told: int
    n_trained: int

    @property
    def fraction(self) -> float:
        """Of all rows, as far as they can be told."""
        return self.n_trained / max(self.n_told, 1)


def sketch_rows(table: Table, names: Sequence[str], rows: Rows) -> RowSketch:
    """The sketch of some rows of a cast table, by the cells of these columns."""
    hashes, counts = np.unique((row_hashes(table, names, rows) >> _HALF).astype(np.uint32), return_counts=True)
    kept = hashes[:MOST_HASHES]
    repeated = 1.0 - float(np.count_nonzero(counts == 1)) / max(len(rows), 1)
    return RowSketch("".join(f"{one:0{DIGITS}x}" for one in kept.tolist()), len(hashes) > MOST_HASHES, repeated)


def joined_sketches(one: RowSketch, other: RowSketch) -> RowSketch:
    """The sketch of the rows of both; the fraction of repeated rows is the larger one."""
    kept = np.union1d(one.kept, other.kept)
    for sketch in (one, other):
        if sketch.is_sample:  # above its highest hash it says nothing
            kept = kept[kept <= sketch.kept[-1]]
    is_sample = one.is_sample or other.is_sample or len(kept) > MOST_HASHES
    hashes = "".join(f"{hash:0{DIGITS}x}" for hash in kept[:MOST_HASHES].tolist())
    return RowSketch(hashes, is_sample, max(one.repeated, other.repeated))


def find_trained(sketch: RowSketch, table: Table, names: Sequence[str], rows: Rows) -> TrainedRows:
    """How many rows of another table, cast alike, are training rows."""
    kept = sketch.kept
    if not len(kept):
        return TrainedRows(0, 0)
    hashes = (row_hashes(table, names, rows) >> _HALF).astype(np.uint32)
    told = hashes[hashes <= kept[-1]] if sketch.is_sample else hashes
    return TrainedRows(len(told), int(np.isin(told, kept).sum()))


def are_too_many(found: TrainedRows, sketch: RowSketch) -> bool:
    """Whether new rows would hardly be training rows so often: Chernoff's bound on the binomial tail."""
    share, usual = found.fraction, min(sketch.repeated + 0.01, 1.0 - 1e-9)
    if share <= usual:
        return False
    divergence = share * np.log(share / usual)
    if share < 1.0:
        divergence += (1.0 - share) * np.log((1.0 - share) / (1.0 - usual))
    return bool(found.n_told * divergence > -np.log(CHANCE))
