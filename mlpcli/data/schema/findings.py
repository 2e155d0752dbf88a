"""What a column holds that the user has to know: where it stands, and what settles it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import listed, quoted
from mlpcli.data.schema.cells import NumberFormat, merged_spellings, missing_mask
from mlpcli.data.schema.column import ColumnOptions, ColumnSchema, first_row_of
from mlpcli.data.table import CategoricalColumn, Table
from mlpcli.errors import DataError


@dataclass(frozen=True)
class Finding:
    """Something about a column that the user has to know; a fault stops a training.

    `number` is how its numbers are written, where they are in disguise.
    """

    column: str
    text: str
    is_fault: bool
    number: NumberFormat | None = None


def refuse_faults(findings: Iterable[Finding], most: int | None = None) -> None:
    """Raise DataError for columns that are not what they seem to be: each with its place and what settles it."""
    faults = [finding.text for finding in findings if finding.is_fault]
    if not faults:
        return
    shown = faults[:most]
    more = f"\n{len(faults) - len(shown)} more such columns: mlp check lists all." if len(faults) > len(shown) else ""
    raise DataError("\n".join(shown) + more)


@dataclass(frozen=True)
class Cells:
    """The texts of a column that are not missing, with the number of cells of each; `column` has them as levels."""

    table: Table
    column: CategoricalColumn
    texts: tuple[str, ...]
    counts: NDArray[np.int64]
    levels: NDArray[np.int64]
    markers: frozenset[str]

    @property
    def n_cells(self) -> int:
        """How many cells are not missing."""
        return int(self.counts.sum())

    def place(self, is_asked: NDArray[np.bool_]) -> str:
        """Where the first cell with one of the marked texts stands."""
        marked = np.zeros(len(self.column.levels), np.bool_)
        marked[self.levels[is_asked]] = True
        return self.table.where(first_row_of(self.column, marked))

    def few(self, is_asked: NDArray[np.bool_]) -> str:
        """The marked texts, for a message."""
        return listed([repr(self.texts[index]) for index in np.flatnonzero(is_asked)[:3].tolist()], 3)


def cells_of(table: Table, column: CategoricalColumn, options: ColumnOptions, number: NumberFormat) -> Cells:
    """The cells of a column that are not missing, with the markers of its options or of the table."""
    markers = frozenset(table.format.missing if options.missing is None else options.missing)
    counts = column.counts
    levels = np.flatnonzero(~missing_mask(column.levels, markers, number) & (counts > 0))
    return Cells(
        table, column, tuple(column.levels[level] for level in levels.tolist()), counts[levels], levels, markers
    )


def merged_cells(table: Table, schema: ColumnSchema, what: str) -> list[Finding]:
    """A note where two spellings of a number both occur, and are one label, level, fold or group (`what`)."""
    column, name = table.columns[schema.name], schema.name
    markers = frozenset(table.format.missing if schema.missing is None else schema.missing)
    texts: tuple[str, ...] = table.spellings.get(name, ())
    if isinstance(column, CategoricalColumn):
        texts = tuple(level for level, count in zip(column.levels, column.counts.tolist(), strict=True) if count)
    is_missing = missing_mask(texts, markers, schema.number).tolist()
    known = sorted(text for text, gone in zip(texts, is_missing, strict=True) if not gone)  # in any order of the rows
    pairs = merged_spellings(known, schema.number)
    text = f"column {name}: {{}} and {{}} are the same number, and one {what}"
    return [Finding(name, text.format(*map(quoted, pairs[0])), is_fault=False)] if pairs else []


def strays(name: str, cells: Cells, is_stray: NDArray[np.bool_], what: str, kind: str) -> Finding:
    """The fault of a column that is numbers or dates but for few cells."""
    n = int(cells.counts[is_stray].sum())
    row = cells.place(is_stray)
    text = cells.texts[first_of(cells, is_stray)]
    more = "" if n == 1 else f", nor {'is 1' if n == 2 else f'are {n - 1}'} more ({cells.few(is_stray)})"
    return Finding(
        name,
        f"{row}: column {name}: {quoted(text)} {what}{more}; the other {cells.n_cells - n} cells are {kind}.\n"
        f"Correct {'it' if n == 1 else 'them'}, or name missing values: data.missing; "
        f"if these are texts: data.columns: {{{name}: category}}",
        is_fault=True,
    )


def first_of(cells: Cells, is_asked: NDArray[np.bool_]) -> int:
    """The index of the marked text that comes first in the table."""
    marked = np.zeros(len(cells.column.levels), np.bool_)
    marked[cells.levels[is_asked]] = True
    code = int(cells.column.codes[first_row_of(cells.column, marked)])
    return int(np.flatnonzero(cells.levels == code)[0])
