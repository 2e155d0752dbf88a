"""Columns of a table whose shards are in other processes, fetched on access."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.column_sketch import ColumnSketch
from mlpcli.data.table import CategoricalColumn, Column, Rows

# Size of the cache of fetched columns: a small table is fetched once.
MAX_CACHE_BYTES = 1 << 28


class Shards(ABC):
    """The shards of a table; computations on columns, given by their schemas, run in the processes that hold the rows.

    If `is_sketched`, numeric columns should be sketched, not fetched; `rank_error` is an upper bound on the rank error
    of the quantiles of all sketches so far, as a fraction of the rows.
    """

    is_sketched: bool = False
    rank_error: float = 0.0

    @abstractmethod
    def sample(self, name: str) -> Column | None:
        """Enough cells of a numeric column to infer its role; None for other columns."""

    @abstractmethod
    def inputs(self, preprocessor: Any, rows: Rows, dtype: Any) -> tuple[Any, Any]:
        """Transform rows with a fitted preprocessor; returns inputs and counts.

        The inputs are a proxy with the interface of an array (n_rows, n_in); counts as from `transform`.
        """

    @abstractmethod
    def row_hashes(self, schemas: Sequence[Any], rows: Rows | None) -> NDArray[np.uint64]:
        """Hashes of rows (None: all) over these columns."""

    @abstractmethod
    def sketch(self, schema: Any, rows: Rows) -> ColumnSketch:
        """Sketch of a numeric or date column over rows; raises DataError for an invalid cell."""

    @abstractmethod
    def missing_hash(self, is_missing: NDArray[np.bool_], rows: Rows) -> bytes:
        """Comparable with `missing_hash` of a sketch of these rows: equal if the same cells are missing (n_rows,)."""


class RemoteColumns(Mapping[str, Column]):
    """A mapping of column names to the columns that `fetch` returns, with a least-recently-used cache.

    `schemas` are those of the columns, by name, if they are cast when they are fetched.
    """

    def __init__(
        self, shards: Shards, fetch: Callable[[str], Column], names: Sequence[str], schemas: Mapping[str, Any] = {}
    ) -> None:
        self.shards, self.schemas = shards, schemas
        self._fetch, self._names = fetch, tuple(names)
        self._cache: OrderedDict[str, Column] = OrderedDict()

    def __getitem__(self, name: str) -> Column:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._cache:
            self._cache[name] = self._fetch(name)
        self._cache.move_to_end(name)
        while len(self._cache) > 1 and sum(map(_n_bytes, self._cache.values())) > MAX_CACHE_BYTES:
            self._cache.popitem(last=False)
        return self._cache[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _n_bytes(column: Column) -> int:
    return (column.codes if isinstance(column, CategoricalColumn) else column.values).nbytes
