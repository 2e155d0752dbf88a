"""Date formats and the fields of a date text. Copied into exported programs: uses only the standard library."""

import re
from functools import lru_cache

# If several formats parse all texts, the one with the fewest distinct years is used; ties are resolved by this order.
DATE_FORMATS = (
    *("YYYY-MM-DD", "YYYY/MM/DD", "YYYY.MM.DD", "DD.MM.YYYY"),
    *("MM/DD/YYYY", "DD/MM/YYYY", "MM-DD-YYYY", "DD-MM-YYYY"),
    *("DD MON YYYY", "DD-MON-YYYY", "MON DD, YYYY"),
    *("DD.MM.YY", "MM/DD/YY", "DD/MM/YY", "MM-DD-YY", "DD-MM-YY", "DD-MON-YY"),
    *("YY-MM-DD", "YY/MM/DD", "YY.MM.DD"),
)
_MONTH_NAMES = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?"
)
_MONTHS = {name[:3]: number for number, name in enumerate(_MONTH_NAMES.split("|"), start=1)}
_FIELD_PATTERNS = {
    "YYYY": r"(?P<year>\d{4})",
    "YY": r"(?P<year>\d{2})",
    "MON": rf"(?P<month>{_MONTH_NAMES})\.?",
    "MM": r"(?P<month>\d{1,2})",
    "DD": r"(?P<day>\d{1,2})",
    ", ": r"(?:,\s*|\s+)",
    " ": r"\s+",
    ".": r"\.",
}
# A two-digit year at the start requires a month and a day of two digits: 10.4.2 is a version number.
_YEAR_FIRST = re.compile(r"YY[-/.]")
_STRICT_FIELD_PATTERNS = _FIELD_PATTERNS | {"MM": r"(?P<month>\d{2})", "DD": r"(?P<day>\d{2})"}
FLAGS = re.ASCII | re.IGNORECASE
_REST = r"(?P<rest>(?:,?[T\s].*)?)"


def is_year_first(format: str) -> bool:
    """Whether a format begins with a two-digit year."""
    return _YEAR_FIRST.match(format) is not None


def _pattern(name: str) -> re.Pattern[str]:
    patterns = _STRICT_FIELD_PATTERNS if is_year_first(name) else _FIELD_PATTERNS
    return re.compile(re.sub(r"YYYY|YY|MON|MM|DD|, | |\.", lambda match: patterns[match[0]], name) + _REST, FLAGS)


PATTERNS = {name: _pattern(name) for name in DATE_FORMATS}
TIME = re.compile(
    r",?[T\s]\s*(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?[\s\u202f]*(?:([AP])M)?"
    r"\s*(?:Z|UTC|GMT|([+-])(\d{2})(?::?(\d{2}))?)?",
    FLAGS,
)


def date_fields(match: re.Match[str] | None) -> tuple[int, int, int, int]:
    """Year, month, day and microsecond of the day; all 0 if the text is not a date."""
    if match is None or (time := _microseconds(match["rest"])) is None:
        return 0, 0, 0, 0
    year, month, day = match.group("year", "month", "day")
    return int(year), int(month) if month.isdecimal() else _MONTHS[month[:3].lower()], int(day), time


@lru_cache(1 << 17)
def _microseconds(rest: str) -> int | None:
    """Parse the text after a date: microseconds from its midnight to the time in UTC; None if it is not a time."""
    if (match := TIME.fullmatch(rest)) is None:
        return None if rest else 0
    hours, minutes, seconds, half, sign, zone_hours, zone_minutes = match.groups("0")
    hour, minute, second = int(hours), int(minutes), float(seconds.replace(",", "."))
    if half != "0":
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in "Pp" else 0)
    if hour > 23 or minute > 59 or second >= 60:
        return None
    zone = int(zone_hours) * 60 + int(zone_minutes)
    return (hour * 60 + minute - (-zone if sign == "-" else zone)) * 60_000_000 + round(second * 1_000_000)
