"""Tables in: CSV files, several of them, or standard input, as pandas frames whose every row knows its line.

`sources` opens and decompresses, `encoding` makes text of bytes, `dialect` finds delimiter and header, `records` proves
each row complete and knows its line, `parsing` has pandas parse the cells. Numbers are exact: a text that `writer` made
of a float64 reads back as the same float64.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np
import pandas as pd

from mlpcli.data.cells import NumberCells, Series, TextCells, numbers_of, text_cells
from mlpcli.data.dialect import DEFAULT_MISSING, TableFormat
from mlpcli.data.faults import escaped_path, header_only
from mlpcli.data.packing import PackedNumbers
from mlpcli.data.parsing import Block, OpenTable, Plan
from mlpcli.data.reading import check_columns, joined, read_all, read_packed
from mlpcli.data.records import LineMap
from mlpcli.data.sources import find_sources, held
from mlpcli.data.tidying import has_lost_text, tidied, with_texts
from mlpcli.errors import DataError

__all__ = [
    "CHUNK_ROWS",
    "DEFAULT_MISSING",
    "Part",
    "Table",
    "TableFormat",
    "iter_tables",
    "map_tables",
    "read_table",
    "table_from_frame",
]

CHUNK_ROWS = 32_768
# Blocks of text that are worked on as one: each takes a thousand calls of pandas and NumPy, and between two of them a
# thread needs the interpreter's lock.
BLOCKS_OF_A_CHUNK = 2
AS_FOUND = TableFormat()

Result = TypeVar("Result")


@dataclass(frozen=True)
class Part:
    """The rows of a table that come from one file: from `first_row` on, which is row `offset` of that file."""

    first_row: int
    lines: LineMap
    offset: int = 0


@dataclass(frozen=True)
class Table:
    """Rows with column names. Numbers are float64 or int64, texts are object columns of str and NaN, index 0..n-1.

    column_names: every column of the file, in its order, also those that were not wanted.
    format: with delimiter, encoding and header as found (in the first of several files).
    sha256: of the uncompressed bytes, all files in order; "" for a chunk.
    notes: one sentence each, for the user: what was guessed. A later chunk has only what is new.
    parts: where the rows come from; none for a table that was never a file.
    packed: columns of numbers that are not in the frame, see `packing`.
    coded: columns of texts that are not in the frame.
    """

    frame: pd.DataFrame
    name: str
    column_names: tuple[str, ...]
    format: TableFormat = AS_FOUND
    sha256: str = ""
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    packed: PackedNumbers | None = None
    coded: Mapping[str, TextCells] = field(default_factory=dict)
    _texts: dict[str, TextCells] = field(default_factory=dict, init=False, repr=False, compare=False)
    _numbers: dict[str, NumberCells] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def read_names(self) -> tuple[str, ...]:
        """The columns that were read, in the order of the file."""
        names = frozenset(map(str, self.frame.columns))
        return tuple(name for name in self.column_names if name in names or self.is_apart(name))

    def is_apart(self, name: str) -> bool:
        """Whether a column is not in the frame."""
        return name in self.coded or (self.packed is not None and name in self.packed)

    def column(self, name: str) -> Series:
        """A column; one that is packed or coded is made for the occasion."""
        if self.packed is not None and name in self.packed:
            return pd.Series(self.packed.column(name), copy=False)
        if name in self.coded:
            return self.coded[name].series.rename(name)
        return self.frame[name]

    def text_cells(self, name: str) -> TextCells:
        """A column as texts, which are coded once."""
        if name in self.coded:
            return self.coded[name]
        if name not in self._texts:
            self._texts[name] = text_cells(self.column(name))
        return self._texts[name]

    def number_cells(self, name: str) -> NumberCells | None:
        """A column of texts as numbers, which are parsed once; None for another, which is numbers already."""
        is_text = name in self.coded or (not self.is_apart(name) and self.frame[name].dtype == object)
        if is_text and name not in self._numbers:
            self._numbers[name] = numbers_of(self.text_cells(name))
        return self._numbers.get(name)

    def where(self, row: int) -> str:
        """Give "file.csv:LINE" of the line on which a row begins (0 is the first row of this table)."""
        own = [part for part in self.parts if part.first_row <= row]
        if not own:
            return f"{self.name}: row {row}"
        part = own[-1]
        return f"{part.lines.name}:{part.lines.line(part.offset + row - part.first_row)}"


def read_table(
    source: str | Sequence[str],
    format: TableFormat = AS_FOUND,
    text_columns: Collection[str] = (),
    wanted: Collection[str] | None = None,
    number_columns: Collection[str] = (),
    packs: bool = False,
    exact_columns: Collection[str] = (),
) -> Table:
    """Read a whole table from a path, a glob, "-" (standard input), or a list of these.

    Only the columns in `wanted` are parsed (None: all); names that the file has not are no error here. `text_columns`
    keep their text (01, True); `number_columns` are float64; of the others those that hold nothing but numbers are
    numbers. With `packs` those of a large table may be packed, which rounds them to float32, but for `exact_columns`.
    Raises DataError, with file and line, for all that can be wrong with a table; having no rows is.
    """
    sources = tuple(held(part) for part in find_sources(source))
    plan = _plan(format, text_columns, wanted, number_columns, guesses=True)
    digest = hashlib.sha256()
    readings = read_packed(sources[0], plan, digest, exact_columns) if packs and len(sources) == 1 else None
    if readings is None:
        digest = hashlib.sha256()
        readings = read_all(sources, plan, digest)
    if not any(reading.n_rows for reading in readings):
        raise header_only(readings[0].lines.name)
    frame = joined([reading.frame for reading in readings])
    lost = [str(name) for name in frame.columns if name not in plan.number_columns and has_lost_text(frame[name])]
    if lost:
        readings = read_all(sources, replace(plan, read_as_text=frozenset(lost)), None)
        frame = joined([reading.frame for reading in readings])
    starts = np.cumsum([0, *(reading.n_rows for reading in readings[:-1])]).tolist()
    table = Table(
        frame,
        sources[0].name if len(sources) == 1 else _shown(source),
        readings[0].names,
        readings[0].format,
        digest.hexdigest(),
        tuple(note for reading in readings for note in reading.notes),
        tuple(Part(start, reading.lines) for start, reading in zip(starts, readings, strict=True)),
        readings[0].packed,
    )
    frame, texts = with_texts(tidied(frame, plan, table.where), readings[0].coded, plan, table.where)
    return replace(table, frame=frame, coded=texts)


def iter_tables(
    source: str | Sequence[str],
    format: TableFormat = AS_FOUND,
    text_columns: Collection[str] = (),
    wanted: Collection[str] | None = None,
    number_columns: Collection[str] = (),
    chunk_rows: int = CHUNK_ROWS,
    is_verbatim: bool = False,
) -> Iterator[Table]:
    """Read a table in chunks of at most `chunk_rows` rows, in constant memory; standard input is streamed.

    As `read_table`, but for two things. Columns not in `number_columns` are text, whether they are in `text_columns` or
    not: a chunk alone cannot tell what a column is. And an input without rows is one table without rows. With
    `is_verbatim` texts that mean a missing cell stay in the text columns, see `mark_missing`.
    """
    return map_tables(
        lambda table: table, source, format, text_columns, wanted, number_columns, chunk_rows, is_verbatim
    )


def map_tables(
    work: Callable[[Table], Result],
    source: str | Sequence[str],
    format: TableFormat = AS_FOUND,
    text_columns: Collection[str] = (),
    wanted: Collection[str] | None = None,
    number_columns: Collection[str] = (),
    chunk_rows: int = CHUNK_ROWS,
    is_verbatim: bool = False,
) -> Iterator[Result]:
    """Give `work` of each table of `iter_tables`, in order; several are parsed and worked on at a time, in threads."""
    plan = replace(_plan(format, text_columns, wanted, number_columns, guesses=False), is_verbatim=is_verbatim)
    sources = find_sources(source)
    first: OpenTable | None = None
    is_any = False
    for position, part in enumerate(sources, start=1):
        with OpenTable(part, plan, in_blocks=True) as opened:
            first = first or opened
            check_columns(opened.name, opened.dialect.names, first.name, first.dialect.names)
            if opened.is_empty and (is_any or position < len(sources)):
                continue
            is_any = True
            per_block = partial(_work_on_block, work, plan, first.dialect.names, opened.lines, chunk_rows)
            for results, fault in opened.map_frames(per_block, BLOCKS_OF_A_CHUNK):
                yield from results
                if fault is not None:
                    raise fault


def _work_on_block(
    work: Callable[[Table], Result],
    plan: Plan,
    column_names: tuple[str, ...],
    lines: LineMap,
    chunk_rows: int,
    frame: pd.DataFrame,
    block: Block,
) -> tuple[list[Result], DataError | None]:
    """`work` of the tables of a block, up to the first that has a fault, and this."""
    order = [name for name in column_names if name in frame.columns]
    ordered = frame if order == list(frame.columns) else frame[order]
    results: list[Result] = []
    n_rows = 0
    try:
        for rows in _chunks(ordered, chunk_rows):
            notes, parts = () if results else block.notes, (Part(0, lines, block.first_row + n_rows),)
            table = Table(rows, lines.name, column_names, block.format, notes=notes, parts=parts)
            results.append(work(replace(table, frame=tidied(rows, plan, table.where))))
            n_rows += len(rows)
    except DataError as fault:
        return results, fault
    return results, None


def mark_missing(table: Table) -> Table:
    """Of a table that was read verbatim, the one in which cells with a text that means missing are missing."""
    columns = {
        name: column.mask(column.isin(table.format.missing_texts)) if column.dtype == object else column
        for name, column in table.frame.items()
    }
    return replace(table, frame=pd.DataFrame(columns, index=table.frame.index))


def table_from_frame(frame: pd.DataFrame, name: str = "the data frame") -> Table:
    """Give a frame that was never a file as a table; its dtypes stay, its index is left out."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{name}: must be a pandas DataFrame, got {type(frame).__name__}.")
    rows = frame.set_axis([str(column) for column in frame.columns], axis="columns").reset_index(drop=True)
    names = tuple(rows.columns)
    if rows.columns.has_duplicates:
        return Table(rows, name, names)  # refused with a better message where its columns are looked up
    digest = hashlib.sha256("\n".join(names).encode())
    try:
        digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    except TypeError as error:
        raise DataError(f"{name}: a cell is no text, number or date ({error}).") from error
    return Table(rows, name, names, sha256=digest.hexdigest())


def _plan(
    format: TableFormat,
    text_columns: Collection[str],
    wanted: Collection[str] | None,
    number_columns: Collection[str],
    guesses: bool,
) -> Plan:
    numbers = frozenset(number_columns)
    names = None if wanted is None else frozenset(wanted)
    return Plan(format, frozenset(text_columns) - numbers, numbers, names, guesses=guesses)


def _chunks(frame: pd.DataFrame, n_rows: int) -> Iterator[pd.DataFrame]:
    """The frame in pieces of at most `n_rows` rows."""
    if len(frame) <= n_rows:
        yield frame
        return
    for start in range(0, len(frame), n_rows):
        yield frame.iloc[start : start + n_rows].reset_index(drop=True)


def _shown(source: str | Sequence[str]) -> str:
    """The name of several files together."""
    names = [source] if isinstance(source, str) else list(source)
    return ", ".join(escaped_path(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
