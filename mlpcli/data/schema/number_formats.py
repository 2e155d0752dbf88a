"""Detection of formatted numbers: $2,212.04, 56.3%, 12 kg, 1 234,5, (117.88).

One format has to parse nearly all cells. If two formats parse as many to different numbers (7,409), integers below
1000 decide for thousands separators; without them the format is ambiguous.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.schema.cells import Values, parse_numbers
from mlpcli.data.schema.spelling import BLANKS, MINUS, NUMBER_BLANKS, PLAIN, THOUSANDS, NumberFormat, is_code
from mlpcli.data.table import Role

Counts = Sequence[int] | NDArray[np.int64]

# Minimum fraction of numbers among the cells, and among a sample of the texts.
MIN_FRACTION, MIN_SAMPLE_FRACTION = 0.95, 0.9
SAMPLE_SIZE = 10_000
# Decimal and thousands separators, the simplest first.
_SEPARATORS = ((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
# Prefixes without a currency symbol. Integers with other letters before them are names: ID7, Q3.
CURRENCIES = frozenset(
    ("%", "usd", "eur", "gbp", "chf", "jpy", "cny", "inr", "aud", "cad", "sek", "nok", "dkk", "pln", "rs", "kr", "fr")
)
_SIGN = rf"[+\-{MINUS}(]?"
_LETTER = rf"[^\d\s+\-{MINUS}().,:;'\u2019\"#/\\|*=<>~_&@!?\[\]{{}}]"
_SHAPE = re.compile(
    rf"{_SIGN}(?P<prefix>(?:{_LETTER}{{0,3}}(?:{_LETTER}|[^\W\d_]\.))?)[{BLANKS}]*{_SIGN}"
    rf"(?P<body>[.,]?[0-9](?:[0-9.,'\u2019{BLANKS}]*[0-9])?)(?:[eE][+-]?[0-9]+)?\)?"
    rf"[{BLANKS}]*(?P<suffix>(?:{_LETTER}(?:{_LETTER}|/){{0,5}}(?:(?<=m)[23])?)?)\)?"
)
# Phone numbers and IP addresses; columns in which all cells match are not numbers.
IDENTIFIER = re.compile(rf"\+.*|[0-9]{{3}}(?:[.{BLANKS}][0-9]{{3}}){{2,}}|(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}")
_EXPONENT = re.compile(r"[0-9.,][eE][+-]?[0-9]+")
_THIRDS = (".333", ".667")
_POINT_GROUPS = re.compile(rf"[+\-{MINUS}]?(?:0|[1-9][0-9]{{0,2}}(?P<groups>(?:\.[0-9]{{3}})*))")


@dataclass(frozen=True)
class DetectedFormat:
    """A number format that parses a `fraction` of the cells.

    `example` is a cell that is not a plain number. `alternatives` parse the same number of cells to other numbers.
    """

    format: NumberFormat
    fraction: float
    example: str
    alternatives: tuple[NumberFormat, ...] = ()

    @property
    def doubt(self) -> str:
        """The ambiguity, for a message, or ""."""
        if not self.alternatives:
            return ""
        sign = "comma" if "," in (self.format.thousands or self.format.decimal) else "point"
        other = f"a decimal {sign}" if self.format.thousands else "a thousands separator"
        return f"a {sign} before three digits can also be {other}"


def find_number_format(texts: Sequence[str], counts: Counts, delimiter: str = ",") -> DetectedFormat | None:
    """The format of distinct texts with these cell counts, if nearly all are numbers; None if they are plain.

    `delimiter` is of the file: a semicolon breaks ties in favour of decimal commas.
    """
    weights = np.asarray(counts, np.float64)
    affixes = _affixes(texts, weights)
    is_not_plain = parse_numbers(texts)[1]
    if affixes is None or not is_not_plain.any():
        return None
    # Digits before an exponent are never grouped: 9,560e+01 has a decimal comma.
    ungrouped = "".join(text for text in texts if _EXPONENT.search(text))
    formats = [
        replace(affixes, decimal=decimal, thousands=thousands)
        for decimal, thousands in _SEPARATORS
        if not (thousands and set(THOUSANDS[thousands]) & set(ungrouped))
    ]
    readings = {format: parse_numbers(texts, format) for format in formats}
    fractions = {format: weights[~is_unknown].sum() / weights.sum() for format, (_, is_unknown) in readings.items()}
    best_fraction = max(fractions.values())
    best = {format: readings[format][0] for format in formats if fractions[format] == best_fraction}
    if best_fraction < MIN_FRACTION or PLAIN in best:
        return None
    chosen, alternatives = _choose(best, "," if delimiter == ";" else ".")
    is_example = is_not_plain & ~readings[chosen][1]
    return DetectedFormat(chosen, float(best_fraction), texts[int(np.argmax(is_example))], alternatives)


def _affixes(texts: Sequence[str], weights: Values) -> NumberFormat | None:
    """Prefix, suffix and parentheses shared by most cells of a sample; None if these are not formatted numbers."""
    step = slice(None, None, max(1, len(texts) // SAMPLE_SIZE))
    shapes = zip(map(_SHAPE.fullmatch, texts[step]), weights[step].tolist(), strict=True)
    sample = [(match, weight) for match, weight in shapes if match and not is_code(match["body"])]
    n_cells = sum(weight for _, weight in sample)
    if n_cells < MIN_SAMPLE_FRACTION * weights[step].sum() or all(
        IDENTIFIER.fullmatch(match[0]) for match, _ in sample
    ):
        return None
    prefix, suffix = (_shared((match[side], weight) for match, weight in sample) for side in ("prefix", "suffix"))
    is_currency = prefix.lower().rstrip(".") in CURRENCIES or "Sc" in map(unicodedata.category, prefix)
    has_punctuation = len(prefix) > 1 and any(not match["body"].isdigit() for match, _ in sample)
    if prefix and not is_currency and not has_punctuation:
        return None
    n_parentheses = sum(")" in match[0] for match, _ in sample)
    return NumberFormat(prefix=prefix, suffix=suffix, parentheses=0 < n_parentheses < len(sample))


def _shared(affixes: Iterable[tuple[str, float]]) -> str:
    """The affix of at least half of the cells, otherwise ""."""
    totals: dict[str, float] = {}
    for affix, weight in affixes:
        totals[affix] = totals.get(affix, 0.0) + weight
    most_frequent = max(totals, key=totals.__getitem__)
    return most_frequent if 2 * totals[most_frequent] >= sum(totals.values()) else ""


def _choose(readings: dict[NumberFormat, Values], decimal: str) -> tuple[NumberFormat, tuple[NumberFormat, ...]]:
    """The preferred format and its alternatives; `readings` has the numbers by format, the simplest first."""
    simplest, *alternatives = readings
    numbers = readings[simplest]
    alternative = next(
        (format for format in alternatives if not np.array_equal(numbers, readings[format], equal_nan=True)), None
    )
    if alternative is None:
        return simplest, ()
    # Numbers without separators are equal in both formats.
    shared_numbers = np.abs(numbers[numbers == readings[alternative]])
    if len(shared_numbers) and shared_numbers.max() < 1000:
        return alternative, ()
    return (simplest, (alternative,)) if simplest.decimal == decimal else (alternative, (simplest,))


def count_point_groups(texts: Sequence[str], counts: Counts) -> tuple[int, int] | None:
    """Count cells with points before groups of three digits, which may be thousands (6.001), and integers below 1000.

    Thirds with three decimals (1.333, 1.667) are not counted. None if there are other numbers.
    """
    n_grouped = n_small = 0
    for text, count in zip(texts, counts, strict=True):
        match = _POINT_GROUPS.fullmatch(text)
        if match is None and text.lower() not in NUMBER_BLANKS:
            return None
        n_grouped += int(count) if match and match["groups"] and match["groups"] not in _THIRDS else 0
        n_small += int(count) if match and match["groups"] == "" else 0
    return n_grouped, n_small


def format_as_yaml(format: NumberFormat, table: NumberFormat = PLAIN, role: Role = "number") -> str:
    """YAML options of a column in this format: {role: number, prefix: "$"}.

    `table` is the number format of all columns.
    """
    options = sorted(
        (name, value)
        for name, value in vars(format).items()
        if value != vars(table)[name] and (value or (name == "thousands" and format.decimal == table.thousands))
    )
    entries = [f"role: {role}", *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in options)]
    return f"{{{', '.join(entries)}}}"
