"""Columns of a table that no process holds: one is fetched when it is asked for."""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.column_sketch import ColumnSketch
from mlpcli.data.table import CategoricalColumn, Column, Rows

# Bytes of the columns that were asked for last: those of a small table are fetched once.
MAX_CACHE_BYTES = 1 << 28


class RemoteColumns(Mapping[str, Column]):
    """The columns of these names; the ones asked for last are kept."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._kept: OrderedDict[str, Column] = OrderedDict()

    @abstractmethod
    def fetch(self, name: str) -> Column:
        """The cells of a column in all rows."""

    @abstractmethod
    def inputs(self, preprocessor: Any, rows: Rows, dtype: Any) -> tuple[Any, Any]:
        """What a fitted preprocessor makes of some rows, which stays where they are; and the counts of `transform`.

        It is used like the array (n_rows, n_in) it stands for.
        """

    @abstractmethod
    def row_hashes(self, columns: Sequence[Any], rows: Rows | None) -> NDArray[np.uint64]:
        """The hashes of some rows, or of all, by the cells of some columns: names of cast ones, else their schemas."""

    @abstractmethod
    def sketch(self, schema: Any, rows: Rows) -> ColumnSketch | None:
        """The sketch of a column of numbers or dates in some rows; None where the column is to be fetched instead."""

    @abstractmethod
    def missing_hash(self, is_missing: NDArray[np.bool_], rows: Rows) -> bytes:
        """Equal to `missing` of a sketch of these rows where the same of their cells are missing (n_rows,)."""

    @property
    @abstractmethod
    def is_sketched(self) -> bool:
        """Whether numbers are sketched: they can be fetched, but nobody should have to."""

    @property
    @abstractmethod
    def rank_error(self) -> float:
        """The error in rank of quantiles of columns that were sketched, at most, as a fraction of the rows."""

    def sample(self, name: str) -> Column:
        """Some cells of a column that say of which kind it is; of texts all."""
        return self[name]

    def __getitem__(self, name: str) -> Column:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._kept:
            self._kept[name] = self.fetch(name)
        self._kept.move_to_end(name)
        while len(self._kept) > 1 and sum(map(_n_bytes, self._kept.values())) > MAX_CACHE_BYTES:
            self._kept.popitem(last=False)
        return self._kept[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _n_bytes(column: Column) -> int:
    return (column.codes if isinstance(column, CategoricalColumn) else column.values).nbytes
