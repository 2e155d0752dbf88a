"""What every format is read by: a file as a sequence of batches of rows, each made into columns on demand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mlpcli.data.table import Table, TableFormat


@dataclass(frozen=True)
class Request:
    """What a caller wants of a file.

    `wanted` are the columns to read (None: all but `unwanted`); names that the file has not are no error here. `texts`
    are columns whose cells are wanted as texts, whatever they are; `written` those that are wanted as they are written
    where the source is a text, and as they are where cells have a type (None: all of them). `kept` are columns to be
    written again (None: all): a text source gives them as they are written, a typed one in `Table.kept`. Of numbers in
    columns of `spelled`, which may be labels or keys, a text source also gives the texts (`Table.spellings`), unless
    there are so many distinct ones that they are numeric.
    """

    wanted: frozenset[str] | None = None
    texts: frozenset[str] | None = frozenset()
    unwanted: frozenset[str] = frozenset()
    written: frozenset[str] | None = frozenset()
    kept: frozenset[str] | None = frozenset()
    spelled: frozenset[str] = frozenset()

    def wants(self, name: str) -> bool:
        """Whether a column is to be read."""
        return self.keeps(name) or self.makes(name)

    def keeps(self, name: str) -> bool:
        """Whether a column is to be written again."""
        return self.kept is None or name in self.kept

    def makes(self, name: str) -> bool:
        """Whether a typed source is to make a `Column` of it."""
        return name not in self.unwanted and (self.wanted is None or name in self.wanted)

    def wants_text(self, name: str) -> bool:
        """Whether the cells of a column are wanted as texts."""
        return self.texts is None or name in self.texts

    def wants_as_written(self, name: str) -> bool:
        """Whether a text source is to give the cells of a column as they are written."""
        return self.written is None or name in self.written or self.wants_text(name) or self.keeps(name)


class Batch(Protocol):
    """A batch of rows that is made when it is called, in whatever thread; its rows are numbered from 0."""

    def __call__(self, *, request: Request = ...) -> Table:
        """The rows with the columns that were wanted when they were taken, or with those that are wanted now."""


class Reader(Protocol):
    """One open file. Raises DataError, with file and place, for all that can be wrong with it.

    `format` and `notes` are final when all batches have been taken.
    """

    @property
    def name(self) -> str:
        """What messages call the file."""

    @property
    def names(self) -> tuple[str, ...]:
        """All its columns, in order."""

    @property
    def format(self) -> TableFormat:
        """How it is written, as found."""

    @property
    def notes(self) -> Sequence[str]:
        """What was guessed, for the user."""

    def batches(self, request: Request) -> Iterator[Batch]:
        """The rows in order, with the wanted columns.

        Numbers come as NumericColumn, in which texts that mean a missing cell are NaN. All else comes as
        CategoricalColumn with stripped NFC levels, of which only the empty text is missing. A column may be numbers in
        one batch and texts in another: the caller then asks again with it in `texts`.
        """

    def locate(self, row: int) -> str:
        """The place of a row of the file (from 0), such as "file.csv:17"; also once it is closed."""

    def close(self) -> None:
        """Let go of the file."""
