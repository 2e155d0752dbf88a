"""The reader of CSV files: pandas' C parser parses batches of complete rows, in any thread."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.reading.csv import records
from mlpcli.data.reading.csv.digits import MAX_DIGITS, parse_digits
from mlpcli.data.reading.csv.encoding import Digest, TextBlocks
from mlpcli.data.reading.csv.frames import parse_frame
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

# pandas with pyarrow infers text columns as Arrow strings, which takes half the time of Python objects.
INFERS_TEXTS = getattr(pd.Series(["text"]).dtype, "storage", "") == "pyarrow"
# Numeric columns with more distinct cells in the sample cannot be labels.
MAX_LABELS = 80
# More than 17 significant digits.
EXCESS_DIGITS = re.compile(r"[+-]?[0.]*[1-9](?:\.?[0-9]){17}")
# From so many columns on, one matrix is faster than one array per column.
MANY_COLUMNS = 32
# pandas has an overhead per column and batch, so tables of 256 columns and more have longer batches.
WIDE_TABLE, MAX_BATCH_FACTOR = 256, 8


class CsvReader:
    """Reader of one CSV file. `configured` are the columns named by the user, which identify a header.

    With `finds_codes`, columns of digits that are identifiers (007) are read as texts; without, as the roles of columns
    are known, as numbers.
    """

    def __init__(
        self,
        source: Source,
        format: TableFormat,
        configured: Collection[str] = (),
        digest: Digest | None = None,
        finds_codes: bool = True,
    ) -> None:
        self._source, self._requested, self._configured, self._finds_codes = source, format, configured, finds_codes
        stream = open_source(source)
        try:
            self._text = TextBlocks(stream, format.encoding, digest)
            self._dialect = find_dialect(self._text, format, configured)
        except BaseException:
            stream.close()
            raise
        self.name, self.names = source.name, self._dialect.names
        self.begins_with_names = self._dialect.begins_with_names
        self._number_format = NumberFormat(decimal=format.decimal)
        self._missing_markers = sorted(
            {marker for marker in format.missing if not _is_number(marker, self._number_format)} | {""}
        )
        # Files from locales with a decimal comma are delimited by semicolons or tabs.
        has_locale_delimiter = self._dialect.delimiter in ";\t"
        self._thousands = (
            PointThousands(self._dialect.sample, format.missing, has_locale_delimiter)
            if format.decimal == "." and format.thousands is None
            else None
        )
        # Columns to be parsed as texts; extended by batches with texts in further columns.
        self._text_columns = {
            index for index, cells in enumerate(zip(*self._dialect.sample, strict=False)) if self._has_texts(cells)
        }
        # Whether all cells may be integers, until a batch has others.
        cells = {cell for row in self._dialect.sample for cell in row if cell}
        self._are_digits = all(len(cell) <= MAX_DIGITS and cell.isdecimal() for cell in cells)
        # Text columns that need an explicit object dtype, as pandas inferred another type in a batch.
        self._object_columns: frozenset[int] = frozenset()
        # Columns with too many distinct numbers for labels; their original texts are not read, to save time, unless
        # they have more digits than a float, so that different keys may be one number.
        self._high_cardinality = {
            index
            for index, cells in enumerate(zip(*self._dialect.sample, strict=False))
            if len({*cells}) > MAX_LABELS and not any(map(EXCESS_DIGITS.match, cells))
        }

    @property
    def format(self) -> TableFormat:
        """The detected format of the file, with the requested options."""
        dialect, requested = self._dialect, self._requested
        return TableFormat(
            dialect.delimiter, self._text.encoding, dialect.has_header, requested.missing, dialect.comment,
            dialect.skip_rows, requested.decimal, requested.thousands,
        )  # fmt: skip

    @property
    def notes(self) -> list[str]:
        """Notes on everything guessed so far. Batches of a reader with `finds_codes` have no notes of their own."""
        return [*self._dialect.notes, *self._text.notes, *self._thousands_notes()]

    def batches(self, request: Request) -> Iterator[Batch]:
        """The rows in batches of about two megabytes of text."""
        # Short rows lack the last cell. If the last column is parsed, missing cells in it reveal them.
        defers_check = request.wants(self.names[-1])
        size = records.BATCH_SIZE * min(max(len(self.names) // WIDE_TABLE, 1), MAX_BATCH_FACTOR)
        rows = RowBatches(self._text, self._dialect, defers_check, size)
        for batch in rows:
            yield partial(self._table, rows, batch, request=request)

    def locate(self, row: int) -> str:
        """The location of a row as "file.csv:17"; reads the file again."""
        reader = CsvReader(self._source, self._requested, self._configured)
        try:
            rows = RowBatches(reader._text, reader._dialect)
            for batch in rows:
                if row < batch.first_row + batch.n_rows:
                    return self._location(rows, batch, row - batch.first_row)
        finally:
            reader.close()
        return f"{self.name}: row {row + 1}"

    def close(self) -> None:
        """Close the file."""
        self._text.close()

    def _location(self, rows: RowBatches, batch: TextBatch, row: int) -> str:
        return f"{self.name}:{rows.line_number(batch, row)}"

    def _thousands_notes(self) -> list[str]:
        return [
            f"{self.name}: column {self.names[index]}: three digits follow every point ({example}): read as decimals. "
            'If they are thousands: data.thousands: "." and data.decimal: ","'
            for index, example in (self._thousands.ambiguous_columns() if self._thousands else ())
        ]

    def _has_texts(self, cells: Sequence[str]) -> bool:
        cells_present = list({*cells}.difference(self._requested.missing))
        if (joined := "".join(cells_present)).isdecimal() and joined.isascii():  # numbers
            return any(is_code(cell) for cell in cells_present if len(cell) > LONGEST_NUMBER or cell[:1] == "0" != cell)
        return bool(parse_numbers(cells_present, self._number_format)[1].any()) or any(map(is_code, cells_present))

    def _table(self, rows: RowBatches, batch: TextBatch, request: Request) -> Table:
        wanted = [index for index, name in enumerate(self.names) if request.wants(name)]
        texts = {
            index for index in wanted if index in self._text_columns or request.wants_as_written(self.names[index])
        }
        # If no column is wanted, one is read nevertheless, as `_read_frame` checks the number of rows.
        integers = None if texts else self._parse_integers(batch, wanted)
        parsed = self._parse(batch, wanted or [0], texts) if integers is None else integers
        last_column = parsed.get(len(self.names) - 1)
        if not batch.is_verified and last_column is not None and _has_missing(last_column):
            rows.check(batch)
        numbers = {index: column.values for index, column in parsed.items() if isinstance(column, NumericColumn)}
        text_columns = {index for index, values in numbers.items() if values.dtype.kind not in "iuf"}
        if integers is None:
            text_columns |= self._code_columns(
                batch, {index: values for index, values in numbers.items() if index not in text_columns}
            )
        if text_columns:
            parsed |= self._parse(batch, sorted(text_columns), text_columns)
            self._text_columns |= text_columns
        columns = {self.names[index]: parsed[index] for index in wanted}
        spelled = {
            index: column
            for index in wanted
            if self.names[index] in request.spelled and index not in self._high_cardinality
            if isinstance(column := parsed[index], NumericColumn)
        }
        if self._thousands is not None:
            self._look_for_thousands(batch, parsed)
        return Table(
            columns, batch.n_rows, self.name, self.names, self.format, partial(self._location, rows, batch),
            notes=() if self._finds_codes else tuple(self.notes), first_row=batch.first_row,
            spellings=self._spellings(batch, spelled),
        )  # fmt: skip

    def _look_for_thousands(self, batch: TextBatch, columns: dict[int, Column]) -> None:
        assert self._thousands is not None
        may_be_decimal = any(byte in batch.text for byte in (b".", b"e", b"E"))
        ambiguous = [
            index for index, column in columns.items() if self._thousands.needs_texts(index, column, may_be_decimal)
        ]
        texts = self._parse(batch, ambiguous, ambiguous) if ambiguous else {}
        for index, column in (columns | texts).items():
            self._thousands.add_texts(index, column, batch.first_row)

    def _spellings(self, batch: TextBatch, columns: dict[int, NumericColumn]) -> dict[str, tuple[str, ...]]:
        """The original texts of numeric columns. Integers without plus signs have one text each, their digits."""
        integers = (
            {}
            if b"+" in batch.text
            else {index: column for index, column in columns.items() if column.values.dtype.kind in "iu"}
        )
        spellings = {
            self.names[index]: tuple(map(str, pd.unique(column.values).tolist())) for index, column in integers.items()
        }
        others = sorted(columns.keys() - integers.keys())
        for index, column in (self._parse(batch, others, others) if others else {}).items():
            assert isinstance(column, CategoricalColumn)
            is_missing = missing_mask(column.levels, frozenset(self._missing_markers)).tolist()
            levels = zip(column.levels, is_missing, strict=True)
            spellings[self.names[index]] = tuple(text for text, missing in levels if not missing)
        return spellings

    def _code_columns(self, batch: TextBatch, numbers: dict[int, NDArray[Any]]) -> set[int]:
        """Indices of numeric columns with identifiers (digits with leading zeros, or at least FIRST_CODE) or infinity.

        Without `finds_codes` only of those with an infinite value, whose error shows the text of the cell.
        """
        if not self._finds_codes:
            return {index for index, values in numbers.items() if values.dtype.kind == "f" and np.isinf(values).any()}
        code_columns = leading_zero_columns(batch.text, self._dialect.delimiter, len(self.names)) & numbers.keys()
        for index, values in numbers.items():
            if values.dtype.itemsize < 8:
                continue
            is_small = not len(values) or (values.max() < FIRST_CODE and values.min() > -FIRST_CODE)
            if not is_small and (np.abs(values.astype(np.float64)) >= FIRST_CODE).any():  # values may hold NaN
                code_columns.add(index)
        return code_columns

    def _parse_integers(self, batch: TextBatch, indices: list[int]) -> dict[int, Column] | None:
        """Parse columns of a table whose cells are integers, most of them small; None if it has other cells."""
        integers = parse_digits(batch.text, batch.n_rows, len(self.names)) if self._are_digits else None
        self._are_digits = integers is not None
        return None if integers is None else dict(zip(indices, integers.columns(indices), strict=True))

    def _parse(self, batch: TextBatch, indices: Sequence[int], texts: Collection[int]) -> dict[int, Column]:
        """Parse columns, those in `texts` as texts. Values of the others are not numeric if a cell is not."""
        objects = self._object_columns.intersection(texts) if INFERS_TEXTS else frozenset(texts)
        frame = self._read_frame(batch, indices, texts, objects)
        matrix = frame.to_numpy() if not texts and len(indices) > MANY_COLUMNS else None
        if matrix is not None and matrix.dtype.kind in "if":
            return dict(zip(indices, map(NumericColumn, downcast_rows(matrix.T)), strict=True))
        columns: dict[int, Column] = {}
        for index, (_, series) in zip(indices, frame.items(), strict=True):
            if index not in texts:
                columns[index] = NumericColumn(downcast_integers(series.to_numpy()))
            elif index in objects or isinstance(series.dtype, pd.StringDtype):
                columns[index] = _categorical(series)
        # Text columns in which all cells of this batch look like numbers or booleans.
        if converted := [index for index in indices if index not in columns]:
            self._object_columns |= {*converted}
            columns |= self._parse(batch, converted, converted)
        return columns

    def _read_frame(
        self, batch: TextBatch, indices: Sequence[int], texts: Collection[int], objects: Collection[int]
    ) -> pd.DataFrame:
        markers: Any = {index: [""] if index in texts else self._missing_markers for index in indices}
        missing = markers if texts else self._missing_markers
        try:
            frame = parse_frame(
                batch.text, self._dialect.delimiter, len(self.names), self._number_format, indices, objects, missing
            )
        except pd.errors.ParserError as error:
            raise DataError(f"{self.name}: cannot be read ({error}).") from error
        if len(frame) != batch.n_rows:
            raise DataError(f"{self.name}: {batch.n_rows} rows, of which only {len(frame)} can be read.")
        return frame


def _categorical(cells: "pd.Series[Any]") -> CategoricalColumn:
    """Convert texts (n_rows,), NaN if missing, to a column with stripped NFC levels."""
    codes, uniques = pd.factorize(cells if isinstance(cells.dtype, pd.StringDtype) else cells.to_numpy())
    levels = list(map(str.strip, uniques.tolist()))
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
