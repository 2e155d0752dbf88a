"""Dates and times in forms that are not read as dates: months, quarters, weeks, times of day, YYYYMMDD."""

import re
from collections.abc import Sequence

import numpy as np

from mlpcli.data.reading.faults import format_yaml
from mlpcli.data.schema.findings import Finding, TextCounts
from mlpcli.data.schema.number_formats import MIN_FRACTION
from mlpcli.data.table import Values

_YEAR = r"(?:19|20)\d{2}"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_MONTH_NAME = (
    r"(?:jan|feb|mar|m\u00e4r|apr|avr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]|januar|february?|february|march|m\u00e4rz|"
    r"april|june|juni|july|juli|august|september|o[ck]tober|november|de[cz]ember)\.?"
)
_TIME = r"\d{1,2}:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:\s*[ap]\.?m\.?)?"
_ZONE = r"(?:\s*(?:z|[a-z]{3,4}|[+-]\d{2}:?\d{2})(?:\[[\w/]+\])?)?"
_WEEKDAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+"
_FORMS = {
    "months": rf"{_YEAR}[-/.]{_MONTH}|{_MONTH}[-/.]{_YEAR}|{_YEAR}M\d{{2}}|"
    rf"{_MONTH_NAME}[-/ ]'?(?:{_YEAR}|\d{{2}})|(?:{_YEAR}|\d{{2}})[-/ ]{_MONTH_NAME}",
    "quarters": rf"{_YEAR}[-/ ]?Q[1-4]|Q[1-4][-/ ]?{_YEAR}|[1-4]Q[-/ ]?(?:{_YEAR}|\d{{2}})",
    "weeks": rf"{_YEAR}-?W\d{{2}}(?:-?[1-7])?|W\d{{1,2}}[-/ ]{_YEAR}",
    "times of day or durations": _TIME,
    "dates": rf"{_WEEKDAY}.*\d.*|{_YEAR}{_MONTH}\d{{2}}[T ]?\d{{4,6}}{_ZONE}|"
    rf"{_YEAR}-\d{{1,2}}-\d{{1,2}}[T ]{_TIME}{_ZONE}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}},?\s+{_TIME}{_ZONE}|"
    rf"\d{{1,2}}{_MONTH_NAME}(?:{_YEAR}|\d{{2}})|\d{{1,2}}(?:st|nd|rd|th|\.)?[-/ ]{_MONTH_NAME}[-/ ,]+{_YEAR}.*|"
    rf"{_MONTH_NAME} \d{{1,2}}(?:st|nd|rd|th),? {_YEAR}",
}
_PATTERNS = {kind: re.compile(form, re.IGNORECASE) for kind, form in _FORMS.items()}
# Two years, the second of two digits.
_YEARS = re.compile(r"(?:19|20)(\d{2})[-/](\d{2})")
_FIRST_DAY, _LAST_DAY = 1900_01_01, 2100_12_31


def find_unread_dates(cells: TextCounts) -> list[Finding]:
    """A note on texts that are nearly all dates or times in one form that is not read."""
    for kind, pattern in _PATTERNS.items():
        if sum(pattern.fullmatch(text) is not None for text in cells.sample) < MIN_FRACTION * len(cells.sample):
            continue
        is_match = cells.mask(pattern.fullmatch)
        if cells.counts[is_match].sum() >= MIN_FRACTION * cells.n_cells and not _are_seasons(cells.texts):
            message = (
                f"{cells.quoted(is_match)}: its cells look like {kind}, and are read as categories without an order. "
                f"To order them, write dates such as 2024-03-31, or numbers; to keep texts: {cells.as_category}"
            )
            return [cells.note(message)]
    return []


def _are_seasons(texts: Sequence[str]) -> bool:
    """Whether all texts are a year and the next one (2009/10), of which those of 2000 to 2011 look like months."""
    years = [_YEARS.fullmatch(text) for text in texts]
    return all(match is not None and int(match[2]) == (int(match[1]) + 1) % 100 for match in years)


def compact_date_notes(name: str, values: Values) -> list[Finding]:
    """A note on integers that are all dates without separators (YYYYMMDD), which are read as numbers."""
    numbers = values if values.dtype.kind in "iu" else values[~np.isnan(values)]
    if len(numbers) < 2 or numbers.min() < _FIRST_DAY or numbers.max() > _LAST_DAY:
        return []
    days = np.unique(numbers)
    month, day = days // 100 % 100, days % 100
    if len(days) < 2 or not np.all((days == np.round(days)) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)):
        return []
    message = (
        f"column {name}: {days[0]:.0f} to {days[-1]:.0f} look like dates (YYYYMMDD), and are read as numbers, in which "
        "days are not equally far apart. Write dates such as 2024-03-31; to keep numbers: data.columns: "
        f"{{{format_yaml(name)}: number}}"
    )
    return [Finding(name, message, is_fault=False)]
