"""Shards of a table, read independently: some of its files or, if there are few files, a range of every batch.

Whether a column is numeric depends on the whole table: each shard reports the kinds of its columns, and columns of
mixed kinds are read again as texts.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mlpcli.data.reading import faults
from mlpcli.data.reading.building import ColumnBuilder, StoreOptions
from mlpcli.data.reading.faults import table_error
from mlpcli.data.reading.prefetch import prefetch_map
from mlpcli.data.reading.read import open_files
from mlpcli.data.reading.reader import Reader, Request
from mlpcli.data.reading.repeated_header import read_batch
from mlpcli.data.reading.sources import Source
from mlpcli.data.table import CategoricalColumn, Column, Rows, Table, TableFormat, row_dtype


@dataclass(frozen=True)
class ShardRows:
    """The rows of a shard: indices of its files, and which of `n_turns` equal ranges of each batch it reads."""

    files: tuple[int, ...]
    turn: int = 0
    n_turns: int = 1


@dataclass(frozen=True)
class TableFiles:
    """The files of a table, their format, and the requested columns; see `read_table`."""

    sources: tuple[Source, ...]
    format: TableFormat
    configured: tuple[str, ...]
    request: Request
    name: str


@dataclass(frozen=True)
class ShardSummary:
    """Summary of the rows read by a shard.

    `pieces` are its rows in order: index of the file, first row in that file, number of rows. `n_rows` and `hashes`
    are of whole files by index. `kinds` has a column of one cell for each column, of the same kind. `first` has the
    column names and the format of the first file if the shard has read it.
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
        """Equal if the same rows of equal files were read."""
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
        lightest = min(range(n_shards), key=lambda shard: (loads[shard], len(files[shard]), shard))
        loads[lightest] += sizes[number]
        files[lightest].append(number)
    return tuple(ShardRows(tuple(sorted(shard_files))) for shard_files in files)


@dataclass
class Shard:
    """The rows of a shard once read; large columns are memory-mapped."""

    files: TableFiles
    rows: ShardRows
    columns: dict[str, Column] = field(default_factory=dict)
    n_rows: int = 0
    _pieces: list[tuple[int, int, int]] = field(default_factory=list)
    _readers: dict[int, Reader] = field(default_factory=dict)
    _hashes: dict[int, str] = field(default_factory=dict)

    def read(self) -> ShardSummary:
        """Read the rows; raises DataError as `read_table`, except for a table without rows."""
        builder, n_rows = ColumnBuilder(StoreOptions()), dict[int, int]()
        self._hashes = self._read(self.files.request, builder, n_rows)
        self.columns, self.n_rows = builder.build() if builder.n_rows else {}, builder.n_rows
        first = self._readers.get(0)
        return ShardSummary(
            tuple(self._pieces), n_rows, self._hashes, builder.kinds, frozenset(builder.mixed), builder.spellings,
            {number: tuple(reader.notes) for number, reader in self._readers.items()},
            None if first is None else (first.names, first.format),
        )  # fmt: skip

    def read_again(self, names: Collection[str]) -> None:
        """Read these columns as texts; raises DataError if a file has changed since `read`."""
        builder = ColumnBuilder(StoreOptions())
        if self._read(Request(names, names), builder, {}) != self._hashes:
            raise table_error(self.files.name, None, faults.CHANGED)
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
        empty = CategoricalColumn((), np.zeros(0, np.int8))
        columns = self.columns if self.n_rows else dict.fromkeys(column_names, empty)
        return Table(columns, self.n_rows, self.files.name, tuple(column_names), format, self.where)

    def _read(self, request: Request, builder: ColumnBuilder, n_rows: dict[int, int]) -> dict[int, str]:
        """Add the rows to the builder, and the number of rows per file to `n_rows`; returns the hash of each file."""
        hashes = dict[int, str]()
        self._pieces, self._readers = [], {}
        files = self.files
        for number, reader, digest in open_files(files.sources, files.format, files.configured, self.rows.files):
            n_rows[number] = 0
            for table in prefetch_map(read_batch, reader.batches(request)):
                self._add(number, n_rows[number], table, builder)
                n_rows[number] += table.n_rows
            self._readers[number], hashes[number] = reader, digest.hexdigest()
        return hashes

    def _add(self, number: int, first_row: int, table: Table, builder: ColumnBuilder) -> None:
        turn, n_turns = self.rows.turn, self.rows.n_turns
        range_ = slice(table.n_rows * turn // n_turns, table.n_rows * (turn + 1) // n_turns)
        if range_.stop > range_.start:
            columns = {name: column.take(range_) for name, column in table.columns.items()}
            builder.add(columns, range_.stop - range_.start, table.spellings)
            self._pieces.append((number, first_row + range_.start, range_.stop - range_.start))


def merge_summaries(
    summaries: Sequence[ShardSummary],
) -> tuple[frozenset[str], dict[str, Column], Mapping[str, tuple[str, ...]]]:
    """Mixed columns, which are read as texts; one cell of each other column, of its kind in the table; spellings."""
    builder = ColumnBuilder()
    for summary in summaries:
        builder.add(summary.kinds, 1, summary.spellings)
    mixed = frozenset(builder.mixed).union(*(summary.mixed for summary in summaries))
    kinds = {name: column for name, column in builder.build().items() if name not in mixed}
    return mixed, kinds, builder.spellings


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
    """Merge the shards of a column, whose rows have these row numbers, to the column that `read_table` returns."""
    builder = ColumnBuilder()
    for column in columns:
        builder.add({name: column}, len(column))
    numbers = np.concatenate(rows)
    order = np.empty_like(numbers)
    order[numbers] = np.arange(len(numbers), dtype=numbers.dtype)
    merged = builder.build(order)[name]
    return _levels_by_first_row(merged) if isinstance(merged, CategoricalColumn) else merged


def _levels_by_first_row(column: CategoricalColumn) -> CategoricalColumn:
    """The column with unused levels dropped and the others in order of first occurrence."""
    n_levels = len(column.levels)
    first_rows = np.full(n_levels + 1, len(column.codes), np.int64)
    first_rows[column.codes[::-1]] = np.arange(len(column.codes) - 1, -1, -1)  # code -1 sets the last element
    occurring = [
        code for code in np.argsort(first_rows[:n_levels], kind="stable").tolist() if first_rows[code] < len(column)
    ]
    new_codes = np.full(n_levels, -1, column.codes.dtype)
    new_codes[occurring] = np.arange(len(occurring))
    codes = column.translate(new_codes, -1)
    return replace(column, levels=tuple(column.levels[code] for code in occurring), codes=codes)
