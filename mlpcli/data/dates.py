"""Dates in texts: which way of writing them a column follows, and their day numbers.

Days are counted from 1970-01-01 as float64, the time of day as the fraction. A zone offset is taken out, so all
times are UTC. The arithmetic is NumPy's own: it knows the years 0001 to 9999, where nanosecond timestamps end in 2262.
"""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values = NDArray[np.float64]
Series: TypeAlias = "pd.Series[Any]"

_TIME = (
    r"(?:[T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d+)?))?"
    r"\s*(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?)?"
)
_DATES = {
    "YYYY-MM-DD": r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})",
    "YYYY/MM/DD": r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})",
    "DD.MM.YYYY": r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
    "MM/DD/YYYY": r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})",
    "DD/MM/YYYY": r"(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})",
}
_PATTERNS = {name: re.compile(rf"^{date}{_TIME}$") for name, date in _DATES.items()}


def find_date_formats(texts: Sequence[str]) -> tuple[str, ...]:
    """Names of the ways of writing a date that read every text; the first one is to be used."""
    if not texts:
        return ()
    possible = [name for name, pattern in _PATTERNS.items() if pattern.match(texts[0])]
    return tuple(name for name in possible if not np.isnan(parse_dates(texts, name)).any())


def parse_dates(texts: Sequence[str], date_format: str) -> Values:
    """Day numbers (n_texts,), NaN for a text that is no such date."""
    if not len(texts):
        return np.zeros(0)
    parts = pd.Series(list(texts), dtype=object).str.extract(_PATTERNS[date_format])
    year, month, day, hour, minute, second = (
        pd.to_numeric(parts[name]).fillna(0).to_numpy(np.float64)
        for name in ("year", "month", "day", "hour", "minute", "second")
    )
    months = (year.astype(np.int64) - 1970) * 12 + month.astype(np.int64) - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    last = (months + 1).astype("datetime64[M]").astype("datetime64[D]") - np.timedelta64(1, "D")
    n_days = (last - first).astype(np.int64) + 1
    days = first.astype(np.int64) + day - 1 + (hour + (minute + second / 60) / 60) / 24 - _zone_days(parts["zone"])
    valid = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= n_days)
    valid &= (hour <= 23) & (minute <= 59) & (second < 60)
    return np.where(valid, days, np.nan)


def days_of(series: Series) -> Values:
    """Day numbers of a column the frame already holds as dates, NaN where missing."""
    dates = series.dt.tz_convert("UTC").dt.tz_localize(None) if isinstance(series.dtype, pd.DatetimeTZDtype) else series
    stamps = dates.to_numpy("datetime64[us]")
    return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / 86_400e6)


def has_time(days: Values) -> bool:
    """Whether any date has a time of day other than midnight."""
    known = days[~np.isnan(days)]
    return bool(np.any(known != np.floor(known)))


def iso_date(day: float) -> str:
    """The date of a day number, as 2024-02-29."""
    return str(np.datetime64(int(np.floor(day)), "D"))


def cycle_names(with_hour: bool) -> tuple[str, ...]:
    """Names of what `cycles` gives, in order."""
    parts = ("year", "week", "day") if with_hour else ("year", "week")
    return tuple(f"{part}_{function}" for part in parts for function in ("sin", "cos"))


def cycles(days: Values, with_hour: bool) -> list[Values]:
    """Sine and cosine of the place in the year, in the week and (if asked) in the day; 0 where the date is missing.

    Each is (n_rows,). December ends next to January and Sunday next to Monday, which a day number cannot say.
    """
    known = ~np.isnan(days)
    whole = np.floor(np.where(known, days, 0.0))
    dates = whole.astype(np.int64).astype("datetime64[D]")
    day_of_year = (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.float64)
    # 1970-01-01 was a Thursday: with 3 added, Monday is 0.
    turns = [day_of_year / 365.25, (whole + 3) % 7 / 7]
    if with_hour:
        turns.append(np.where(known, days, 0.0) - whole)
    angles = [2 * np.pi * turn for turn in turns]
    return [np.where(known, function(angle), 0.0) for angle in angles for function in (np.sin, np.cos)]


def _zone_days(zones: Series) -> Values:
    """Offset from UTC as a share of a day."""
    offsets = zones.fillna("Z").replace("Z", "+00:00").str.replace(":", "")
    sign = np.where(offsets.str[0] == "-", -1.0, 1.0)
    hours = pd.to_numeric(offsets.str[1:3]).to_numpy(np.float64)
    minutes = pd.to_numeric(offsets.str[3:5].replace("", "0")).to_numpy(np.float64)
    return sign * (hours + minutes / 60) / 24
