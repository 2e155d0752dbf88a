"""Whether the first line of a CSV table holds names, and what columns are called.

The first line holds names, unless it looks like the rows below it. "Figures" are numbers, dates and times.
- A column of figures under a first cell that is none: names. (A missing cell says nothing.)
- Otherwise a column of figures under a figure: no names; but 0, 1, 2, 3, 4 ... is how pandas writes a frame without.
- No column of figures: names, unless a first cell occurs twice in the first line or again in its own column. (A line
  that equals the first one in every cell does not count.)
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice, zip_longest

from mlpcli.data.reading import faults
from mlpcli.data.reading.csv.rows import checked_names, without_mark
from mlpcli.data.reading.faults import pluralize, table_error

FIGURE = re.compile(r"[+-]?(?:[\d.][\d.,:/TZ eE+-]*|inf|infinity)", re.IGNORECASE)


def looks_like_header(first: Sequence[str], rows: Sequence[Sequence[str]], missing: Collection[str]) -> bool:
    """Whether a first line holds names (the rule stands at the top of this file); `rows` are the lines below."""
    # A header may come again where files were joined, which is an error of its own.
    rows = [row for row in rows if len(row) != len(first) or any(map(_differ, row, first))] or rows
    over_figures = cells_over_figures(first, rows, missing)
    if any(not looks_numeric(cell) for cell in over_figures):
        return True
    if over_figures or (not rows and any(map(looks_numeric, first))):
        counted_on = list(first[1:] if first[0] == "" else first)
        return len(counted_on) >= 5 and counted_on == [str(number) for number in range(len(counted_on))]
    filled = [cell for cell in first if cell]
    recurs = any(cell and cell == row[position] for row in rows for position, cell in enumerate(first[: len(row)]))
    return bool(filled) and len(set(filled)) == len(filled) and not recurs


def _differ(cell: str, name: str) -> bool:
    return without_mark(cell) != name


def looks_numeric(cell: str) -> bool:
    """Whether a cell is a number, a date or a time."""
    return FIGURE.fullmatch(cell) is not None


def cells_over_figures(first: Sequence[str], rows: Sequence[Sequence[str]], missing: Collection[str]) -> list[str]:
    """The cells of a first line that stand over nothing but figures."""
    empty = {"", *missing}
    columns = islice(zip_longest(first, *rows, fillvalue=""), len(first))
    below = ({*column[1:]} - empty for column in columns)
    figures = [bool(cells) and ("".join(cells).isdecimal() or all(map(looks_numeric, cells))) for cells in below]
    return [cell for cell, are_figures in zip(first, figures, strict=True) if are_figures and cell not in empty]


def are_names_over_figures(first: Sequence[str], rows: Sequence[Sequence[str]], missing: Collection[str]) -> bool:
    """Whether a first line is a header beyond doubt."""
    over_figures = cells_over_figures(first, rows, missing)
    return any(not looks_numeric(cell) and any(map(str.isalpha, cell)) for cell in over_figures)


def numbered_names(
    name: str, cells: Sequence[Sequence[str]], is_asked: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of columns without one, and what is said of that."""
    n_columns = Counter(map(len, cells)).most_common(1)[0][0]
    called = "c1" if n_columns == 1 else f"c1 to c{n_columns}"
    note = f"{name}: no names in the first line: the columns are named {called} (see data.header)."
    return tuple(f"c{position}" for position in range(1, n_columns + 1)), (note,) * (not is_asked)


def check_width(name: str, line: int, cells: Sequence[Sequence[str]]) -> None:
    """Refuse a header that no row agrees with (one row alone is taken for the ragged one)."""
    n_names, widths = len(cells[0]), {len(row) for row in cells[1:]}
    if len(cells) > 2 and len(widths) == 1 and widths != {n_names}:
        (width,) = widths
        todo = faults.MATCH_NAMES if width < n_names else faults.UNNAMED_COLUMN
        if width == n_names + 1 and not any(row[-1] for row in cells[1:]):
            todo = faults.EACH_ROW_TRAILS
        names, fields = pluralize(n_names, "name"), pluralize(width, "field")
        raise table_error(name, line, faults.HEADER_WIDTH, names=names, fields=fields, todo=todo)


def names_of(name: str, line: int, cells: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The column names, and what is said of columns without one."""
    names = checked_names(name, line, cells)
    unnamed = [place for place, cell in enumerate(cells) if not cell.strip()]
    called = [f"column {place + 1} has no name: named {names[place]}" for place in unnamed[:3]]
    return names, (f"{name}: {'; '.join(called)}.",) if called else ()
