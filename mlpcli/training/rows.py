"""Which rows each member trains on, and in which order: members differ by more than their first weights."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.training.seeding import rng_of

Rows = NDArray[np.signedinteger[Any]]
# NumPy looks rows up by int64, which int32 must be turned into at every step; of many rows it takes half the memory.
FEW_ROWS = 1 << 20
# Chunks of a table on disk whose rows are mixed with each other.
CHUNKS_TOGETHER = 16

MemberRows = Literal["all", "bootstrap", "folds"]


def rows_of_members(
    kind: MemberRows,
    n_members: int,
    n_rows: int,
    seed: int,
    folds: Rows | None = None,
    near: NDArray[np.bool_] | None = None,
) -> tuple[Rows | int, ...]:
    """The training rows of each member; their number alone stands for all of them.

    "all" of them; as many drawn with replacement ("bootstrap"); or all but those of its own fold ("folds"): member m
    leaves out fold m, counted in a circle where there are fewer folds than members. `folds` (n_rows,) is each row's;
    `near` (n_folds, n_rows) says which rows are left out beside a fold, for being too near to it.
    """
    if kind == "bootstrap":
        return tuple(
            np.sort(rng_of(seed, "bootstrap", member=member).integers(n_rows, size=n_rows))
            for member in range(n_members)
        )
    if kind == "folds" and folds is not None:
        n_folds = int(folds.max()) + 1
        kept = [folds != fold if near is None else (folds != fold) & ~near[fold] for fold in range(n_folds)]
        return tuple(np.flatnonzero(kept[member % n_folds]) for member in range(n_members))
    return (n_rows,) * n_members


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


def draw_folds(n_folds: int, strata: Rows | None, n_rows: int, seed: int, repeat: int = 0) -> Rows:
    """A fold for each row (n_rows,), all of nearly equal size; stratified by the codes `strata` where given.

    Each `repeat` (from 0) draws others.

    The rows of a class are dealt out one after the other, each class going on where the last one stopped.
    """
    order = rng_of(seed, "folds", repeat).permutation(n_rows)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    folds = np.empty(n_rows, np.int64)
    folds[order] = np.arange(n_rows) % n_folds
    return folds
