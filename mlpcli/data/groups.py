"""Rows in groups by what a column holds: each text or number, quartiles of many numbers, and the missing cells."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.cells import holds_numbers, text_cells
from mlpcli.data.selection import Selection
from mlpcli.dataclass import dataclass
from mlpcli.errors import DataError, did_you_mean

MOST_NUMBERS = 10  # distinct ones that are groups of their own
MOST_GROUPS = 1000
QUARTILES = (0.25, 0.5, 0.75)
MISSING = "(missing)"


@dataclass(frozen=True)
class Groups:
    """What each group is called, such as "region = north", and the number of the group of each row, (n_rows,)."""

    names: tuple[str, ...]
    codes: NDArray[np.int64]


def group_rows(selection: Selection, column: str) -> Groups:
    """The rows by one column; raises DataError where it is not there or holds too many values."""
    if column not in selection:
        raise DataError(
            f"{selection.name}: --by {column}: no such column.{did_you_mean(column, selection.found_columns)}"
        )
    series = selection.column(column)
    cells = text_cells(series)
    names, codes = list(cells.texts), cells.codes
    if holds_numbers(series) and len(names) > MOST_NUMBERS:
        names, codes = _quartiles(selection.numbers(column))
    if len(names) > MOST_GROUPS:
        raise DataError(
            f"{selection.name}: --by {column}: {len(names)} values, and at most {MOST_GROUPS} groups are scored. "
            "Choose a column with fewer."
        )
    codes = np.where(codes < 0, len(names), codes)
    return _without_empty([f"{column} = {name}" for name in (*names, MISSING)], codes)


def cross_groups(selection: Selection, columns: Sequence[str]) -> Groups:
    """The rows by each combination of several columns that occurs; raises DataError for more than MOST_GROUPS."""
    crossed = group_rows(selection, columns[0])
    for column in columns[1:]:
        further = group_rows(selection, column)
        n = len(further.names)
        pairs, codes = np.unique(crossed.codes * n + further.codes, return_inverse=True)
        if len(pairs) > MOST_GROUPS:
            raise DataError(
                f"{selection.name}: --cross: {len(pairs)} combinations of {', '.join(columns)}, and at most "
                f"{MOST_GROUPS} groups are scored. Choose fewer columns."
            )
        names = [f"{crossed.names[pair // n]}, {further.names[pair % n]}" for pair in pairs.tolist()]
        crossed = Groups(tuple(names), codes.astype(np.int64))
    return crossed


def _quartiles(values: NDArray[np.float64]) -> tuple[list[str], NDArray[np.int64]]:
    is_missing = np.isnan(values)
    edges = np.unique(np.quantile(values[~is_missing], QUARTILES))
    texts = [f"{edge:.6g}" for edge in edges.tolist()]
    inner = [f"over {low} to {high}" for low, high in pairwise(texts)]
    codes = np.searchsorted(edges, values, side="left").astype(np.int64)
    return [f"up to {texts[0]}", *inner, f"over {texts[-1]}"], np.where(is_missing, -1, codes)


def _without_empty(names: Sequence[str], codes: NDArray[np.int64]) -> Groups:
    found, dense = np.unique(codes, return_inverse=True)
    return Groups(tuple(names[code] for code in found.tolist()), dense.astype(np.int64))
