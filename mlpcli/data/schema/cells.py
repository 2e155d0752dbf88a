"""The meaning of a text: number, code, missing cell, boolean word. Texts are stripped of surrounding blanks."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.schema.spelling import (
    BOOLEAN_WORDS,
    PLAIN,
    NumberFormat,
    boolean_pairs,
    canonical,
    plain_number,
    reader_of,
    special_number,
    spelled_as,
)
from mlpcli.errors import did_you_mean

Values = NDArray[np.float64]

_NUMBER_SIGNS = re.compile(r"[0-9+\-.eE]*")
# Cyrillic and Greek letters that look like Latin ones.
_LOOKALIKES = str.maketrans(
    "АВЕКМНОРСТХУІЈЅаеорсухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧοιν",  # noqa: RUF001
    "ABEKMHOPCTXYIJSaeopcyxijsABEZHIKMNOPTYXoiv",
)


def separator_fault(decimal: str, thousands: str | None) -> tuple[str, str] | None:
    """Which of `decimal` and `thousands` is invalid, and why; None if both are valid."""
    if decimal not in (".", ","):
        return "decimal", f"{decimal!r} is not a decimal separator. Write '.' or ','."
    if thousands and (len(thousands) != 1 or thousands.isalnum() or thousands in '+-"\n\r'):
        return "thousands", f"{thousands!r} is not a thousands separator. Write '.' or ','."
    return ("thousands", f"{thousands!r} is already the decimal separator.") if decimal == thousands else None


def parse_numbers(texts: Sequence[str], format: NumberFormat = PLAIN) -> tuple[Values, NDArray[np.bool_]]:
    """Numbers of the texts and a mask of unparsable texts, both (n_texts,).

    NUMBER_BLANKS parse as NaN, infinite numbers as infinite: the caller refuses them. Plain numbers with equal
    canonical texts are equal.
    """
    if format.is_plain and _NUMBER_SIGNS.fullmatch("".join(texts)):
        try:  # of these signs alone, float() reads what _NUMBER matches
            return np.fromiter(map(float, texts), np.float64, len(texts)), np.zeros(len(texts), np.bool_)
        except ValueError:
            pass
    read = plain_number if format.is_plain else reader_of(format)
    numbers = [read(text) for text in texts]
    for place, number in enumerate(numbers):
        if number is None:
            numbers[place] = special_number(texts[place])
    is_unknown = np.fromiter((number is None for number in numbers), np.bool_, len(texts))
    return np.asarray(numbers, np.float64), is_unknown  # None becomes NaN


def missing_mask(texts: Sequence[str], markers: frozenset[str], format: NumberFormat = PLAIN) -> NDArray[np.bool_]:
    """Mask (n_texts,) of missing cells: "" and texts equal to a marker, plain or in the number format."""
    missing = _missing_texts(markers, format)
    return np.fromiter((text in missing for text in canonical_in(texts, format)), np.bool_, len(texts))


@lru_cache(1 << 12)
def _missing_texts(markers: frozenset[str], format: NumberFormat) -> frozenset[str]:
    return frozenset({*map(canonical, markers), *canonical_in(sorted(markers), format), ""})


@lru_cache(1 << 12)  # each batch of a table asks for each column
def marker_numbers(markers: frozenset[str], format: NumberFormat) -> Values:
    """Finite numbers among the missing markers, plain or in the number format."""
    texts = sorted(markers)
    found = [parse_numbers(texts, PLAIN), parse_numbers(texts, format)]
    return np.unique(np.concatenate([numbers[~is_unknown & np.isfinite(numbers)] for numbers, is_unknown in found]))


def canonical_in(texts: Sequence[str], format: NumberFormat) -> list[str]:
    """`canonical` of each text of a column with its own number format."""
    if format.is_plain:
        return [canonical(text) for text in texts]
    pairs = zip(texts, parse_numbers(texts, format)[0].tolist(), strict=True)
    return [spelled_as(text, number, format.decimal) for text, number in pairs]


def merged_spellings(texts: Iterable[str], format: NumberFormat = PLAIN) -> list[tuple[str, str]]:
    """Up to three pairs of different texts with the same canonical text."""
    spelled = list(texts)
    first: dict[str, str] = {}
    pairs = (
        (first.setdefault(cell, text), text) for cell, text in zip(canonical_in(spelled, format), spelled, strict=True)
    )
    return [(a, b) for a, b in pairs if a != b][:3]


def labels_differing_in_case(labels: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of distinct labels that differ only in case."""
    groups: dict[str, dict[str, None]] = {}
    for label in map(canonical, labels):
        groups.setdefault(label.casefold(), {})[label] = None
    return [tuple(group) for group in groups.values() if len(group) > 1]


def quote_with_difference(text: str, known: Sequence[str]) -> str:
    """The text in quotes; if it only looks like one of `known`, with the code points that differ."""
    twin = (
        None if text in known else next((other for other in known if _visual_form(other) == _visual_form(text)), None)
    )
    if twin is None:
        return repr(text)
    matcher = SequenceMatcher(None, [*map(str.casefold, twin)], [*map(str.casefold, text)], autojunk=False)
    changes = [places for kind, *places in matcher.get_opcodes() if kind != "equal"]
    added = "".join(text[start:end] for _, _, start, end in changes)
    lacking = "" if added else "".join(twin[start:end] for start, end, _, _ in changes)
    points = ", ".join(f"U+{ord(sign):04X}" for sign in added + lacking)
    return f"{text!r} ({'without ' if lacking else ''}{points})" if points else repr(text)


def name_hint(name: str, known: Sequence[str]) -> str:
    """`did_you_mean`; for a known name that only looks the same, the code points that differ."""
    twin = next((other for other in known if other != name and _visual_form(other) == _visual_form(name)), None)
    shown = "" if twin is None else quote_with_difference(twin, [name])
    return did_you_mean(name, known) if shown in ("", repr(twin)) else f" There is {shown}, which only looks the same."


@lru_cache(1 << 12)
def _visual_form(text: str) -> str:
    """A normal form shared by texts that look alike."""
    visible = "".join(sign for sign in unicodedata.normalize("NFKC", text) if unicodedata.category(sign) != "Cf")
    return " ".join(visible.translate(_LOOKALIKES).casefold().split())


def find_boolean(texts: Sequence[str]) -> tuple[str, str] | None:
    """The words for no and yes, if the texts are exactly these two."""
    # Every word and its capitals: more distinct texts than this cannot all be two words.
    if len(texts) > 16:
        return None
    words = {canonical(text).casefold(): text for text in sorted(texts, reverse=True)}
    return next(((words[no], words[yes]) for no, yes in BOOLEAN_WORDS if words.keys() == {no, yes}), None)


def boolean_spelling(texts: Sequence[str], is_typed: bool) -> tuple[str, str] | tuple[()]:
    """How false and true are spelled among the texts of a category, so that capitals of these do not matter.

    () where neither word is there, or where texts spell them in several ways beside other words, so that their capitals
    may mean something; `is_typed` says that some of them were no texts but booleans.
    """
    words = sorted(text for text in texts if len(text) in (4, 5) and text.casefold() in ("false", "true"))
    spelled = {text.casefold(): text for text in reversed(words)}
    if not words or (len(words) > len(spelled) and len(words) < len(texts) and not is_typed):
        return ()
    style = str.upper if words[0].isupper() else str.capitalize if words[0].istitle() else str.lower
    return spelled.get("false", style("false")), spelled.get("true", style("true"))


def complete_boolean(texts: Sequence[str]) -> tuple[str, str] | None:
    """Texts of no and yes of a column configured as boolean: words for it, or any two texts in order."""
    if (words := find_boolean(texts)) is not None:
        return words
    if len(texts) == 1:
        word = canonical(texts[0]).casefold()
        pairs = ((texts[0], yes) if word == no else (no, texts[0]) for no, yes in BOOLEAN_WORDS if word in (no, yes))
        return next(pairs, None)
    ordered = sort_levels(texts)
    return (ordered[0], ordered[1]) if len(ordered) == 2 else None


def boolean_values(levels: Sequence[str], texts: Iterable[str]) -> Values:
    """0 for no, 1 for yes, NaN for neither (n_texts,); `levels` are the texts of no and yes.

    Case is ignored unless a level matches exactly. Levels that are common words for no and yes match all such words.
    """
    no, yes = map(canonical, levels)
    words = {word: float(value) for pair in boolean_pairs(levels) for value, word in enumerate(pair)}
    exact = {no: 0.0, yes: 1.0}
    return np.asarray([exact.get(text, words.get(text.casefold(), np.nan)) for text in map(canonical, texts)])


def sort_levels(levels: Iterable[str]) -> tuple[str, ...]:
    """Levels sorted as numbers if all are finite numbers, otherwise as texts."""
    ordered = sorted(levels)
    numbers, is_unknown = parse_numbers(ordered)
    if is_unknown.any() or not np.isfinite(numbers).all():
        return tuple(ordered)
    return tuple(ordered[place] for place in np.argsort(numbers, kind="stable").tolist())
