"""Parsing of dates: detection of their format, and day numbers.

A day number is float64: days since 1970-01-01, with the time of day as its fraction. Times with a zone are converted to
UTC. The arithmetic is NumPy's, which supports the years 0001 to 9999; nanosecond timestamps end in 2262.
"""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.schema.dates.patterns import DATE_FORMATS, FLAGS, PATTERNS, TIME, date_fields, is_year_first

Values = NDArray[np.float64]
Series: TypeAlias = "pd.Series[Any]"

# Format prefixes excluded by an order of day and month; dates with points are always day first.
_OTHER_ORDER = {"day_first": ("MM/DD", "MM-DD"), "month_first": ("DD/MM", "DD-MM-")}

_HALF_DAY = re.compile(r"\d[\s\u202f]*[AP]M", FLAGS)
_ZONE = re.compile(r":.*(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$", FLAGS)
_DAY = 86_400_000_000  # microseconds
# Texts that are parsed first, before all of them; texts that are sampled to exclude formats.
_FIRST_TEXTS, _SAMPLE = 100, 1000


def find_date_formats(texts: Sequence[str], order: str | None = None) -> tuple[str, ...]:
    """Names of the formats that parse every text, the preferred one first.

    `order` is "day_first" or "month_first", which resolves ambiguous dates, or the name of the only format.
    """
    names = _allowed(order) if len(texts) else ()
    for size in (1, _FIRST_TEXTS, len(texts)):
        names = tuple(name for name in names if not np.isnan(parse_dates(texts[:size], name)).any())
    if order is not None:
        names = tuple(name for name in names if not is_year_first(name)) or names
    if any(map(is_year_first, names)) and len(names) > 1:
        names = tuple(sorted(names, key=lambda name: _count_years(parse_dates(texts, name))))
    return names


def best_date_format(
    texts: Sequence[str], counts: Sequence[int] | NDArray[np.int64], order: str | None = None
) -> tuple[str, NDArray[np.bool_]]:
    """The format that parses most cells, and a mask (n_texts,) of the texts it does not parse; "" if none parses any.

    `counts` are the numbers of cells per text. Formats that parse nothing in a sample of the texts are skipped.
    """
    sample = texts[:: max(1, len(texts) // _SAMPLE)]
    best_format, n_most, is_unparsed = "", 0, np.ones(len(texts), np.bool_)
    for name in _allowed(order):
        if np.isnan(parse_dates(sample, name)).all():
            continue
        is_nan = np.isnan(parse_dates(texts, name))
        n_read = int(np.asarray(counts)[~is_nan].sum())
        if n_read > n_most:
            best_format, n_most, is_unparsed = name, n_read, is_nan
    if best_format and has_two_digit_year(best_format):  # the first field may be the year as well
        parsed = [text for text, failed in zip(texts, is_unparsed.tolist(), strict=True) if not failed]
        best_format = find_date_formats(parsed, order)[0]
    return best_format, is_unparsed


def _count_years(days: Values) -> int:
    """Number of distinct years."""
    return len(np.unique(days.astype("datetime64[D]").astype("datetime64[Y]")))


def _allowed(order: str | None) -> tuple[str, ...]:
    if order in DATE_FORMATS:
        return (order,)
    return tuple(name for name in DATE_FORMATS if not name.startswith(_OTHER_ORDER.get(order or "", ("?",))))


def looks_like_date(text: str) -> bool:
    """Whether a text matches a date format, even if the day does not exist."""
    matches = (pattern.fullmatch(text) for pattern in PATTERNS.values())
    return any(not match["rest"] or TIME.fullmatch(match["rest"]) for match in matches if match)


def has_two_digit_year(format: str) -> bool:
    """Whether years have two digits."""
    return "YYYY" not in format


def has_zone(text: str) -> bool:
    """Whether a time has a zone."""
    return _ZONE.search(text) is not None


def has_half_day(text: str) -> bool:
    """Whether a time has AM or PM."""
    return _HALF_DAY.search(text) is not None


def parse_dates(texts: Sequence[str], format: str) -> Values:
    """Day numbers (n_texts,), NaN for a text that does not match."""
    match = PATTERNS[format].fullmatch
    year, month, day, time = np.asarray([date_fields(match(text)) for text in texts], np.int64).reshape(-1, 4).T
    if has_two_digit_year(format):  # the POSIX rule for two-digit years
        year = year + np.where(year >= 69, 1900, 2000)
    months = (year - 1970) * 12 + month - 1
    first, next_first = (
        month_numbers.astype("datetime64[M]").astype("datetime64[D]") for month_numbers in (months, months + 1)
    )
    first, n_days = first.astype(np.int64), (next_first - first).astype(np.int64)
    is_valid = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= n_days)
    # Integer microseconds are divided once, so that a time has the same number in every zone and as a timestamp.
    return np.where(is_valid, ((first + day - 1) * _DAY + time) / _DAY, np.nan)


def date_texts(days: NDArray[np.floating]) -> list[str]:
    """Day numbers as ISO texts, with the fewest fractional digits (0, 3 or 6) that round-trip.

    Midnight has no time; NaN is "NaT".
    """
    stamps = np.full(len(days), "NaT", "datetime64[us]")
    is_inexact = ~np.isnan(days)
    for unit in (1_000_000, 1_000, 1):
        times = np.round(np.where(is_inexact, days, 0.0) * (_DAY // unit)).astype(np.int64) * unit
        stamps[is_inexact] = times[is_inexact].astype("datetime64[us]")
        is_inexact &= times / _DAY != days
    texts = (str(stamp).removesuffix(".000000") for stamp in stamps)
    return [text.removesuffix("000" if "." in text else "T00:00:00") for text in texts]


def has_time(days: Values) -> bool:
    """Whether any date has a time of day other than midnight."""
    present = days[~np.isnan(days)]
    return bool(np.any(present != np.floor(present)))


def iso_date(day: float) -> str:
    """ISO date of a day number, such as 2024-02-29."""
    return str(np.datetime64(int(np.floor(day)), "D"))


def cycle_names(with_hour: bool) -> tuple[str, ...]:
    """Names of the features of `cycles`, in order."""
    periods = ("year", "week", "day") if with_hour else ("year", "week")
    return tuple(f"{period}_{function}" for period in periods for function in ("sin", "cos"))


def cycles(days: Values, with_hour: bool) -> list[Values]:
    """Cyclic features: sine and cosine of the time of year, of week and, if `with_hour`, of day; 0 if missing.

    Each is (n_rows,). December is next to January and Sunday next to Monday, which day numbers cannot express.
    """
    is_present = ~np.isnan(days)
    day_numbers = np.floor(np.where(is_present, days, 0.0))
    dates = day_numbers.astype(np.int64).astype("datetime64[D]")
    day_of_year = (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.float64)
    # 1970-01-01 was a Thursday: with 3 added, Monday is 0.
    fractions = [day_of_year / 365.25, (day_numbers + 3) % 7 / 7]
    if with_hour:
        fractions.append(np.where(is_present, days, 0.0) - day_numbers)
    angles = [2 * np.pi * fraction for fraction in fractions]
    return [np.where(is_present, function(angle), 0.0) for angle in angles for function in (np.sin, np.cos)]
