"""Batches of whole rows of a CSV text, proved to have one field per column, and the lines on which rows stand.

pandas fills short rows up in silence, drops blank lines, and lets long rows pass when it reads some of the columns
only; so fields are counted here, on whole batches with NumPy (0.1 s for 100 MB). A batch that is not plainly in order
goes row by row through Python's csv.
"""

import csv
import io
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading import faults
from mlpcli.data.reading.csv import encoding
from mlpcli.data.reading.csv.encoding import NEWLINE, SIGNS_AT_ONCE, TextBlocks, count_sign
from mlpcli.data.reading.csv.rows import LONGEST_ROW, Row, quote_error, read_cells, split_rows
from mlpcli.data.reading.csv.sniff import Dialect
from mlpcli.data.reading.faults import field_count, table_error
from mlpcli.errors import DataError

QUOTE = ord('"')
BATCH_SIZE = 1 << 21

LEADING_ZERO = re.compile(r"[ \t+-]*0[0-9]")


@dataclass(frozen=True)
class TextBatch:
    """The text of some rows, without comment lines; the first is row `first_row` of the file, from 0.

    `first_line` is the line of its first row or of a comment before that, from 1; `comments` has the number of rows
    before each comment line. In a batch that is not proved, rows may have too few and too many fields (`check`).
    """

    text: bytes
    first_row: int
    n_rows: int
    first_line: int
    is_proved: bool = True
    comments: tuple[int, ...] = ()


class RowBatches:
    """The rows of a text in batches of about `size` bytes, every row with one field per column.

    A fault ends them: it is raised after the rows before it. With `is_hasty` a batch without quotes is not proved when
    only its separators are as many as they should be.
    """

    def __init__(self, text: TextBlocks, dialect: Dialect, is_hasty: bool = False, size: int = BATCH_SIZE) -> None:
        self.fault: DataError | None = None
        self.n_rows = 0
        self._text = text
        self._name = text.name
        self._dialect = dialect
        self._is_hasty = is_hasty
        self._size = size
        self._line = dialect.first_line
        self._waiting = dialect.rows
        self._n_waiting = count_sign(dialect.rows, NEWLINE)  # lines
        self._is_incomplete = self._is_last = False
        self._blank_line = 0  # is a fault when a row follows

    def __iter__(self) -> Iterator[TextBatch]:
        while self.fault is None and (self._waiting or not self._is_last):
            batch = self._next()
            if batch.n_rows:
                yield batch
        if self.fault is not None:
            raise self.fault

    def line_of(self, batch: TextBatch, row: int) -> int:
        """The line on which a row of a batch (from 0) begins."""
        line = row
        if b'"' in batch.text:
            line = next(islice(split_rows(batch.text, self._dialect.delimiter), row, None)).line
        return batch.first_line + line + bisect_right(batch.comments, row)

    def check(self, batch: TextBatch) -> None:
        """Raise the fault in a batch that is not proved, if it has one. Any thread may ask."""
        if batch.is_proved or _count_fields(batch.text, self._dialect) is not None:
            return
        for row in split_rows(batch.text, self._dialect.delimiter):
            line = batch.first_line + row.line
            found = _fault_in(self._name, batch.text, row, line, self._dialect)
            if found is not None or not row.cells:
                raise found or table_error(self._name, line, faults.BLANK_LINE)

    def _next(self) -> TextBatch:
        """The rows that are complete in what is read next; none when it ends inside a row."""
        data, read_fault = self._read()
        if self._is_last and read_fault is None and not data.endswith(b"\n"):
            data += b"\n"
            self._n_waiting += 1
        lines = data[: data.rfind(b"\n") + 1]
        batch, end = self._checked(lines)
        self.n_rows += batch.n_rows
        self._waiting = data[end:]
        self._is_incomplete = not end
        if not end and self.fault is None and read_fault is None and (self._is_last or len(data) > LONGEST_ROW << 20):
            row = next(split_rows(data, self._dialect.delimiter))
            if row.problem:
                self.fault = quote_error(self._name, data, row, self._line, self._dialect.delimiter)
            else:
                self.fault = table_error(self._name, self._line, faults.LONG_LINE, n_megabytes=LONGEST_ROW)
        self.fault = self.fault or read_fault
        is_plain = not batch.is_proved  # of whole lines without quotes, each a row
        n_lines = batch.n_rows if is_plain else count_sign(data[:end], NEWLINE)
        self._line += n_lines
        self._n_waiting -= n_lines
        return batch

    def _read(self) -> tuple[bytes, DataError | None]:
        """What waits and what follows it, with the fault that ends it."""
        # A row longer than what was read is looked at again when there is twice as much of it.
        n_wanted = max(self._size - encoding.BLOCK_SIZE // 2, 1, self._is_incomplete * 2 * len(self._waiting))
        parts, n_read = [self._waiting], len(self._waiting)
        while not self._is_last and n_read < n_wanted:
            n_before = self._text.n_lines
            try:
                parts.append(self._text.read())
            except DataError as error:
                self._is_last = True
                return b"".join(parts), error
            self._n_waiting += self._text.n_lines - n_before
            n_read += len(parts[-1])
            self._is_last = not parts[-1]
        return b"".join(parts), None

    def _checked(self, text: bytes) -> tuple[TextBatch, int]:
        """The rows of whole lines, and where they end."""
        mark = (self._dialect.comment or "").encode()
        has_comments = bool(mark) and (text.startswith(mark) or b"\n" + mark in text)
        counted = None if has_comments or self._blank_line else self._counted(text)
        if counted is None:
            return self._checked_by_row(text)
        n_rows, end, is_proved = counted
        return TextBatch(text[:end], self.n_rows, n_rows, self._line, is_proved), end

    def _counted(self, text: bytes) -> tuple[int, int, bool] | None:
        """`_count_fields` of whole lines that wait, or what their separators say where that will do."""
        n_rows, n_delimiters = self._n_waiting, self._n_waiting * (len(self._dialect.names) - 1)
        is_simple = self._is_hasty and n_delimiters > 0 and b'"' not in text
        if is_simple and count_sign(text, ord(self._dialect.delimiter)) == n_delimiters:
            return n_rows, len(text), False
        return _count_fields(text, self._dialect)

    def _checked_by_row(self, text: bytes) -> tuple[TextBatch, int]:
        """The rows before a fault, which is kept, or before an open quote."""
        end, parts, comments = 0, list[bytes](), list[int]()
        for row in split_rows(text, self._dialect.delimiter, self._dialect.comment):
            if row.problem == "open quote":
                break
            line = self._line + row.line
            self.fault = _fault_in(self._name, text, row, line, self._dialect)
            if row.cells and self._blank_line:
                self.fault = table_error(self._name, self._blank_line, faults.BLANK_LINE)
            if self.fault is not None:
                break
            if row.cells:
                parts.append(text[row.start : row.end])
            elif row.cells is None:
                comments.append(len(parts))
            else:
                self._blank_line = self._blank_line or line
            end = row.end
        return TextBatch(b"".join(parts), self.n_rows, len(parts), self._line, True, tuple(comments)), end


def _before_zeros(signs: NDArray[np.uint8], delimiter: int) -> NDArray[np.intp]:
    """Where 0 and another digit follow what may end a field or stand before a number."""
    found = []
    for start in range(0, len(signs), SIGNS_AT_ONCE):
        some = signs[start : start + SIGNS_AT_ONCE + 2]
        # Line ends, quotes, blanks, signs and the comma are below the point and the digits.
        is_found = some[:-2] < ord(".")
        if delimiter >= ord("."):
            is_found |= some[:-2] == delimiter
        is_found &= some[1:-1] == ord("0")
        is_found &= some[2:] >= ord("0")
        if is_found.any():
            found.append(np.flatnonzero(is_found) + start)
    if not found:
        return np.zeros(0, np.intp)
    before: NDArray[np.intp] = np.concatenate(found)
    # Dates have 0 and a digit behind a hyphen, but a digit before that.
    is_date: NDArray[np.bool_] = (signs[before] == ord("-")) & (before > 0) & (signs[before - 1] - ord("0") < 10)
    is_digit: NDArray[np.bool_] = signs[before + 2] - ord("0") < 10  # all other bytes are far above
    return np.compress(is_digit & ~is_date, before)


def leading_zero_columns(text: bytes, delimiter: str, n_fields: int) -> set[int]:
    """The columns in which a cell of whole rows begins with 0 and another digit, behind blanks, a quote or a sign."""
    signs = np.frombuffer(text, np.uint8)
    before = _before_zeros(signs, ord(delimiter))
    if text[:1] == b"0" and text[1:2].isdigit():
        before = np.append(-1, before)
    if not len(before):
        return set()
    signs, before = np.frombuffer(b"\n" + text, np.uint8), before + 1
    is_skipped = np.zeros(256, np.bool_)
    is_skipped[list(b'" \t+-'.replace(delimiter.encode(), b""))] = True
    while (is_behind := is_skipped[signs[before]]).any():
        before -= is_behind
    before = before[(signs[before] == NEWLINE) | (signs[before] == ord(delimiter))]
    if not len(before):
        return set()
    is_separator = _find_separators(b"\n" + text, delimiter)
    if is_separator is None:
        rows = read_cells(io.BytesIO(text), delimiter)
        return {column for cells in rows for column, cell in enumerate(cells) if LEADING_ZERO.match(cell)}
    before = before[is_separator[before]]
    return set(((np.searchsorted(np.flatnonzero(is_separator), before)) % n_fields).tolist())


def _count_fields(text: bytes, dialect: Dialect) -> tuple[int, int, bool] | None:
    """Rows, where they end, and whether they are proved; None when they are not plainly in order."""
    if not text:
        return 0, 0, True
    signs, n_fields = np.frombuffer(text, np.uint8), len(dialect.names)
    is_separator = _find_separators(text, dialect.delimiter)
    if n_fields == 1 and re.search(rb"(?m)^[ \t]*\n", text):
        return None
    if is_separator is None:
        try:
            widths = list(map(len, read_cells(io.BytesIO(text), dialect.delimiter)))
        except csv.Error:
            return None
        return (len(widths), len(text), True) if {*widths} == {n_fields} else None
    separators = np.flatnonzero(is_separator)
    # What follows the last whole row is left out: it belongs to one that is still open.
    is_end = signs[separators] == NEWLINE
    n_whole = len(is_end) - int(np.argmax(is_end[::-1])) if is_end.any() else 0
    if not n_whole:
        return 0, 0, True
    is_row_end = np.zeros(n_fields, np.bool_)
    is_row_end[-1] = True
    if n_whole % n_fields or (is_end[:n_whole].reshape(-1, n_fields) != is_row_end).any():
        return None
    return n_whole // n_fields, int(separators[n_whole - 1]) + 1, True


def _find_separators(text: bytes, delimiter: str) -> NDArray[np.bool_] | None:
    """Which bytes end a field; None where a quote opens not at the beginning of a field, or closes not at its end.

    By induction from the first quote: even ones open, odd ones close, or they stand in pairs. The text begins a row and
    ends a line.
    """
    signs = np.frombuffer(text, np.uint8)
    is_separator: NDArray[np.bool_] = signs == ord(delimiter)
    is_separator |= signs == NEWLINE
    if b'"' in text:
        is_quote = signs == QUOTE
        quotes = np.flatnonzero(is_quote)
        fits = is_separator | is_quote
        openers, closers = quotes[::2], quotes[1::2]
        if not (fits[openers[openers > 0] - 1].all() and fits[closers + 1].all()):
            return None
        # The parity of the quotes so far; a sum of bytes wraps at 256, which keeps it.
        is_separator &= (np.cumsum(is_quote, dtype=np.uint8) & 1) == 0
    return is_separator


def _fault_in(name: str, text: bytes, row: Row, line: int, dialect: Dialect) -> DataError | None:
    """What is wrong with a row on line `line`."""
    expected = len(dialect.names)
    if row.problem:
        return quote_error(name, text, row, line, dialect.delimiter)
    if not row.cells or len(row.cells) == expected:
        return None
    found = field_count(len(row.cells), expected)
    if row.n_lines > 1:
        return table_error(name, line, faults.JOINED_LINES, found=found, first=line, last=line + row.n_lines - 1)
    sentence = faults.LONG_ROW if len(row.cells) > expected else faults.SHORT_ROW
    if text.startswith(b"#", row.start):
        sentence = faults.COMMENT_LINE
    elif len(row.cells) == expected + 1 and not row.cells[-1].strip():
        sentence = faults.TRAILING_DELIMITER
    return table_error(name, line, sentence, found=found)
