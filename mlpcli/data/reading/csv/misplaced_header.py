"""A header elsewhere than where the table seems to begin: the line that has columns named by the user."""

from collections.abc import Collection, Iterable, Iterator

from mlpcli.data.reading import faults
from mlpcli.data.reading.csv.rows import column_name, split_rows
from mlpcli.data.reading.faults import delimiter_name, format_setting, join_names, quote_text, table_error
from mlpcli.errors import DataError

MAX_LINES = 21


def misplaced_header_error(
    name: str, head: bytes, read_as: tuple[int, str], delimiters: Iterable[str], configured: Collection[str]
) -> DataError | None:
    """Build the error for a table without any of the columns `configured`, if one of its first lines has some.

    `read_as` are the line of the supposed header (from 1) and the delimiter; lines are also split by `delimiters`.
    """
    header_line, delimiter = read_as
    lines = list(_lines_with({*configured}, head, dict.fromkeys((delimiter, *delimiters))))
    if not lines:
        return None
    line, separator, found, text = max(lines, key=lambda candidate: len(candidate[2]))  # the first of equal ones
    settings = [format_setting("data.skip_rows", line - 1)] * (line != header_line)
    settings += [f"--delimiter / data.delimiter: {delimiter_name(separator)}"] * (separator != delimiter)
    if not settings:
        return None
    return table_error(
        name,
        line,
        faults.MISPLACED_HEADER,
        text=quote_text(text),
        columns=join_names(found),
        header_line=header_line,
        delimiter=delimiter_name(delimiter),
        settings=" and ".join(settings),
    )


def _lines_with(names: set[str], head: bytes, delimiters: Iterable[str]) -> Iterator[tuple[int, str, list[str], str]]:
    """Yield number, delimiter, names found and text of the first lines that have any of `names`."""
    for number, line in enumerate(head.split(b"\n")[:MAX_LINES], start=1):
        for delimiter in delimiters:
            cells = next(split_rows(line + b"\n", delimiter)).cells or []
            if found := [name for name in map(column_name, cells, range(len(cells))) if name in names]:
                yield number, delimiter, found, line.decode()
