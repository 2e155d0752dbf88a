"""Rows of a CSV text one by one: their cells, their place, and what can be wrong with quotes.

The rules are those of the pandas parser: a quote opens a field only at its start (blanks before it are skipped), ""
inside a quoted field is one quote, a quote anywhere else is a letter.
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

LONGEST_ROW = 64  # MB
BYTE_ORDER_MARK = "\ufeff"

csv.field_size_limit(max(csv.field_size_limit(), 2 * LONGEST_ROW << 20))


class Row(NamedTuple):
    """One row of a text: `text[start:end]`, `n_lines` lines from the line `line` on (from 0).

    `cells` is [] for a blank line and for a row with a `problem` ("open quote", "text after quote"), None for a
    comment.
    """

    start: int
    end: int
    line: int
    n_lines: int
    cells: list[str] | None
    problem: str = ""


def read_cells(lines: Iterable[bytes], delimiter: str) -> Any:
    """Take whole lines apart; raises csv.Error for an open quote and for text after a closing one."""
    # Blanks may follow a closing quote, which csv takes for text.
    blanks = b" \t".replace(delimiter.encode(), b"")
    closing = re.compile(rb'"[' + blanks + rb"]+(?=" + re.escape(delimiter.encode()) + rb"|\n|\Z)")
    texts = (closing.sub(b'"', line).decode() for line in lines)
    return csv.reader(texts, delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True)


def split_rows(text: bytes, delimiter: str, comment: str | None = None) -> Iterator[Row]:
    """Take a text apart, row by row, up to a row with a problem; cells may have blanks around them."""
    source, line = io.BytesIO(text), 0
    mark = None if comment is None else comment.encode()
    while first := source.readline():
        start, n_lines, problem = source.tell() - len(first), 1, ""
        cells: list[str] | None
        if mark is not None and first.startswith(mark):
            cells = None
        elif b'"' not in first:
            cells = first.removesuffix(b"\n").decode().split(delimiter)
            cells = cells if len(cells) > 1 or cells[0].strip() else []
        else:
            reader = read_cells(chain([first], source), delimiter)
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
    """What is said of a row with a problem that begins on line `line`."""
    # What remains behind all fields that are in order begins with the field that is not.
    mark, blanks = re.escape(delimiter.encode()), b"" if delimiter == " " else b" *"
    quoted = blanks + rb'"[^"]*+(?:""[^"]*+)*+"[ \t]*'
    in_order = re.compile(rb"(?:(?:" + quoted + rb"|(?!" + blanks + rb'")[^' + mark + rb"\n]*)" + mark + rb")*")
    field = in_order.match(text, row.start)
    opened = line + text.count(b"\n", row.start, row.start if field is None else text.index(b'"', field.end()))
    if row.problem == "open quote":
        return table_error(name, opened, faults.OPEN_QUOTE)
    last = line + row.n_lines - 1
    return table_error(name, opened, faults.TEXT_AFTER_QUOTE, where=f" (on line {last})" if last > opened else "")


def column_name(cell: str, position: int) -> str:
    """The name in a cell of the header; one that is empty is named as pandas does."""
    return unicodedata.normalize("NFC", cell.strip()) or f"Unnamed: {position}"


def column_notes(where: str, cells: Sequence[str], names: Sequence[str]) -> list[str]:
    """A note on the names that were made up for columns without one."""
    unnamed = [name for name, cell in zip(names, cells, strict=False) if not cell.strip()]
    return [f"{where}: columns without a name: named {faults.join_names(unnamed)}."] if unnamed else []


def without_mark(cell: str) -> str:
    """A cell that may begin a file joined on to another: without byte order mark, and the quotes behind it."""
    return cell.removeprefix(BYTE_ORDER_MARK).strip('"') if cell.startswith(BYTE_ORDER_MARK) else cell


def checked_names(where: str, line: int | None, cells: Sequence[str]) -> tuple[str, ...]:
    """Column names; raises DataError for two equal ones."""
    places: dict[str, int] = {}
    for place, cell in enumerate(cells):
        name = column_name(cell, place)
        first = places.setdefault(name, place)
        if first != place:
            one, other = cells[first].strip(), cell.strip()
            is_same = one == other or "" in (one, other)
            written = "" if is_same else f" (written {code_points(one)} and {code_points(other)})"
            values = {"first": first + 1, "second": place + 1, "column": quote_text(name), "written": written}
            raise table_error(where, line, faults.SAME_NAME, **values)
    return tuple(places)
