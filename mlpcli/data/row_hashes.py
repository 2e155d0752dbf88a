"""Row hashes, independent of file format and row order."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.table import CategoricalColumn, Column, Rows, Table

Hashes = NDArray[np.uint64]

# Knuth's multiplicative hashing: 2^64 / golden ratio; odd, so that multiplication modulo 2^64 is invertible.
FACTOR = np.uint64(0x9E3779B97F4A7C15)
MISSING = np.uint64(0x5851F42D4C957F2D)


def row_hashes(table: Table, names: Sequence[str], rows: Rows | None = None) -> Hashes:
    """Row hashes (n_rows,) over the columns `names` of a cast table; the order of `names` matters.

    The collision probability of two rows is 2^-64.
    """
    if isinstance(table.columns, RemoteColumns):
        return table.columns.shards.row_hashes([table.columns.schemas[name] for name in names], rows)
    n_rows = table.n_rows if rows is None else len(rows)
    hashes = np.zeros(n_rows, np.uint64)
    for name in names:
        hashes = combine_hashes(hashes, cell_hashes(table.column(name, rows)))
    return hashes


def cell_hashes(column: Column) -> Hashes:
    """Cell hashes (n_rows,): texts by their characters, numbers by their value."""
    if isinstance(column, CategoricalColumn):
        levels = pd.util.hash_array(np.asarray(column.levels, object)) if column.levels else np.zeros(0, np.uint64)
        return np.asarray(column.translate(levels, MISSING), np.uint64)
    values = np.asarray(column.values, np.float64) + 0.0  # -0.0 becomes 0.0
    return np.where(np.isnan(values), MISSING, _splitmix64(values.view(np.uint64)))


def hash_positions(column: CategoricalColumn) -> NDArray[np.float64]:
    """A hash in [0, 1) per cell (n_rows,), stable across tables and versions; NaN if missing.

    The first 64 bits of the SHA-256 of the cell's UTF-8 text, as a fraction of 2^64, truncated to 53 bits (float64).
    """
    digests = (hashlib.sha256(level.encode()).digest() for level in column.levels)
    positions = [(int.from_bytes(digest[:8], "big") >> 11) / 2**53 for digest in digests]
    return np.asarray(column.translate(np.asarray(positions, np.float64), np.nan), np.float64)


def combine_hashes(hashes: Hashes, others: Hashes) -> Hashes:
    """Combine two hashes per row into one; not symmetric."""
    return _splitmix64(hashes * FACTOR + others)


def _splitmix64(bits: NDArray[Any]) -> Hashes:
    """The finalizer of splitmix64 (Steele et al. 2014): every output bit depends on all input bits."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))
