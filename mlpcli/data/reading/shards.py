"""A shard of a table, read alone: some of its files or, if there are few, a range of every batch of rows.

The kind of a column depends on the whole table: each shard reports the kinds it found, and columns of mixed kinds are
read again as texts.
"""

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from mlpcli.data.reading.building import ColumnBuilder, StoreOptions
from mlpcli.data.reading.prefetch import prefetch_map
from mlpcli.data.reading.read import add_stored, check_columns, open_reader, with_header_of_first
from mlpcli.data.reading.reader import Reader, Request
from mlpcli.data.reading.repeated_header import checked_table
from mlpcli.data.reading.sources import Source
from mlpcli.data.table import CategoricalColumn, Column, Rows, Table, TableFormat, row_dtype


@dataclass(frozen=True)
class ShardRows:
    """File indices of a shard, and which of `n_turns` equal ranges of each batch it reads."""

    files: tuple[int, ...]
    turn: int = 0
    n_turns: int = 1


@dataclass(frozen=True)
class TableFiles:
    """The files of a table, their format, and the requested columns; see `read_table`."""

    sources: tuple[Source, ...]
    format: TableFormat
    named: tuple[str, ...]
    request: Request
    name: str


@dataclass(frozen=True)
class ShardSummary:
    """What a shard has read.

    `pieces` are its rows in order: file, number of the first row in that file, number of rows. `n_rows` and `hashes`
    are of whole files by their number. `kinds` has a column of one cell for each column, of its kind. `first` is what
    the first file says of the table, from a shard that has read it.
    """

    pieces: tuple[tuple[int, int, int], ...]
    n_rows: dict[int, int]
    hashes: dict[int, str]
    kinds: dict[str, Column]
    mixed: frozenset[str]
    spellings: dict[str, tuple[str, ...]]
    notes: dict[int, tuple[str, ...]]
    first: tuple[tuple[str, ...], TableFormat] | None = None

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Equal where the same rows of the same files were read."""
        return self.pieces, tuple(sorted(self.hashes.items()))


def divide_files(sources: Sequence[Source], n_shards: int) -> tuple[ShardRows, ...]:
    """The rows of each shard: whole files, largest first to the least loaded; ranges if there are fewer files.

    Deterministic for the same files.
    """
    if len(sources) < n_shards:
        return tuple(ShardRows(tuple(range(len(sources))), turn, n_shards) for turn in range(n_shards))
    sizes = [os.path.getsize(source.path) if os.path.isfile(source.path) else 0 for source in sources]
    loads, files = [0] * n_shards, [list[int]() for _ in range(n_shards)]
    for number in sorted(range(len(sources)), key=lambda number: (-sizes[number], number)):
        least = min(range(n_shards), key=lambda shard: (loads[shard], len(files[shard]), shard))
        loads[least] += sizes[number]
        files[least].append(number)
    return tuple(ShardRows(tuple(sorted(own))) for own in files)


@dataclass
class Shard:
    """The rows of a shard once read; large columns are memory-mapped."""

    files: TableFiles
    rows: ShardRows
    columns: dict[str, Column] = field(default_factory=dict)
    n_rows: int = 0
    _pieces: list[tuple[int, int, int]] = field(default_factory=list)
    _readers: dict[int, Reader] = field(default_factory=dict)

    def read(self) -> ShardSummary:
        """Read the rows; raises DataError as `read_table`, except for a table without rows."""
        builder, n_rows = ColumnBuilder(StoreOptions()), dict[int, int]()
        hashes = self._read(self.files.request, builder, n_rows)
        self.columns, self.n_rows = builder.build() if builder.n_rows else {}, builder.n_rows
        first = self._readers.get(0)
        return ShardSummary(
            tuple(self._pieces), n_rows, hashes, builder.kinds, frozenset(builder.mixed), builder.spellings,
            {number: tuple(reader.notes) for number, reader in self._readers.items()},
            None if first is None else (first.names, first.format),
        )  # fmt: skip

    def read_again(self, names: Collection[str]) -> None:
        """Read these columns as texts."""
        builder = ColumnBuilder(StoreOptions())
        self._read(Request(frozenset(names), frozenset(names)), builder, {})
        self.columns |= builder.build() if builder.n_rows else {}

    def where(self, row: int) -> str:
        """The location of a row of this shard."""
        for number, first, n_rows in self._pieces:
            if row < n_rows:
                return self._readers[number].locate(first + row)
            row -= n_rows
        raise IndexError(row)

    def table(self, format: TableFormat, column_names: Sequence[str]) -> Table:
        """The rows as a table, with the format of the whole table."""
        nothing = CategoricalColumn((), np.zeros(0, np.int8))
        columns = self.columns if self.n_rows else dict.fromkeys(column_names, nothing)
        return Table(columns, self.n_rows, self.files.name, tuple(column_names), format, self.where)

    def _read(self, request: Request, builder: ColumnBuilder, n_rows: dict[int, int]) -> dict[int, str]:
        """The rows into the builder, and those of each file counted; gives the hash of each file."""
        hashes = dict[int, str]()
        self._pieces, self._readers = [], {}
        sources, format, named = self.files.sources, self.files.format, self.files.named
        with closing(open_reader(sources[0], format, named)) as first:
            pass  # it says how the others are read
        for number in self.rows.files:
            own = format if number == 0 else with_header_of_first(format, first)
            digest = hashlib.sha256()
            with closing(open_reader(sources[number], own, named, digest)) as reader:
                check_columns(reader, first if number else reader)
                add_stored(reader, sources[number], digest)
                n_rows[number] = 0
                for table in prefetch_map(checked_table, reader.batches(request)):
                    self._add(number, n_rows[number], table, builder)
                    n_rows[number] += table.n_rows
                self._readers[number], hashes[number] = reader, digest.hexdigest()
        return hashes

    def _add(self, number: int, first_row: int, table: Table, builder: ColumnBuilder) -> None:
        turn, n_turns = self.rows.turn, self.rows.n_turns
        own = slice(table.n_rows * turn // n_turns, table.n_rows * (turn + 1) // n_turns)
        if own.stop > own.start:
            columns = {name: column.take(own) for name, column in table.columns.items()}
            builder.add(columns, own.stop - own.start, table.spellings)
            self._pieces.append((number, first_row + own.start, own.stop - own.start))


def mixed_columns(summaries: Sequence[ShardSummary]) -> frozenset[str]:
    """Columns of different kinds in different shards, which are read as texts."""
    builder = ColumnBuilder()
    for summary in summaries:
        builder.add(summary.kinds, 1)
    return frozenset(builder.mixed).union(*(summary.mixed for summary in summaries))


def merge_kinds(summaries: Sequence[ShardSummary], mixed: frozenset[str]) -> dict[str, Column]:
    """One cell per column except `mixed`, of the kind of the column in the whole table."""
    builder = ColumnBuilder()
    for summary in summaries:
        builder.add({name: kind for name, kind in summary.kinds.items() if name not in mixed}, 1)
    return builder.build()


def global_rows(summaries: Sequence[ShardSummary]) -> list[Rows]:
    """Row numbers in the whole table, per shard."""
    n_rows: dict[int, int] = {}
    for summary in summaries:
        n_rows |= summary.n_rows
    starts, total = dict[int, int](), 0
    for number in sorted(n_rows):
        starts[number] = total
        total += n_rows[number]
    dtype = row_dtype(total)
    return [
        np.concatenate(
            [np.arange(starts[number] + first, starts[number] + first + n, dtype=dtype) for number, first, n in pieces]
            or [np.zeros(0, dtype)]
        )
        for pieces in (summary.pieces for summary in summaries)
    ]


def merge_column(columns: Sequence[Column], rows: Sequence[Rows], name: str) -> Column:
    """Merge the shards of one column, whose rows have these numbers; as `read_table` returns it."""
    builder = ColumnBuilder()
    for column in columns:
        builder.add({name: column}, len(column))
    numbers = np.concatenate(rows)
    order = np.empty_like(numbers)
    order[numbers] = np.arange(len(numbers), dtype=numbers.dtype)
    found = builder.build(order)[name]
    return _levels_by_first_row(found) if isinstance(found, CategoricalColumn) else found


def _levels_by_first_row(column: CategoricalColumn) -> CategoricalColumn:
    """The column with unused levels dropped and the others in order of first occurrence."""
    n_levels = len(column.levels)
    first = np.full(n_levels + 1, len(column.codes), np.int64)
    first[column.codes[::-1]] = np.arange(len(column.codes) - 1, -1, -1)  # of code -1 the last place
    occurring = [code for code in np.argsort(first[:n_levels], kind="stable").tolist() if first[code] < len(column)]
    places = np.full(n_levels, -1, column.codes.dtype)
    places[occurring] = np.arange(len(occurring))
    codes = column.translate(places, -1)
    return replace(column, levels=tuple(column.levels[code] for code in occurring), codes=codes)


def merge_spellings(summaries: Sequence[ShardSummary]) -> Mapping[str, tuple[str, ...]]:
    """Spellings of numbers in all shards."""
    builder = ColumnBuilder()
    for summary in summaries:
        builder.add({}, 0, summary.spellings)
    return builder.spellings
