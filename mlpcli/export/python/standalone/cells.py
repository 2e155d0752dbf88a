"""Preprocessing: from the cells of a row to the network inputs."""

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

from mlpcli.data.schema.dates.patterns import PATTERNS, date_fields
from mlpcli.data.schema.spelling import (
    NumberFormat,
    boolean_pairs,
    canonical,
    canonical_number,
    number_parser,
    number_text,
    plain_number,
    special_number,
)

Cell = str | float | int | bool | date | None
Vector = list[float]

EPOCH = 719_163  # the ordinal of 1970-01-01
DAY = 86_400_000_000  # microseconds
LARGE = 1e100  # larger ratios are clipped to the bound anyway, and their squares overflow


def cell_reader(column: Mapping[str, Any]) -> Callable[[Cell, Vector], bool]:
    """A function that writes a cell of the column into the inputs, and returns whether the cell is missing."""
    write = _writer(column)
    indicator = column["flag"]
    read = {"number": _number_reader, "date": _date_reader}.get(column["role"], _text_reader)(column)

    def put(cell: Cell, x: Vector) -> bool:
        value = read(cell)
        if value is None and indicator is not None:
            x[indicator] = 1.0
        write(value, x)
        return value is None

    return put


def _text(cell: Cell) -> str:
    """The text of a cell; "" if it is missing."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        return number_text(float(cell)) if isinstance(cell, float) else str(cell)
    return cell.isoformat() if isinstance(cell, date) else unicodedata.normalize("NFC", cell.strip())


def _number_reader(column: Mapping[str, Any]) -> Callable[[Cell], float | None]:
    format, missing = NumberFormat(**column["number"]), frozenset(column["missing"])
    read = plain_number if format.is_plain else number_parser(format)
    missing_numbers = frozenset(column["missing_numbers"])

    def number(cell: Cell) -> float | None:
        value: float | None
        if isinstance(cell, int | float) and not isinstance(cell, bool):
            value = float(cell)
        else:
            text = _text(cell)
            if canonical(text) in missing:
                return None
            value = read(text)
            value = special_number(text) if value is None else value
            if value is None:
                raise ValueError(f"column {column['name']}: {text!r} is not a number")
        if math.isnan(value) or value in missing_numbers:
            return None
        if math.isinf(value):
            raise ValueError(f"column {column['name']}: an infinite value")
        return value

    return number


def _date_reader(column: Mapping[str, Any]) -> Callable[[Cell], float | None]:
    name, missing, match = column["name"], frozenset(column["missing"]), PATTERNS[column["date_format"]].fullmatch
    is_short = "YYYY" not in column["date_format"]

    def day(cell: Cell) -> float | None:
        if isinstance(cell, datetime):
            if cell.tzinfo is not None:
                cell = cell.astimezone(UTC)
            seconds = (cell.hour * 60 + cell.minute) * 60 + cell.second
            return (((cell.toordinal() - EPOCH) * 86_400 + seconds) * 1_000_000 + cell.microsecond) / DAY
        if isinstance(cell, date):
            return float(cell.toordinal() - EPOCH)
        text = _text(cell)
        if canonical(text) in missing:
            return None
        year, month, number, time = date_fields(match(text))
        if is_short:  # two digits mean 1969 to 2068, as in POSIX
            year += 1900 if year >= 69 else 2000
        try:
            days = date(year, month, number).toordinal() - EPOCH
        except ValueError:
            raise ValueError(f"column {name}: {text!r} is not a date written {column['date_format']}") from None
        return (days * DAY + time) / DAY

    return day


def _text_reader(column: Mapping[str, Any]) -> Callable[[Cell], str | None]:
    format, missing = NumberFormat(**column["number"]), frozenset(column["missing"])
    words = {word.casefold(): word for word in column["words"]}
    read = number_parser(format)

    def level(cell: Cell) -> str | None:
        is_number = isinstance(cell, int | float) and not isinstance(cell, bool)
        text = _text(cell)
        text = canonical(text) if is_number or format.is_plain else canonical_number(text, read(text), format.decimal)
        return None if text in missing else words.get(text.casefold(), text)

    return level


def _writer(column: Mapping[str, Any]) -> Callable[[Any, Vector], None]:
    """A function that writes the value of a cell into the inputs."""
    if column["role"] in ("number", "date"):
        return lambda value, x: _write_number(column, value, x)
    if "sign" in column:
        is_boolean = column["role"] == "boolean"
        known = _signs([*map(canonical, column["words"])] if is_boolean else column["levels"])
        pairs = boolean_pairs(column["words"]) if is_boolean else ()
        words = {word: sign for pair in pairs for word, sign in _signs(pair).items()}

        def write_sign(text: str | None, x: Vector) -> None:
            x[column["sign"]] = 0.0 if text is None else known.get(text, words.get(text.casefold(), 0.0))

        return write_sign
    positions = {level: index for index, level in enumerate(column["levels"], start=column["first"])}

    def write_level(text: str | None, x: Vector) -> None:
        position = column["missing_level"] if text is None else positions.get(text, column["other_level"])
        if position is not None:
            x[position] = 1.0

    return write_level


def _signs(levels: Sequence[str]) -> dict[str, float]:
    return dict(zip(levels, (-1.0, 1.0), strict=True))


def _write_number(column: Mapping[str, Any], value: float | None, x: Vector) -> None:
    imputed = column["fill"] if value is None else value
    if "quantiles" in column:
        knots = [knot / 2 for knot in column["quantiles"]]  # no difference of halves is infinite
        x[column["at"]] = interpolate(imputed / 2, knots, column["scores"])
    else:
        scaled = (imputed - column["center"]) / column["scale"]
        if (clip := column["clip"]) is not None:
            scaled = min(max(scaled / clip, -LARGE), LARGE)
            scaled = scaled / math.sqrt(1.0 + scaled * scaled) * clip
        x[column["at"]] = scaled
    if bins := column.get("bins"):
        edges, span = bins["edges"], bins["span"]
        for position, (low, high) in enumerate(pairwise(edges), start=bins["first"]):
            fraction = min(max((imputed / 2 - low / 2) / (high / 2 - low / 2), 0.0), 1.0)
            x[position] = fraction if span is None else (2.0 * fraction - 1.0) * span
    if (cycles := column.get("cycles")) and value is not None:
        x[cycles["first"] : cycles["first"] + (6 if cycles["has_time"] else 4)] = _cycles(value, cycles["has_time"])


def interpolate(value: float, knots: Sequence[float], heights: Sequence[float]) -> float:
    """Piecewise linear interpolation, constant beyond the first and the last knot."""
    if value <= knots[0] or value >= knots[-1]:
        return heights[0] if value <= knots[0] else heights[-1]
    right = bisect_right(knots, value)
    slope = (heights[right] - heights[right - 1]) / (knots[right] - knots[right - 1])
    return slope * (value - knots[right - 1]) + heights[right - 1]


def _cycles(days: float, has_time: bool) -> Vector:
    """Sine and cosine of the position in the year, in the week and in the day."""
    whole = math.floor(days)
    day = date.fromordinal(whole + EPOCH)
    turns = [(day.timetuple().tm_yday - 1) / 365.25, (whole + 3) % 7 / 7]  # Monday is 0
    turns += [days - whole] * has_time
    return [function(2 * math.pi * turn) for turn in turns for function in (math.sin, math.cos)]
