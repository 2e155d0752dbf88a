"""Findings about columns that are reported to the user, with their location and remedy."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import format_yaml, join_names, pluralize, quote_text
from mlpcli.data.schema.cells import equivalent_spellings, missing_mask
from mlpcli.data.schema.column import ColumnOptions, ColumnSchema, first_row_with_level, missing_markers
from mlpcli.data.schema.spelling import NumberFormat
from mlpcli.data.table import DEFAULT_MISSING, CategoricalColumn, Table
from mlpcli.errors import DataError

# Maximum fraction of strays among the cells, or among the distinct texts if there are more than FEW_TEXTS.
STRAYS = 0.05
FEW_TEXTS = 20
SAMPLE_SIZE = 1000


@dataclass(frozen=True)
class Finding:
    """A finding about a column; faults prevent training.

    `number` is the format of formatted numbers, `doubt` describes its ambiguity. `is_of_labels` marks findings that
    also apply to class labels.
    """

    column: str
    text: str
    is_fault: bool
    number: NumberFormat | None = None
    doubt: str = ""
    is_of_labels: bool = False

    @property
    def doubts(self) -> "list[Finding]":
        """The note that remains if the column is read as numbers: its ambiguity, if any."""
        return [Finding(self.column, f"column {self.column}: {self.doubt}", is_fault=False)] if self.doubt else []


def findings_of_key(schema: ColumnSchema, findings: Iterable[Finding]) -> list[Finding]:
    """The findings that remain if a column is read as folds, groups or ids: cells that are not what the others are."""
    has_strays = schema.role in ("number", "date")
    return [finding for finding in findings if finding.is_of_labels or (finding.is_fault and has_strays)]


def drop_advice(name: str) -> str:
    """The end of a sentence that also offers to drop a column; left out of messages about a target."""
    return f", or leave the column out: data.drop: [{format_yaml(name)}]"


def raise_faults(findings: Iterable[Finding], limit: int | None = None) -> None:
    """Raise DataError if there are faults, with the location and remedy of at most `limit` of them."""
    findings = tuple(findings)
    faults = [finding.text for finding in findings if finding.is_fault]
    if not faults:
        return
    shown = faults[:limit]
    more = (
        f"\n{pluralize(len(faults) - len(shown), 'more such column')}: mlp check lists all."
        if len(faults) > len(shown)
        else ""
    )
    raise DataError("\n".join(shown) + more + _advice_on_commas(findings))


def _advice_on_commas(findings: Iterable[Finding]) -> str:
    """Recommend the keys for the whole table if at least two columns have decimal commas."""
    formats = [finding.number for finding in findings if finding.number is not None and finding.number.decimal == ","]
    if len(formats) < 2:
        return ""
    thousands = sorted({number.thousands for number in formats} - {""})
    thousands_key = f' and data.thousands: "{thousands[0]}"' if len(thousands) == 1 else ""
    advice = f'data.decimal: ","{thousands_key}'
    return f"\n{len(formats)} columns have decimal commas. If all numbers of the table do: {advice}"


@dataclass(frozen=True)
class TextCounts:
    """Distinct non-missing texts of the column `name` with their counts; `levels` are their indices in `column`."""

    table: Table
    name: str
    column: CategoricalColumn
    texts: tuple[str, ...]
    counts: NDArray[np.int64]
    levels: NDArray[np.int64]
    markers: frozenset[str]

    @property
    def n_cells(self) -> int:
        """Number of non-missing cells."""
        return int(self.counts.sum())

    @property
    def as_category(self) -> str:
        """The YAML that makes the column categorical."""
        return f"data.columns: {{{format_yaml(self.name)}: category}}"

    @property
    def sample(self) -> tuple[str, ...]:
        """At least 1000 of the texts, or all of fewer, at equal steps."""
        return self.texts[:: max(1, len(self.texts) // SAMPLE_SIZE)]

    def mask(self, is_kind: Callable[[str], object]) -> NDArray[np.bool_]:
        """Mask (n_texts,) of the texts for which a function is true."""
        return np.asarray([bool(is_kind(text)) for text in self.texts], np.bool_)

    def first_row(self, is_marked: NDArray[np.bool_]) -> int:
        """The first row with a marked text."""
        marked = np.zeros(len(self.column.levels), np.bool_)
        marked[self.levels[is_marked]] = True
        return first_row_with_level(self.column, marked)

    def first(self, is_marked: NDArray[np.bool_]) -> tuple[str, str]:
        """Location and text of the first cell with a marked text; the location ends with the name of the column."""
        row = self.first_row(is_marked)
        return f"{self.table.where(row)}: column {self.name}", self.column.levels[self.column.codes[row]]

    def quoted(self, is_marked: NDArray[np.bool_]) -> str:
        """The beginning of a message on the marked texts: "file.csv:17: column price: '12 k'", of their first cell."""
        location, text = self.first(is_marked)
        return f"{location}: {quote_text(text)}"

    def one_of(self, is_marked: NDArray[np.bool_]) -> str:
        """The number of cells with a marked text, unless it is the only one, after `quoted` in a message."""
        n_cells = int(self.counts[is_marked].sum())
        return "" if n_cells == 1 else f", one of {n_cells} such cells"

    def note(self, text: str, is_of_labels: bool = False) -> "Finding":
        """A finding that does not prevent training."""
        return Finding(self.name, text, is_fault=False, is_of_labels=is_of_labels)

    def are_few(self, is_stray: NDArray[np.bool_]) -> bool:
        """Whether the marked texts are few cells, or few of many distinct texts."""
        few_cells = self.counts[is_stray].sum() <= STRAYS * self.n_cells
        return bool(few_cells or (len(self.texts) > FEW_TEXTS and is_stray.mean() <= STRAYS))

    def examples(self, is_marked: NDArray[np.bool_]) -> str:
        """Up to three marked texts, for a message."""
        return join_names([repr(self.texts[index]) for index in np.flatnonzero(is_marked)[:3].tolist()], 3)


def count_texts(
    table: Table, name: str, column: CategoricalColumn, options: ColumnOptions, number: NumberFormat
) -> TextCounts:
    """Count the non-missing texts of a column, with the markers of its options or of the table."""
    markers = missing_markers(table, options)
    counts = column.counts
    levels = np.flatnonzero(~missing_mask(column.levels, markers, number) & (counts > 0))
    return TextCounts(
        table, name, column, tuple(column.levels[level] for level in levels.tolist()), counts[levels], levels, markers
    )


def find_equivalent_spellings(table: Table, schema: ColumnSchema, noun: str) -> list[Finding]:
    """A note if two spellings of a number are merged into one label, level, fold or group (`noun`)."""
    column, name = table.columns[schema.name], schema.name
    texts = tuple(column.level_counts if isinstance(column, CategoricalColumn) else table.spellings.get(name, ()))
    is_missing = missing_mask(texts, missing_markers(table, schema), schema.number).tolist()
    present = sorted(
        text for text, is_marker in zip(texts, is_missing, strict=True) if not is_marker
    )  # independent of the order of rows
    pairs = equivalent_spellings(present, schema.number)
    text = f"column {name}: {{}} and {{}} are the same number, and one {noun}"
    return [Finding(name, text.format(*map(quote_text, pairs[0])), is_fault=False)] if pairs else []


def missing_marker_notes(table: Table, schemas: Iterable[ColumnSchema]) -> list[str]:
    """A note on cells that default markers make missing although they may be levels, such as NA for Namibia.

    They may be levels if other texts of the column have the same pattern, or if the column also has empty cells.
    """
    if table.format.missing != DEFAULT_MISSING:
        return []
    examples = []
    for schema in schemas:
        if schema.missing is not None or schema.role in ("number", "date"):
            continue
        column = table.columns[schema.name]
        if not isinstance(column, CategoricalColumn):
            continue
        if set(DEFAULT_MISSING).isdisjoint(column.levels):
            continue
        counts = column.level_counts
        has_empty = sum(counts.values()) - counts.get("", 0) < len(column)
        shapes = {_shape(level) for level in column.levels if level not in DEFAULT_MISSING}
        examples += [
            f"{schema.name}: {marker!r} in {pluralize(counts[marker], 'cell')}"
            for marker in DEFAULT_MISSING
            if marker and marker in counts and (has_empty or _shape(marker) in shapes)
        ]
    if not examples:
        return []
    return [
        f"{table.name}: read as missing: {join_names(examples, 6)}. "
        'If these are texts: data.missing: [""], or missing: [""] of a column in data.columns'
    ]


def _shape(text: str) -> str:
    """Pattern of capitals, other letters and digits."""
    return "".join(
        "A" if char.isupper() else "a" if char.isalpha() else "0" if char.isdigit() else char for char in text
    )


def stray_finding(cells: TextCounts, is_stray: NDArray[np.bool_], problem: str, kind: str) -> Finding:
    """Fault of a column of numbers or dates with a few unparsable cells."""
    n = int(cells.counts[is_stray].sum())
    more = "" if n == 1 else f", nor {'is 1' if n == 2 else f'are {n - 1}'} more ({cells.examples(is_stray)})"
    # Only the delimiter of a text is known, and only its header may be anywhere.
    may_be_header = cells.table.format.delimiter is not None and cells.first_row(is_stray) == 0
    message = (
        f"{cells.quoted(is_stray)} {problem}{more}; the other {cells.n_cells - n} cells are {kind}.\n"
        f"Correct {'it' if n == 1 else 'them'}, or name missing values: data.missing; "
        f"if these are texts: {cells.as_category}"
        + "; if the header stands here, below other lines: data.skip_rows"
        * may_be_header
    )
    return Finding(cells.name, message, is_fault=True)
