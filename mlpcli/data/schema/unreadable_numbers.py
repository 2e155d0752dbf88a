"""Texts that are nearly all numbers, but in an unknown notation or in several units."""

import re
import unicodedata

import numpy as np

from mlpcli.data.reading.faults import format_yaml, join_names, quote_text
from mlpcli.data.schema.cells import parse_numbers
from mlpcli.data.schema.findings import FEW_TEXTS, Finding, TextCounts
from mlpcli.data.schema.number_formats import CURRENCIES, IDENTIFIER, MIN_FRACTION, MIN_SAMPLE_FRACTION
from mlpcli.data.schema.spelling import BLANKS, MINUS, is_code

_SAMPLE_SIZE = 1000
# Errors of a spreadsheet, as its export writes them.
SHEET_ERRORS = frozenset(
    (
        *("#VALUE!", "#DIV/0!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "#N/A", "#SPILL!", "#CALC!", "#FIELD!"),
        *("#BUSY!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#ERROR!", "#GETTING_DATA"),
    )
)
# Units behind a number, in small letters. Others make names: 12A, 3rd.
_UNITS = frozenset(
    (
        *("%", "\u2030", "k", "m", "b", "bn", "mn", "mio", "mrd", "lac", "lakh", "crore", "cr", "dr"),
        *("kg", "g", "mg", "\u03bcg", "t", "lb", "lbs", "oz", "l", "ml", "cl", "gal"),
        *("km", "m", "cm", "mm", "mi", "ft", "in", "yd", "m2", "m3", "km2", "ft2", "sqft", "sqm", "ha"),
        *("ms", "s", "sec", "min", "mins", "h", "hr", "hrs", "day", "days", "week", "weeks", "month", "months"),
        *("yr", "yrs", "year", "years", "km/h", "kmh", "mph", "c", "f", "\u00b0c", "\u00b0f", "kcal", "kj"),
        *("kw", "kwh", "mw", "hz", "khz", "mhz", "ghz", "kb", "mb", "gb", "tb"),
    )
)
_WORD = rf"[^\d\s+\-{MINUS}().,'\"=<>~_#]"
_BLANKS = f"[{BLANKS}]*"
_CELL = re.compile(
    rf"(?P<formula>=\"|'|\")?{_BLANKS}(?P<about>[~≈±<>≤≥=]+|ca\.?|approx\.?|about)?{_BLANKS}"
    rf"[+\-{MINUS}(]?(?P<prefix>{_WORD}{{0,4}}\.?){_BLANKS}[+\-{MINUS}]?"
    rf"(?P<body>(?P<indian>[0-9]{{1,2}}(?:,[0-9]{{2}})+,[0-9]{{3}})(?:\.[0-9]+)?|"
    rf"(?P<lines>[0-9]{{1,3}}(?:_[0-9]{{3}})+)(?:\.[0-9]+)?|"
    rf"[0-9]{{1,3}}(?:[,.'\u2019{BLANKS}][0-9]{{3}})+(?:[.,][0-9]+)?|[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)"
    rf"(?:e[+-]?[0-9]+)?(?P<dash>(?<=[.,])[-\u2013\u2014])?{_BLANKS}(?P<suffix>{_WORD}{{0,6}}(?:(?<=m)[23])?)\)?"
    rf"(?P<minus>{_BLANKS}[-{MINUS}])?(?P<more>\+)?\"?",
    re.IGNORECASE,
)
_WRITTEN = {
    "formula": "quotes around them",
    "about": "a sign for approximate values or bounds",
    "indian": "groups of two digits",
    "lines": "underscores between digits (thousands: '_' reads them)",
    "dash": "a dash in place of decimals",
    "minus": "a trailing minus",
    "more": "a trailing plus",
}


def find_unreadable_numbers(name: str, cells: TextCounts) -> Finding | None:
    """A finding for texts that look like numbers, a fault if there are many; None for other texts."""
    texts = cells.texts
    some = texts[:: max(1, len(texts) // _SAMPLE_SIZE)]
    if sum(_describe(text) is not None for text in some) < MIN_SAMPLE_FRACTION * len(some) or all(
        map(IDENTIFIER.fullmatch, some)
    ):
        return None
    looks = [_describe(text) for text in texts]
    is_number = np.asarray([look is not None for look in looks], np.bool_)
    if cells.counts[is_number].sum() < MIN_FRACTION * cells.n_cells:
        return None
    units = sorted({look[1] for look in looks if look is not None})
    ways = dict.fromkeys(way for look in looks if look is not None for way in look[0])
    if len(units) > 1:
        is_odd = np.asarray([look is not None and bool(look[1]) for look in looks], np.bool_)
        how = f"in several units ({join_names([repr(unit) if unit else 'none' for unit in units], 6)})"
    elif ways:
        is_odd = np.asarray([look is not None and bool(look[0]) for look in looks], np.bool_)
        how = f"written with {' and '.join(ways)}"
    else:
        is_odd, how = is_number & parse_numbers(texts)[1], "written in several ways"
    in_one = " in one unit" if len(units) > 1 else ""
    text = (
        f"{cells.location(is_odd)}: column {name}: {quote_text(texts[cells.first_index(is_odd)])}: "
        f"its cells look like numbers {how}. Write plain numbers{in_one}, or leave the column out: "
        f"data.drop: [{format_yaml(name)}]; to keep texts: data.columns: {{{format_yaml(name)}: category}}"
    )
    return Finding(name, text, is_fault=len(texts) > FEW_TEXTS)


def find_sheet_errors(name: str, cells: TextCounts) -> Finding | None:
    """The fault of a column with spreadsheet errors."""
    is_error = np.asarray([text in SHEET_ERRORS for text in cells.texts], np.bool_)
    if not is_error.any():
        return None
    n = int(cells.counts[is_error].sum())
    text = (
        f"{cells.location(is_error)}: column {name}: {quote_text(cells.texts[cells.first_index(is_error)])} "
        f"is a spreadsheet error{'' if n == 1 else f', one of {n} such cells'}.\n"
        f"Correct the formula, or name missing values: data.missing; if these are texts: "
        f"data.columns: {{{format_yaml(name)}: category}}"
    )
    return Finding(name, text, is_fault=True, is_of_labels=True)


def _describe(text: str) -> tuple[tuple[str, ...], str] | None:
    """Notations of a number, () if plain, and its unit; None for other texts."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKC", text) if unicodedata.category(sign) != "Cf")
    is_hidden = any(unicodedata.category(sign) == "Cf" or (sign.isdecimal() and not sign.isascii()) for sign in text)
    match = _CELL.fullmatch(plain)
    if match is None or is_code(match["body"]):
        return None
    before, behind = (match[side].casefold().rstrip(".") for side in ("prefix", "suffix"))
    if not (_is_currency(before) and (behind in _UNITS or _is_currency(behind))):
        return None
    ways = [written for group, written in _WRITTEN.items() if match[group]]
    return (*ways, *(["digits of another script or invisible signs"] if is_hidden else [])), (
        before + " " + behind
    ).strip()


def _is_currency(text: str) -> bool:
    """Whether an affix is empty or the sign or name of a currency."""
    return not text or text in CURRENCIES or "Sc" in map(unicodedata.category, text)
