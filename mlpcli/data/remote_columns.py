"""Columns of a table whose shards are in other processes, fetched on access."""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.column_sketch import ColumnSketch
from mlpcli.data.table import CategoricalColumn, Column, Rows

# Size of the cache of fetched columns: a small table is fetched once.
MAX_CACHE_BYTES = 1 << 28


class RemoteColumns(Mapping[str, Column]):
    """A mapping of column names to fetched columns, with a least-recently-used cache."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._cache: OrderedDict[str, Column] = OrderedDict()

    @abstractmethod
    def fetch(self, name: str) -> Column:
        """Fetch a column, all rows."""

    @abstractmethod
    def inputs(self, preprocessor: Any, rows: Rows, dtype: Any) -> tuple[Any, Any]:
        """Transform rows with a fitted preprocessor in the processes that hold them; returns inputs and counts.

        The inputs are a proxy with the interface of an array (n_rows, n_in); counts as from `transform`.
        """

    @abstractmethod
    def row_hashes(self, columns: Sequence[Any], rows: Rows | None) -> NDArray[np.uint64]:
        """Hashes of rows (None: all) over columns: names if they are cast, otherwise their schemas."""

    @abstractmethod
    def sketch(self, schema: Any, rows: Rows) -> ColumnSketch | None:
        """Sketch of a numeric or date column over rows; None if the column should be fetched instead."""

    @abstractmethod
    def missing_hash(self, is_missing: NDArray[np.bool_], rows: Rows) -> bytes:
        """Comparable with `missing_hash` of a sketch of these rows: equal if the same cells are missing (n_rows,)."""

    @property
    @abstractmethod
    def is_sketched(self) -> bool:
        """Whether numeric columns should be sketched, not fetched."""

    @property
    @abstractmethod
    def rank_error(self) -> float:
        """Upper bound on the rank error of sketched quantiles, as a fraction of the rows."""

    def sample(self, name: str) -> Column:
        """Enough cells of a column to infer its role; all cells of a text column."""
        return self[name]

    def __getitem__(self, name: str) -> Column:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._cache:
            self._cache[name] = self.fetch(name)
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
