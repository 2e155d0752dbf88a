"""Detection of the dialect of a CSV text: where the table begins, its delimiter, and whether it has a header.

Delimiter: of comma, semicolon, tab and bar, the one with which the first line and most lines after it have the same
number of fields, at least two. Ties are resolved by fewer titles, then by more fields. Commas that occur only within
numbers if split by another delimiter (0,5;1,5) are decimal commas. If no delimiter qualifies, the table has one column.
A first line "sep=;" specifies the delimiter.

Lines above the table are comments, which begin with # (but a header may begin with # too), and titles: rows with one
non-empty cell, or rows whose number of fields differs from that of all rows below, directly above a header. Rows of
empty cells above a header are blank lines of a spreadsheet.
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
    cells_above_numbers,
    check_header_width,
    generate_names,
    has_names_above_numbers,
    header_names,
    looks_like_header,
    looks_numeric,
)
from mlpcli.data.reading.csv.misplaced_header import misplaced_header_error
from mlpcli.data.reading.csv.rows import MAX_ROW_SIZE, Row, quote_error, split_rows
from mlpcli.data.reading.faults import delimiter_name, pluralize, quote_text, table_error
from mlpcli.data.table import TableFormat
from mlpcli.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "blank": " "}
SAMPLE_ROWS, SAMPLE_SIZE = 100, 1 << 16
DECIMAL_COMMA = re.compile(r"[+-]?[\d.]*,\d+(?:[eE][+-]?\d+)?")
SEP_LINE = re.compile(rb'"?sep=([^\w"\n\0.+-])"?[ \t]*\n', re.IGNORECASE)
COMMENT_LINES = re.compile(rb"(?:[ \t]*\n)*(?:#[^\n]*\n(?:[ \t]*\n)*)+")
MAX_TITLES = 20


@dataclass(frozen=True)
class Dialect:
    """The dialect of a table; its rows begin on line `first_line` (from 1), with the text `rows` read so far.

    `sample` holds the cells of the first rows, `notes` what was guessed. `comment` and `skip_rows` are copied from the
    requested format. `begins_with_names`: whether a table without header has a non-numeric first cell above each
    numeric column.
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
    begins_with_names: bool = False


@dataclass(frozen=True)
class _Sample:
    """The first rows of a text from `offset` on, split by `delimiter`; the first `n_titles` of them are titles."""

    delimiter: str
    offset: int
    rows: list[Row]
    cells: list[tuple[str, ...]]
    n_titles: int

    @property
    def start(self) -> int:
        """Offset of the table in the text."""
        return self.offset + self.rows[self.n_titles].start

    @property
    def score(self) -> tuple[float, float, int, int]:
        """Sort key: fraction of rows as wide as the first, and as the most frequent width; -titles; fields."""
        widths = list(map(len, self.cells[self.n_titles :]))
        width, n_agreeing = Counter(widths).most_common(1)[0]
        first_agreement = widths.count(widths[0]) / len(widths) if widths[0] > 1 else 0.0
        agreement = n_agreeing / len(widths) if width > 1 else 0.0
        return (
            (first_agreement, agreement, -self.n_titles, max(widths[0], width))
            if first_agreement or agreement
            else (0.0, 0.0, 0, 0)
        )

    @property
    def has_decimal_commas(self) -> bool:
        """Whether another delimiter than the comma gives all rows equal width, with commas only within numbers."""
        cells = [cell for row in self.cells[self.n_titles :] for cell in row]
        separates_cleanly = (
            self.delimiter != "," and self.score[:2] == (1.0, 1.0) and any("," in cell for cell in cells)
        )
        return separates_cleanly and all(DECIMAL_COMMA.fullmatch(cell) for cell in cells if "," in cell)


def find_dialect(text: TextBlocks, format: TableFormat, configured: Collection[str] = ()) -> Dialect:
    """Detect the dialect from the beginning of a text; what has been read of the rows is in `Dialect.rows`.

    A first line with all names in `configured`, the columns named by the user, is the header. Raises DataError for an
    empty text, for a header or delimiter that does not fit the rows, and if another line is the header.
    """
    head = _read_head(text, format.skip_rows or 0)
    dialect = _find_dialect(text, head, format, configured)
    if configured and dialect.has_header and {*configured}.isdisjoint(dialect.names):
        read_as = (dialect.first_line - 1, dialect.delimiter)
        error = misplaced_header_error(text.name, head, read_as, DELIMITERS, configured)
        if error is not None:
            raise error
    return dialect


def _find_dialect(text: TextBlocks, head: bytes, format: TableFormat, configured: Collection[str]) -> Dialect:
    explicit = None if format.delimiter is None else checked_delimiter(format.delimiter)
    n_skipped = format.skip_rows or 0
    sep_line = SEP_LINE.match(head) if format.skip_rows != 0 else None
    start = sep_line.end() if sep_line and not n_skipped else _line_offset(head, n_skipped)
    delimiter = explicit or (sep_line[1].decode() if sep_line else None)
    table = _find_table(head, start, delimiter, format, configured)
    if table is None:
        raise table_error(text.name, None, faults.SKIPPED_WHOLE if n_skipped else faults.EMPTY, n_lines=n_skipped)
    line = 1 + head.count(b"\n", 0, table.start)
    row, cells = table.rows[table.n_titles], table.cells[table.n_titles :]
    if row.problem:
        raise quote_error(text.name, head[table.offset :], row, line, table.delimiter)
    detected = _find_table(head, start, None, format, configured) if explicit and len(cells[0]) == 1 else None
    if explicit and detected is not None and (n_fields := len(detected.cells[detected.n_titles])) > 1:
        values = {"given": delimiter_name(explicit), "better": delimiter_name(detected.delimiter), "n_fields": n_fields}
        raise table_error(text.name, line, faults.WRONG_DELIMITER, **values)
    has_header = format.header
    if has_header is None:
        is_named = bool(configured) and set(configured) <= set(cells[0])
        has_header = is_named or looks_like_header(cells[0], cells[1:], format.missing)
    if has_header:
        check_header_width(text.name, line, cells)
        names, notes = header_names(text.name, line, row.cells or [])
    else:
        names, notes = generate_names(text.name, cells, is_requested=format.header is not None)
    notes = _title_notes(text.name, head[start : table.start], format) + notes
    above_numbers = [] if has_header else cells_above_numbers(cells[0], cells[1:], format.missing)
    begins_with_names = bool(above_numbers) and not any(map(looks_numeric, above_numbers))
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
        begins_with_names,
    )


def checked_delimiter(delimiter: str) -> str:
    """Resolve names of delimiters such as "tab"; raises DataError unless it is a character that can separate fields."""
    char = DELIMITER_NAMES.get(delimiter, delimiter)
    if len(char) != 1 or not char.isascii() or char.isalnum() or char in '"\n\r\0.-+':
        raise DataError(
            f"{quote_text(delimiter)} is not a delimiter. --delimiter / data.delimiter is one character, such as ; "
            "or tab."
        )
    return char


def _read_head(text: TextBlocks, n_skipped: int) -> bytes:
    """Read the beginning of a text: about SAMPLE_SIZE bytes, and at least the complete first row."""
    head = b""
    while len(head) <= MAX_ROW_SIZE << 20 and (block := text.read()):
        head += block
        start = _line_offset(head, n_skipped)
        is_enough = len(head) - start >= SAMPLE_SIZE and text.n_lines >= n_skipped + 3
        if is_enough and any(
            next(split_rows(head[start:], delimiter)).problem != "open quote" for delimiter in DELIMITERS
        ):
            return head
    return head if head.endswith(b"\n") or not text.is_done else head + b"\n"


def _line_offset(text: bytes, number: int) -> int:
    """Offset of the start of a line (from 0); the end of the text if it has fewer lines."""
    offset = 0
    for _ in range(number):
        offset = text.find(b"\n", offset) + 1 or len(text)
    return offset


def _find_table(
    head: bytes, start: int, delimiter: str | None, format: TableFormat, configured: Collection[str]
) -> _Sample | None:
    """Sample the table below titles and comments, with the delimiter of the best score; None if there are no rows."""
    comment_lines = None if format.skip_rows is not None else COMMENT_LINES.match(head, start)
    offset = start if comment_lines is None or comment_lines.end() == len(head) else comment_lines.end()
    candidates = [candidate for candidate in DELIMITERS if candidate.encode() in head and candidate != format.decimal]
    delimiters = (delimiter,) if delimiter else candidates or [","]
    samples = [
        sample
        for candidate in delimiters
        if (sample := _sample(head, offset, candidate, format, configured)) is not None
    ]
    if not samples:
        return None
    if any(sample.has_decimal_commas for sample in samples):
        samples = [sample for sample in samples if sample.delimiter != ","]
    best = max(samples, key=lambda sample: sample.score)
    if offset > start and format.comment != "#":
        line_offset = max(head.rfind(b"\n#", start, offset) + 1, start)
        extended = _sample(head, line_offset, best.delimiter, format, configured)
        if extended is not None and _belongs_to_table(extended.cells, format, configured):
            return replace(extended, n_titles=0)
    return best


def _sample(
    head: bytes, offset: int, delimiter: str, format: TableFormat, configured: Collection[str]
) -> _Sample | None:
    """Sample the complete rows at an offset; only the first one may be incomplete or invalid."""
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
    n_titles = _count_titles(cells, format, configured) if format.skip_rows is None and rows else 0
    return _Sample(delimiter, offset, rows, cells, n_titles) if rows else None


def _belongs_to_table(cells: list[tuple[str, ...]], format: TableFormat, configured: Collection[str]) -> bool:
    """Whether a first line that begins with # belongs to the table, as its header or first row."""
    first, following = cells[0], cells[1:]
    if configured and any(set(configured) <= set(row) for row in cells[:2]):
        return set(configured) <= set(first)
    if (
        not following
        or len(first) != len(following[0])
        or has_names_above_numbers(following[0], following[1:], format.missing)
    ):
        return False
    is_sentence = " " in first[0] if len(first) == 1 else first[0].startswith("# ")
    return not is_sentence or (len(first) > 1 and has_names_above_numbers(first, following, format.missing))


def _count_titles(cells: list[tuple[str, ...]], format: TableFormat, configured: Collection[str]) -> int:
    """Number of titles above the table."""
    widths = [len(row) for row in cells]
    width = max(set(widths), key=lambda width: (widths.count(width), width))
    is_title = [len(row) != width or not any(row[1:]) for row in cells]
    n_titles = is_title.index(False) if False in is_title else 0
    table = cells[n_titles:]
    if width == 1 or not 0 < n_titles <= MAX_TITLES or len(table) < 2 or {*map(len, table)} != {width}:
        return 0
    if configured and (headers := [number for number in range(n_titles + 1) if set(configured) <= set(cells[number])]):
        return headers[0]
    last_title = cells[n_titles - 1]
    if not any(last_title):  # a blank line of a spreadsheet if a header follows, otherwise a row
        has_header = format.header is not False and looks_like_header(table[0], table[1:], format.missing)
        return n_titles if has_header else 0
    is_header = has_names_above_numbers(table[0], table[1:], format.missing)
    # R omits the first name, so that its header looks like a title; a padded title looks like a header.
    if len(last_title) < width - 1:
        looks_like = format.header is not False and looks_like_header(table[0], table[1:], format.missing)
        is_header = is_header or looks_like or not any(last_title[1:])
    return n_titles if is_header else n_titles - 1


def _title_notes(name: str, skipped: bytes, format: TableFormat) -> tuple[str, ...]:
    """Report the number of skipped lines above the table, in at most one note."""
    lines = [line for line in skipped.decode().split("\n") if line.strip()]
    n_lines = sum(not (format.comment and line.startswith(format.comment)) for line in lines)
    note = f"{name}: {pluralize(n_lines, 'line')} above the table skipped (see data.comment and data.skip_rows)."
    return (note,) * bool(n_lines)
