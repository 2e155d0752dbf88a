"""The protocol of file readers: a file is an iterator of row batches, each converted to columns on demand."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mlpcli.data.table import Table, TableFormat


@dataclass(frozen=True)
class Request:
    """The columns that a caller requests of a file.

    `wanted` are the columns to read (None: all but `unwanted`); names the file does not have are ignored. `texts` are
    columns to return as texts; `written` those to return as written in a text source, but typed in a typed one (None:
    all). `kept` are columns for output files (None: all): as written from a text source, in `Table.kept` from a typed
    one. For numeric columns in `spelled`, which may be labels or keys, a text source also returns the original texts
    (`Table.spellings`), unless they have too many distinct values to be labels.
    """

    wanted: Collection[str] | None = None
    texts: Collection[str] | None = ()
    unwanted: Collection[str] = ()
    written: Collection[str] | None = ()
    kept: Collection[str] | None = ()
    spelled: Collection[str] = ()

    def wants(self, name: str) -> bool:
        """Whether a column is to be read."""
        return self.keeps(name) or self.converts(name)

    def keeps(self, name: str) -> bool:
        """Whether a column is needed for output files."""
        return self.kept is None or name in self.kept

    def converts(self, name: str) -> bool:
        """Whether a typed source converts it to a `Column`."""
        return name not in self.unwanted and (self.wanted is None or name in self.wanted)

    def wants_text(self, name: str) -> bool:
        """Whether a column is requested as texts."""
        return self.texts is None or name in self.texts

    def wants_as_written(self, name: str) -> bool:
        """Whether a text source returns the cells of a column as written."""
        return self.written is None or name in self.written or self.wants_text(name) or self.keeps(name)


class Batch(Protocol):
    """A batch of rows, converted when it is called, in any thread; rows are numbered from 0."""

    def __call__(self, *, request: Request = ...) -> Table:
        """The rows with the columns of the original request, or of `request`."""


class Reader(Protocol):
    """An open file. Raises DataError with file and location for anything invalid in it.

    `format` and `notes` are final once all batches have been consumed.
    """

    @property
    def name(self) -> str:
        """The name of the file in messages."""

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in order."""

    @property
    def format(self) -> TableFormat:
        """The detected format."""

    @property
    def notes(self) -> Sequence[str]:
        """Notes for the user on what was detected."""

    def batches(self, request: Request) -> Iterator[Batch]:
        """The rows in order, with the requested columns.

        Numbers are NumericColumn, with NaN for missing markers. Other columns are CategoricalColumn with stripped NFC
        levels, of which only "" is missing. If a column is numeric in one batch and text in another, the caller
        reads it again with it in `texts`.
        """

    def locate(self, row: int) -> str:
        """The location of a row (from 0), such as "file.csv:17"; also after `close`."""

    def close(self) -> None:
        """Close the file."""
