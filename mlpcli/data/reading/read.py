"""Reading of tables in any format, from files or standard input, as a whole or in batches."""

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
from mlpcli.data.reading.repeated_header import read_batch
from mlpcli.data.reading.sources import (
    Source,
    detect_kind,
    find_sources,
    hash_bytes,
    refuse_changed_files,
    reopenable,
    sha256_together,
    stat_files,
)
from mlpcli.data.reading.typed.arrow import ArrowReader
from mlpcli.data.reading.typed.excel import WorkbookReader
from mlpcli.data.reading.typed.jsonl import JsonLinesReader
from mlpcli.data.table import CategoricalColumn, Table, TableFormat

DETECTED, ALL = TableFormat(), Request()

Result = TypeVar("Result")


@dataclass(frozen=True)
class _RowLocator:
    """Locates rows of a table of several files; `ends` are the cumulative numbers of rows of `readers`."""

    readers: tuple[Reader, ...]
    ends: tuple[int, ...]
    order: "np.ndarray[tuple[int], np.dtype[np.signedinteger]] | None"

    def __call__(self, row: int) -> str:
        row = row if self.order is None else int(self.order[row])
        file = bisect_right(self.ends, row)
        return self.readers[file].locate(row - (self.ends[file - 1] if file else 0))


def read_table(
    source: str | Sequence[str],
    format: TableFormat = DETECTED,
    request: Request = ALL,
    configured: Collection[str] = (),
    store: StoreOptions | None = None,
    only: int | None = None,
) -> Table:
    """Read the requested columns of a whole table from a path, a glob, "-" (standard input), or a list of these.

    `configured` are columns named by the user: a first line with all of them is a header. Large tables are stored on
    disk if `store` is given. `only` is the index of the single file to read of several, with the header of the first
    one. Raises DataError, with file and line, for an invalid table, also for one without rows unless `only` is given.
    """
    sources = tuple(reopenable(file_source) for file_source in find_sources(source))
    builder, stats = ColumnBuilder(store), stat_files(sources)
    readers, n_rows, digests = _read_all(sources, format, configured, request, builder, only)
    if not builder.n_rows and only is None:
        raise table_error(readers[0].name, None, faults.HEADER_ONLY)
    builders = [builder]
    if builder.mixed:
        # Columns that are numeric in one batch and text in another are read again as texts.
        text_request = Request(builder.mixed, builder.mixed)
        builders.append(ColumnBuilder(store))
        _read_all(sources, format, configured, text_request, builders[1], only)
    refuse_changed_files(stats)
    first = readers[0]
    locate = _RowLocator(tuple(readers), tuple(accumulate(n_rows)), None)
    table = Table(
        BuiltColumns(builders),
        builder.n_rows,
        first.name if len(readers) == 1 else joined_names(source),
        first.names,
        first.format,
        locate,
        sha256_together(digests),
        tuple(dict.fromkeys(_notes(readers, format))),
        spellings=builder.spellings,
    )
    return _build_table(table, locate, builders, store or StoreOptions())


def _notes(readers: Sequence[Reader], format: TableFormat) -> Iterator[str]:
    if format.sheet is not None and not any(isinstance(reader, WorkbookReader) for reader in readers):
        yield f"{readers[0].name}: not a workbook, so data.sheet is not used."
    for reader in readers:
        yield from reader.notes


def _build_table(table: Table, locate: _RowLocator, builders: Sequence[ColumnBuilder], store: StoreOptions) -> Table:
    """The table with its columns in memory or, if they are large, on disk in shuffled order."""
    n_buckets = max(store.n_buckets(table, {name: n for builder in builders for name, n in builder.n_texts.items()}), 1)
    order = draw_order(table.n_rows, n_buckets, store.seed)
    columns = {name: column for builder in builders for name, column in builder.build(order).items()}
    ends = locate.ends if order is None else ()
    return replace(
        table, columns=columns, locate=replace(locate, order=order), n_buckets=n_buckets, order=order, file_ends=ends
    )


def map_tables(
    work: Callable[[Table], Result],
    source: str | Sequence[str],
    format: TableFormat = DETECTED,
    request: Request = ALL,
    only: int | None = None,
) -> Iterator[Result]:
    """Yield `work(batch)` for the batches of a table in order, in constant memory; batches are processed in threads.

    Arguments are those of `read_table`. An input without rows is one batch without rows. The notes of a batch are those
    not reported by earlier ones. Standard input is streamed.
    """
    configured = {*(request.wanted or ()), *(request.kept or ())}
    files = open_files(find_sources(source), format, configured, _numbers(only), for_training=False)
    reported: set[str] = set()
    first: Reader | None = None
    has_rows = False
    for _, reader, _ in files:
        first = first or reader
        for n_rows, result in prefetch_map(partial(_process_batch, work, reported), reader.batches(request)):
            has_rows = has_rows or n_rows > 0
            yield result
    if not has_rows and first is not None:
        yield work(_empty_table(first, request))


def _numbers(only: int | None) -> frozenset[int] | None:
    return None if only is None else frozenset((only,))


def open_files(
    sources: Sequence[Source],
    format: TableFormat,
    configured: Collection[str],
    numbers: Collection[int] | None = None,
    for_training: bool = True,
) -> Iterator[tuple[int, Reader, "hashlib._Hash"]]:
    """Open the files of a table, or those with these numbers, in turn: each is closed when the next one is requested.

    All have a header exactly if the first file has one, and its columns. The digest hashes the uncompressed bytes if
    `for_training`; that of CSV is complete when all batches have been read. Raises DataError for a file with other
    columns, or that was changed while it was open.
    """
    first: Reader | None = None
    for number, source in enumerate(sources):
        is_requested = numbers is None or number in numbers
        if not is_requested and number:
            continue
        digest, stats = hashlib.sha256(), stat_files([source])
        file_format = format if first is None else replace(format, header=first.format.header)
        with closing(open_reader(source, file_format, configured, digest if for_training else None)) as reader:
            first = first or reader
            _check_columns(reader, first)
            if not is_requested:  # it was opened only for its format
                continue
            if for_training and not isinstance(reader, CsvReader):
                hash_bytes(source, digest)
            yield number, reader, digest
        refuse_changed_files(stats)


def open_reader(source: Source, format: TableFormat, configured: Collection[str], digest: Digest | None) -> Reader:
    """The reader for the format of a file, detected from its content."""
    match detect_kind(source):
        case "parquet" | "arrow":
            return ArrowReader(reopenable(source), format)
        case "workbook":
            return WorkbookReader(reopenable(source), format, configured)
        case "jsonl":
            return JsonLinesReader(source, format)
        case _:
            return CsvReader(source, format, configured, digest, finds_codes=digest is not None)


def _read_all(
    sources: Sequence[Source],
    format: TableFormat,
    configured: Collection[str],
    request: Request,
    builder: ColumnBuilder,
    only: int | None,
) -> tuple[list[Reader], list[int], list[str]]:
    """Add the rows of every file, or of the file `only`, to the builder.

    Returns the closed readers, and the number of rows and the hash of the uncompressed bytes of each.
    """
    readers, n_rows, digests = list[Reader](), list[int](), list[str]()
    for _, reader, digest in open_files(sources, format, configured, _numbers(only)):
        before = builder.n_rows
        for table in prefetch_map(read_batch, reader.batches(request)):
            builder.add(table.columns, table.n_rows, table.spellings)
        readers.append(reader)
        n_rows.append(builder.n_rows - before)
        digests.append(digest.hexdigest())
    return readers, n_rows, digests


def _process_batch(work: Callable[[Table], Result], reported: set[str], batch: Batch) -> tuple[int, Result]:
    table = read_batch(batch)
    new_notes = tuple(note for note in table.notes if note not in reported)
    reported.update(new_notes)
    return table.n_rows, work(replace(table, notes=new_notes))


def _check_columns(reader: Reader, first: Reader) -> None:
    """Raise DataError if a further file has other columns than the first, in any order, or a header of its own."""
    present, expected = frozenset(reader.names), frozenset(first.names)
    missing = [name for name in first.names if name not in present]
    added = [name for name in reader.names if name not in expected]
    if missing or added:
        raise columns_error(reader.name, first.name, missing, added)
    if reader is not first and isinstance(reader, CsvReader) and reader.begins_with_names:
        raise table_error(reader.name, None, faults.HEADER_IN_ONE, first=first.name)


def _empty_table(reader: Reader, request: Request) -> Table:
    columns = {name: CategoricalColumn((), np.zeros(0, np.int8)) for name in reader.names if request.wants(name)}
    return Table(columns, 0, reader.name, reader.names, reader.format, notes=tuple(reader.notes))


def joined_names(source: str | Sequence[str]) -> str:
    """The name of a table of several files in messages: up to three paths."""
    names = [source] if isinstance(source, str) else list(source)
    return ", ".join(escape_path(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
