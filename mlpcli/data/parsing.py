"""One file, from its text to frames: pandas parses the cells of the rows that `records` has proved complete."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.cells import NUMBER_BLANKS, Series, has_infinite, is_code, parse_numbers, text_cells
from mlpcli.data.dialect import Dialect, TableFormat, find_dialect, is_figure
from mlpcli.data.encoding import Digest, TextBlocks
from mlpcli.data.faults import infinite, not_a_number
from mlpcli.data.lookahead import mapped_ahead
from mlpcli.data.parsers import Parsers
from mlpcli.data.records import LineMap, RowStream
from mlpcli.data.sources import Source, open_source
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
    """A file that is being read; `notes` and `format` are final when all of it is."""

    def __init__(self, source: Source, plan: Plan, digest: Digest | None = None) -> None:
        self._plan = plan
        stream = open_source(source)
        try:
            self._text = TextBlocks(stream, plan.format.encoding, digest)
            self.dialect = find_dialect(self._text, plan.format, plan.text_columns)
            self.lines = LineMap(self._text.name, self.dialect.first_line)
            start, n_fields = self.dialect.rows, len(self.dialect.names)
            # A row too short has no last cell; where that column is parsed, missing cells in it call for a closer look.
            is_hasty = not plan.guesses and (plan.wanted is None or self.dialect.names[-1] in plan.wanted)
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

    def map_frames(self, work: "Callable[[pd.DataFrame, Block], Result]") -> Iterator[Result]:
        """Give `work` of the rows with the wanted columns, block by block, in order; of one block if there are none.

        A block is parsed and worked on in one thread, where its numbers are still in the cache, while others are.
        """
        if self.is_empty:
            yield work(self.whole(), Block(b"", 0, 0, True, self.format, self.notes))
            return
        # Without any wanted column one is read all the same: rows are counted by it.
        parsers = Parsers(self._options(self._names or [self.dialect.names[0]]))

        def parsed_and_worked_on(block: Block) -> Result:
            frame = self._parsed(parsers, block)
            return work(frame if self._names else frame[[]], block)

        yield from mapped_ahead(parsed_and_worked_on, self._blocks())

    @property
    def _names(self) -> list[str]:
        wanted = self._plan.wanted
        return [name for name in self.dialect.names if wanted is None or name in wanted]

    def _blocks(self) -> "Iterator[Block]":
        """The text in blocks of whole rows."""
        n_joined = JOINED_BLOCKS if len(self.dialect.names) >= MANY_COLUMNS else 1
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

    def _options(self, names: Sequence[str]) -> dict[str, Any]:
        """How pandas reads these columns. It drops no line and knows no marker but ours."""
        dialect = self.dialect
        texts = self._plan.text_names(dialect)
        missing = {name: sorted(self._plan.missing_texts(name)) for name in names}
        first = missing[names[0]]
        return {
            "sep": dialect.delimiter,
            "header": None,
            "names": list(dialect.names),
            "usecols": list(names),  # also if these are all: so pandas lets a long row pass, which is for us to tell
            "index_col": False,
            "dtype": {name: object for name in names if name in texts} or None,  # {} makes a frame column by column
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


def has_lost_text(column: Series) -> bool:
    """Whether pandas saw truth values, or numbers in one place and words in another: how they were spelt is lost."""
    if column.dtype == np.bool_:
        return True
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) not in ("string", "empty")


def tidied(frame: pd.DataFrame, plan: Plan, where: Callable[[int], str]) -> pd.DataFrame:
    """Bring each column to float64, int64 or text (object: str and NaN, without surrounding blanks).

    `where` tells the place of a row. Raises DataError for a text in a column of numbers, and for an infinite number.
    """
    if len(frame.columns) and set(frame.dtypes) == {np.dtype(np.float64)} and not has_infinite(frame.to_numpy()):
        return frame
    columns = {str(name): _tidied_column(str(name), frame[name], plan, where) for name in frame.columns}
    changed = {name: column for name, column in columns.items() if column is not None}
    if not changed:
        return frame
    if 2 * len(changed) > len(columns):
        kept = {name: frame[name] for name in columns if name not in changed}
        return pd.DataFrame({n: changed.get(n, kept.get(n)) for n in columns}, index=frame.index, copy=False)
    # The others stay together in one array, which is quick to take rows from.
    tidy = frame.copy(deep=False)
    for name, column in changed.items():
        tidy[name] = column
    return tidy


def _tidied_column(name: str, column: Series, plan: Plan, where: Callable[[int], str]) -> "Series | None":
    """One column brought in order; None when it is."""
    is_number = name in plan.number_columns
    if column.dtype.kind in "iuf":
        if column.dtype.kind == "f":
            _check_finite(name, column.to_numpy(), where)
        needs_float = column.dtype != np.float64 and (is_number or column.dtype != np.int64)
        return column.astype(np.float64) if needs_float else None
    if has_lost_text(column):
        column = column.map(str, na_action="ignore")
    cells = text_cells(column)
    missing = plan.missing_texts(name)
    is_missing = np.asarray([text in missing for text in cells.texts], np.bool_)
    may_be_number = plan.guesses and name not in plan.text_columns
    # Most columns of words are known by their first texts, without trying to read thousands as numbers.
    known = missing | NUMBER_BLANKS
    is_wordy = any(not is_figure(text) and not known & {text, text.lower()} for text in cells.texts[:20])
    if is_number or (may_be_number and not is_wordy):
        numbers, is_unknown = parse_numbers(cells.texts)
        is_unknown &= ~is_missing
        if is_unknown.any() and all(_is_too_large(cells.texts[position]) for position in np.flatnonzero(is_unknown)):
            numbers, is_unknown = np.where(is_unknown, np.inf, numbers), np.zeros_like(is_unknown)
        if is_number and is_unknown.any():
            row = int(np.argmax(cells.translated(is_unknown, False)))
            raise not_a_number(where(row), name, cells.texts[cells.codes[row]])
        is_amount = not (is_unknown.any() or np.isnan(numbers[~is_missing]).all() or any(map(is_code, cells.texts)))
        if is_number or is_amount:
            values = cells.translated(np.where(is_missing, np.nan, numbers), np.nan).astype(np.float64)
            _check_finite(name, values, where)
            return pd.Series(values, index=column.index)
    texts = np.asarray(cells.texts, dtype=object)
    texts[is_missing] = np.nan
    return pd.Series(cells.translated(texts, np.nan), index=column.index, dtype=object)


def _is_too_large(text: str) -> bool:
    """Whether a text is a number beyond float64; before 3.1 pandas gives such as texts, later as infinity."""
    try:
        return math.isinf(float(text))
    except ValueError:
        return False


def _check_finite(name: str, values: NDArray[np.float64], where: Callable[[int], str]) -> None:
    is_infinite = np.isinf(values)
    if is_infinite.any():
        raise infinite(where(int(np.argmax(is_infinite))), name)
