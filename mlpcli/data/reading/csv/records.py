"""Batches of complete rows of a CSV text, verified to have one field per column, and the line numbers of rows.

pandas silently pads short rows, drops blank lines, and ignores extra fields if it reads a subset of the columns.
Therefore NumPy counts the fields of each batch here (0.1 s for 100 MB). If the count does not verify a batch, its rows
are parsed one by one by Python's csv.
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
from mlpcli.data.reading.csv.encoding import BYTES_PER_CHUNK, NEWLINE, TextBlocks, count_byte
from mlpcli.data.reading.csv.row_errors import row_error
from mlpcli.data.reading.csv.rows import MAX_ROW_SIZE, parse_rows, quote_error, split_rows
from mlpcli.data.reading.csv.sniff import Dialect
from mlpcli.data.reading.faults import table_error
from mlpcli.errors import DataError

QUOTE = ord('"')
BATCH_SIZE = 1 << 21
LEADING_ZERO = re.compile(r"[ \t+-]*0[0-9](?![:/-])")


@dataclass(frozen=True)
class TextBatch:
    """The text of consecutive rows, without comment lines; `first_row` is the index of the first one in its file.

    `first_line` is the line number (from 1) of the first row, or of a comment before it; `comments` has the number of
    rows before each comment line. Rows of an unverified batch may have too few or too many fields (`check`).
    """

    text: bytes
    first_row: int
    n_rows: int
    first_line: int
    is_verified: bool = True
    comments: tuple[int, ...] = ()


class RowBatches:
    """Iterates over the rows of a text in batches of about `size` bytes; every row has one field per column.

    An error is raised after the rows before it have been returned. With `defers_check`, a batch without quotes whose
    total number of delimiters is right is returned unverified.
    """

    def __init__(self, text: TextBlocks, dialect: Dialect, defers_check: bool = False, size: int = BATCH_SIZE) -> None:
        self.error: DataError | None = None
        self.n_rows = 0
        self._text = text
        self._name = text.name
        self._dialect = dialect
        self._defers_check = defers_check
        self._size = size
        self._line = dialect.first_line
        self._pending = dialect.rows
        self._n_pending = count_byte(dialect.rows, NEWLINE)  # lines
        self._ends_in_row = self._is_last = False
        self._blank_line = 0  # is an error if a row follows

    def __iter__(self) -> Iterator[TextBatch]:
        while self.error is None and (self._pending or not self._is_last):
            batch = self._next_batch()
            if batch.n_rows:
                yield batch
        if self.error is not None:
            raise self.error

    def line_number(self, batch: TextBatch, row: int) -> int:
        """Line number (from 1) at which a row of a batch (from 0) begins."""
        line = row
        if b'"' in batch.text:
            line = next(islice(split_rows(batch.text, self._dialect.delimiter), row, None)).line
        return batch.first_line + line + bisect_right(batch.comments, row)

    def check(self, batch: TextBatch) -> None:
        """Verify an unverified batch; raises DataError for its first invalid row. Thread-safe."""
        if batch.is_verified or _count_fields(batch.text, self._dialect) is not None:
            return
        for row in split_rows(batch.text, self._dialect.delimiter):
            line = batch.first_line + row.line
            error = row_error(self._name, batch.text, row, line, self._dialect)
            if error is not None or not row.cells:
                raise error or table_error(self._name, line, faults.BLANK_LINE)

    def _next_batch(self) -> TextBatch:
        """Read the next batch of complete rows; empty if the text read so far ends within its first row."""
        text, read_error = self._read()
        if self._is_last and read_error is None and not text.endswith(b"\n"):
            text += b"\n"
            self._n_pending += 1
        lines = text[: text.rfind(b"\n") + 1]
        batch, end = self._complete_rows(lines)
        self.n_rows += batch.n_rows
        self._pending = text[end:]
        self._ends_in_row = not end
        if not end and self.error is None and read_error is None and (self._is_last or len(text) > MAX_ROW_SIZE << 20):
            row = next(split_rows(text, self._dialect.delimiter))
            if row.problem:
                self.error = quote_error(self._name, text, row, self._line, self._dialect.delimiter)
            else:
                self.error = table_error(self._name, self._line, faults.LONG_LINE, n_megabytes=MAX_ROW_SIZE)
        self.error = self.error or read_error
        has_unquoted_lines = not batch.is_verified  # without quotes each line is a row
        n_lines = batch.n_rows if has_unquoted_lines else count_byte(text[:end], NEWLINE)
        self._line += n_lines
        self._n_pending -= n_lines
        return batch

    def _read(self) -> tuple[bytes, DataError | None]:
        """Read on after the pending text; returns both, and the error that ended the reading."""
        # An incomplete row is parsed again only once the text has doubled, so that long rows take linear time.
        n_bytes = max(self._size - encoding.BLOCK_SIZE // 2, 1, self._ends_in_row * 2 * len(self._pending))
        blocks, n_read = [self._pending], len(self._pending)
        while not self._is_last and n_read < n_bytes:
            n_lines = self._text.n_lines
            try:
                blocks.append(self._text.read())
            except DataError as error:
                self._is_last = True
                return b"".join(blocks), error
            self._n_pending += self._text.n_lines - n_lines
            n_read += len(blocks[-1])
            self._is_last = not blocks[-1]
        return b"".join(blocks), None

    def _complete_rows(self, text: bytes) -> tuple[TextBatch, int]:
        """The complete rows in a text of complete lines, and the offset of their end."""
        comment_mark = (self._dialect.comment or "").encode()
        has_comments = bool(comment_mark) and (text.startswith(comment_mark) or b"\n" + comment_mark in text)
        counts = None if has_comments or self._blank_line else self._count_rows(text)
        if counts is None:
            return self._split_batch(text)
        n_rows, end, is_verified = counts
        return TextBatch(text[:end], self.n_rows, n_rows, self._line, is_verified), end

    def _count_rows(self, text: bytes) -> tuple[int, int, bool] | None:
        """`_count_fields` of all pending lines; if the check is deferred, only their delimiters are counted."""
        n_rows, n_delimiters = self._n_pending, self._n_pending * (len(self._dialect.names) - 1)
        is_simple = self._defers_check and n_delimiters > 0 and b'"' not in text
        if is_simple and count_byte(text, ord(self._dialect.delimiter)) == n_delimiters:
            return n_rows, len(text), False
        return _count_fields(text, self._dialect)

    def _split_batch(self, text: bytes) -> tuple[TextBatch, int]:
        """Parse row by row up to an error, which is stored, or up to an open quote."""
        end, rows, comments = 0, list[bytes](), list[int]()
        for row in split_rows(text, self._dialect.delimiter, self._dialect.comment):
            # The message on a short row depends on whether it is the last one of the file.
            is_undecided = (
                not self._is_last and row.cells is not None and len(row.cells) == 1 < len(self._dialect.names)
            )
            if row.problem == "open quote" or (is_undecided and not text[row.end :].strip()):
                break
            line = self._line + row.line
            self.error = row_error(self._name, text, row, line, self._dialect, self._is_last)
            if row.cells and self._blank_line:
                self.error = table_error(self._name, self._blank_line, faults.BLANK_LINE)
            if self.error is not None:
                break
            if row.cells:
                rows.append(text[row.start : row.end])
            elif row.cells is None:
                comments.append(len(rows))
            else:
                self._blank_line = self._blank_line or line
            end = row.end
        return TextBatch(b"".join(rows), self.n_rows, len(rows), self._line, True, tuple(comments)), end


def has_leading_blanks(text: bytes, delimiter: str) -> bool:
    """Whether a cell may begin with a blank: if none does, pandas need not look for them, which saves a third."""
    data = np.frombuffer(text, np.uint8)
    for start in range(0, len(data) if b" " in text else 0, BYTES_PER_CHUNK):
        chunk = data[start : start + BYTES_PER_CHUNK + 1]
        is_match = (chunk[:-1] == ord(delimiter)) | (chunk[:-1] == NEWLINE)
        is_match &= chunk[1:] == ord(" ")
        if is_match.any():
            return True
    return text.startswith(b" ")


def _positions_before_zeros(data: NDArray[np.uint8], delimiter: int) -> NDArray[np.intp]:
    """Positions of bytes that can precede a number and are followed by 0 and another digit, unless it is a time."""
    matches = [np.zeros(0, np.intp)]
    for start in range(0, len(data), BYTES_PER_CHUNK):
        chunk = data[start : start + BYTES_PER_CHUNK + 2]
        # In ASCII, line ends, quotes, blanks, signs and the comma come before the point and the digits.
        can_precede: NDArray[np.bool_] = chunk[:-2] < ord(".")
        if delimiter >= ord("."):
            can_precede |= chunk[:-2] == delimiter
        is_match = chunk[1:-1] == ord("0")
        is_match &= can_precede
        is_match &= chunk[2:] >= ord("0")
        if is_match.any():  # in dates and exponents, unlike in numbers, a digit or a letter precedes the hyphen
            is_match[1:] &= (chunk[1:-2] != ord("-")) | can_precede[:-1]
            if is_match.any():
                matches.append(np.flatnonzero(is_match) + start)
    positions: NDArray[np.intp] = np.concatenate(matches)
    positions = positions[data[positions + 2] - ord("0") < 10]  # other bytes wrap around to more than 9
    for byte in b":/-".replace(bytes([delimiter]), b""):
        positions = positions[data[positions + 3] != byte]
    return positions


def leading_zero_columns(text: bytes, delimiter: str, n_fields: int) -> set[int]:
    """Indices of the columns with a cell that begins with 0 and another digit, after blanks, a quote or a sign.

    Times and dates (07:30) are no numbers, and do not count. `text` has complete rows of `n_fields` fields.
    """
    data = np.frombuffer(text, np.uint8)
    positions = _positions_before_zeros(data, ord(delimiter))
    if re.match(rb"0[0-9](?![:/-])", text[:3].replace(delimiter.encode(), b"\n")):
        positions = np.append(-1, positions)
    if not len(positions):
        return set()
    data, positions = np.frombuffer(b"\n" + text, np.uint8), positions + 1
    skippable = np.zeros(256, np.bool_)
    skippable[list(b'" \t+-'.replace(delimiter.encode(), b""))] = True
    while (can_skip := skippable[data[positions]]).any():
        positions -= can_skip
    positions = positions[(data[positions] == NEWLINE) | (data[positions] == ord(delimiter))]
    if not len(positions):
        return set()
    is_separator = _find_separators(b"\n" + text, delimiter)
    if is_separator is None:
        rows = parse_rows(io.BytesIO(text), delimiter)
        return {column for cells in rows for column, cell in enumerate(cells) if LEADING_ZERO.match(cell)}
    positions = positions[is_separator[positions]]
    return set(((np.searchsorted(np.flatnonzero(is_separator), positions)) % n_fields).tolist())


def _count_fields(text: bytes, dialect: Dialect) -> tuple[int, int, bool] | None:
    """Count the complete rows of a text: their number, the offset of their end, True; None if a row may be invalid."""
    if not text:
        return 0, 0, True
    data, n_fields = np.frombuffer(text, np.uint8), len(dialect.names)
    is_separator = _find_separators(text, dialect.delimiter)
    if n_fields == 1 and re.search(rb"(?m)^[ \t]*\n", text):
        return None
    if is_separator is None:
        try:
            widths = list(map(len, parse_rows(io.BytesIO(text), dialect.delimiter)))
        except csv.Error:
            return None
        return (len(widths), len(text), True) if {*widths} == {n_fields} else None
    separators = np.flatnonzero(is_separator)
    # Separators after the last complete row belong to a row that is still open.
    is_end = data[separators] == NEWLINE
    n_complete = len(is_end) - int(np.argmax(is_end[::-1])) if is_end.any() else 0
    if not n_complete:
        return 0, 0, True
    is_row_end = np.zeros(n_fields, np.bool_)
    is_row_end[-1] = True
    if n_complete % n_fields or (is_end[:n_complete].reshape(-1, n_fields) != is_row_end).any():
        return None
    return n_complete // n_fields, int(separators[n_complete - 1]) + 1, True


def _find_separators(text: bytes, delimiter: str) -> NDArray[np.bool_] | None:
    """Mask of the bytes that end a field (n_bytes,); None if a quote does not open or close a whole field.

    By induction from the first quote: even quotes open and odd quotes close, or they are escaped pairs. The text starts
    at the start of a row and ends at the end of a line.
    """
    data = np.frombuffer(text, np.uint8)
    is_separator: NDArray[np.bool_] = data == ord(delimiter)
    is_separator |= data == NEWLINE
    if b'"' in text:
        is_quote = data == QUOTE
        quotes = np.flatnonzero(is_quote)
        is_boundary = is_separator | is_quote
        openers, closers = quotes[::2], quotes[1::2]
        if not (is_boundary[openers[openers > 0] - 1].all() and is_boundary[closers + 1].all()):
            return None
        # The parity of the number of quotes so far; uint8 sums wrap at 256, which preserves it.
        is_separator &= (np.cumsum(is_quote, dtype=np.uint8) & 1) == 0
    return is_separator
