"""The training rows of each member, and their order in an epoch."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.training.seeding import rng_of

Rows = NDArray[np.signedinteger[Any]]
# NumPy indexes by int64, to which int32 is converted at every step; for more rows than this, int32 saves memory.
INT64_ROWS = 1 << 20
# Number of chunks of a table on disk whose rows are shuffled together.
MIXED_CHUNKS = 16

MemberRows = Literal["all", "bootstrap", "folds"]


def member_rows(
    sampling: MemberRows,
    n_members: int,
    n_rows: int,
    seed: int,
    folds: Rows | None = None,
    purged: NDArray[np.bool_] | None = None,
) -> tuple[Rows | int, ...]:
    """The training rows of each member: sorted indices, or `n_rows` for all rows.

    "bootstrap" draws `n_rows` with replacement; with "folds", a member holds out the `held_out_rows` of `folds`.
    `purged` (n_folds, n_rows) marks rows too near to a fold, which are left out too.
    """
    if sampling == "bootstrap":
        return tuple(
            np.sort(rng_of(seed, "bootstrap", member=member).integers(n_rows, size=n_rows))
            for member in range(n_members)
        )
    if sampling == "folds" and folds is not None:
        masks = [held_out_rows(folds, member) for member in range(n_members)]
        if purged is not None:
            masks = [mask | purged[member % len(purged)] for member, mask in enumerate(masks)]
        return tuple(np.flatnonzero(~mask) for mask in masks)
    return (n_rows,) * n_members


def held_out_rows(folds: Rows, member: int) -> NDArray[np.bool_]:
    """Mask (n_rows,) of the rows that a member holds out: those of fold `member` modulo n_folds.

    `folds` is the fold of each row (n_rows,); if folds are repeated, in each round of n_folds members (n_rounds,
    n_rows).
    """
    n_folds = int(folds.max()) + 1
    own: Rows = folds if folds.ndim == 1 else folds[member // n_folds]
    return np.asarray(own == member % n_folds)


def folds_of_members(folds: Rows, members: Sequence[int]) -> Rows:
    """The folds in the rounds that remain if only these members (from 0, whole rounds) are kept."""
    n_folds = int(folds.max()) + 1
    return folds if folds.ndim == 1 else folds[[member // n_folds for member in members[::n_folds]]]


def shuffle_rows(
    rows: Rows | int, rng: np.random.Generator, int64_limit: int = INT64_ROWS, chunk_rows: int | None = None
) -> Rows:
    """The rows, or range(rows), in random order, which does not depend on the dtype.

    More than `int64_limit` rows are int32 if that holds them. With `chunk_rows`, chunks of so many rows are shuffled,
    and then the rows of MIXED_CHUNKS chunks at a time, so that a table on disk is read chunk by chunk (CorgiPile, Xu et
    al., VLDB Journal 2024); its rows are stored in random order.
    """
    n_rows = rows if isinstance(rows, int) else len(rows)
    if chunk_rows is not None and chunk_rows < n_rows:
        positions = _shuffled_chunks(n_rows, chunk_rows, rng, int64_limit)
        return positions if isinstance(rows, int) else rows[positions]
    if not isinstance(rows, int):
        return rng.permutation(rows)
    order: Rows = np.arange(rows, dtype=_row_dtype(rows, int64_limit))
    rng.shuffle(order)
    return order


def _shuffled_chunks(n_rows: int, chunk_rows: int, rng: np.random.Generator, int64_limit: int) -> Rows:
    order = np.empty(n_rows, _row_dtype(n_rows, int64_limit))
    starts = rng.permutation(np.arange(0, n_rows, chunk_rows))
    end = 0
    for first in range(0, len(starts), MIXED_CHUNKS):
        begin = end
        for start in starts[first : first + MIXED_CHUNKS].tolist():
            length = min(chunk_rows, n_rows - start)
            order[end : end + length] = np.arange(start, start + length)
            end += length
        rng.shuffle(order[begin:end])
    return order


def _row_dtype(n_rows: int, int64_limit: int) -> "np.dtype[np.signedinteger[Any]]":
    return np.dtype(np.int32 if int64_limit < n_rows <= np.iinfo(np.int32).max else np.int64)


def assign_folds(n_folds: int, strata: Rows | None, n_rows: int, seed: int, repeat: int = 0) -> Rows:
    """The fold of each row (n_rows,), of nearly equal sizes, stratified by the codes `strata` if given.

    Each `repeat` (from 0) is an independent draw. The shuffled rows, sorted by stratum, are assigned to folds in turn.
    """
    order = rng_of(seed, "folds", repeat).permutation(n_rows)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    folds = np.empty(n_rows, np.int64)
    folds[order] = np.arange(n_rows) % n_folds
    return folds
