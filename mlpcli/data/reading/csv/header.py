"""Detection of the header of a CSV table, and column names.

The first line is a header unless it looks like the rows below it. "Numeric" cells are numbers, dates and times.
- A numeric column has a non-numeric first cell: header. (Missing first cells are ignored.)
- Otherwise a numeric column has a numeric first cell: no header, except 0, 1, 2, 3, 4 ..., the header that pandas
  writes for a frame without column names.
- No column is numeric: header, unless a first cell occurs twice in the first line or again in its own column. (Lines
  that equal the first one in every cell are ignored.)
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice, zip_longest

from mlpcli.data.reading import faults
from mlpcli.data.reading.csv.rows import strip_byte_order_mark, unique_column_names
from mlpcli.data.reading.faults import pluralize, table_error

NUMERIC = re.compile(r"[+-]?(?:[\d.][\d.,:/TZ eE+-]*|inf|infinity)", re.IGNORECASE)


def looks_like_header(first: Sequence[str], rows: Sequence[Sequence[str]], missing: Collection[str]) -> bool:
    """Whether the first line is a header, by the rules in the module docstring; `rows` are the lines below it."""
    # A header is repeated in concatenated files, which is reported as an error of its own.
    rows = [row for row in rows if len(row) != len(first) or any(map(_differ, row, first))] or rows
    above_numbers = cells_above_numbers(first, rows, missing)
    if any(not looks_numeric(cell) for cell in above_numbers):
        return True
    if above_numbers or (not rows and any(map(looks_numeric, first))):
        numbers = list(first[1:] if first[0] == "" else first)
        return len(numbers) >= 5 and numbers == [str(number) for number in range(len(numbers))]
    filled = [cell for cell in first if cell]
    is_repeated = any(cell and cell == row[position] for row in rows for position, cell in enumerate(first[: len(row)]))
    return bool(filled) and len(set(filled)) == len(filled) and not is_repeated


def _differ(cell: str, name: str) -> bool:
    return strip_byte_order_mark(cell) != name


def looks_numeric(cell: str) -> bool:
    """Whether a cell looks like a number, a date or a time."""
    return NUMERIC.fullmatch(cell) is not None


def cells_above_numbers(first: Sequence[str], rows: Sequence[Sequence[str]], missing: Collection[str]) -> list[str]:
    """Cells of the first line whose columns below are numeric."""
    missing_markers = {"", *missing}
    columns = islice(zip_longest(first, *rows, fillvalue=""), len(first))
    below = ({*column[1:]} - missing_markers for column in columns)
    are_numeric = [bool(cells) and ("".join(cells).isdecimal() or all(map(looks_numeric, cells))) for cells in below]
    return [
        cell for cell, is_numeric in zip(first, are_numeric, strict=True) if is_numeric and cell not in missing_markers
    ]


def has_names_above_numbers(first: Sequence[str], rows: Sequence[Sequence[str]], missing: Collection[str]) -> bool:
    """Whether the first line certainly is a header: a cell with letters above a numeric column."""
    above_numbers = cells_above_numbers(first, rows, missing)
    return any(not looks_numeric(cell) and any(map(str.isalpha, cell)) for cell in above_numbers)


def generate_names(
    name: str, cells: Sequence[Sequence[str]], is_requested: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Generate the names c1, c2, ... for a table without header, and the note on them unless `is_requested`."""
    n_columns = Counter(map(len, cells)).most_common(1)[0][0]
    shown_names = "c1" if n_columns == 1 else f"c1 to c{n_columns}"
    note = f"{name}: no names in the first line: the columns are named {shown_names} (see data.header)."
    return tuple(f"c{position}" for position in range(1, n_columns + 1)), (note,) * (not is_requested)


def check_header_width(name: str, line: int, cells: Sequence[Sequence[str]]) -> None:
    """Raise DataError if at least two rows all have another number of fields than the header."""
    n_names, widths = len(cells[0]), {len(row) for row in cells[1:]}
    if len(cells) > 2 and len(widths) == 1 and widths != {n_names}:
        (width,) = widths
        remedy = faults.MATCH_NAMES if width < n_names else faults.UNNAMED_COLUMN.format(width=width, line=line)
        if width == n_names + 1 and not any(row[-1] for row in cells[1:]):
            remedy = faults.EACH_ROW_TRAILS
        names, fields = pluralize(n_names, "name"), pluralize(width, "field")
        raise table_error(name, line, faults.HEADER_WIDTH, names=names, fields=fields, todo=remedy)


def header_names(name: str, line: int, cells: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Column names of the header cells, and a note on columns without a name."""
    names = unique_column_names(name, line, cells)
    unnamed = [position for position, cell in enumerate(cells) if not cell.strip()]
    descriptions = [f"column {position + 1} has no name: named {names[position]}" for position in unnamed[:3]]
    return names, (f"{name}: {'; '.join(descriptions)}.",) if descriptions else ()
