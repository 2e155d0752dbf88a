"""The ways of writing a date, and the parts of a text; of the standard library alone, so that it can be copied."""

import re
from functools import lru_cache

# Where several formats read all texts, the one with the fewest years is used, and of equal ones the first.
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
_PARTS = {
    "YYYY": r"(?P<year>\d{4})",
    "YY": r"(?P<year>\d{2})",
    "MON": rf"(?P<month>{_MONTH_NAMES})\.?",
    "MM": r"(?P<month>\d{1,2})",
    "DD": r"(?P<day>\d{1,2})",
    ", ": r"(?:,\s*|\s+)",
    " ": r"\s+",
    ".": r"\.",
}
# A year of two digits that comes first is followed by two digits each: 10.4.2 is a version.
_YEAR_FIRST = re.compile(r"YY[-/.]")
_STRICT_PARTS = _PARTS | {"MM": r"(?P<month>\d{2})", "DD": r"(?P<day>\d{2})"}
FLAGS = re.ASCII | re.IGNORECASE
_REST = r"(?P<rest>(?:,?[T\s].*)?)"


def is_year_first(format: str) -> bool:
    """Whether dates begin with a year of two digits."""
    return _YEAR_FIRST.match(format) is not None


def _pattern(name: str) -> re.Pattern[str]:
    parts = _STRICT_PARTS if is_year_first(name) else _PARTS
    return re.compile(re.sub(r"YYYY|YY|MON|MM|DD|, | |\.", lambda part: parts[part[0]], name) + _REST, FLAGS)


PATTERNS = {name: _pattern(name) for name in DATE_FORMATS}
TIME = re.compile(
    r",?[T\s]\s*(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?[\s\u202f]*(?:([AP])M)?"
    r"\s*(?:Z|UTC|GMT|([+-])(\d{2})(?::?(\d{2}))?)?",
    FLAGS,
)


def date_fields(match: re.Match[str] | None) -> tuple[int, int, int, int]:
    """Year, month, day and microsecond; all 0 for what is no date."""
    if match is None or (time := _microseconds(match["rest"])) is None:
        return 0, 0, 0, 0
    year, month, day = match.group("year", "month", "day")
    return int(year), int(month) if month.isdecimal() else _MONTHS[month[:3].lower()], int(day), time


@lru_cache(1 << 17)
def _microseconds(rest: str) -> int | None:
    """The time of day in UTC that follows a date; None for what is no time."""
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
