"""Which role a column has: decided once, on all its rows, with a reason; what the cells cannot settle is said.

A typed source decides by its type. Texts are numbers if all are, dates if one format reads all, booleans if they are
two words for no and yes; else categories. Nearly all numbers or dates with a few strays are a fault, and so are numbers
in disguise ($2,212.04) that would make useless categories: the user says what they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import listed, quoted
from mlpcli.data.schema.cells import (
    NumberFormat,
    boolean_spelling,
    complete_boolean,
    find_boolean,
    is_code,
    marker_numbers,
    parse_numbers,
)
from mlpcli.data.schema.column import ColumnOptions, ColumnSchema
from mlpcli.data.schema.dates import best_date_format, find_date_formats, has_two_digit_year, has_zone, looks_like_date
from mlpcli.data.schema.disguise import find_number_format, yaml_of
from mlpcli.data.schema.findings import Cells, Finding, cells_of, first_of, merged_cells, strays
from mlpcli.data.table import CategoricalColumn, NumericColumn, Table
from mlpcli.errors import DataError

# Cells (or distinct texts of a column with more than FEW_TEXTS) that may be strays, as a fraction.
STRAYS = 0.05
FEW_TEXTS = 20
DATES_KEY = "data.dates: day_first or month_first"

AS_FOUND = ColumnOptions()


@dataclass(frozen=True)
class Writing:
    """How all columns of the table are written, unless a column says otherwise; `dates` as `data.dates`."""

    decimal: str = "."
    thousands: str | None = None
    dates: str | None = None

    @property
    def number(self) -> NumberFormat:
        """How numbers are written."""
        return NumberFormat(decimal=self.decimal, thousands=self.thousands or "")


def number_format(options: ColumnOptions, writing: Writing) -> NumberFormat:
    """How the numbers of a column are written, by its own options and those of the table."""
    return NumberFormat(
        decimal=options.decimal or writing.decimal,
        thousands=options.thousands or writing.thousands or "",
        prefix=options.prefix,
        suffix=options.suffix,
        parentheses=options.parentheses,
    )


def decide(
    table: Table, name: str, options: ColumnOptions = AS_FOUND, writing: Writing = Writing()
) -> tuple[ColumnSchema, list[Finding]]:
    """How to read a column, and what the user has to know of it.

    Raises DataError only where `options` ask for what the column cannot be.
    """
    column = table.columns[name]
    number = number_format(options, writing)
    base = ColumnSchema(name, "category", "as asked", number, missing=options.missing)
    cells = cells_of(table, column, options, number) if isinstance(column, CategoricalColumn) else None
    if cells is not None:
        base = replace(base, levels=boolean_spelling(cells.texts, column.cell_type in ("bool", "mixed")))
    schema, findings = _decided(table, base, options, writing, cells)
    return schema if schema.role in ("category", "boolean") else replace(schema, levels=()), findings


def _decided(
    table: Table, base: ColumnSchema, options: ColumnOptions, writing: Writing, cells: Cells | None
) -> tuple[ColumnSchema, list[Finding]]:
    number, column = base.number, table.columns[base.name]
    is_number = options.role == "number" or (options.role is None and not number.is_plain and number != writing.number)
    if is_number:
        return _as_number(replace(base, role="number"), cells)
    if options.role == "date" or options.format:
        return _as_date(table, base, cells, options.format or writing.dates)
    if options.role == "boolean":
        return replace(base, role="boolean", levels=_boolean_levels(table, base, column, cells)), []
    if options.role == "category":
        return base, merged_cells(table, base, "level")
    if column.role is not None:
        levels = ("False", "True") if column.role == "boolean" else base.levels
        written = "YYYY-MM-DD" if column.role == "date" else ""  # should later rows come as texts
        return replace(base, role=column.role, date_format=written, levels=levels, reason="type of the source"), []
    if cells is None:
        return replace(base, role="number", reason="all cells are numbers"), []
    return _by_cells(base, cells, writing)


def _as_number(schema: ColumnSchema, cells: Cells | None) -> tuple[ColumnSchema, list[Finding]]:
    if cells is None:
        return schema, []
    numbers, is_unknown = parse_numbers(cells.texts, schema.number)
    is_unknown &= ~np.isin(numbers, marker_numbers(frozenset(cells.markers), schema.number))
    return schema, [strays(schema.name, cells, is_unknown, "is not a number", "numbers")] if is_unknown.any() else []


def _by_cells(base: ColumnSchema, cells: Cells, writing: Writing) -> tuple[ColumnSchema, list[Finding]]:
    if not cells.texts:
        return replace(base, reason="all cells are missing"), []
    if (words := find_boolean(cells.texts)) is not None:
        return replace(base, role="boolean", levels=words, reason=f"{words[0]} and {words[1]}"), []
    numbers, is_unknown = parse_numbers(cells.texts, base.number)
    is_number = ~is_unknown & ~np.isnan(numbers)
    if not is_unknown.any() and is_number.any():
        return _number_or_code(base, cells, numbers)
    formats = find_date_formats(cells.texts, writing.dates)
    if formats:
        schema = replace(base, role="date", date_format=formats[0], reason=f"dates written {formats[0]}")
        return schema, _date_notes(base.name, formats, cells.texts)
    if (found := _disguised(base, cells, writing)) is not None:
        return base, [found]
    for found_strays in (_stray_numbers, _stray_dates):
        result = found_strays(base, cells, is_unknown, is_number, writing)
        if result is not None:
            return result
    return replace(base, reason="texts"), _category_notes(base, cells, is_number)


def _number_or_code(
    base: ColumnSchema, cells: Cells, numbers: NDArray[np.float64]
) -> tuple[ColumnSchema, list[Finding]]:
    are_codes = np.asarray([is_code(text) for text in cells.texts], np.bool_)
    are_whole = np.isnan(numbers) | (numbers == np.round(numbers))  # 94107.0 is a whole number, as 1.0 is 1
    if not are_codes.any() or not are_whole.all():
        return replace(base, role="number", reason="all cells are numbers"), []
    code = cells.texts[first_of(cells, are_codes)]
    text = (
        f"{cells.place(are_codes)}: column {base.name}: {quoted(code)} {_why_code(code)}: read as codes (categories). "
        f"If they are amounts: data.columns: {{{base.name}: number}}"
    )
    least = min(text for text, is_one in zip(cells.texts, are_codes.tolist(), strict=True) if is_one)  # in any order
    return replace(base, reason=f"codes: {least} {_why_code(least)}"), [Finding(base.name, text, is_fault=False)]


def _why_code(code: str) -> str:
    return "begins with a zero" if code.lstrip("+-").startswith("0") else "has more digits than a number keeps"


def _date_notes(name: str, formats: Sequence[str], texts: Sequence[str]) -> list[Finding]:
    notes = []
    if len(formats) > 1:
        could = " or ".join(formats)
        notes.append(
            f"column {name}: dates could be {could}: read as {formats[0]}. "
            f"To say which: {DATES_KEY}, or format in data.columns"
        )
    if has_two_digit_year(formats[0]):
        notes.append(f"column {name}: years of two digits: 69 to 99 are read as 1969 to 1999, 00 to 68 as 2000 to 2068")
    if len({has_zone(text) for text in texts}) > 1:
        notes.append(f"column {name}: some times have a zone, the others are read as UTC")
    return [Finding(name, note, is_fault=False) for note in notes]


def _disguised(base: ColumnSchema, cells: Cells, writing: Writing) -> Finding | None:
    delimiter = cells.table.format.delimiter or ","
    found = find_number_format(cells.texts, cells.counts, delimiter)
    if found is None or found.format == writing.number:
        return None
    is_marked = np.asarray([text == found.example for text in cells.texts], np.bool_)
    unsure = " (a comma before three digits can also be a decimal comma)" if found.is_ambiguous else ""
    text = (
        f"{cells.place(is_marked)}: column {base.name}: {quoted(found.example)}: its cells look like numbers{unsure}. "
        f"To read numbers: data.columns: {{{base.name}: {yaml_of(found.format)}}}; "
        f"to keep texts: data.columns: {{{base.name}: category}}"
    )
    return Finding(base.name, text, is_fault=len(cells.texts) > FEW_TEXTS, number=found.format)


def _stray_numbers(
    base: ColumnSchema, cells: Cells, is_unknown: NDArray[np.bool_], is_number: NDArray[np.bool_], _: Writing
) -> tuple[ColumnSchema, list[Finding]] | None:
    if not is_number.any() or not _are_few(cells, is_unknown):
        return None
    found = strays(base.name, cells, is_unknown, "is not a number", "numbers")
    return replace(base, role="number", reason="nearly all cells are numbers"), [found]


def _stray_dates(
    base: ColumnSchema, cells: Cells, is_unknown: NDArray[np.bool_], _: NDArray[np.bool_], writing: Writing
) -> tuple[ColumnSchema, list[Finding]] | None:
    date_format, is_other = best_date_format(cells.texts, cells.counts, writing.dates)
    if date_format and _are_few(cells, is_other):
        schema = replace(base, role="date", date_format=date_format, reason="nearly all cells are dates")
        return schema, [strays(base.name, cells, is_other, f"is not a date written {date_format}", "dates")]
    are_dates = np.asarray([looks_like_date(text) for text in cells.texts], np.bool_)
    if not date_format or not _are_few(cells, ~are_dates):
        return None
    text = (
        f"{cells.place(is_other)}: column {base.name}: dates written in several ways: {cells.few(~is_other)} beside "
        f"{cells.few(is_other)}. Write them in one way, or read texts: data.columns: {{{base.name}: category}}"
    )
    return replace(base, role="date", date_format=date_format), [Finding(base.name, text, is_fault=True)]


def _are_few(cells: Cells, is_stray: NDArray[np.bool_]) -> bool:
    """Whether strays are few cells, or few of many distinct texts."""
    few_cells = cells.counts[is_stray].sum() <= STRAYS * cells.n_cells
    return bool(few_cells or (len(cells.texts) > FEW_TEXTS and is_stray.mean() <= STRAYS))


def _category_notes(base: ColumnSchema, cells: Cells, is_number: NDArray[np.bool_]) -> list[Finding]:
    notes = []
    n = int(cells.counts[is_number].sum())
    if 2 * n >= cells.n_cells:
        other = cells.few(~is_number)
        notes.append(
            f"column {base.name}: {n} of {cells.n_cells} cells are numbers, others are not ({other}): "
            "read as categories"
        )
    found = [Finding(base.name, note, is_fault=False) for note in notes]
    return found + merged_cells(cells.table, base, "level")


def _as_date(
    table: Table, base: ColumnSchema, cells: Cells | None, order: str | None
) -> tuple[ColumnSchema, list[Finding]]:
    if cells is None or not cells.texts:
        return replace(base, role="date", date_format="YYYY-MM-DD"), []
    formats = find_date_formats(cells.texts, order)
    if formats:
        return replace(base, role="date", date_format=formats[0]), _date_notes(base.name, formats, cells.texts)
    best, is_other = best_date_format(cells.texts, cells.counts, order)
    if not best:
        raise DataError(
            f"{table.name}: column {base.name} cannot be read as dates: {quoted(cells.texts[0])}.\n"
            "Known are YYYY-MM-DD, DD.MM.YYYY, MM/DD/YYYY and the like, each with or without a time."
        )
    found = strays(base.name, cells, is_other, f"is not a date written {best}", "dates")
    return replace(base, role="date", date_format=best), [found]


def _boolean_levels(table: Table, base: ColumnSchema, column: object, cells: Cells | None) -> tuple[str, str]:
    if isinstance(column, NumericColumn):
        texts = tuple(f"{number:g}" for number in np.unique(column.values[~np.isnan(column.values)])[:9].tolist())
    else:
        assert cells is not None
        texts = cells.texts
    levels = complete_boolean(texts)
    if levels is None:
        found = f"it holds {len(texts)} values: {listed(texts, 8)}"
        raise DataError(f"{table.name}: column {base.name} is not boolean, {found}")
    return levels
