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
    LONGEST_NUMBER,
    PLAIN,
    NumberFormat,
    boolean_pairs,
    canonical,
    canonical_number,
    number_parser,
    plain_number,
    special_number,
)
from mlpcli.errors import did_you_mean

Values = NDArray[np.float64]

_NUMBER_CHARACTERS = re.compile(r"[0-9+\-.eE]*")
# Cyrillic and Greek letters that look like Latin ones.
_LOOKALIKES = str.maketrans(
    "АВЕКМНОРСТХУІЈЅаеорсухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧοιν",  # noqa: RUF001
    "ABEKMHOPCTXYIJSaeopcyxijsABEZHIKMNOPTYXoiv",
)


def separator_problem(decimal: str, thousands: str | None) -> tuple[str, str] | None:
    """Which of `decimal` and `thousands` is invalid, and why; None if both are valid."""
    if decimal not in (".", ","):
        return "decimal", f"{decimal!r} is not a decimal separator. Write '.' or ','."
    if thousands and (len(thousands) != 1 or thousands.isalnum() or thousands in '+-"\n\r'):
        return "thousands", f"{thousands!r} is not a thousands separator. Write '.' or ','."
    return ("thousands", f"{thousands!r} is already the decimal separator.") if decimal == thousands else None


def parse_numbers(texts: Sequence[str], format: NumberFormat = PLAIN) -> tuple[Values, NDArray[np.bool_]]:
    """Numbers of the texts and a mask of unparsable texts, both (n_texts,).

    NUMBER_BLANKS parse as NaN, and infinite numbers as infinite, which the caller rejects. Plain numbers with equal
    canonical texts are equal.
    """
    if format.is_plain and _NUMBER_CHARACTERS.fullmatch("".join(texts)):
        try:  # for texts of these characters, float() accepts exactly what _NUMBER matches
            return np.fromiter(map(float, texts), np.float64, len(texts)), np.zeros(len(texts), np.bool_)
        except ValueError:
            pass
    parse = plain_number if format.is_plain else number_parser(format)
    numbers = [parse(text) for text in texts]
    for index, number in enumerate(numbers):
        if number is None:
            numbers[index] = special_number(texts[index])
    is_unknown = np.fromiter((number is None for number in numbers), np.bool_, len(texts))
    return np.asarray(numbers, np.float64), is_unknown  # None becomes NaN


def missing_mask(texts: Sequence[str], markers: frozenset[str], format: NumberFormat = PLAIN) -> NDArray[np.bool_]:
    """Mask (n_texts,) of missing cells: "" and texts equal to a marker, plain or in the number format."""
    missing = _missing_texts(markers, format)
    return np.fromiter((text in missing for text in canonical_texts(texts, format)), np.bool_, len(texts))


@lru_cache(1 << 12)
def _missing_texts(markers: frozenset[str], format: NumberFormat) -> frozenset[str]:
    return frozenset({*map(canonical, markers), *canonical_texts(sorted(markers), format), ""})


@lru_cache(1 << 12)  # called for each column of each batch
def marker_numbers(markers: frozenset[str], format: NumberFormat) -> Values:
    """Finite numbers among the missing markers, plain or in the number format."""
    texts = sorted(markers)
    parsed = [parse_numbers(texts, PLAIN), parse_numbers(texts, format)]
    return np.unique(np.concatenate([numbers[~is_unknown & np.isfinite(numbers)] for numbers, is_unknown in parsed]))


def canonical_texts(texts: Sequence[str], format: NumberFormat) -> list[str]:
    """`canonical` of each text of a column with its own number format."""
    if format.is_plain:
        return [canonical(text) for text in texts]
    pairs = zip(texts, parse_numbers(texts, format)[0].tolist(), strict=True)
    return [canonical_number(text, number, format.decimal) for text, number in pairs]


def equivalent_spellings(texts: Iterable[str], format: NumberFormat = PLAIN) -> list[tuple[str, str]]:
    """Up to three pairs of different texts with the same canonical text."""
    unique_texts = list(texts)
    first_texts: dict[str, str] = {}
    pairs = (
        (first_texts.setdefault(cell, text), text)
        for cell, text in zip(canonical_texts(unique_texts, format), unique_texts, strict=True)
    )
    return [(first, second) for first, second in pairs if first != second][:3]


def labels_differing_in_case(labels: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of distinct labels that differ only in case."""
    groups: dict[str, dict[str, None]] = {}
    for label in map(canonical, labels):
        groups.setdefault(label.casefold(), {})[label] = None
    return [tuple(group) for group in groups.values() if len(group) > 1]


def lookalike_labels(labels: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of distinct labels, ignoring case, that look the same or differ in leading zeros only; sorted."""
    groups: dict[str, dict[str, str]] = {}
    for label in sorted(map(canonical, labels)):
        visible = _visual_form(label)
        key = str(int(visible)) if visible.isdecimal() and len(visible) <= LONGEST_NUMBER else visible
        groups.setdefault(key, {}).setdefault(label.casefold(), label)
    return [tuple(group.values()) for group in groups.values() if len(group) > 1]


def quote_with_difference(text: str, candidates: Sequence[str]) -> str:
    """The text in quotes; if it only looks like one of `candidates`, with the code points that differ."""
    lookalike = (
        None
        if text in candidates
        else next((other for other in candidates if _visual_form(other) == _visual_form(text)), None)
    )
    if lookalike is None:
        return repr(text)
    matcher = SequenceMatcher(None, [*map(str.casefold, lookalike)], [*map(str.casefold, text)], autojunk=False)
    changes = [spans for kind, *spans in matcher.get_opcodes() if kind != "equal"]
    added = "".join(text[start:end] for _, _, start, end in changes)
    missing = "" if added else "".join(lookalike[start:end] for start, end, _, _ in changes)
    code_points = ", ".join(f"U+{ord(char):04X}" for char in added + missing)
    return f"{text!r} ({'without ' if missing else ''}{code_points})" if code_points else repr(text)


def join_spellings(labels: Sequence[str]) -> str:
    """Labels that look alike, quoted, with the code points that differ from the first one."""
    first, *others = labels
    return ", ".join([repr(first), *(quote_with_difference(label, [first]) for label in others)])


def name_hint(name: str, candidates: Sequence[str]) -> str:
    """`did_you_mean`; for a known name that only looks the same, the code points that differ."""
    lookalike = next(
        (other for other in candidates if other != name and _visual_form(other) == _visual_form(name)), None
    )
    description = "" if lookalike is None else quote_with_difference(lookalike, [name])
    return (
        did_you_mean(name, candidates)
        if description in ("", repr(lookalike))
        else f" There is {description}, which only looks the same."
    )


@lru_cache(1 << 12)
def _visual_form(text: str) -> str:
    """A normal form shared by texts that look alike."""
    visible = "".join(char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf")
    return " ".join(visible.translate(_LOOKALIKES).casefold().split())


def find_boolean(texts: Sequence[str]) -> tuple[str, str] | None:
    """The words for no and yes if the texts are exactly such a pair, in any case; otherwise None."""
    # More distinct texts than this are not case variants of two words.
    if len(texts) > 16:
        return None
    words = {canonical(text).casefold(): text for text in sorted(texts, reverse=True)}
    return next(((words[no], words[yes]) for no, yes in BOOLEAN_WORDS if words.keys() == {no, yes}), None)


def boolean_spelling(texts: Sequence[str], is_typed: bool) -> tuple[str, str] | tuple[()]:
    """The spelling of false and true among the texts of a category, so that they can be matched in any case.

    () if neither word occurs, or if there are several spellings beside other words, as their case may matter then.
    `is_typed`: some of the cells were booleans, not texts, so that case does not matter.
    """
    words = sorted(text for text in texts if len(text) in (4, 5) and text.casefold() in ("false", "true"))
    spellings = {text.casefold(): text for text in reversed(words)}
    if not words or (len(words) > len(spellings) and len(words) < len(texts) and not is_typed):
        return ()
    change_case = str.upper if words[0].isupper() else str.capitalize if words[0].istitle() else str.lower
    return spellings.get("false", change_case("false")), spellings.get("true", change_case("true"))


def complete_boolean(texts: Sequence[str]) -> tuple[str, str] | None:
    """The texts for no and yes of a column configured as boolean: known words, or any two texts in order; or None."""
    if (words := find_boolean(texts)) is not None:
        return words
    if len(texts) == 1:
        word = canonical(texts[0]).casefold()
        pairs = ((texts[0], yes) if word == no else (no, texts[0]) for no, yes in BOOLEAN_WORDS if word in (no, yes))
        return next(pairs, None)
    levels = sort_levels(texts)
    return (levels[0], levels[1]) if len(levels) == 2 else None


def boolean_values(levels: Sequence[str], texts: Iterable[str]) -> Values:
    """0 for no, 1 for yes, NaN for neither (n_texts,); `levels` are the texts of no and yes.

    Case is ignored unless a level matches exactly. Levels that are common words for no and yes match all such words.
    """
    no, yes = map(canonical, levels)
    values = {word: float(value) for pair in boolean_pairs(levels) for value, word in enumerate(pair)}
    exact_values = {no: 0.0, yes: 1.0}
    return np.asarray([exact_values.get(text, values.get(text.casefold(), np.nan)) for text in map(canonical, texts)])


def sort_levels(levels: Iterable[str]) -> tuple[str, ...]:
    """Levels sorted as numbers if all are finite numbers, otherwise as texts."""
    levels_in_order = sorted(levels)
    numbers, is_unknown = parse_numbers(levels_in_order)
    if is_unknown.any() or not np.isfinite(numbers).all():
        return tuple(levels_in_order)
    return tuple(levels_in_order[index] for index in np.argsort(numbers, kind="stable").tolist())
