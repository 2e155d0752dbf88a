"""Single rows of a CSV text: their cells, their position, and errors in their quotes.

Quotes are parsed as pandas does: a quote opens a field only at the field's start (blanks before it are skipped), ""
inside a quoted field is one quote, and a quote anywhere else is an ordinary character.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from mlpcli.data.reading import faults
from mlpcli.data.reading.faults import code_points, quote_text, table_error
from mlpcli.errors import DataError

MAX_ROW_SIZE = 64  # MB
BYTE_ORDER_MARK = "\ufeff"

csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_ROW_SIZE << 20))


class Row(NamedTuple):
    """A row of a text: `text[start:end]`, which spans `n_lines` lines from `line` (from 0) on.

    `cells` is [] for a blank line and for a row with a `problem` ("open quote" or "text after quote"), None for a
    comment.
    """

    start: int
    end: int
    line: int
    n_lines: int
    cells: list[str] | None
    problem: str = ""


def parse_rows(lines: Iterable[bytes], delimiter: str) -> Any:
    """Parse complete lines into rows of cells; raises csv.Error for an open quote and for text after a closing one."""
    # Blanks after a closing quote are allowed, but csv treats them as text.
    blanks = b" \t".replace(delimiter.encode(), b"")
    closing = re.compile(rb'"[' + blanks + rb"]+(?=" + re.escape(delimiter.encode()) + rb"|\n|\Z)")
    texts = (closing.sub(b'"', line).decode() for line in lines)
    return csv.reader(texts, delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True)


def split_rows(text: bytes, delimiter: str, comment: str | None = None) -> Iterator[Row]:
    """Yield the rows of a text, the last one with a problem if there is one; cells may have blanks around them."""
    source, line = io.BytesIO(text), 0
    comment_mark = None if comment is None else comment.encode()
    while first_line := source.readline():
        start, n_lines, problem = source.tell() - len(first_line), 1, ""
        cells: list[str] | None
        if comment_mark is not None and first_line.startswith(comment_mark):
            cells = None
        elif b'"' not in first_line:
            cells = first_line.removesuffix(b"\n").decode().split(delimiter)
            cells = cells if len(cells) > 1 or cells[0].strip() else []
        else:
            reader = parse_rows(chain([first_line], source), delimiter)
            try:
                cells = next(reader)
            except csv.Error as error:
                cells, problem = [], "text after quote" if "expected after" in str(error) else "open quote"
            n_lines = reader.line_num
        yield Row(start, source.tell(), line, n_lines, cells, problem)
        if problem:
            return
        line += n_lines


def quote_error(name: str, text: bytes, row: Row, line: int, delimiter: str) -> DataError:
    """Build the error for a row with a problem that begins on line `line`."""
    # The invalid field is the one after all valid fields.
    separator, blanks = re.escape(delimiter.encode()), b"" if delimiter == " " else b" *"
    quoted_field = blanks + rb'"[^"]*+(?:""[^"]*+)*+"[ \t]*'
    valid_fields = re.compile(
        rb"(?:(?:" + quoted_field + rb"|(?!" + blanks + rb'")[^' + separator + rb"\n]*)" + separator + rb")*"
    )
    match = valid_fields.match(text, row.start)
    opening_line = line + text.count(b"\n", row.start, row.start if match is None else text.index(b'"', match.end()))
    if row.problem == "open quote":
        return table_error(name, opening_line, faults.OPEN_QUOTE)
    last_line = line + row.n_lines - 1
    closing = text.find(b'"', text.index(b'"', 0 if match is None else match.end()) + 1)
    is_split_by_blanks = delimiter != " " and re.match(rb' (?:"|[\d.-]+[ \n])', text[closing + 1 :][:80]) is not None
    template = faults.BLANK_AFTER_QUOTE if is_split_by_blanks else faults.TEXT_AFTER_QUOTE
    return table_error(
        name, opening_line, template, where=f" (on line {last_line})" if last_line > opening_line else ""
    )


def column_name(cell: str, position: int) -> str:
    """Column name of a header cell; an empty one gets the name that pandas gives it."""
    return unicodedata.normalize("NFC", cell.strip()) or f"Unnamed: {position}"


def unnamed_column_notes(origin: str, cells: Sequence[str], names: Sequence[str]) -> list[str]:
    """Report the names that unnamed columns have been given, in at most one note."""
    unnamed = [name for name, cell in zip(names, cells, strict=False) if not cell.strip()]
    return [f"{origin}: columns without a name: named {faults.join_names(unnamed)}."] if unnamed else []


def strip_byte_order_mark(cell: str) -> str:
    """Strip a byte order mark, and the quotes after it, from a cell: a concatenated file may begin there."""
    return cell.removeprefix(BYTE_ORDER_MARK).strip('"') if cell.startswith(BYTE_ORDER_MARK) else cell


def unique_column_names(origin: str, line: int | None, cells: Sequence[str]) -> tuple[str, ...]:
    """Column names of the header cells; raises DataError if two are equal."""
    positions: dict[str, int] = {}
    for position, cell in enumerate(cells):
        name = column_name(cell, position)
        first_position = positions.setdefault(name, position)
        if first_position != position:
            first_text, text = cells[first_position].strip(), cell.strip()
            is_same = first_text == text or "" in (first_text, text)
            written = "" if is_same else f" (written {code_points(first_text)} and {code_points(text)})"
            values = {
                "first": first_position + 1,
                "second": position + 1,
                "column": quote_text(name),
                "written": written,
            }
            raise table_error(origin, line, faults.SAME_NAME, **values)
    return tuple(positions)
