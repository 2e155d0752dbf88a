"""Columns of a table that no process holds: one is fetched when it is asked for."""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlpcli.data.table import CategoricalColumn, Column, Rows

# Bytes of the columns that were asked for last: those of a small table are fetched once.
KEPT_BYTES = 1 << 28


class DistantColumns(Mapping[str, Column]):
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

    def __getitem__(self, name: str) -> Column:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._kept:
            self._kept[name] = self.fetch(name)
        self._kept.move_to_end(name)
        while len(self._kept) > 1 and sum(map(_bytes_of, self._kept.values())) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return self._kept[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _bytes_of(column: Column) -> int:
    return (column.codes if isinstance(column, CategoricalColumn) else column.values).nbytes
