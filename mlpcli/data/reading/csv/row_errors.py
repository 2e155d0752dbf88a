"""Errors in rows of a CSV text: quotes, and too few or too many fields."""

from mlpcli.data.reading import faults
from mlpcli.data.reading.csv.rows import Row, quote_error
from mlpcli.data.reading.csv.sniff import Dialect
from mlpcli.data.reading.faults import field_count, format_yaml, table_error
from mlpcli.errors import DataError


def row_error(name: str, text: bytes, row: Row, line: int, dialect: Dialect, is_end: bool = False) -> DataError | None:
    """Build the error for a row on line `line`; None if the row is valid. `is_end`: the file ends with `text`."""
    expected = len(dialect.names)
    if row.problem:
        return quote_error(name, text, row, line, dialect.delimiter)
    if not row.cells or len(row.cells) == expected:
        return None
    problem = field_count(len(row.cells), expected)
    if row.n_lines > 1:
        return table_error(name, line, faults.JOINED_LINES, found=problem, first=line, last=line + row.n_lines - 1)
    template = faults.LONG_ROW if len(row.cells) > expected else faults.SHORT_ROW
    if text.startswith(b"#", row.start):
        template = faults.COMMENT_LINE
    elif len(row.cells) == expected + 1 and not row.cells[-1].strip():
        template = faults.TRAILING_DELIMITER
    elif is_end and len(row.cells) == 1 and any(map(str.isalpha, row.cells[0])) and not text[row.end :].strip():
        mark = text[row.start : row.start + 1].decode("utf-8", "replace")
        can_be_comment = mark in "([{<*=%!~_" and b"\n" + mark.encode() not in text[: row.start - 1]
        or_comment = f" or set data.comment: {format_yaml(mark)}" if can_be_comment else ""
        return table_error(name, line, faults.FOOTER, found=problem, or_comment=or_comment)
    return table_error(name, line, template, found=problem)
