"""How a table is written: where it begins, its delimiter, and whether its first line holds names.

Delimiter: of comma, semicolon, tab and bar the one that gives the first line and most of the lines after it the same
number of fields, two at least; of several, the one that leaves fewer titles, then the one that gives more fields. But
commas that another delimiter leaves within numbers only (0,5;1,5) are decimal signs. None does: the table has one
column. A first line "sep=;" names it.

Above the table: lines that begin with #, but for a header that does; and titles, which have one filled cell, or another
number of fields than all lines below them and a header right below them. Rows without a filled cell above a header are
blank lines, as spreadsheets write them.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import islice

from mlpcli.data.reading import faults
from mlpcli.data.reading.csv.encoding import NEWLINE, TextBlocks
from mlpcli.data.reading.csv.header import (
    are_names_over_figures,
    cells_over_figures,
    check_width,
    looks_like_header,
    looks_numeric,
    names_of,
    numbered_names,
)
from mlpcli.data.reading.csv.rows import LONGEST_ROW, Row, quote_error, split_rows
from mlpcli.data.reading.faults import delimiter_name, pluralize, quote_text, table_error
from mlpcli.data.table import TableFormat
from mlpcli.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|"}
SAMPLE_ROWS, SAMPLE_SIZE = 100, 1 << 16
DECIMAL_COMMA = re.compile(r"[+-]?[\d.]*,\d+(?:[eE][+-]?\d+)?")
SEPARATOR_LINE = re.compile(rb'"?sep=([^\w"\n\0.+-])"?[ \t]*\n', re.IGNORECASE)
HASH_LINES = re.compile(rb"(?:[ \t]*\n)*(?:#[^\n]*\n(?:[ \t]*\n)*)+")
MOST_TITLES = 20


@dataclass(frozen=True)
class Dialect:
    """How a table is written: its rows begin on line `first_line` (from 1) with the text `rows`.

    sample: cells of some rows. comment and skip_rows are as asked for. notes: what was guessed. begins_with_words: of a
    table that is said to have no header, whether its first line has a word over every column of figures.
    """

    delimiter: str
    has_header: bool
    names: tuple[str, ...]
    first_line: int
    rows: bytes
    sample: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    comment: str | None = None
    skip_rows: int | None = None
    begins_with_words: bool = False


@dataclass(frozen=True)
class _Sample:
    """The first rows from an offset of the head on, by a delimiter; of them the first `n_titles` are titles."""

    delimiter: str
    offset: int
    rows: list[Row]
    cells: list[tuple[str, ...]]
    n_titles: int

    @property
    def start(self) -> int:
        """Where the table begins."""
        return self.offset + self.rows[self.n_titles].start

    @property
    def score(self) -> tuple[float, float, int, int]:
        """How well rows agree with the first one, and with each other; titles, fewer first; and how many fields."""
        widths = list(map(len, self.cells[self.n_titles :]))
        width, n_agreeing = Counter(widths).most_common(1)[0]
        as_first = widths.count(widths[0]) / len(widths) if widths[0] > 1 else 0.0
        agreeing = n_agreeing / len(widths) if width > 1 else 0.0
        return (as_first, agreeing, -self.n_titles, max(widths[0], width)) if as_first or agreeing else (0.0, 0.0, 0, 0)

    @property
    def has_decimal_commas(self) -> bool:
        """Whether another delimiter than the comma has all rows agree, with commas left in numbers only."""
        cells = [cell for row in self.cells[self.n_titles :] for cell in row]
        is_one = self.delimiter != "," and self.score[:2] == (1.0, 1.0) and any("," in cell for cell in cells)
        return is_one and all(DECIMAL_COMMA.fullmatch(cell) for cell in cells if "," in cell)


def find_dialect(text: TextBlocks, format: TableFormat, named: Collection[str] = ()) -> Dialect:
    """Look at the beginning of a text; what was read of it is handed on in `rows`.

    A first line with all the names in `named`, which somebody gave to columns, is the header.
    """
    given = None if format.delimiter is None else checked_delimiter(format.delimiter)
    skipped = format.skip_rows or 0
    head = _head(text, skipped)
    separator = SEPARATOR_LINE.match(head) if format.skip_rows != 0 else None
    start = separator.end() if separator and not skipped else _offset_of_line(head, skipped)
    delimiter = given or (separator[1].decode() if separator else None)
    table = _find_table(head, start, delimiter, format, named)
    if table is None:
        raise table_error(text.name, None, faults.SKIPPED_WHOLE if skipped else faults.EMPTY, n_lines=skipped)
    line = 1 + head.count(b"\n", 0, table.start)
    row, cells = table.rows[table.n_titles], table.cells[table.n_titles :]
    if row.problem:
        raise quote_error(text.name, head[table.offset :], row, line, table.delimiter)
    other = _find_table(head, start, None, format, named) if given and len(cells[0]) == 1 else None
    if given and other is not None and (n_fields := len(other.cells[other.n_titles])) > 1:
        values = {"given": delimiter_name(given), "better": delimiter_name(other.delimiter), "n_fields": n_fields}
        raise table_error(text.name, line, faults.WRONG_DELIMITER, **values)
    has_header = format.header
    if has_header is None:
        is_named = bool(named) and set(named) <= set(cells[0])
        has_header = is_named or looks_like_header(cells[0], cells[1:], format.missing)
    if has_header:
        check_width(text.name, line, cells)
        names, notes = names_of(text.name, line, row.cells or [])
    else:
        names, notes = numbered_names(text.name, cells, is_asked=format.header is not None)
    notes = _note_on_titles(text.name, head[start : table.start], format) + notes
    over_figures = [] if has_header else cells_over_figures(cells[0], cells[1:], format.missing)
    begins_with_words = bool(over_figures) and not any(map(looks_numeric, over_figures))
    if format.header is False and len(cells) > 2 and looks_like_header(cells[0], cells[1:], format.missing):
        notes += (f"{text.name}:{line}: the first line looks like names: read as a row (see data.header).",)
    end = table.offset + row.end if has_header else table.start
    line = 1 + head.count(b"\n", 0, end)
    sample = tuple(cells[has_header:])
    return Dialect(
        table.delimiter,
        has_header,
        names,
        line,
        head[end:],
        sample,
        notes,
        format.comment,
        format.skip_rows,
        begins_with_words,
    )


def checked_delimiter(delimiter: str) -> str:
    """One ASCII character that can part fields; the word "tab" is understood."""
    sign = DELIMITER_NAMES.get(delimiter, delimiter)
    if len(sign) != 1 or not sign.isascii() or sign.isalnum() or sign in '"\n\r\0.-+':
        raise DataError(
            f"{quote_text(delimiter)} is not a delimiter. --delimiter / data.delimiter is one character, such as ; "
            "or tab."
        )
    return sign


def _head(text: TextBlocks, n_skipped: int) -> bytes:
    """The beginning of a text, long enough for a look, with the first row whole."""
    head = b""
    while len(head) <= LONGEST_ROW << 20 and (block := text.read()):
        head += block
        start = _offset_of_line(head, n_skipped)
        is_long = len(head) - start >= SAMPLE_SIZE and head.count(b"\n") >= n_skipped + 3
        if is_long and any(next(split_rows(head[start:], sign)).problem != "open quote" for sign in DELIMITERS):
            return head
    return head if head.endswith(b"\n") or not text.is_done else head + b"\n"


def _offset_of_line(text: bytes, number: int) -> int:
    """Where a line (from 0) begins, or the end of the text."""
    offset = 0
    for _ in range(number):
        offset = text.find(b"\n", offset) + 1 or len(text)
    return offset


def _find_table(
    head: bytes, start: int, delimiter: str | None, format: TableFormat, named: Collection[str]
) -> _Sample | None:
    """The table below titles and lines that begin with #, by the delimiter under which its rows agree best."""
    lines = None if format.skip_rows is not None else HASH_LINES.match(head, start)
    offset = start if lines is None or lines.end() == len(head) else lines.end()
    possible = [sign for sign in DELIMITERS if sign.encode() in head and sign != format.decimal]
    delimiters = (delimiter,) if delimiter else possible or [","]
    samples = [sample for sign in delimiters if (sample := _sample(head, offset, sign, format, named)) is not None]
    if not samples:
        return None
    if any(sample.has_decimal_commas for sample in samples):
        samples = [sample for sample in samples if sample.delimiter != ","]
    best = max(samples, key=lambda sample: sample.score)
    if offset > start and format.comment != "#":
        above = max(head.rfind(b"\n#", start, offset) + 1, start)
        with_line = _sample(head, above, best.delimiter, format, named)
        if with_line is not None and _begins_table(with_line.cells, format, named):
            return replace(with_line, n_titles=0)
    return best


def _sample(head: bytes, offset: int, delimiter: str, format: TableFormat, named: Collection[str]) -> _Sample | None:
    """The first rows, whole ones but for the first."""
    rows: list[Row] = []
    for row in islice(split_rows(head[offset:], delimiter, format.comment), SAMPLE_ROWS):
        is_whole = not row.problem and head[offset + row.end - 1] == NEWLINE
        if rows and (not is_whole or row.end > SAMPLE_SIZE):
            break
        if row.cells or row.problem:
            rows.append(row)
    cells = [tuple(map(str.strip, row.cells or [""])) for row in rows]
    if not head.isascii():
        cells = [tuple(unicodedata.normalize("NFC", cell) for cell in row) for row in cells]
    n_titles = _count_titles(cells, format, named) if format.skip_rows is None and rows else 0
    return _Sample(delimiter, offset, rows, cells, n_titles) if rows else None


def _begins_table(cells: list[tuple[str, ...]], format: TableFormat, named: Collection[str]) -> bool:
    """Whether a first line that begins with # is the header, or a row."""
    first, below = cells[0], cells[1:]
    if named and any(set(named) <= set(row) for row in cells[:2]):
        return set(named) <= set(first)
    if not below or len(first) != len(below[0]) or are_names_over_figures(below[0], below[1:], format.missing):
        return False
    is_sentence = " " in first[0] if len(first) == 1 else first[0].startswith("# ")
    return not is_sentence or (len(first) > 1 and are_names_over_figures(first, below, format.missing))


def _count_titles(cells: list[tuple[str, ...]], format: TableFormat, named: Collection[str]) -> int:
    """How many of the first rows are titles."""
    widths = [len(row) for row in cells]
    width = max(set(widths), key=lambda width: (widths.count(width), width))
    are_titles = [len(row) != width or not any(row[1:]) for row in cells]
    n_titles = are_titles.index(False) if False in are_titles else 0
    below = cells[n_titles:]
    if width == 1 or not 0 < n_titles <= MOST_TITLES or len(below) < 2 or {*map(len, below)} != {width}:
        return 0
    if named and (found := [number for number in range(n_titles + 1) if set(named) <= set(cells[number])]):
        return found[0]
    last = cells[n_titles - 1]
    if not any(last):  # a blank line of a spreadsheet, unless it is a row
        has_header = format.header is not False and looks_like_header(below[0], below[1:], format.missing)
        return n_titles if has_header else 0
    is_header = are_names_over_figures(below[0], below[1:], format.missing)
    # R leaves out the first name, so that its header looks like a title; a padded title looks like a header.
    if len(last) < width - 1:
        looks_so = format.header is not False and looks_like_header(below[0], below[1:], format.missing)
        is_header = is_header or looks_so or not any(last[1:])
    return n_titles if is_header else n_titles - 1


def _note_on_titles(name: str, above: bytes, format: TableFormat) -> tuple[str, ...]:
    """What is said of the lines that were found above the table."""
    lines = [line for line in above.decode().split("\n") if line.strip()]
    n_lines = sum(not (format.comment and line.startswith(format.comment)) for line in lines)
    left_out = f"{name}: {pluralize(n_lines, 'line')} above the table skipped (see data.comment and data.skip_rows)."
    return (left_out,) * bool(n_lines)
