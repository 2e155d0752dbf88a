"""Which rows are for training and which are held out, and rows that stand on both sides."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.table import Rows, row_dtype
from mlpcli.errors import DataError

# Rows that are dealt out at a time, and cells that are hashed at a time.
DEALT_AT_ONCE = 1 << 16
HASHED_AT_ONCE = 1 << 23


def split_rows(n_rows: int, share: float, strata: NDArray[Any] | None, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Part the rows into training and validation, both sorted; `share` in (0, 1) goes to validation.

    With `strata` (n_rows,), a class code per row, each class gives its share (largest remainder) and keeps at least one
    row in training. Raises DataError when no row can be held out.
    """
    codes = np.zeros(n_rows, np.int8) if strata is None else strata
    sizes = np.bincount(codes)
    spare = np.maximum(sizes - 1, 0)
    if not spare.sum():
        what = "a single row" if n_rows == 1 else "no class with two rows" if n_rows else "no rows"
        raise DataError(f"{what}: nothing can be held out for validation. Add rows, or name a file: data.validation.")
    wanted = min(max(round(n_rows * share), 1), int(spare.sum()))
    wanted_of = _largest_remainder(sizes, spare, wanted)
    order = np.arange(n_rows, dtype=row_dtype(n_rows))
    rng.shuffle(order)
    is_held_out = np.zeros(n_rows, np.bool_)
    for start in range(0, n_rows, DEALT_AT_ONCE):
        # A stable sort by class leaves each class in the shuffled order; its first rows are held out.
        some = order[start : start + DEALT_AT_ONCE]
        by_class = some[np.argsort(codes[some], kind="stable")]
        sizes = np.bincount(codes[some], minlength=len(wanted_of))
        place = np.arange(len(some)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        is_held_out[by_class[place < np.repeat(wanted_of, sizes)]] = True
        wanted_of = np.maximum(wanted_of - sizes, 0)
    return _rows_where(~is_held_out), _rows_where(is_held_out)


def _rows_where(is_wanted: NDArray[np.bool_]) -> Rows:
    return np.flatnonzero(is_wanted).astype(row_dtype(len(is_wanted)))


def _largest_remainder(sizes: NDArray[np.int64], spare: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """How many rows each class gives, `wanted` in all and never more than it can spare."""
    quotas = sizes * (wanted / sizes.sum())
    taken: NDArray[np.int64] = np.minimum(np.floor(quotas).astype(np.int64), spare)
    while (lacking := wanted - int(taken.sum())) > 0:
        remainders = np.where(taken < spare, quotas - taken, -np.inf)
        best = np.argsort(-remainders, kind="stable")[:lacking]
        taken[best[taken[best] < spare[best]]] += 1
    return taken


def count_shared_rows(X: NDArray[Any], others: NDArray[Any]) -> int:
    """How many rows of `others` (n_others, n_inputs) are, in every input, a row of `X` (n_rows, n_inputs).

    Rows are compared by a 64-bit hash: two different rows have the same one with a chance of 2^-64.
    """
    return int(np.isin(_hashes(others), _hashes(X)).sum())


def _hashes(rows: NDArray[Any]) -> NDArray[np.uint64]:
    hashes = np.zeros(len(rows), np.uint64)
    n_at_once = max(HASHED_AT_ONCE // max(rows.shape[1], 1), 1)
    for start in range(0, len(rows), n_at_once):
        some = slice(start, start + n_at_once)
        hashes[some] = pd.util.hash_pandas_object(pd.DataFrame(rows[some], copy=False), index=False)
    return hashes
