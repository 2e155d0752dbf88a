"""How a table is written: its delimiter, and whether its first line holds names.

Delimiter: of comma, semicolon, tab and bar the one that gives the first line and most of the lines after it the same
number of fields, two at least; of several, the one that gives more. None does: the table has one column.

Header: the first line holds names, unless it looks like the rows below it. "Figures" are numbers, dates and times.
- A column of figures under a first cell that is none: names. (A missing cell says nothing.)
- Otherwise a column of figures under a figure: no names; but 0, 1, 2, 3, 4 ... is how pandas writes a frame without.
- No column of figures: names, unless a first cell occurs twice in the first line or again in its own column.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from mlpcli.data.encoding import TextBlocks
from mlpcli.data.faults import (
    empty_file,
    header_width,
    listed,
    open_quote,
    quoted,
    same_name,
    text_after_quote,
    wrong_delimiter,
)
from mlpcli.data.records import LONGEST_RECORD, Record, split_records
from mlpcli.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|"}
SAMPLE_RECORDS = 100
SAMPLE_SIZE = 1 << 16
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
FIGURE = re.compile(r"[+-]?(?:[\d.][\d.,:/TZ eE+-]*|inf|infinity)", re.IGNORECASE)


DEFAULT_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?", "#N/A")


@dataclass(frozen=True)
class TableFormat:
    """How a table is written; None means: found in the file.

    delimiter: one ASCII character; "tab" is understood too.
    missing: texts that stand for a missing cell; the empty cell always does.
    """

    delimiter: str | None = None
    encoding: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = DEFAULT_MISSING

    @property
    def missing_texts(self) -> frozenset[str]:
        """The texts that stand for a missing cell, the empty one among them."""
        return frozenset(self.missing) | {""}


@dataclass(frozen=True)
class Dialect:
    """What was found: `names` are the columns, the rows begin on line `first_line` with the text `rows`.

    sample: the cells of some rows.
    """

    delimiter: str
    has_header: bool
    names: tuple[str, ...]
    first_line: int
    rows: bytes
    sample: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def find_dialect(text: TextBlocks, format: TableFormat, named: Collection[str] = ()) -> Dialect:
    """Look at the beginning of a text; what was read of it is handed on in `rows`.

    Where the first line holds all the names in `named`, which somebody gave to columns, it is the header.
    """
    given = None if format.delimiter is None else checked_delimiter(format.delimiter)
    head, n_skipped = _head(text)
    line = 1 + n_skipped
    found = given or _best_delimiter(head)
    records = _sample(head, found)
    if records[0].open_quote >= 0:
        raise open_quote(text.name, line + head.count(b"\n", 0, records[0].open_quote))
    if records[0].stray >= 0:
        raise text_after_quote(text.name, line, line + head.count(b"\n", 0, records[0].stray))
    cells = [tuple(field.decode().strip() for field in record.fields) for record in records]
    if given is not None and len(cells[0]) == 1:
        better = _best_delimiter(head)
        n_fields = len(_sample(head, better)[0].fields)
        if n_fields > 1:
            raise wrong_delimiter(text.name, line, given, better, n_fields)
    has_header = format.header
    if has_header is None:
        is_named = bool(named) and set(named) <= set(cells[0])
        has_header = is_named or looks_like_header(cells[0], cells[1:], format.missing_texts)
    if not has_header:
        n_columns = Counter(map(len, cells)).most_common(1)[0][0]
        names = tuple(f"c{position}" for position in range(1, n_columns + 1))
        called = "c1" if n_columns == 1 else f"c1 to c{n_columns}"
        note = f"{text.name}: no names in the first line: the columns are called {called} (see data.header)."
        return Dialect(found, False, names, line, head, tuple(cells), (note,) * (format.header is None))
    _check_width(text.name, line, cells)
    names, notes = _checked_names(text.name, line, cells[0])
    start = records[0].end
    return Dialect(found, True, names, line + head.count(b"\n", 0, start), head[start:], tuple(cells[1:]), notes)


def checked_delimiter(delimiter: str) -> str:
    """One ASCII character that can part fields; the word "tab" is understood."""
    sign = DELIMITER_NAMES.get(delimiter, delimiter)
    if len(sign) != 1 or not sign.isascii() or sign.isalnum() or sign in '"\n\r\0.-+':
        raise DataError(
            f"{quoted(delimiter)} is no delimiter. --delimiter / data.delimiter is one character, as ; or tab."
        )
    return sign


def looks_like_header(first: Sequence[str], rows: Sequence[Sequence[str]], missing: Collection[str]) -> bool:
    """Whether a first line holds names (the rule stands at the top of this file); `rows` are the lines below."""
    columns = [
        [row[position] for row in rows if position < len(row) and row[position] not in missing]
        for position in range(len(first))
    ]
    are_figures = [bool(column) and all(map(is_figure, column)) for column in columns]
    firsts_on_figures = [cell for cell, is_so in zip(first, are_figures, strict=True) if is_so and cell not in missing]
    if any(not is_figure(cell) for cell in firsts_on_figures):
        return True
    if firsts_on_figures or (not rows and any(map(is_figure, first))):
        counted = list(first[1:] if first[0] == "" else first)
        return len(counted) >= 5 and counted == [str(number) for number in range(len(counted))]
    filled = [cell for cell in first if cell]
    recurs = any(cell in column for cell, column in zip(first, columns, strict=True) if cell)
    return bool(filled) and len(set(filled)) == len(filled) and not recurs


def decimal_comma_notes(name: str, dialect: Dialect, missing: Collection[str]) -> tuple[str, ...]:
    """A note for columns that look like numbers with a decimal comma, which are read as texts."""
    columns = zip(dialect.names, zip(*dialect.sample, strict=False), strict=False)
    found = [
        column
        for column, cells in columns
        if (filled := [cell for cell in cells if cell not in missing]) and all(map(DECIMAL_COMMA.fullmatch, filled))
    ]
    if not found:
        return ()
    return (f"{name}: {listed(found)}: numbers with a decimal comma are read as texts. Write decimals with a point.",)


def is_figure(cell: str) -> bool:
    """Whether a cell is a number, a date or a time."""
    return FIGURE.fullmatch(cell) is not None


def _head(text: TextBlocks) -> tuple[bytes, int]:
    """The beginning of a text, the first record whole, without the blank lines before it, which are counted."""
    blocks = [text.read()]
    while blocks[-1] and sum(map(len, blocks)) < LONGEST_RECORD << 20:
        data = b"".join(blocks)
        is_whole = b"\n" in data.strip() and any(
            next(split_records(data, delimiter)).open_quote < 0 for delimiter in DELIMITERS
        )
        if is_whole:
            break
        blocks.append(text.read())
    data = b"".join(blocks)
    if text.is_done and not data.endswith(b"\n"):
        data += b"\n"
    if not data.strip():
        raise empty_file(text.name)
    blank = re.match(rb"(?:[ \t]*\n)*", data)
    n_blank = 0 if blank is None else blank.end()
    return data[n_blank:], data.count(b"\n", 0, n_blank)


def _sample(head: bytes, delimiter: str) -> list[Record]:
    """The first records, whole ones but for the first, which is always there."""
    records: list[Record] = []
    for record in islice(split_records(head, delimiter), SAMPLE_RECORDS):
        is_whole = record.open_quote < 0 and head[record.end - 1 : record.end] == b"\n"
        if records and (not is_whole or record.end > SAMPLE_SIZE):
            break
        if not head[record.start : record.end].strip(b"\n "):
            break
        records.append(record)
    return records


def _best_delimiter(head: bytes) -> str:
    """The delimiter under which the lines agree best."""
    best, best_score = ",", (0.0, 0.0, 0)
    for delimiter in DELIMITERS:
        if delimiter.encode() not in head[:SAMPLE_SIZE]:
            continue
        widths = [len(record.fields) for record in _sample(head, delimiter)]
        width, n_agreeing = Counter(widths).most_common(1)[0]
        as_first = widths.count(widths[0]) / len(widths) if widths[0] > 1 else 0.0
        score = (as_first, n_agreeing / len(widths) if width > 1 else 0.0, max(widths[0], width))
        if score[:2] > (0.0, 0.0) and score > best_score:
            best, best_score = delimiter, score
    return best


def _check_width(name: str, line: int, cells: Sequence[Sequence[str]]) -> None:
    """Refuse a header that no row agrees with (one row alone is taken for the ragged one)."""
    widths = {len(row) for row in cells[1:]}
    if len(cells) > 2 and len(widths) == 1 and widths != {len(cells[0])}:
        raise header_width(name, line, len(cells[0]), widths.pop())


def _checked_names(name: str, line: int, cells: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The column names; those without one are called as pandas does, "Unnamed: 0" (the position from 0)."""
    names = tuple(cell or f"Unnamed: {position}" for position, cell in enumerate(cells))
    seen: dict[str, int] = {}
    for position, column in enumerate(names, start=1):
        if column in seen:
            raise same_name(name, line, column, seen[column], position)
        seen[column] = position
    unnamed = [
        f"column {position} has no name: called {names[position - 1]}"
        for position, cell in enumerate(cells, 1)
        if not cell
    ]
    return names, (f"{name}: {'; '.join(unnamed[:3])}.",) if unnamed else ()
