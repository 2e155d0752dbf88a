"""Which rows each member trains on, and in which order: members differ by more than their first weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.training.streams import stream

Rows = NDArray[np.signedinteger[Any]]
# NumPy looks rows up by int64, which int32 must be turned into at every step; of many rows it takes half the memory.
FEW_ROWS = 1 << 20
# Chunks of a table on disk whose rows are mixed with each other.
CHUNKS_TOGETHER = 16

MemberRows = Literal["all", "bootstrap", "folds"]


def rows_of_members(
    kind: MemberRows, n_members: int, n_rows: int, seed: int, folds: Rows | None = None
) -> tuple[Rows | int, ...]:
    """The training rows of each member; their number alone stands for all of them.

    "all" of them; as many drawn with replacement ("bootstrap"); or all but those of its own fold ("folds"): member m
    leaves out fold m, counted in a circle where there are fewer folds than members. `folds` (n_rows,) is each row's.
    """
    if kind == "bootstrap":
        return tuple(
            np.sort(stream(seed, "bootstrap", member=member).integers(n_rows, size=n_rows))
            for member in range(n_members)
        )
    if kind == "folds" and folds is not None:
        n_folds = int(folds.max()) + 1
        return tuple(np.flatnonzero(folds != member % n_folds) for member in range(n_members))
    return (n_rows,) * n_members


@dataclass(frozen=True)
class EpochRows:
    """What members train on in an epoch: `n_rows` of the rows of each, in an order of its own.

    `members` are their numbers, which tell their streams apart; `rows`, see `rows_of_members`, are in the same order.
    With `chunk_rows` rows are shuffled within chunks, see `shuffled`.
    """

    members: tuple[int, ...]
    rows: tuple[Rows | int, ...]
    n_rows: int
    chunk_rows: int | None = None

    def of(self, members: Sequence[int]) -> "EpochRows":
        """Those of some of the members."""
        places = [self.members.index(member) for member in members]
        return EpochRows(tuple(members), tuple(self.rows[place] for place in places), self.n_rows, self.chunk_rows)

    def order(self, seed: int, epoch: int) -> Rows:
        """The rows in the order of this epoch: (n_rows,), or (members, n_rows)."""
        orders = [
            shuffled(own, stream(seed, "order", epoch, member), chunk_rows=self.chunk_rows)[: self.n_rows]
            for member, own in zip(self.members, self.rows, strict=True)
        ]
        return orders[0] if len(orders) == 1 else np.stack(orders)


def shuffled(rows: Rows | int, rng: np.random.Generator, few: int = FEW_ROWS, chunk_rows: int | None = None) -> Rows:
    """The rows, or all from 0 up to their number, in an order that `rng` draws, whatever the type.

    More than `few` are int32, where that holds them. With `chunk_rows` chunks of so many rows come in random order, and
    only the rows of CHUNKS_TOGETHER chunks are mixed, so that a table on disk is read chunk by chunk (CorgiPile, Xu et
    al., VLDB Journal 2024); its rows stand in random order already.
    """
    n_rows = rows if isinstance(rows, int) else len(rows)
    if chunk_rows is not None and chunk_rows < n_rows:
        places = _shuffled_chunks(n_rows, chunk_rows, rng, few)
        return places if isinstance(rows, int) else rows[places]
    if not isinstance(rows, int):
        return rng.permutation(rows)
    order: Rows = np.arange(rows, dtype=_row_dtype(rows, few))
    rng.shuffle(order)
    return order


def _shuffled_chunks(n_rows: int, chunk_rows: int, rng: np.random.Generator, few: int) -> Rows:
    order = np.empty(n_rows, _row_dtype(n_rows, few))
    starts = rng.permutation(np.arange(0, n_rows, chunk_rows))
    end = 0
    for first in range(0, len(starts), CHUNKS_TOGETHER):
        begin = end
        for start in starts[first : first + CHUNKS_TOGETHER].tolist():
            length = min(chunk_rows, n_rows - start)
            order[end : end + length] = np.arange(start, start + length)
            end += length
        rng.shuffle(order[begin:end])
    return order


def _row_dtype(n_rows: int, few: int) -> "np.dtype[np.signedinteger[Any]]":
    return np.dtype(np.int32 if few < n_rows <= np.iinfo(np.int32).max else np.int64)


def epoch_rows(
    kind: MemberRows,
    n_members: int,
    n_rows: int,
    seed: int,
    folds: Rows | None = None,
    chunk_rows: int | None = None,
) -> EpochRows:
    """Of all members of a network; every one takes as many rows as the one with the fewest has."""
    rows = rows_of_members(kind, n_members, n_rows, seed, folds)
    fewest = min(own if isinstance(own, int) else len(own) for own in rows)
    return EpochRows(tuple(range(n_members)), rows, fewest, chunk_rows)


def draw_folds(n_folds: int, strata: Rows | None, n_rows: int, seed: int) -> Rows:
    """A fold for each row (n_rows,), all of nearly equal size; stratified by the codes `strata` where given.

    The rows of a class are dealt out one after the other, each class going on where the last one stopped.
    """
    order = stream(seed, "folds").permutation(n_rows)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    folds = np.empty(n_rows, np.int64)
    folds[order] = np.arange(n_rows) % n_folds
    return folds
