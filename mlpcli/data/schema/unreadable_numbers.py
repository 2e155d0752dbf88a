"""Texts that are nearly all numbers, but in an unknown notation or in several units."""

import re
import unicodedata

from mlpcli.data.reading.faults import join_names
from mlpcli.data.schema.cells import parse_numbers
from mlpcli.data.schema.findings import FEW_TEXTS, Finding, TextCounts, drop_advice
from mlpcli.data.schema.number_formats import CURRENCIES, IDENTIFIER, MIN_FRACTION, MIN_SAMPLE_FRACTION
from mlpcli.data.schema.spelling import BLANKS, MINUS, is_code

# Error values of spreadsheets in exported files.
SHEET_ERRORS = frozenset(
    (
        *("#VALUE!", "#DIV/0!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "#N/A", "#SPILL!", "#CALC!", "#FIELD!"),
        *("#BUSY!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#ERROR!", "#GETTING_DATA"),
    )
)
# Units after a number, in lower case. Numbers with other suffixes are names: 12A, 3rd.
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
    rf"(?:e[+-]?[0-9]+|(?P<power>d[+-][0-9]+|{_BLANKS}[x\u00d7\u00b7*]{_BLANKS}10(?:\^|\*\*)?[+-]?[0-9]+))?"
    rf"(?P<dash>(?<=[.,])-)?{_BLANKS}(?P<suffix>{_WORD}{{0,6}}(?:(?<=m)[23])?)\)?"
    rf"(?P<minus>{_BLANKS}[-{MINUS}])?(?P<more>\+)?\"?",
    re.IGNORECASE,
)
_NOTATIONS = {
    "formula": "quotes around them",
    "about": "a sign for approximate values or bounds",
    "indian": "groups of two digits",
    "lines": "underscores between digits (thousands: '_' reads them)",
    "dash": "a dash in place of decimals",
    "minus": "a trailing minus",
    "power": "powers of ten such as x10^3 or D+03",
    "more": "a trailing plus",
}


# Dashes that stand for a minus sign, and the decimal and thousands separators of Arabic numbers.
_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015")
_ASCII = str.maketrans({**dict.fromkeys(_DASHES, "-"), "\u066b": ".", "\u066c": ","})


def find_unreadable_numbers(cells: TextCounts) -> Finding | None:
    """A finding for texts that look like numbers, a fault if there are many; None for other texts."""
    texts, sample = cells.texts, cells.sample
    n_like_numbers = sum(_describe(text) is not None for text in sample)
    if n_like_numbers < MIN_SAMPLE_FRACTION * len(sample) or all(map(IDENTIFIER.fullmatch, sample)):
        return None
    described = {text: description for text in texts if (description := _describe(text)) is not None}
    is_number = cells.mask(described.__contains__)
    if cells.counts[is_number].sum() < MIN_FRACTION * cells.n_cells:
        return None
    units = sorted({unit for _, unit in described.values()})
    notations = dict.fromkeys(notation for text_notations, _ in described.values() for notation in text_notations)
    if len(units) > 1:
        is_marked = cells.mask(lambda text: text in described and described[text][1])
        problem = f"in several units ({join_names([repr(unit) if unit else 'none' for unit in units], 6)})"
    elif notations:
        is_marked = cells.mask(lambda text: text in described and described[text][0])
        problem = f"written with {' and '.join(notations)}"
    else:
        is_marked, problem = is_number & parse_numbers(texts)[1], "written in several ways"
    remedy = " in one unit" if len(units) > 1 else ""
    message = (
        f"{cells.quoted(is_marked)}: its cells look like numbers {problem}. Write plain numbers{remedy}"
        f"{drop_advice(cells.name)}; to keep texts: {cells.as_category}"
    )
    is_fault = len(texts) > FEW_TEXTS
    return Finding(cells.name, message, is_fault, is_of_labels=not is_fault)


def find_sheet_errors(cells: TextCounts) -> Finding | None:
    """The fault of a column with spreadsheet errors."""
    is_error = cells.mask(SHEET_ERRORS.__contains__)
    if not is_error.any():
        return None
    message = (
        f"{cells.quoted(is_error)} is a spreadsheet error{cells.one_of(is_error)}.\n"
        f"Correct the formula, or name missing values: data.missing; if these are texts: {cells.as_category}"
    )
    return Finding(cells.name, message, is_fault=True, is_of_labels=True)


def _describe(text: str) -> tuple[tuple[str, ...], str] | None:
    """Notations of a number, () if plain, and its unit; None for other texts."""
    is_other_script = any(char.isdecimal() and not char.isascii() for char in text)
    is_hidden = is_other_script or any(unicodedata.category(char) == "Cf" for char in text)
    plain = "".join(char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf")
    plain = "".join(str(unicodedata.decimal(char, char)) for char in plain).translate(_ASCII)
    match = _CELL.fullmatch(plain)
    if match is None or is_code(match["body"]):
        return None
    prefix, suffix = (match[side].casefold().rstrip(".") for side in ("prefix", "suffix"))
    if not (_is_currency(prefix) and (suffix in _UNITS or _is_currency(suffix))):
        return None
    notations = [notation for group, notation in _NOTATIONS.items() if match[group]]
    notations += ["digits of another script or invisible signs"] if is_hidden else []
    notations += ["a dash in place of a minus sign"] if not (match["dash"] or _DASHES.isdisjoint(text)) else []
    return tuple(notations), (prefix + " " + suffix).strip()


def _is_currency(text: str) -> bool:
    """Whether an affix is empty or the sign or name of a currency."""
    return not text or text in CURRENCIES or "Sc" in map(unicodedata.category, text)
