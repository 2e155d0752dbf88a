"""Parsing of numbers and canonical texts of cells. Copied into exported programs: uses only the standard library.

Two cells are the same label, level, fold or key exactly if `canonical` returns the same text for both. Texts are
stripped of surrounding blanks.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Pairs of words for no and yes, matched in any case.
BOOLEAN_WORDS = (("no", "yes"), ("false", "true"), ("n", "y"), ("f", "t"), ("0", "1"))
# Texts that are missing cells among numbers, in addition to the missing markers of the table.
NUMBER_BLANKS = frozenset({"none", "-", "."})
MINUS = "\u2212"
# Integers of more digits are codes, as float64 does not represent all of them; FIRST_CODE is the smallest such integer.
LONGEST_NUMBER = 15
FIRST_CODE = 10**LONGEST_NUMBER
BLANKS = " \u00a0\u2009\u202f"
# Thousands separators, each with the characters that are accepted for it.
THOUSANDS = {",": ",", ".": ".", "'": "'\u2019", "\u2019": "'\u2019", **dict.fromkeys(BLANKS, BLANKS)}

_SIGNS = rf"+\-{MINUS}"
_NUMBER = re.compile(rf"[{_SIGNS}]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?")
_CODE = re.compile(rf"[{_SIGNS}]?(?:0[0-9]+|[0-9]{{{LONGEST_NUMBER + 1},}})")
_STARTS = frozenset("+-.0123456789" + MINUS)


@dataclass(frozen=True)
class NumberFormat:
    """The format of numbers.

    `thousands` is a key of THOUSANDS or "". `prefix` and `suffix` may be absent from a cell. With `parentheses`,
    (117.88) is negative.
    """

    decimal: str = "."
    thousands: str = ""
    prefix: str = ""
    suffix: str = ""
    parentheses: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the format is the default one, that of Python."""
        return self == PLAIN


PLAIN = NumberFormat()


def is_code(text: str) -> bool:
    """Whether digits are a code, not a number: they have a leading zero, or more digits than float64 can hold."""
    return _CODE.fullmatch(text) is not None


def number_text(number: float) -> str:
    """The shortest text of a number; it is the same for 3, 3.0 and 3e0."""
    is_whole = abs(number) < 1e16 and number == round(number)  # repr of larger numbers has an exponent
    return str(int(number)) if is_whole else repr(float(number))


def canonical(text: str) -> str:
    """The canonical text of a cell: `number_text` of a finite number that is not a code, otherwise NFC."""
    # A fast path for ASCII words and digits, which are canonical: a column may have millions of them.
    if text.isascii():
        if text[:1] not in _STARTS or text.isdigit():
            return text
    else:
        text = unicodedata.normalize("NFC", text)
    if _NUMBER.fullmatch(text) is None or is_code(text):
        return text
    if (name := integer_code(text)) is not None:
        return name
    number = float(text.replace(MINUS, "-"))
    return number_text(number) if math.isfinite(number) else text


def integer_code(text: str, point: str = ".") -> str | None:
    """The digits of a long code with zeros after its decimal point, such as 12345678901234567.0; otherwise None."""
    match = re.fullmatch(rf"([{_SIGNS}]?[1-9][0-9]{{{LONGEST_NUMBER},}}){re.escape(point)}0*", text)
    return None if match is None else match[1]


def canonical_number(text: str, number: float | None, decimal: str) -> str:
    """`canonical` of a text in a column with this decimal separator; `number` is its value, None if not a number."""
    if (name := integer_code(text, decimal)) is not None:
        return name
    is_number = number is not None and math.isfinite(number) and not is_code(text)
    return number_text(number) if number is not None and is_number else canonical(text)


def boolean_pairs(levels: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Casefolded pairs (no, yes) that match a boolean: its levels, or all of BOOLEAN_WORDS if they are one of these."""
    folded = (canonical(levels[0]).casefold(), canonical(levels[1]).casefold())
    return BOOLEAN_WORDS if folded in BOOLEAN_WORDS else (folded,)


def plain_number(text: str) -> float | None:
    """Parse a number in the default format; None for other texts."""
    return float(text.replace(MINUS, "-")) if _NUMBER.fullmatch(text) else None


def special_number(text: str) -> float | None:
    """NaN for NUMBER_BLANKS, infinity for its words; None for other texts."""
    lower = text.lower().replace(MINUS, "-")
    if lower in NUMBER_BLANKS:
        return math.nan
    return float(lower) if _INFINITE.fullmatch(lower) else None


def number_parser(format: NumberFormat) -> Callable[[str], float | None]:
    """Make a function that parses numbers in a format, and returns None for other texts."""
    thousands, point = THOUSANDS.get(format.thousands, format.thousands), re.escape(format.decimal)
    # A leading zero is not followed by a group: 0,123 is a decimal.
    grouped = rf"[1-9][0-9]{{0,2}}(?:[{re.escape(thousands)}][0-9]{{3}})+|" if thousands else ""
    number = rf"((?:{grouped}[0-9]+)(?:{point}[0-9]*)?|{point}[0-9]+)((?:[eE][+-]?[0-9]+)?)"
    # An opening parenthesis is a minus sign that has to be closed.
    sign, close = (rf"([{_SIGNS}(]?)", r"(\)?)") if format.parentheses else (f"([{_SIGNS}]?)", "()")
    prefix, suffix = (f"(?:[{BLANKS}]*{re.escape(affix)})?" for affix in (format.prefix, format.suffix))
    pattern = re.compile(rf"{sign}{prefix}[{BLANKS}]*{sign}{number}{close}{suffix}{close}")
    removed = dict.fromkeys(map(ord, thousands))

    def read(text: str) -> float | None:
        if (match := pattern.fullmatch(text)) is None:
            return None
        outer, inner, digits, exponent, closed, closed_behind = match.groups()
        signs = outer + inner
        if len(signs) > 1 or signs.count("(") != len(closed + closed_behind):
            return None
        number = float(digits.translate(removed).replace(format.decimal, ".") + exponent)
        return number if signs in ("", "+") else -number

    return read
