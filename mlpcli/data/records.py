"""Records of a CSV text: their fields, their lines, and the proof that each has as many fields as there are columns.

The rules are those of the pandas parser: a quote opens a field only at its start (blanks before it are skipped), ""
inside a quoted field is one quote, a quote anywhere else is a letter. pandas fills short rows up in silence, drops
blank lines, and lets long rows pass when it reads some of the columns only; so the count is made here, on whole blocks
with NumPy (0.1 s for 100 MB). A block not plainly in order is gone through field by field, to find the exact line.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.encoding import NEWLINE, TextBlocks
from mlpcli.data.faults import blank_line, long_line, open_quote, text_after_quote, wrong_field_count
from mlpcli.errors import DataError

QUOTE = ord('"')
LONGEST_RECORD = 64  # MB

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Record:
    """One record of a block: `block[start:end]` with its line end.

    `open_quote` and `stray` are the offsets of a quoted field that never closes, or that text follows; -1: none.
    """

    start: int
    end: int
    fields: list[bytes]
    open_quote: int = -1
    stray: int = -1


def split_records(block: bytes, delimiter: str, start: int = 0) -> Iterator[Record]:
    """Take a text apart, record by record, from the offset `start`."""
    pattern = _field_pattern(delimiter)
    fields: list[bytes] = []
    open_quote_at = stray = -1
    begin = position = start
    mark, is_blank = delimiter.encode(), delimiter == " "
    while position < len(block) or fields:
        if not fields:  # most records hold no quote: their fields are found at once
            end = block.find(b"\n", begin)
            line = block[begin:] if end < 0 else block[begin:end]
            if b'"' not in line:
                position = len(block) if end < 0 else end + 1
                found = line.split(mark)
                if b" " in line and not is_blank:
                    found = [field.lstrip(b" ") for field in found]
                yield Record(begin, position, found)
                begin = position
                continue
        match = pattern.match(block, position)
        assert match is not None  # the pattern matches anything
        content, closing, trailing, plain, separator = match.groups()
        if content is None:
            fields.append(plain)
        else:
            fields.append(content.replace(b'""', b'"'))
            open_quote_at = match.start(1) - 1 if closing is None else -1
            stray = match.start(1) - 1 if trailing.strip(b" \t") and stray < 0 else stray
        position = match.end()
        if separator in (b"\n", b""):
            yield Record(begin, position, fields, open_quote_at, stray)
            fields, begin, stray = [], position, -1


def _field_pattern(delimiter: str) -> re.Pattern[bytes]:
    """A field and what ends it. Groups: content in quotes, closing quote, what follows it; plain field; separator."""
    mark = re.escape(delimiter.encode())
    blanks = b"" if delimiter == " " else b" *"
    return re.compile(
        blanks + rb'(?:"([^"]*(?:""[^"]*)*)(")?([^' + mark + rb"\n]*)|([^" + mark + rb"\n]*))(" + mark + rb"|\n|\Z)"
    )


class LineMap:
    """The line of each row: rows are lines, but for those with line ends inside quotes, which are kept here."""

    def __init__(self, name: str, first_line: int) -> None:
        self.name = name
        self.first_line = first_line
        self._rows = array("q")
        self._extra = array("q")

    def add(self, row: int, n_extra: int) -> None:
        """Note that a row has line ends inside it; rows come in ascending order."""
        self._rows.append(row)
        self._extra.append(n_extra + (self._extra[-1] if self._extra else 0))

    def line(self, row: int) -> int:
        """The line on which a row begins (rows count from 0, lines from 1)."""
        n_before = bisect_right(self._rows, row - 1)
        return self.first_line + row + (self._extra[n_before - 1] if n_before else 0)


class RowStream:
    """The rows of a text as pandas wants to read them (an object with `read`), every one with `n_fields` fields.

    A fault ends the stream and waits in `fault`; the caller raises it when it is done with the rows before.
    With `is_hasty` the rows of a block without quotes may have too few and too many fields that make up for each
    other. `is_proved` says whether those of the block last given have not; if they may, `check_rows` finds out.
    """

    def __init__(
        self, text: TextBlocks, start: bytes, delimiter: str, n_fields: int, lines: LineMap, is_hasty: bool = False
    ) -> None:
        self.n_rows = 0
        self.is_proved = True
        self.fault: DataError | None = None
        self._text = text
        self._name = text.name
        self._waiting = start
        self._is_started = False
        self._is_last = False
        self._delimiter = delimiter
        self._n_fields = n_fields
        self._lines = lines
        self._is_hasty = is_hasty and n_fields > 1
        self._block = b""
        self._block = self.read()
        self.is_empty = not self._block

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.read, b"")

    def read(self, _size: int = -1) -> bytes:
        """Give the next whole rows, b"" at the end or at a fault."""
        block, self._block = self._block, b""
        while not block and self.fault is None and not (self._is_last and not self._waiting):
            try:
                block = self._next()
            except DataError as fault:
                self.fault = fault
        return block

    def _next(self) -> bytes:
        """The rows that are complete in what was read so far; none when the block ends inside a record."""
        # A record longer than what was read is looked at again when there is twice as much of it.
        n_wanted = 2 * len(self._waiting) if self._is_started else -1
        self._is_started = True
        parts = [self._waiting]
        n_found = len(self._waiting)
        while not self._is_last and n_found <= n_wanted:
            parts.append(self._text.read())
            n_found += len(parts[-1])
            self._is_last = not parts[-1]
        data = b"".join(parts)
        # Blank lines are an error when rows follow them, so they wait until that is known.
        filled = len(data.rstrip(b"\n \t".replace(self._delimiter.encode(), b"")))
        if self._is_last:
            data = data[:filled] + b"\n" * bool(filled)
            end = len(data)
        else:
            end = (data.find(b"\n", filled) + 1 or data.rfind(b"\n", 0, filled) + 1) if filled else 0
        self._waiting, data = data[end:], data[:end]
        end = self._check(data)
        self._waiting = data[end:] + self._waiting
        if self._waiting and (self._is_last or len(self._waiting) > LONGEST_RECORD << 20):
            self._raise_open_record(self._waiting)
        return data if end == len(data) else data[:end]

    def _raise_open_record(self, data: bytes) -> None:
        line = self._lines.line(self.n_rows)
        record = next(split_records(data, self._delimiter))
        if record.open_quote < 0:
            raise long_line(self._name, line, LONGEST_RECORD)
        raise open_quote(self._name, line + data.count(b"\n", 0, record.open_quote))

    def _check(self, block: bytes) -> int:
        """Count the fields of a block of whole lines; gives how many bytes of it are whole records."""
        if not block:
            return 0
        checked = self._check_quickly(block)
        return self._check_slowly(block) if checked is None else checked

    def _check_quickly(self, block: bytes) -> int | None:
        """The same for a block in plain order; None when it is not, or not surely."""
        signs = np.frombuffer(block, np.uint8)
        is_newline = signs == NEWLINE
        is_separator = signs == ord(self._delimiter)
        self.is_proved = True
        if self._is_hasty and b'"' not in block:
            n_rows = int(np.count_nonzero(is_newline))
            if np.count_nonzero(is_separator) == n_rows * (self._n_fields - 1):
                self.is_proved = False
                self.n_rows += n_rows
                return len(block)
        is_separator |= is_newline
        inner = np.empty(0, np.intp)
        if b'"' in block:
            is_quote = signs == QUOTE
            if not _are_plain(np.flatnonzero(is_quote), signs, ord(self._delimiter)):
                return None
            # The parity of the quotes so far; a sum of bytes wraps at 256, which keeps it.
            is_outside = (np.cumsum(is_quote, dtype=np.uint8) & 1) == 0
            inner = np.flatnonzero(is_newline & ~is_outside)
            is_separator &= is_outside
        separators = np.flatnonzero(is_separator)
        # What follows the last whole record is left out: it belongs to one that is still open.
        is_end = signs[separators] == NEWLINE
        n_whole = len(is_end) - int(np.argmax(is_end[::-1])) if is_end.any() else 0
        if not n_whole:
            return 0
        if not _are_in_order(is_end[:n_whole], self._n_fields):
            return None
        if self._n_fields == 1 and re.search(rb"(?m)^[ \t]*\n", block):
            return None
        ends = separators[self._n_fields - 1 : n_whole : self._n_fields] + 1
        inner = inner[inner < ends[-1]]
        for row, n_extra in zip(*np.unique(np.searchsorted(ends, inner), return_counts=True), strict=True):
            self._lines.add(self.n_rows + int(row), int(n_extra))
        self.n_rows += len(ends)
        return int(ends[-1])

    def check_rows(self, block: bytes, first_row: int) -> None:
        """Find the fault in a block that is not proved, if it has one; rows count from 0. Any thread may ask."""
        signs = np.frombuffer(block, np.uint8)
        is_separator = signs == ord(self._delimiter)
        is_separator |= signs == NEWLINE
        is_end = signs[np.flatnonzero(is_separator)] == NEWLINE
        if _are_in_order(is_end, self._n_fields):
            return
        for row, record in enumerate(split_records(block, self._delimiter), first_row):
            self._check_record(block, record, self._lines.line(row))

    def _check_slowly(self, block: bytes) -> int:
        """The same, field by field; raises what is wrong with its line."""
        end = 0
        for record in split_records(block, self._delimiter):
            line = self._lines.line(self.n_rows)
            if record.open_quote >= 0:
                break
            n_extra = self._check_record(block, record, line)
            if n_extra:
                self._lines.add(self.n_rows, n_extra)
            self.n_rows += 1
            end = record.end
        return end

    def _check_record(self, block: bytes, record: Record, line: int) -> int:
        """Raise what is wrong with a whole record; gives how many line ends are inside it."""
        n_extra = block.count(b"\n", record.start, record.end) - 1
        if len(record.fields) == 1 and not block[record.start : record.end].strip():
            raise blank_line(self._name, line)
        if record.stray >= 0:
            opened = line + block.count(b"\n", record.start, record.stray)
            raise text_after_quote(self._name, line + n_extra, opened)
        if len(record.fields) != self._n_fields:
            raise wrong_field_count(self._name, line, len(record.fields), self._n_fields, line + n_extra)
        return n_extra


def _are_in_order(is_end: NDArray[np.bool_], n_fields: int) -> bool:
    """Whether of the separators every n-th ends a row, and no other does."""
    is_row_end = np.zeros(n_fields, np.bool_)
    is_row_end[-1] = True
    return len(is_end) % n_fields == 0 and bool((is_end.reshape(-1, n_fields) == is_row_end).all())


def _are_plain(quotes: NDArray[np.intp], signs: Bytes, delimiter: int) -> bool:
    """Whether quotes open only where a field begins and close only where it ends, or stand in pairs.

    By induction from the first quote: even ones open, odd ones close. The block begins a record and ends a line.
    """
    before = signs[np.maximum(quotes[::2], 1) - 1]
    before[quotes[::2] == 0] = NEWLINE
    after = signs[quotes[1::2] + 1]
    are_openers = (before == delimiter) | (before == NEWLINE) | (before == QUOTE)
    are_closers = (after == delimiter) | (after == NEWLINE) | (after == QUOTE)
    return bool(are_openers.all() and are_closers.all())
