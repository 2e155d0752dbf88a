"""Inference of column roles: once, over all rows, with a reason; ambiguous cells give notes or errors.

Typed sources decide by their type. Texts are numbers if all parse, dates if one format reads all, booleans if they are
two words for no and yes; otherwise categories. A few unparsable cells among numbers or dates are an error, and so are
formatted numbers ($2,212.04), which would make useless categories: the user says what they are.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import format_yaml, join_names
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.schema.cells import (
    boolean_spelling,
    complete_boolean,
    find_boolean,
    join_spellings,
    lookalike_labels,
    marker_numbers,
    parse_numbers,
)
from mlpcli.data.schema.column import ColumnOptions, ColumnSchema
from mlpcli.data.schema.dates.parsing import looks_like_date
from mlpcli.data.schema.dates.placeholders import find_placeholder_days, find_placeholder_texts
from mlpcli.data.schema.dates.roles import InferredSchema, find_dates, find_stray_dates, read_as_dates
from mlpcli.data.schema.dates.unread import compact_date_notes, find_unread_dates
from mlpcli.data.schema.findings import (
    FEW_TEXTS,
    SAMPLE_SIZE,
    Finding,
    TextCounts,
    count_texts,
    find_equivalent_spellings,
    stray_finding,
)
from mlpcli.data.schema.number_formats import count_point_groups, find_number_format, format_as_yaml
from mlpcli.data.schema.spelling import MINUS, NumberFormat, integer_code, is_code
from mlpcli.data.schema.stray_words import find_damaged_texts, find_neither, find_stray_words
from mlpcli.data.schema.unreadable_numbers import find_sheet_errors, find_unreadable_numbers
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Table
from mlpcli.errors import DataError

INFER = ColumnOptions()


@dataclass(frozen=True)
class TextFormat:
    """Number and date format of all columns of a table, unless overridden per column; `dates` as `data.dates`."""

    decimal: str = "."
    thousands: str | None = None
    dates: str | None = None

    @property
    def number(self) -> NumberFormat:
        """The number format."""
        return NumberFormat(decimal=self.decimal, thousands=self.thousands or "")


def number_format(options: ColumnOptions, text_format: TextFormat) -> NumberFormat:
    """The number format of a column, from its options or those of the table."""
    return NumberFormat(
        decimal=options.decimal or text_format.decimal,
        thousands=(text_format.thousands if options.thousands is None else options.thousands) or "",
        prefix=options.prefix,
        suffix=options.suffix,
        parentheses=options.parentheses,
    )


def infer_schema(
    table: Table, name: str, options: ColumnOptions = INFER, text_format: TextFormat = TextFormat()
) -> InferredSchema:
    """The schema of a column, and findings for the user.

    Raises DataError only if `options` require what the column cannot be.
    """
    column = _column_to_inspect(table, name, options)
    number = number_format(options, text_format)
    base = ColumnSchema(name, "category", "as requested", number, missing=options.missing)
    cells = count_texts(table, name, column, options, number) if isinstance(column, CategoricalColumn) else None
    if cells is not None:
        base = replace(base, levels=boolean_spelling(cells.texts, column.cell_type in ("bool", "mixed")))
    schema, findings = _infer(table, column, base, options, text_format, cells)
    return schema if schema.role in ("category", "boolean") else replace(schema, levels=()), findings


def _column_to_inspect(table: Table, name: str, options: ColumnOptions) -> Column:
    """The column; for remote numbers a sample, unless all distinct values are needed."""
    columns, sample = table.columns, None
    if isinstance(columns, RemoteColumns) and options.role not in ("boolean", "category"):
        sample = columns.shards.sample(name)
    return columns[name] if sample is None else sample


def _infer(
    table: Table,
    column: Column,
    base: ColumnSchema,
    options: ColumnOptions,
    text_format: TextFormat,
    cells: TextCounts | None,
) -> InferredSchema:
    number = base.number
    is_number = options.role == "number" or (
        options.role is None and not number.is_plain and number != text_format.number
    )
    if is_number:
        return _as_numeric(replace(base, role="number"), cells)
    if options.role == "date" or options.format:
        key = f"data.columns.{base.name}.format" if options.format else "data.dates"
        return read_as_dates(table, base, cells, options.format or text_format.dates, key)
    if options.role == "boolean":
        return replace(base, role="boolean", levels=_boolean_levels(table, base, column, cells)), []
    if options.role == "category":
        return base, find_equivalent_spellings(table, base, "level")
    if column.role is not None:
        levels = ("False", "True") if column.role == "boolean" else base.levels
        date_format = "YYYY-MM-DD" if column.role == "date" else ""  # should later rows come as texts
        days = column.values if isinstance(column, NumericColumn) and column.role == "date" else None
        notes = [] if days is None else find_placeholder_days(table, base.name, days)
        return replace(
            base, role=column.role, date_format=date_format, levels=levels, reason="type of the source"
        ), notes
    if cells is None:
        assert isinstance(column, NumericColumn)
        notes = compact_date_notes(base.name, column.values)
        return replace(base, role="number", reason="all cells are numbers"), notes
    return _infer_from_cells(base, cells, text_format)


def _as_numeric(schema: ColumnSchema, cells: TextCounts | None) -> InferredSchema:
    if cells is None:
        return schema, []
    numbers, is_unknown = parse_numbers(cells.texts, schema.number)
    is_unknown &= ~np.isin(numbers, marker_numbers(frozenset(cells.markers), schema.number))
    return schema, [stray_finding(cells, is_unknown, "is not a number", "numbers")] if is_unknown.any() else []


def _infer_from_cells(base: ColumnSchema, cells: TextCounts, text_format: TextFormat) -> InferredSchema:
    if not cells.texts:
        return replace(base, reason="all cells are missing"), []
    if (words := find_boolean(cells.texts)) is not None:
        return replace(base, role="boolean", levels=words, reason=f"{words[0]} and {words[1]}"), []
    numbers, is_unknown = parse_numbers(cells.texts, base.number)
    is_number = ~is_unknown & ~np.isnan(numbers)
    if not is_unknown.any() and is_number.any():
        return _number_or_code(base, cells, numbers)
    if (dates := find_dates(base, cells, text_format.dates)) is not None:
        schema, notes = dates
        return schema, notes + find_placeholder_texts(cells, schema.date_format)
    if (finding := _find_formatted_numbers(base, cells, text_format)) is not None:
        return base, [finding]
    if is_number.any() and cells.are_few(is_unknown):
        finding = stray_finding(cells, is_unknown, "is not a number", "numbers")
        return replace(base, role="number", reason="nearly all cells are numbers"), [finding]
    if (dates := find_stray_dates(base, cells, text_format.dates)) is not None:
        return dates
    for find in (find_sheet_errors, find_unreadable_numbers):
        if (finding := find(cells)) is not None:
            return base, [finding]
    return replace(base, reason="texts"), _category_notes(base, cells, is_number)


def _number_or_code(base: ColumnSchema, cells: TextCounts, numbers: NDArray[np.float64]) -> InferredSchema:
    are_codes = cells.mask(is_code)
    are_integers = np.isnan(numbers) | (numbers == np.round(numbers))  # 94107.0 is an integer, as 1.0 is 1
    if not are_codes.any() or not are_integers.all():
        notes = _point_notes(base, cells) + _merged_integer_notes(base, cells)
        return replace(base, role="number", reason="all cells are numbers"), notes
    message = (
        f"{cells.quoted(are_codes)} {_why_code(cells.first(are_codes)[1])}: read as codes (categories). "
        f"If they are numeric: data.columns: {{{format_yaml(base.name)}: number}}"
    )
    smallest = min(filter(is_code, cells.texts))  # in any order
    return replace(base, reason=f"codes: {smallest} {_why_code(smallest)}"), [cells.note(message)]


def _merged_integer_notes(base: ColumnSchema, cells: TextCounts) -> list[Finding]:
    """A note on integers such as 9007199254740993.0 that are different codes, but one float64."""
    codes = sorted({code for text in cells.texts if (code := integer_code(text, base.number.decimal)) is not None})
    first = dict[float, str]()
    merged = [
        (other, code) for code in codes if (other := first.setdefault(float(code.replace(MINUS, "-")), code)) != code
    ]
    if not merged:
        return []
    message = (
        f"column {base.name}: {merged[0][0]} and {merged[0][1]} are read as the same number, which has no more digits. "
        f"If they are codes: {cells.as_category}"
    )
    return [cells.note(message)]


def _point_notes(base: ColumnSchema, cells: TextCounts) -> list[Finding]:
    """A note on texts of typed files whose points may be thousands separators; those of CSV files are noted by row."""
    if cells.table.format.delimiter is not None or not base.number.is_plain:
        return []
    n_grouped, n_small = count_point_groups(cells.texts, cells.counts) or (0, 0)
    if n_grouped < 2 or n_small < 2:
        return []
    location, example = cells.first(cells.mask(lambda text: "." in text))
    message = (
        f"{location}: three digits follow every point ({example}): read as decimals. If they are thousands: "
        f'data.columns: {{{format_yaml(base.name)}: {{role: number, thousands: ".", decimal: ","}}}}'
    )
    return [cells.note(message)]


def _why_code(code: str) -> str:
    return "begins with a zero" if code.lstrip("+-").startswith("0") else "has more digits than a float holds"


def _find_formatted_numbers(base: ColumnSchema, cells: TextCounts, text_format: TextFormat) -> Finding | None:
    delimiter = cells.table.format.delimiter or ","
    detected = find_number_format(cells.texts, cells.counts, delimiter)
    if detected is None or detected.format == text_format.number:
        return None
    doubt = f" ({detected.doubt})" if detected.doubt else ""
    message = (
        f"{cells.quoted(cells.mask(detected.example.__eq__))}: its cells look like numbers{doubt}. "
        f"To read numbers: data.columns: {{{format_yaml(base.name)}: {format_as_yaml(detected.format)}}}; "
        f"to keep texts: {cells.as_category}"
    )
    return Finding(
        base.name, message, is_fault=len(cells.texts) > FEW_TEXTS, number=detected.format, doubt=detected.doubt
    )


def _category_notes(base: ColumnSchema, cells: TextCounts, is_number: NDArray[np.bool_]) -> list[Finding]:
    findings = (find_stray_words(cells) or find_neither(cells)) + find_damaged_texts(cells) + find_unread_dates(cells)
    for is_kind, kind in ((is_number, "numbers"), (_are_dates(cells), "dates")):
        n_cells = int(cells.counts[is_kind].sum())
        if 2 * n_cells < cells.n_cells:
            continue
        what = (
            f"all cells look like {kind} ({cells.examples(is_kind)}), but no format reads them"
            if is_kind.all()
            else f"{n_cells} of {cells.n_cells} cells are {kind}, others are not ({cells.examples(~is_kind)})"
        )
        findings.append(cells.note(f"column {base.name}: {what}: read as categories"))
    # Of many names and free texts, some look alike by chance.
    if len(cells.texts) <= min(SAMPLE_SIZE, max(cells.n_cells // 2, FEW_TEXTS)):
        findings += [
            cells.note(f"column {base.name}: levels that look alike: {join_spellings(levels)}")
            for levels in lookalike_labels(cells.texts)[:3]
        ]
    return findings + find_equivalent_spellings(cells.table, base, "level")


def _are_dates(cells: TextCounts) -> NDArray[np.bool_]:
    """Mask (n_texts,) of texts that look like dates; all False if few of a sample do."""
    may_be_dates = 4 * sum(map(looks_like_date, cells.sample)) >= len(cells.sample)
    return cells.mask(looks_like_date) if may_be_dates else np.zeros(len(cells.texts), np.bool_)


def _boolean_levels(table: Table, base: ColumnSchema, column: object, cells: TextCounts | None) -> tuple[str, str]:
    if isinstance(column, NumericColumn):
        texts = tuple(f"{number:g}" for number in np.unique(column.values[~np.isnan(column.values)])[:9].tolist())
    else:
        assert cells is not None
        texts = cells.texts
    levels = complete_boolean(texts)
    if levels is None:
        description = f"it holds {len(texts)} values: {join_names(texts, 8)}"
        raise DataError(f"{table.name}: column {base.name} is not boolean, {description}")
    return levels
