"""Reading of tables in any format, from one or several files or standard input; whole or in chunks."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import TypeVar

import numpy as np

from mlpcli.data.reading import faults
from mlpcli.data.reading.building import BuiltColumns, ColumnBuilder, StoreOptions, draw_order
from mlpcli.data.reading.csv.encoding import Digest
from mlpcli.data.reading.csv.reader import CsvReader
from mlpcli.data.reading.faults import columns_error, escape_path, table_error
from mlpcli.data.reading.prefetch import prefetch_map
from mlpcli.data.reading.reader import Batch, Reader, Request
from mlpcli.data.reading.repeated_header import checked_table
from mlpcli.data.reading.sources import Source, find_sources, held, kind_of, open_source, sha256_together
from mlpcli.data.reading.typed.arrow import ArrowReader
from mlpcli.data.reading.typed.excel import WorkbookReader
from mlpcli.data.reading.typed.jsonl import JsonLinesReader
from mlpcli.data.table import CategoricalColumn, Table, TableFormat

AS_FOUND = TableFormat()

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Place:
    """Where rows of a table of several files stand: `ends` are the numbers of rows up to and with each reader."""

    readers: tuple[Reader, ...]
    ends: tuple[int, ...]
    order: "np.ndarray[tuple[int], np.dtype[np.signedinteger]] | None"

    def __call__(self, row: int) -> str:
        row = row if self.order is None else int(self.order[row])
        part = bisect_right(self.ends, row)
        return self.readers[part].locate(row - (self.ends[part - 1] if part else 0))


def read_table(
    source: str | Sequence[str],
    format: TableFormat = AS_FOUND,
    texts: Collection[str] = (),
    wanted: Collection[str] | None = None,
    named: Collection[str] = (),
    store: StoreOptions | None = None,
    unwanted: Collection[str] = (),
    spelled: Collection[str] = (),
    only: int | None = None,
) -> Table:
    """Read a whole table from a path, a glob, "-" (standard input), or a list of these.

    Only the columns in `wanted` are read (None: all but `unwanted`); names that the file has not are no error here.
    Cells of `texts` come as they are written, if they are; of the others those that hold nothing but numbers are
    numbers, and those of `spelled` have their texts in `Table.spellings`. `named` are columns that somebody gave names
    to: a first line with all of them is a header. Large tables go to disk if `store` is given. With `only`, of several
    files the one of this number alone, read as one of them. Raises DataError, with file and place, for all that can be
    wrong with a table; having no rows is, but for a file that is one of several.
    """
    sources = tuple(held(part) for part in find_sources(source))
    request = Request(
        None if wanted is None else frozenset(wanted),
        frozenset(),
        frozenset(unwanted),
        frozenset(texts),
        spelled=frozenset(spelled),
    )
    builder = ColumnBuilder(store)
    readers, n_rows, digests = _read_all(sources, format, named, request, builder, only)
    if not builder.n_rows and only is None:
        raise table_error(readers[0].name, None, faults.HEADER_ONLY)
    builders = [builder]
    if builder.mixed:
        # What is a number in one place and a text in another is a text everywhere.
        again = Request(frozenset(builder.mixed), frozenset(builder.mixed))
        builders.append(ColumnBuilder(store))
        _read_all(sources, format, named, again, builders[1], only)
    first = readers[0]
    place = _Place(tuple(readers), tuple(accumulate(n_rows)), None)
    table = Table(
        BuiltColumns(builders),
        builder.n_rows,
        first.name if len(readers) == 1 else joined_names(source),
        first.names,
        first.format,
        place,
        sha256_together(digests),
        tuple(dict.fromkeys(_notes(readers, format))),
        spellings=builder.spellings,
    )
    return _built(table, place, builders, store or StoreOptions())


def _notes(readers: Sequence[Reader], format: TableFormat) -> Iterator[str]:
    if format.sheet is not None and not any(isinstance(reader, WorkbookReader) for reader in readers):
        yield f"{readers[0].name}: not a workbook, so data.sheet is not used."
    for reader in readers:
        yield from reader.notes


def _built(table: Table, place: _Place, builders: Sequence[ColumnBuilder], store: StoreOptions) -> Table:
    """The table with its columns, in memory, or if large on disk in shuffled order."""
    n_buckets = max(store.n_buckets(table, {name: n for one in builders for name, n in one.n_texts.items()}), 1)
    order = draw_order(table.n_rows, n_buckets, store.seed)
    columns = {name: column for one in builders for name, column in one.build(order).items()}
    ends = place.ends if order is None else ()
    return replace(
        table, columns=columns, locate=replace(place, order=order), n_buckets=n_buckets, order=order, file_ends=ends
    )


def map_tables(
    work: Callable[[Table], Result],
    source: str | Sequence[str],
    format: TableFormat = AS_FOUND,
    texts: Collection[str] | None = (),
    wanted: Collection[str] | None = None,
    kept: Collection[str] | None = (),
    only: int | None = None,
) -> Iterator[Result]:
    """Give `work` of the table in chunks, in order and in constant memory; several are worked on at a time, in threads.

    As `read_table`, but `texts` None means all columns, and an input without rows is one table without rows. `kept` are
    columns to be written again (None: all), see `Request`. Notes are those that a chunk adds. Standard input is
    streamed. With `only`, of several files the one of this number alone, read as one of them.
    """
    request = Request(
        None if wanted is None else frozenset(wanted),
        written=None if texts is None else frozenset(texts),
        kept=None if kept is None else frozenset(kept),
    )
    first: Reader | None = None
    seen: set[str] = set()
    is_any = False
    for number, part in enumerate(find_sources(source)):
        if only is not None and number not in (0, only):
            continue
        with closing(
            open_reader(part, with_header_of_first(format, first), {*(wanted or ()), *(kept or ())}, finds_codes=False)
        ) as reader:
            first = first or reader
            check_columns(reader, first)
            if only not in (None, number):  # it says how the others are read
                continue
            for table, result in prefetch_map(partial(_process_chunk, work, seen), reader.batches(request)):
                is_any = is_any or table > 0
                yield result
    if not is_any and first is not None:
        yield work(_empty(first, request))


def open_reader(
    source: Source,
    format: TableFormat,
    named: Collection[str] = (),
    digest: Digest | None = None,
    finds_codes: bool = True,
) -> Reader:
    """The reader for the format of a file, detected from its content."""
    match kind_of(source):
        case "parquet" | "arrow":
            return ArrowReader(held(source), format)
        case "workbook":
            return WorkbookReader(held(source), format)
        case "jsonl":
            return JsonLinesReader(source, format)
        case _:
            return CsvReader(source, format, named, digest, finds_codes)


def _read_all(
    sources: Sequence[Source],
    format: TableFormat,
    named: Collection[str],
    request: Request,
    builder: ColumnBuilder,
    only: int | None,
) -> tuple[list[Reader], list[int], list[str]]:
    """The rows of every file into the builder, or of the one of the number `only`.

    Gives the closed readers, how many rows each had, and the hash of its uncompressed bytes.
    """
    readers: list[Reader] = []
    n_rows: list[int] = []
    digests: list[str] = []
    first: Reader | None = None
    for number, source in enumerate(sources):
        if only is not None and number not in (0, only):
            continue
        digest = hashlib.sha256()
        with closing(open_reader(source, with_header_of_first(format, first), named, digest)) as reader:
            first = first or reader
            check_columns(reader, first)
            if only not in (None, number):  # it says how the others are read
                continue
            add_stored(reader, source, digest)
            before = builder.n_rows
            for table in prefetch_map(checked_table, reader.batches(request)):
                builder.add(table.columns, table.n_rows, table.spellings)
            readers.append(reader)
            n_rows.append(builder.n_rows - before)
            digests.append(digest.hexdigest())
    return readers, n_rows, digests


def add_stored(reader: Reader, source: Source, digest: Digest) -> None:
    """Hash the bytes of a file whose reader does not, as that of a text does while its batches are taken."""
    if not isinstance(reader, CsvReader):
        with closing(open_source(source)) as stored:
            for part in stored.chunks():
                digest.update(part)


def _process_chunk(work: Callable[[Table], Result], seen: set[str], batch: Batch) -> tuple[int, Result]:
    table = checked_table(batch)
    new = tuple(note for note in table.notes if note not in seen)
    seen.update(new)
    return table.n_rows, work(replace(table, notes=new))


def with_header_of_first(format: TableFormat, first: Reader | None) -> TableFormat:
    """The format with the header detection of the first file."""
    return format if first is None else replace(format, header=first.format.header)


def check_columns(reader: Reader, first: Reader) -> None:
    """Raise DataError if a further file has other columns than the first, in any order, or another header."""
    found, expected = frozenset(reader.names), frozenset(first.names)
    missing = [name for name in first.names if name not in found]
    added = [name for name in reader.names if name not in expected]
    if missing or added:
        raise columns_error(reader.name, first.name, missing, added)
    if reader is not first and isinstance(reader, CsvReader) and reader.begins_with_names:
        raise table_error(reader.name, None, faults.HEADER_IN_ONE, first=first.name)


def _empty(reader: Reader, request: Request) -> Table:
    columns = {name: CategoricalColumn((), np.zeros(0, np.int8)) for name in reader.names if request.wants(name)}
    return Table(columns, 0, reader.name, reader.names, reader.format, notes=tuple(reader.notes))


def joined_names(source: str | Sequence[str]) -> str:
    """A common name of several files."""
    names = [source] if isinstance(source, str) else list(source)
    return ", ".join(escape_path(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
