"""Levels that are hardly meant as such: signs for missing values, error words, lines of totals, damaged letters."""

import numpy as np

from mlpcli.data.schema.cells import find_boolean
from mlpcli.data.schema.findings import Finding, TextCounts
from mlpcli.data.schema.spelling import canonical

# Texts, casefolded, that are not missing markers by default.
_BLANK_WORDS = frozenset(
    (
        *("n/a", "n.a.", "n.a", "#n/a n/a", "#na", "na", "nan", "nat", "<na>", "null", "(null)", "<null>"),
        *("-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "\u2026", "??", "???", "missing", "(missing)"),
        *("(blank)", "undefined", "nil", "\\n"),
    )
)
_ERROR_WORDS = frozenset(("error", "err", "#error", "#err", "fehler", "erreur", "exception", "traceback"))
_TOTAL_WORDS = frozenset(
    (
        *("total", "totals", "grand total", "subtotal", "sub-total", "sum"),
        *("summe", "gesamt", "insgesamt", "totale", "totaal"),
    )
)
# Maximum fraction of cells with an error word or the label of a total; a frequent word is meant as a level.
_MAX_FRACTION = 0.01


def find_stray_words(cells: TextCounts) -> list[Finding]:
    """Notes on levels or labels that look like missing values, errors, or the labels of a line of totals."""
    words = [text.casefold().rstrip(":") for text in cells.texts]
    is_rare = cells.counts <= max(1.0, _MAX_FRACTION * cells.n_cells)
    blank_words = _BLANK_WORDS - ({"-"} if "+" in words else set())
    kinds = (
        (blank_words, np.ones(len(words), np.bool_), "looks like a missing value"),
        (_ERROR_WORDS, is_rare, "looks like an error"),
        (_TOTAL_WORDS, is_rare, "looks like a line of totals"),
    )
    findings = []
    for known_words, is_eligible, problem in kinds:
        is_stray = is_eligible & np.asarray([word in known_words for word in words], np.bool_)
        if not is_stray.any() or is_stray.all():
            continue
        remedy = "If so, delete the line" if known_words is _TOTAL_WORDS else "If so, name missing values: data.missing"
        message = (
            f"{cells.quoted(is_stray)} {problem}{cells.one_of(is_stray)}, and is read as a level. {remedy}; "
            f"if it is a level: {cells.as_category}"
        )
        findings.append(cells.note(message, is_of_labels=True))
    return findings


def find_neither(cells: TextCounts) -> list[Finding]:
    """A note on rare texts that are neither no nor yes, in a column that else would be boolean."""
    is_rare = cells.counts <= max(1.0, _MAX_FRACTION * cells.n_cells)
    words = find_boolean([text for text, rare in zip(cells.texts, is_rare.tolist(), strict=True) if not rare])
    if words is None:
        return []
    pair = {canonical(word).casefold() for word in words}
    is_other = cells.mask(lambda text: canonical(text).casefold() not in pair)
    if not is_other.any():
        return []
    message = (
        f"{cells.quoted(is_other)} is neither {words[0]} nor {words[1]}{cells.one_of(is_other)}, and is read as a "
        f"level. Correct it, or name missing values: data.missing; if it is a level: {cells.as_category}"
    )
    return [cells.note(message, is_of_labels=True)]


def find_damaged_texts(cells: TextCounts) -> list[Finding]:
    """A note on texts whose letters were damaged before the file was written, as in Z\u00c3\u00bcrich."""
    is_damaged = cells.mask(lambda text: not text.isascii() and _is_damaged(text))
    if not is_damaged.any():
        return []
    message = (
        f"{cells.quoted(is_damaged)} looks damaged{cells.one_of(is_damaged)}: UTF-8 was read with another encoding "
        f"before the file was written. Export it again; if it is right: {cells.as_category}"
    )
    return [cells.note(message, is_of_labels=True)]


def _is_damaged(text: str) -> bool:
    """Whether a text has lost characters, or is UTF-8 that was decoded as Windows-1252 or Latin-1."""
    if "\ufffd" in text:
        return True
    for encoding in ("cp1252", "latin-1"):
        try:
            text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        return True
    return False
