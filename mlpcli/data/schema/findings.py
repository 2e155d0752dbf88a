"""Findings about columns that are reported to the user, with their location and remedy."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import format_yaml, join_names, pluralize, quote_text
from mlpcli.data.schema.cells import merged_spellings, missing_mask
from mlpcli.data.schema.column import ColumnOptions, ColumnSchema, first_row_with_level
from mlpcli.data.schema.spelling import NumberFormat
from mlpcli.data.table import DEFAULT_MISSING, CategoricalColumn, Table
from mlpcli.errors import DataError

# Cells (or distinct texts of a column with more than FEW_TEXTS) that may be strays, as a fraction.
STRAYS = 0.05
FEW_TEXTS = 20


@dataclass(frozen=True)
class Finding:
    """A finding about a column; a fault stops the training.

    `number` is the number format of formatted numbers, `doubt` what it leaves ambiguous. `is_of_labels` marks findings
    that also apply to class labels.
    """

    column: str
    text: str
    is_fault: bool
    number: NumberFormat | None = None
    doubt: str = ""
    is_of_labels: bool = False

    @property
    def doubts(self) -> "list[Finding]":
        """The remaining note once the column is read as the numbers it holds."""
        return [Finding(self.column, f"column {self.column}: {self.doubt}", is_fault=False)] if self.doubt else []


def refuse_faults(findings: Iterable[Finding], most: int | None = None) -> None:
    """Raise DataError for faults, each with its location and remedy; at most `most` of them."""
    findings = tuple(findings)
    faults = [finding.text for finding in findings if finding.is_fault]
    if not faults:
        return
    shown = faults[:most]
    more = (
        f"\n{pluralize(len(faults) - len(shown), 'more such column')}: mlp check lists all."
        if len(faults) > len(shown)
        else ""
    )
    raise DataError("\n".join(shown) + more + _advice_on_commas(findings))


def _advice_on_commas(findings: Iterable[Finding]) -> str:
    """The keys for the whole table, where more than one of its columns has decimal commas."""
    found = [one.number for one in findings if one.number is not None and one.number.decimal == ","]
    if len(found) < 2:
        return ""
    thousands = sorted({number.thousands for number in found} - {""})
    grouped = f' and data.thousands: "{thousands[0]}"' if len(thousands) == 1 else ""
    return f'\n{len(found)} columns have decimal commas. If all numbers of the table do: data.decimal: ","{grouped}'


@dataclass(frozen=True)
class TextCounts:
    """Distinct non-missing texts of a column with their counts; `levels` are their indices in `column`."""

    table: Table
    column: CategoricalColumn
    texts: tuple[str, ...]
    counts: NDArray[np.int64]
    levels: NDArray[np.int64]
    markers: frozenset[str]

    @property
    def n_cells(self) -> int:
        """Number of non-missing cells."""
        return int(self.counts.sum())

    def location(self, is_asked: NDArray[np.bool_]) -> str:
        """Location of the first cell with a marked text."""
        marked = np.zeros(len(self.column.levels), np.bool_)
        marked[self.levels[is_asked]] = True
        return self.table.where(first_row_with_level(self.column, marked))

    def first_index(self, is_asked: NDArray[np.bool_]) -> int:
        """Index of the marked text that occurs first in the table."""
        marked = np.zeros(len(self.column.levels), np.bool_)
        marked[self.levels[is_asked]] = True
        code = int(self.column.codes[first_row_with_level(self.column, marked)])
        return int(np.flatnonzero(self.levels == code)[0])

    def are_few(self, is_stray: NDArray[np.bool_]) -> bool:
        """Whether the marked texts are few cells, or few of many distinct texts."""
        few_cells = self.counts[is_stray].sum() <= STRAYS * self.n_cells
        return bool(few_cells or (len(self.texts) > FEW_TEXTS and is_stray.mean() <= STRAYS))

    def examples(self, is_asked: NDArray[np.bool_]) -> str:
        """Up to three marked texts, for a message."""
        return join_names([repr(self.texts[index]) for index in np.flatnonzero(is_asked)[:3].tolist()], 3)


def count_texts(table: Table, column: CategoricalColumn, options: ColumnOptions, number: NumberFormat) -> TextCounts:
    """Count the non-missing texts of a column, with the markers of its options or of the table."""
    markers = frozenset(table.format.missing if options.missing is None else options.missing)
    counts = column.counts
    levels = np.flatnonzero(~missing_mask(column.levels, markers, number) & (counts > 0))
    return TextCounts(
        table, column, tuple(column.levels[level] for level in levels.tolist()), counts[levels], levels, markers
    )


def find_merged_spellings(table: Table, schema: ColumnSchema, what: str) -> list[Finding]:
    """A note if two spellings of a number occur and become one label, level, fold or group (`what`)."""
    column, name = table.columns[schema.name], schema.name
    markers = frozenset(table.format.missing if schema.missing is None else schema.missing)
    texts: tuple[str, ...] = table.spellings.get(name, ())
    if isinstance(column, CategoricalColumn):
        texts = tuple(level for level, count in zip(column.levels, column.counts.tolist(), strict=True) if count)
    is_missing = missing_mask(texts, markers, schema.number).tolist()
    known = sorted(text for text, gone in zip(texts, is_missing, strict=True) if not gone)  # in any order of the rows
    pairs = merged_spellings(known, schema.number)
    text = f"column {name}: {{}} and {{}} are the same number, and one {what}"
    return [Finding(name, text.format(*map(quote_text, pairs[0])), is_fault=False)] if pairs else []


def note_on_missing(table: Table, schemas: Iterable[ColumnSchema]) -> list[str]:
    """One sentence on texts that the default markers take as missing though they may be levels, such as the country NA.

    They may be where other texts of the column are written alike, or empty cells stand beside them.
    """
    if table.format.missing != DEFAULT_MISSING:
        return []
    found = []
    for schema in schemas:
        if schema.missing is not None or schema.role in ("number", "date"):
            continue
        column = table.columns[schema.name]
        if not isinstance(column, CategoricalColumn):
            continue
        markers = [marker for marker in DEFAULT_MISSING if marker and marker in column.levels]
        if not markers:
            continue
        counts = dict(zip(column.levels, column.counts.tolist(), strict=True))
        has_empty = sum(counts.values()) - counts.get("", 0) < len(column)
        shapes = {_shape(level) for level in column.levels if level not in DEFAULT_MISSING}
        found += [
            f"{schema.name}: {marker!r} in {pluralize(counts[marker], 'cell')}"
            for marker in markers
            if counts[marker] and (has_empty or _shape(marker) in shapes)
        ]
    if not found:
        return []
    return [
        f"{table.name}: read as missing: {join_names(found, 6)}. "
        'If these are texts: data.missing: [""], or missing: [""] of a column in data.columns'
    ]


def _shape(text: str) -> str:
    """Pattern of capitals, other letters and digits."""
    return "".join(
        "A" if sign.isupper() else "a" if sign.isalpha() else "0" if sign.isdigit() else sign for sign in text
    )


def stray_finding(name: str, cells: TextCounts, is_stray: NDArray[np.bool_], what: str, kind: str) -> Finding:
    """Fault of a column of numbers or dates with a few unparsable cells."""
    n = int(cells.counts[is_stray].sum())
    row = cells.location(is_stray)
    text = cells.texts[cells.first_index(is_stray)]
    more = "" if n == 1 else f", nor {'is 1' if n == 2 else f'are {n - 1}'} more ({cells.examples(is_stray)})"
    return Finding(
        name,
        f"{row}: column {name}: {quote_text(text)} {what}{more}; the other {cells.n_cells - n} cells are {kind}.\n"
        f"Correct {'it' if n == 1 else 'them'}, or name missing values: data.missing; "
        f"if these are texts: data.columns: {{{format_yaml(name)}: category}}",
        is_fault=True,
    )
