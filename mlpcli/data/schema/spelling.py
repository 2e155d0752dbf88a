"""How numbers are spelled, and the one spelling of a cell; of the standard library alone, so that it can be copied.

Two cells are the same label, level, fold or key exactly if `canonical` gives them the same text. Texts come without
surrounding blanks.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Pairs of texts read as no and yes, in any case.
BOOLEAN_WORDS = (("no", "yes"), ("false", "true"), ("n", "y"), ("f", "t"), ("0", "1"))
# Texts that mean "missing" among numbers, beside the markers of the table.
NUMBER_BLANKS = frozenset({"none", "-", "."})
MINUS = "\u2212"
# Digits of the longest integers that are no codes, all of which float64 holds; the first code behind them.
LONGEST_NUMBER = 15
FIRST_CODE = 10**LONGEST_NUMBER
BLANKS = " \u00a0\u2009\u202f"
# Signs between groups of three digits, each with those that are typed for it.
THOUSANDS = {",": ",", ".": ".", "'": "'\u2019", "\u2019": "'\u2019", **dict.fromkeys(BLANKS, BLANKS)}

_SIGNS = rf"+\-{MINUS}"
_NUMBER = re.compile(rf"[{_SIGNS}]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?")
_CODE = re.compile(rf"[{_SIGNS}]?(?:0[0-9]+|[0-9]{{{LONGEST_NUMBER + 1},}})")
_STARTS = frozenset("+-.0123456789" + MINUS)


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written.

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
        """Whether numbers are written as in Python."""
        return self == PLAIN


PLAIN = NumberFormat()


def is_code(text: str) -> bool:
    """Whether digits are a name, not a number: a leading zero, or more digits than a float64 holds."""
    return _CODE.fullmatch(text) is not None


def number_text(number: float) -> str:
    """The shortest text of a number, the same whether it is written 3, 3.0 or 3e0."""
    is_whole = abs(number) < 1e16 and number == round(number)  # beyond that repr has an exponent
    return str(int(number)) if is_whole else repr(float(number))


def canonical(text: str) -> str:
    """The one spelling of a cell: NFC, and of a finite number that is no code `number_text`."""
    # Most texts are ASCII words or short digits, which are canonical; a long column has millions of them.
    if text.isascii():
        if text[:1] not in _STARTS or text.isdigit():
            return text
    else:
        text = unicodedata.normalize("NFC", text)
    if _NUMBER.fullmatch(text) is None or is_code(text):
        return text
    if (name := whole_name(text)) is not None:
        return name
    number = float(text.replace(MINUS, "-"))
    return number_text(number) if math.isfinite(number) else text


def whole_name(text: str, point: str = ".") -> str | None:
    """The digits of a name that was written with zeros behind the point, as 12345678901234567.0."""
    match = re.fullmatch(rf"([{_SIGNS}]?[1-9][0-9]{{{LONGEST_NUMBER},}}){re.escape(point)}0*", text)
    return None if match is None else match[1]


def spelled_as(text: str, number: float | None, decimal: str) -> str:
    """`canonical` of a text whose column writes numbers with this decimal sign, as which it is `number`, or none."""
    if (name := whole_name(text, decimal)) is not None:
        return name
    is_number = number is not None and math.isfinite(number) and not is_code(text)
    return number_text(number) if number is not None and is_number else canonical(text)


def boolean_pairs(levels: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Words for no and yes, whose capitals do not matter: those of a column, and where these are common, all others."""
    folded = (canonical(levels[0]).casefold(), canonical(levels[1]).casefold())
    return BOOLEAN_WORDS if folded in BOOLEAN_WORDS else (folded,)


def plain_number(text: str) -> float | None:
    """The number of a text that is written plainly; None for any other."""
    return float(text.replace(MINUS, "-")) if _NUMBER.fullmatch(text) else None


def special_number(text: str) -> float | None:
    """NaN for what means a missing number, infinity for its words; None for any other."""
    lower = text.lower().replace(MINUS, "-")
    if lower in NUMBER_BLANKS:
        return math.nan
    return float(lower) if _INFINITE.fullmatch(lower) else None


def reader_of(format: NumberFormat) -> Callable[[str], float | None]:
    """A function that gives the number written in a format, and None for any other text."""
    thousands, point = THOUSANDS.get(format.thousands, format.thousands), re.escape(format.decimal)
    # No group follows a leading zero: 0,123 is a decimal.
    grouped = rf"[1-9][0-9]{{0,2}}(?:[{re.escape(thousands)}][0-9]{{3}})+|" if thousands else ""
    number = rf"((?:{grouped}[0-9]+)(?:{point}[0-9]*)?|{point}[0-9]+)((?:[eE][+-]?[0-9]+)?)"
    # An opening parenthesis is a sign that has to be closed.
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
