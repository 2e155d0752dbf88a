"""Which rows are for training and which are held out."""

import numpy as np
from numpy.typing import NDArray

from mlpcli.errors import DataError

Rows = NDArray[np.int64]


def split_rows(
    n_rows: int, share: float, strata: NDArray[np.int64] | None, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Part the rows into training and validation, both sorted; `share` in (0, 1) goes to validation.

    With `strata` (n_rows,), a class code per row, each class gives its share (largest remainder) and keeps at least one
    row in training. Raises DataError when no row can be held out.
    """
    codes = np.zeros(n_rows, np.int64) if strata is None else strata
    sizes = np.bincount(codes)
    spare = np.maximum(sizes - 1, 0)
    if not spare.sum():
        what = "a single row" if n_rows == 1 else "no class with two rows" if n_rows else "no rows"
        raise DataError(f"{what}: nothing can be held out for validation. Add rows, or name a file: data.validation.")
    wanted = min(max(round(n_rows * share), 1), int(spare.sum()))
    taken = _largest_remainder(sizes, spare, wanted)
    order = rng.permutation(n_rows)
    # A stable sort by class leaves each class in the shuffled order; its first rows are held out.
    by_class = order[np.argsort(codes[order], kind="stable")]
    place = np.arange(n_rows) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    held_out = place < np.repeat(taken, sizes)
    return np.sort(by_class[~held_out]), np.sort(by_class[held_out])


def _largest_remainder(sizes: NDArray[np.int64], spare: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """How many rows each class gives, `wanted` in all and never more than it can spare."""
    quotas = sizes * (wanted / sizes.sum())
    taken: NDArray[np.int64] = np.minimum(np.floor(quotas).astype(np.int64), spare)
    while (lacking := wanted - int(taken.sum())) > 0:
        remainders = np.where(taken < spare, quotas - taken, -np.inf)
        best = np.argsort(-remainders, kind="stable")[:lacking]
        taken[best[taken[best] < spare[best]]] += 1
    return taken
