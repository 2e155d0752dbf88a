"""Formatting for messages: escaped and truncated text, rounded numbers, lists, counts, durations and sizes."""

import math
import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Protocol

# A word of at least 300 characters: its first 100 and its last 20 are shown.
_LONG_WORD = re.compile(r"(\S{100})\S{180,}(\S{20})")
# A blank, but not that between the digits of 339 444.
_WORD_GAP = re.compile(r"(?<!\d) | (?!\d{3}\b)")


def escape_line(text: str) -> str:
    """Escape control characters including newlines, so that a name from a file cannot start a line of its own."""
    return escape_controls(text).replace("\n", "\\n")


def escape_controls(text: str) -> str:
    """Escape control characters except newlines: terminals would interpret them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def shorten_words(text: str) -> str:
    """Truncate words of at least 300 characters in the middle: a name or a cell can be of any length."""
    return _LONG_WORD.sub(lambda match: f"{match[1]}...{match[2]}", text)


def display_width(text: str) -> int:
    """Width of a text in terminal columns: two for wide East Asian characters, zero for combining marks."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def wrap_text(text: str, width: int | None, indent: str = "") -> list[str]:
    """Wrap a text at blanks into lines of at most `width` terminal columns; all but the first begin with `indent`.

    A word wider than `width` gets a line of its own; a number such as 339 444 is one word. `width` None: one line.
    """
    if width is None or display_width(text) <= width:
        return [text]
    words = _WORD_GAP.split(text)
    lines, line = [], words[0]
    for word in words[1:]:
        if line.strip() and display_width(line) + 1 + display_width(word) > width:
            lines.append(line.rstrip())
            line = indent + word
        else:
            line += f" {word}"
    return [*lines, line]


def cut_middle(text: str, width: int, shift: int = 0) -> str:
    """Truncate a text to `width` terminal columns; "..." replaces its middle, moved right by `shift` columns."""
    if display_width(text) <= width:
        return text
    n_left = max((width - 3 + 1) // 2 + shift, 0)
    left, right = text[:n_left], text[len(text) - max(width - 3 - n_left, 0) :]
    while display_width(left) + 3 + display_width(right) > width:  # if some characters are two columns wide
        if left and (not right or len(left) - 2 * shift > len(right)):
            left = left[:-1]
        else:
            right = right[1:]
    return f"{left}...{right}"


def cut_distinctly(texts: Collection[str], width: int) -> dict[str, str] | None:
    """Truncate all texts at the same position, the one nearest to the middle that keeps different texts different.

    Returns the truncated text of each text, or None if no position does.
    """
    unique = dict.fromkeys(texts)
    for shift in sorted(range(-width // 2, width // 2 + 1), key=abs):
        cuts = {text: cut_middle(text, width, shift) for text in unique}
        if len(set(cuts.values())) == len(unique):
            return cuts
    return None


class Interval(Protocol):
    """An interval; a protocol, so that verbs can format numbers without importing `evaluation`."""

    @property
    def low(self) -> float:
        """Lower bound."""

    @property
    def high(self) -> float:
        """Upper bound."""


def format_number(value: float | None) -> str:
    """Format a score in few digits: 0.986, 12.35, 53782, 2e-05; None and NaN give "-"."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    magnitude = abs(value)
    if magnitude >= 1e7 or 0.0 < magnitude < 5e-4:
        return f"{value:.0e}" if magnitude < 1 else f"{value:.2e}"
    return f"{value:.{3 if magnitude < 10 else 2 if magnitude < 100 else 1 if magnitude < 1000 else 0}f}"


def format_interval(bounds: Interval | None) -> str:
    """Format an interval as `[0.922, 0.997]`; "" for None and for NaN bounds."""
    if bounds is None or math.isnan(bounds.low) or math.isnan(bounds.high):
        return ""
    return f"[{format_number(bounds.low)}, {format_number(bounds.high)}]"


def format_count(n: int, singular: str, plural: str = "") -> str:
    """Format a count with its noun: "1 row", "344 rows", "12 000 rows". `plural` defaults to `singular` + "s"."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}".replace(",", " " if n >= 10_000 else "")


def format_duration(seconds: float) -> str:
    """Format seconds as 0.06 s, 2.5 s, 42 s, 3 min 20 s or 2 h 5 min."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def format_size(n_bytes: float) -> str:
    """Format a number of bytes: 640 kB, 12 MB (1 kB = 1000 bytes)."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if n_bytes >= 10 or unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    raise AssertionError


def format_list(names: Sequence[str], limit: int = 8) -> str:
    """Join names with commas; more than `limit` end as "a, b, and 5 more"."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[: limit - 1])}, and {len(names) - limit + 1} more"
