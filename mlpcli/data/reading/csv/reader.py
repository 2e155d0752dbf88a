"""CSV: the text parsed by pandas' C parser, a batch of whole rows at a time, in whatever thread asks for it."""

import io
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.reading.csv import records
from mlpcli.data.reading.csv.encoding import Digest, TextBlocks
from mlpcli.data.reading.csv.records import RowBatches, TextBatch, leading_zero_columns
from mlpcli.data.reading.csv.sniff import find_dialect
from mlpcli.data.reading.csv.thousands import PointThousands
from mlpcli.data.reading.reader import Batch, Request
from mlpcli.data.reading.sources import Source, open_source
from mlpcli.data.schema.cells import missing_mask, parse_numbers
from mlpcli.data.schema.spelling import FIRST_CODE, LONGEST_NUMBER, NumberFormat, is_code
from mlpcli.data.table import (
    CategoricalColumn,
    Column,
    NumericColumn,
    Table,
    TableFormat,
    code_dtype,
    downcast_integers,
    downcast_rows,
)
from mlpcli.errors import DataError

# Before 3.1 pandas' default converter is off by a last digit now and then.
IS_EXACT = tuple(int(part) for part in pd.__version__.split(".")[:2]) >= (3, 1)
PRECISION = {} if IS_EXACT else {"float_precision": "round_trip"}
# Texts that pandas finds by itself are Arrow's where it has that: of half of the time of objects.
INFERS_TEXTS = getattr(pd.Series(["text"]).dtype, "storage", "") == "pyarrow"
# Distinct cells of the first hundred rows of a column of labels, at most.
MOST_LABELS = 80
# Of so many columns pandas hands out one by one slower than all together.
MANY_COLUMNS = 32
# pandas prepares each column anew for every batch: of a table with 256 columns and more, batches are longer.
WIDE, MOST_TIMES = 256, 8


class CsvReader:
    """One CSV file; see `Reader`. `named` are columns that somebody gave names to, which tells a header.

    With `finds_codes` a column of digits that are names comes as texts; not where roles are known, and 007 is 7.
    """

    def __init__(
        self,
        source: Source,
        format: TableFormat,
        named: Collection[str] = (),
        digest: Digest | None = None,
        finds_codes: bool = True,
    ) -> None:
        self._source, self._asked, self._named, self._finds_codes = source, format, named, finds_codes
        stream = open_source(source)
        try:
            self._text = TextBlocks(stream, format.encoding, digest)
            self._dialect = find_dialect(self._text, format, named)
        except BaseException:
            stream.close()
            raise
        self.name, self.names = source.name, self._dialect.names
        self.begins_with_words = self._dialect.begins_with_words
        self._number = NumberFormat(decimal=format.decimal)
        self._markers = sorted({marker for marker in format.missing if not _is_number(marker, self._number)} | {""})
        # Points may stand between thousands in files of those who write decimals with a comma.
        may_have_groups = self._dialect.delimiter in ";\t" and format.decimal == "." and format.thousands is None
        self._thousands = PointThousands(self._dialect.sample, format.missing) if may_have_groups else None
        # Columns known to hold texts: a batch that finds another one adds it.
        self._texts = {
            place for place, cells in enumerate(zip(*self._dialect.sample, strict=False)) if self._are_texts(cells)
        }

        # Those of which pandas makes something else in a batch, unless it is told not to.
        self._objects: frozenset[int] = frozenset()
        # Of so many distinct numbers none are labels, and texts take longer to read.
        self._amounts = {
            place for place, cells in enumerate(zip(*self._dialect.sample, strict=False)) if len({*cells}) > MOST_LABELS
        }

    @property
    def format(self) -> TableFormat:
        """How the file is written, as found."""
        found, asked = self._dialect, self._asked
        return TableFormat(
            found.delimiter, self._text.encoding, found.has_header, asked.missing, found.comment, found.skip_rows,
            asked.decimal, asked.thousands,
        )  # fmt: skip

    @property
    def notes(self) -> list[str]:
        """What was guessed so far; a batch of a reader that finds roles has none of its own."""
        return [*self._dialect.notes, *self._text.notes, *self._notes_on_thousands()]

    def batches(self, request: Request) -> Iterator[Batch]:
        """The rows, about a megabyte of text at a time."""
        # A row too short has no last cell; where that column is parsed, missing cells in it call for a closer look.
        is_hasty = request.wants(self.names[-1])
        size = records.BATCH_SIZE * min(max(len(self.names) // WIDE, 1), MOST_TIMES)
        rows = RowBatches(self._text, self._dialect, is_hasty, size)
        for batch in rows:
            yield partial(self._table, rows, batch, request=request)

    def locate(self, row: int) -> str:
        """The place of a row of the file, found by going through its text again."""
        other = CsvReader(self._source, self._asked, self._named)
        try:
            rows = RowBatches(other._text, other._dialect)
            for batch in rows:
                if row < batch.first_row + batch.n_rows:
                    return self._place(rows, batch, row - batch.first_row)
        finally:
            other.close()
        return f"{self.name}: row {row + 1}"

    def close(self) -> None:
        """Let go of the file."""
        self._text.close()

    def _place(self, rows: RowBatches, batch: TextBatch, row: int) -> str:
        return f"{self.name}:{rows.line_of(batch, row)}"

    def _notes_on_thousands(self) -> list[str]:
        return [
            f"{self.name}: column {self.names[place]}: three digits follow every point ({example}): read as decimals. "
            'If they are thousands: data.thousands: "." and data.decimal: ","'
            for place, example in (self._thousands.found() if self._thousands else ())
        ]

    def _are_texts(self, cells: Sequence[str]) -> bool:
        filled = list({*cells}.difference(self._asked.missing))
        if (joined := "".join(filled)).isdecimal() and joined.isascii():  # numbers
            return any(is_code(cell) for cell in filled if len(cell) > LONGEST_NUMBER or cell[:1] == "0" != cell)
        return bool(parse_numbers(filled, self._number)[1].any()) or any(map(is_code, filled))

    def _table(self, rows: RowBatches, batch: TextBatch, request: Request) -> Table:
        wanted = [place for place, name in enumerate(self.names) if request.wants(name)]
        texts = {place for place in wanted if place in self._texts or request.wants_as_written(self.names[place])}
        # Without any wanted column one is read all the same: rows are counted by it.
        found = self._parsed(batch, wanted or [0], texts)
        last = found.get(len(self.names) - 1)
        if not batch.is_proved and last is not None and _has_missing(last):
            rows.check(batch)
        numbers = {place: one.values for place, one in found.items() if isinstance(one, NumericColumn)}
        new = {place for place, values in numbers.items() if values.dtype.kind not in "iuf"}
        new |= self._codes(batch, {place: values for place, values in numbers.items() if place not in new})
        if new:
            found |= self._parsed(batch, sorted(new), new)
            self._texts |= new
        columns = {self.names[place]: found[place] for place in wanted}
        spelled = {
            place: column
            for place in wanted
            if self.names[place] in request.spelled and place not in self._amounts
            if isinstance(column := found[place], NumericColumn)
        }
        if self._thousands is not None:
            self._look_for_thousands(batch, found)
        return Table(
            columns, batch.n_rows, self.name, self.names, self.format, partial(self._place, rows, batch),
            notes=() if self._finds_codes else tuple(self.notes), first_row=batch.first_row,
            spellings=self._spellings(batch, spelled),
        )  # fmt: skip

    def _look_for_thousands(self, batch: TextBatch, columns: dict[int, Column]) -> None:
        assert self._thousands is not None
        doubtful = [place for place, column in columns.items() if self._thousands.needs_texts(place, column)]
        texts = self._parsed(batch, doubtful, doubtful) if doubtful else {}
        for place, column in (columns | texts).items():
            self._thousands.take_in(place, column, batch.first_row)

    def _spellings(self, batch: TextBatch, columns: dict[int, NumericColumn]) -> dict[str, tuple[str, ...]]:
        """The texts of numbers; whole ones without zeros before them and plus signs have one."""
        whole = {} if b"+" in batch.text else {p: one for p, one in columns.items() if one.values.dtype.kind in "iu"}
        found = {self.names[place]: tuple(map(str, pd.unique(one.values).tolist())) for place, one in whole.items()}
        others = sorted(columns.keys() - whole.keys())
        for place, column in (self._parsed(batch, others, others) if others else {}).items():
            assert isinstance(column, CategoricalColumn)
            is_missing = missing_mask(column.levels, frozenset(self._markers)).tolist()
            levels = zip(column.levels, is_missing, strict=True)
            found[self.names[place]] = tuple(text for text, gone in levels if not gone)
        return found

    def _codes(self, batch: TextBatch, numbers: dict[int, NDArray[Any]]) -> set[int]:
        """Which columns of numbers hold digits that are names: leading zeros, or too many to count with."""
        if not self._finds_codes:
            return set()
        found = leading_zero_columns(batch.text, self._dialect.delimiter, len(self.names)) & numbers.keys()
        for place, values in numbers.items():
            if values.dtype.itemsize < 8:
                continue
            is_small = not len(values) or (values.max() < FIRST_CODE and values.min() > -FIRST_CODE)
            if not is_small and (np.abs(values.astype(np.float64)) >= FIRST_CODE).any():  # NaN is not small either
                found.add(place)
        return found

    def _parsed(self, batch: TextBatch, places: Sequence[int], texts: Collection[int]) -> dict[int, Column]:
        """Some columns; those not of `texts` have values of another kind than numbers where they are texts as well."""
        objects = self._objects.intersection(texts) if INFERS_TEXTS else frozenset(texts)
        frame = self._frame(batch, places, texts, objects)
        matrix = frame.to_numpy() if not texts and len(places) > MANY_COLUMNS else None
        if matrix is not None and matrix.dtype.kind in "if":
            return dict(zip(places, map(NumericColumn, downcast_rows(matrix.T)), strict=True))
        columns: dict[int, Column] = {}
        for place, (_, series) in zip(places, frame.items(), strict=True):
            if place not in texts:
                columns[place] = NumericColumn(downcast_integers(series.to_numpy()))
            elif place in objects or isinstance(series.dtype, pd.StringDtype):
                columns[place] = _categorical(series)
        # Texts that all look like numbers or truth values in this batch.
        if others := [place for place in places if place not in columns]:
            self._objects |= {*others}
            columns |= self._parsed(batch, others, others)
        return columns

    def _frame(
        self, batch: TextBatch, places: Sequence[int], texts: Collection[int], objects: Collection[int]
    ) -> pd.DataFrame:
        """The cells of some columns, those of `objects` that are texts as they are written, whatever they look like.

        pandas drops no line and knows no marker but ours. It looks columns up quicker by place than by name.
        """
        markers: Any = {place: [""] if place in texts else self._markers for place in places}
        try:
            frame: pd.DataFrame = pd.read_csv(  # type: ignore[call-overload]  # of options that are not literals
                io.BytesIO(batch.text),
                sep=self._dialect.delimiter,
                header=None,
                names=range(len(self.names)),
                usecols=list(places),  # also if these are all: so pandas lets a long row pass, which is for us to tell
                index_col=False,
                dtype={place: object for place in places if place in objects}
                or None,  # {} makes a frame column by column
                na_values=markers if texts else self._markers,
                keep_default_na=False,
                skip_blank_lines=False,
                skipinitialspace=self._dialect.delimiter != " " and b" " in batch.text,
                low_memory=False,
                engine="c",
                decimal=self._number.decimal,
                **PRECISION,
            )
        except pd.errors.ParserError as error:
            raise DataError(f"{self.name}: cannot be read ({error}).") from error
        if len(frame) != batch.n_rows:
            raise DataError(f"{self.name}: {batch.n_rows} rows, of which only {len(frame)} can be read.")
        return frame


def _categorical(cells: "pd.Series[Any]") -> CategoricalColumn:
    """A column of texts (n_rows,), NaN where missing: without surrounding blanks, NFC."""
    codes, distinct = pd.factorize(cells if isinstance(cells.dtype, pd.StringDtype) else cells.to_numpy())
    levels = [str(level).strip() for level in distinct.tolist()]
    if not "".join(levels).isascii():
        levels = [unicodedata.normalize("NFC", level) for level in levels]
    column = CategoricalColumn(tuple(levels), codes.astype(code_dtype(len(levels))))
    return column if "" not in levels and len(set(levels)) == len(levels) else column.relabel(levels)


def _has_missing(column: Column) -> bool:
    if isinstance(column, CategoricalColumn):
        return bool((column.codes < 0).any())
    return column.values.dtype.kind not in "iu" and bool(pd.isna(column.values).any())


def _is_number(text: str, format: NumberFormat) -> bool:
    numbers, is_unknown = parse_numbers([text], format)
    return not is_unknown[0] and not np.isnan(numbers[0])
