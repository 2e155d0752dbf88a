"""Which rows each member trains on, and in which order: members differ by more than their first weights."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.training.streams import stream

Rows = NDArray[np.int64]
MemberRows = Literal["all", "bootstrap", "folds"]


def rows_of_members(
    kind: MemberRows, n_members: int, n_rows: int, seed: int, folds: Rows | None = None
) -> tuple[Rows, ...]:
    """The training rows of each member.

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
    return (np.arange(n_rows),) * n_members


def batch_order(rows: Sequence[Rows], n_rows: int, seed: int, epoch: int) -> Rows:
    """The first `n_rows` of each member's rows in the order of this epoch: (n_rows,), or (members, n_rows)."""
    orders = [stream(seed, "order", epoch, member).permutation(own)[:n_rows] for member, own in enumerate(rows)]
    return orders[0] if len(orders) == 1 else np.stack(orders)


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
