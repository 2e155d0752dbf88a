"""Inference of date columns: their format, ambiguities, and cells that do not match it."""

from collections.abc import Sequence
from dataclasses import replace

from mlpcli.data.reading.faults import format_yaml, quote_text
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.schema.dates.parsing import (
    best_date_format,
    find_date_formats,
    has_half_day,
    has_two_digit_year,
    has_zone,
    looks_like_date,
)
from mlpcli.data.schema.dates.patterns import is_year_first
from mlpcli.data.schema.findings import Finding, TextCounts, stray_finding
from mlpcli.data.table import Table
from mlpcli.errors import DataError

InferredSchema = tuple[ColumnSchema, list[Finding]]


def find_dates(base: ColumnSchema, cells: TextCounts, order: str | None) -> InferredSchema | None:
    """The schema of a column if one format parses all cells, with notes; otherwise None. `order` is `data.dates`."""
    formats = find_date_formats(cells.texts, order)
    if not formats:
        return None
    schema = replace(base, role="date", date_format=formats[0], reason=f"dates written {formats[0]}")
    return schema, _notes(base.name, formats, cells.texts)


def find_stray_dates(base: ColumnSchema, cells: TextCounts, order: str | None) -> InferredSchema | None:
    """The schema and fault of a column with a few cells that are not dates, or dates in other or several formats.

    None if the column does not look like dates.
    """
    date_format, is_other = best_date_format(cells.texts, cells.counts, order)
    if date_format and cells.are_few(is_other):
        schema = replace(base, role="date", date_format=date_format, reason="nearly all cells are dates")
        return schema, [stray_finding(cells, is_other, f"is not a date written {date_format}", "dates")]
    if (result := _other_format_fault(base, cells, order, "data.dates")) is not None:
        return result
    if not date_format:
        return None
    if not cells.are_few(~cells.mask(looks_like_date)):
        return None
    message = (
        f"{cells.first(is_other)[0]}: dates in several formats: {cells.examples(~is_other)} beside "
        f"{cells.examples(is_other)}. Use one format, or read texts: {cells.as_category}"
    )
    return replace(base, role="date", date_format=date_format), [Finding(base.name, message, is_fault=True)]


def read_as_dates(
    table: Table, base: ColumnSchema, cells: TextCounts | None, order: str | None, key: str
) -> InferredSchema:
    """The schema of a column configured as dates; raises DataError if no format parses any cell.

    `order` is the date order or format, from the config key `key`.
    """
    if cells is None or not cells.texts:
        return replace(base, role="date", date_format="YYYY-MM-DD"), []
    if (result := find_dates(base, cells, order)) is not None:
        return replace(result[0], reason=base.reason), result[1]
    best_format, is_other = best_date_format(cells.texts, cells.counts, order)
    if (
        not (best_format and cells.are_few(is_other))
        and (result := _other_format_fault(base, cells, order, key)) is not None
    ):
        return result
    if not best_format:
        raise DataError(
            f"{table.name}: column {base.name} cannot be read as dates: {quote_text(cells.texts[0])}.\n"
            "Known formats: YYYY-MM-DD, DD.MM.YYYY, MM/DD/YYYY and similar, with or without a time."
        )
    finding = stray_finding(cells, is_other, f"is not a date written {best_format}", "dates")
    return replace(base, role="date", date_format=best_format), [finding]


def _other_format_fault(base: ColumnSchema, cells: TextCounts, order: str | None, key: str) -> InferredSchema | None:
    """The fault of dates in another format than the one configured in `key`; None if no format parses nearly all."""
    if order is None:
        return None
    better_format, is_stray = best_date_format(cells.texts, cells.counts)
    if not better_format or not cells.are_few(is_stray):
        return None
    is_unparsed = ~is_stray & (best_date_format(cells.texts, cells.counts, order)[1])
    message = (
        f"{cells.quoted(is_unparsed)} is not a date as {key}: {order} "
        f"has it; {better_format} reads {'all' if not is_stray.any() else 'nearly all'} cells. "
        f'To read it so: data.columns: {{{format_yaml(base.name)}: {{role: date, format: "{better_format}"}}}}'
        f"{'' if key != 'data.dates' else f', or {key}: {better_format} for all columns'}; "
        f"to keep texts: {cells.as_category}"
    )
    return replace(base, role="date", date_format=better_format), [Finding(base.name, message, is_fault=True)]


def _notes(name: str, formats: Sequence[str], texts: Sequence[str]) -> list[Finding]:
    notes = []
    if len(formats) > 1:
        candidates = " or ".join(formats)
        choices = candidates if any(map(is_year_first, formats)) else "day_first or month_first"
        notes.append(
            f"column {name}: dates could be {candidates}: read as {formats[0]}. "
            f"To choose one: data.dates: {choices}, or format in data.columns"
        )
    if has_two_digit_year(formats[0]):
        notes.append(f"column {name}: years of two digits: 69 to 99 are read as 1969 to 1999, 00 to 68 as 2000 to 2068")
    if len({":" in text for text in texts}) > 1:
        notes.append(f"column {name}: some dates have a time, the others are read as midnight")
    if len({has_zone(text) for text in texts if ":" in text}) > 1:
        notes.append(f"column {name}: some times have a zone, the others are read as UTC")
    if len({has_half_day(text) for text in texts if ":" in text}) > 1:
        notes.append(f"column {name}: some times have AM or PM, the others are read as times of 24 hours")
    return [Finding(name, note, is_fault=False) for note in notes]
