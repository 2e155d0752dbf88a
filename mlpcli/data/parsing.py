"""One file, from its text to frames: pandas parses the cells of the rows that `records` has proved complete."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import pandas as pd

from mlpcli.data.cells import is_code
from mlpcli.data.dialect import Dialect, TableFormat, find_dialect, is_figure
from mlpcli.data.encoding import Digest, TextBlocks
from mlpcli.data.lookahead import mapped_ahead
from mlpcli.data.parsers import Parsers
from mlpcli.data.records import LineMap, RowStream
from mlpcli.data.sources import Source, open_source
from mlpcli.data.whole_numbers import WholeFrames
from mlpcli.errors import DataError

# Before 3.1 pandas' default converter is off by a last digit now and then.
IS_EXACT = tuple(int(part) for part in pd.__version__.split(".")[:2]) >= (3, 1)
PRECISION = {} if IS_EXACT else {"float_precision": "round_trip"}

# pandas prepares each column anew for every block: of a table with many columns this many blocks are parsed as one.
MANY_COLUMNS = 256
JOINED_BLOCKS = 4

Result = TypeVar("Result")


@dataclass(frozen=True)
class Plan:
    """What a caller wants of a table.

    read_as_text: columns besides whose types pandas must not guess. guesses: whether it may guess any. is_verbatim: in
    text columns only the empty cell is missing, so that NA can be written again as NA.
    """

    format: TableFormat
    text_columns: frozenset[str]
    number_columns: frozenset[str]
    wanted: frozenset[str] | None
    read_as_text: frozenset[str] = frozenset()
    guesses: bool = True
    is_verbatim: bool = False

    def missing_texts(self, name: str) -> frozenset[str]:
        """The texts that mean a missing cell in a column."""
        if self.is_verbatim and name not in self.number_columns:
            return frozenset({""})
        return self.format.missing_texts

    def text_names(self, dialect: Dialect) -> set[str]:
        """The columns that are read as text: those asked for, and those in whose first rows a word is seen."""
        if not self.guesses:
            return set(dialect.names) - self.number_columns
        missing = self.format.missing_texts
        columns = zip(dialect.names, zip(*dialect.sample, strict=False), strict=False)
        # Digits with a leading zero are a code (01, a zip code), which as a number would lose it.
        words = {
            name
            for name, cells in columns
            if any(not is_figure(cell) or is_code(cell) for cell in cells if cell not in missing)
        }
        return (words | self.text_columns | self.read_as_text) - self.number_columns


class OpenTable:
    """A file that is being read, `in_blocks` by `map_frames`; `notes` and `format` are final when all of it is.

    The columns `text_names` are read as texts, of the others pandas guesses the type.
    """

    def __init__(self, source: Source, plan: Plan, digest: Digest | None = None, in_blocks: bool = False) -> None:
        self._plan = plan
        stream = open_source(source)
        try:
            self._text = TextBlocks(stream, plan.format.encoding, digest)
            self.dialect = find_dialect(self._text, plan.format, plan.text_columns)
            self.text_names = plan.text_names(self.dialect)
            self.lines = LineMap(self._text.name, self.dialect.first_line)
            start, n_fields = self.dialect.rows, len(self.dialect.names)
            # A row too short has no last cell; where that column is parsed, missing cells in it call for a closer look.
            is_hasty = in_blocks and (plan.wanted is None or self.dialect.names[-1] in plan.wanted)
            self._rows = RowStream(self._text, start, self.dialect.delimiter, n_fields, self.lines, is_hasty)
        except BaseException:
            stream.close()
            raise

    def __enter__(self) -> "OpenTable":
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self._text.name

    @property
    def format(self) -> TableFormat:
        """How the file is written, as found."""
        found = self.dialect
        return TableFormat(found.delimiter, self._text.encoding, found.has_header, self._plan.format.missing)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was guessed so far."""
        return (*self.dialect.notes, *self._text.notes)

    def whole(self) -> pd.DataFrame:
        """All rows with the wanted columns, read in one piece: pieces that are joined would be held twice."""
        names = self._names
        if self._rows.is_empty and self._rows.fault is None:
            return pd.DataFrame({name: pd.Series(dtype=object) for name in names})
        if self._rows.fault is not None:
            raise self._rows.fault
        options = self._options(names or [self.dialect.names[0]]) | {"low_memory": True}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pd.errors.DtypeWarning)
                skips_blanks = self.dialect.delimiter != " "
                frame: pd.DataFrame = pd.read_csv(self._rows, skipinitialspace=skips_blanks, **options)  # type: ignore[call-overload]
        except pd.errors.ParserError as error:
            raise self._rows.fault or DataError(f"{self.name}: cannot be read ({error}).") from error
        if self._rows.fault is not None:
            raise self._rows.fault
        if len(frame) != self._rows.n_rows:
            raise DataError(f"{self.name}: {self._rows.n_rows} rows, of which only {len(frame)} can be read.")
        return frame if names else frame[[]]

    @property
    def is_empty(self) -> bool:
        """Whether there are no rows, nor anything wrong with them."""
        return self._rows.is_empty and self._rows.fault is None

    def map_frames(self, work: "Callable[[pd.DataFrame, Block], Result]", n_joined: int = 1) -> Iterator[Result]:
        """Give `work` of the rows with the wanted columns, block by block, in order; of one block if there are none.

        A block is parsed and worked on in one thread, where its numbers are still in the cache, while others are. It is
        as long as `n_joined` of those that are read, or longer; the last one, and one before a fault, may be shorter.
        """
        if self.is_empty:
            yield work(self.whole(), Block(b"", 0, 0, True, self.format, self.notes))
            return
        # Without any wanted column one is read all the same: rows are counted by it.
        names = self._names or [self.dialect.names[0]]
        parsers, whole_frames = Parsers(self._options(names)), self._whole_frames(names)

        def parsed_and_worked_on(block: Block) -> Result:
            frame = whole_frames.frame(block.text) if whole_frames is not None else None
            if frame is None:
                frame = self._parsed(parsers, block)
            return work(frame if self._names else frame[[]], block)

        yield from mapped_ahead(parsed_and_worked_on, self._blocks(n_joined))

    @property
    def _names(self) -> list[str]:
        wanted = self._plan.wanted
        return [name for name in self.dialect.names if wanted is None or name in wanted]

    def _blocks(self, n_joined: int) -> "Iterator[Block]":
        """The text in blocks of whole rows."""
        n_joined = max(n_joined, JOINED_BLOCKS if len(self.dialect.names) >= MANY_COLUMNS else 1)
        first_row = end_row = n_noted = 0
        texts, is_proved = list[bytes](), True
        for text in chain(self._rows, [b""]):
            if text:  # at a fault rows may be counted of which there is no text
                texts.append(text)
                end_row, is_proved = self._rows.n_rows, is_proved and self._rows.is_proved
            if texts and (not text or len(texts) == n_joined):
                notes = self.notes
                yield Block(b"".join(texts), first_row, end_row - first_row, is_proved, self.format, notes[n_noted:])
                first_row, n_noted, texts, is_proved = end_row, len(notes), [], True
        if self._rows.fault is not None:
            raise self._rows.fault

    def _parsed(self, parsers: Parsers, block: "Block") -> pd.DataFrame:
        # To skip blanks takes a third more time, and most blocks have none.
        skips_blanks = self.dialect.delimiter != " " and b" " in block.text
        try:
            frame = parsers.frame(block.text, block.n_rows, skips_blanks)
        except pd.errors.ParserError as error:
            raise DataError(f"{self.name}: cannot be read ({error}).") from error
        if not block.is_proved and frame.iloc[:, -1].isna().any():
            self._rows.check_rows(block.text, block.first_row)
        if len(frame) != block.n_rows:
            raise DataError(f"{self.name}: {block.n_rows} rows, of which only {len(frame)} can be read.")
        return frame

    def _whole_frames(self, names: Sequence[str]) -> WholeFrames | None:
        """What parses blocks of whole numbers; None where some of them mean a missing cell."""
        if any(text.isdecimal() for name in names for text in self._plan.missing_texts(name)):
            return None
        return WholeFrames(self.dialect.delimiter, self.dialect.names, names, self.text_names)

    def _options(self, names: Sequence[str]) -> dict[str, Any]:
        """How pandas reads these columns. It drops no line and knows no marker but ours."""
        dialect = self.dialect
        missing = {name: sorted(self._plan.missing_texts(name)) for name in names}
        first = missing[names[0]]
        return {
            "sep": dialect.delimiter,
            "header": None,
            "names": list(dialect.names),
            "usecols": list(names),  # also if these are all: so pandas lets a long row pass, which is for us to tell
            "index_col": False,
            "dtype": {name: object for name in names if name in self.text_names}
            or None,  # {} makes a frame column by column
            "na_values": first if all(markers == first for markers in missing.values()) else missing,
            "keep_default_na": False,
            "skip_blank_lines": False,
            "low_memory": False,
            "engine": "c",
            **PRECISION,
        }


@dataclass(frozen=True)
class Block:
    """The text of some rows, of which the first is row `first_row` of the file; for `is_proved` see `RowStream`.

    `format` and `notes` are what is known when the block was read; the notes of earlier blocks are not among them.
    """

    text: bytes
    first_row: int
    n_rows: int
    is_proved: bool
    format: TableFormat
    notes: tuple[str, ...]
