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
# In English, German, French, Spanish, Italian, Dutch and Portuguese.
_MONTH_NAME = (
    r"(?:janv?|january?|januari|janvier|janeiro|enero?|gennaio|f[eé]vr?|febr?|february?|februari|f[eé]vrier|febrero|"
    r"febbraio|fevereiro|m[aä]r|mrz|mars|march|m[aä]rz|maart|marzo|março|a[pvb]r|april|avril|abril|aprile|ma[iy]|mei|mayo|"
    r"maggio|maio|june?|juni|juin|junio|giugno|junho|july?|juli|juil|juillet|julio|luglio|julho|aug|august|augustus|"
    r"ao[uû]t|agosto|sept?|september|septembre|septiembre|settembre|setembro|o[ck]t|o[ck]tober|octobre|octubre|ottobre|"
    r"outubro|nov|november|novembre|noviembre|novembro|de[cz]|d[eé]c|dic|de[cz]ember|d[eé]cembre|diciembre|dicembre|"
    r"dezembro)\.?"
)
_TIME = r"\d{1,2}:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:\s*[ap]\.?m\.?)?"
_ZONE = r"(?:\s*(?:z|[a-z]{3,4}|[+-]\d{2}:?\d{2})(?:\[[\w/]+\])?)?"
_WEEKDAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+"
_FORMS = {
    "months": rf"{_YEAR}[-/.]{_MONTH}|{_MONTH}[-/.]{_YEAR}|{_YEAR}M\d{{2}}|"
    rf"{_MONTH_NAME}(?:[-/ ]'?(?:{_YEAR}|\d{{2}})| de {_YEAR})|(?:{_YEAR}|\d{{2}})[-/ ]{_MONTH_NAME}|"
    rf"{_YEAR}年\d{{1,2}}月",
    "quarters": rf"{_YEAR}[-/ ]?Q[1-4]|Q[1-4][-/ ]?{_YEAR}|[1-4]Q[-/ ]?(?:{_YEAR}|\d{{2}})",
    "weeks": rf"{_YEAR}-?W\d{{2}}(?:-?[1-7])?|W\d{{1,2}}[-/ ]{_YEAR}",
    "times of day or durations": _TIME,
    "dates": rf"{_WEEKDAY}.*\d.*|{_YEAR}{_MONTH}\d{{2}}[T ]?\d{{4,6}}{_ZONE}|"
    rf"{_YEAR}-\d{{1,2}}-\d{{1,2}}[T ]{_TIME}{_ZONE}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}},?\s+{_TIME}{_ZONE}|"
    rf"\d{{1,2}}{_MONTH_NAME}(?:{_YEAR}|\d{{2}})|"
    rf"\d{{1,2}}(?:st|nd|rd|th|er|º|\.)?(?:[-/ ]| de ){_MONTH_NAME}(?:[-/ ,]+| de ){_YEAR}.*|"
    rf"{_MONTH_NAME} \d{{1,2}}(?:st|nd|rd|th),? {_YEAR}|{_YEAR}年\d{{1,2}}月\d{{1,2}}日.*",
}
_PATTERNS = {kind: re.compile(form, re.IGNORECASE) for kind, form in _FORMS.items()}
# Two years, the second of two digits.
_YEARS = re.compile(r"(?:19|20)(\d{2})[-/](\d{2})")
_FIRST_DAY, _LAST_DAY = 1900_01_01, 2100_12_31
# By the factor of the day: the form of the time that follows it.
_TIME_FORMS = {1: "", 10_000: "hhmm", 1_000_000: "hhmmss"}


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
    """A note on integers that are all dates without separators (YYYYMMDD, with or without a time), read as numbers."""
    numbers = values if values.dtype.kind in "iu" else values[~np.isnan(values)]
    if len(numbers) < 2:
        return []
    unit, time_form = next((item for item in _TIME_FORMS.items() if numbers.min() < (_LAST_DAY + 1) * item[0]), (0, ""))
    if not unit or numbers.min() < _FIRST_DAY * unit or numbers.max() >= (_LAST_DAY + 1) * unit:
        return []
    dates = np.unique(numbers)
    if len(dates) < 2 or not np.all(dates == np.round(dates)):
        return []
    days, times = np.divmod(dates, unit)
    month, day = days // 100 % 100, days % 100
    is_time = (times < 24 * max(unit // 100, 1)) & (times % 100 < 60) & (times // 100 % 100 < 60)
    if not np.all((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & is_time):
        return []
    message = (
        f"column {name}: {dates[0]:.0f} to {dates[-1]:.0f} look like dates (YYYYMMDD{time_form}), and are read as "
        "numbers, in which days are not equally far apart. Write dates such as 2024-03-31; to keep numbers: "
        f"data.columns: {{{format_yaml(name)}: number}}"
    )
    return [Finding(name, message, is_fault=False)]
