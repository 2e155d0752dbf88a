"""The wording of what is shown: texts from files as a terminal may show them, numbers in few digits, lists, counts."""

import math
import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Protocol

# A word of more than 300 signs: its first 100 and its last 20 are shown.
_LONG_WORD = re.compile(r"(\S{100})\S{180,}(\S{20})")


def on_one_line(text: str) -> str:
    """The text with control characters escaped, line ends among them: a name from a file shall not begin a line."""
    return printable(text).replace("\n", "\\n")


def printable(text: str) -> str:
    """The text with control characters escaped, line ends aside: they could drive the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str) -> str:
    """The text of a message, cut in the middle where a name or a cell in it is longer than anyone would read."""
    return _LONG_WORD.sub(lambda found: f"{found[1]}...{found[2]}", text)


def display_width(text: str) -> int:
    """How many columns of a terminal a text takes: East Asian letters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def folded(text: str, width: int | None, indent: str = "") -> list[str]:
    """The lines of a text, broken between words; all but the first begin with `indent`.

    A word that is longer than a line has a line of its own. `width` None means as long as they are.
    """
    if width is None or display_width(text) <= width:
        return [text]
    words = text.split(" ")
    lines, line = [], words[0]
    for word in words[1:]:
        if line.strip() and display_width(line) + 1 + display_width(word) > width:
            lines.append(line.rstrip())
            line = indent + word
        else:
            line += f" {word}"
    return [*lines, line]


def middle_cut(text: str, width: int, shift: int = 0) -> str:
    """The text in at most `width` columns, three points in the place of its middle, or `shift` columns after it."""
    if display_width(text) <= width:
        return text
    kept = max((width - 3 + 1) // 2 + shift, 0)
    left, right = text[:kept], text[len(text) - max(width - 3 - kept, 0) :]
    while display_width(left) + 3 + display_width(right) > width:  # letters that are two columns wide
        if left and (not right or len(left) - 2 * shift > len(right)):
            left = left[:-1]
        else:
            right = right[1:]
    return f"{left}...{right}"


def cut_apart(texts: Collection[str], width: int) -> dict[str, str] | None:
    """Each text in at most `width` columns, all cut in one place: as near to the middle as still tells them apart.

    None where there is no such place.
    """
    different = dict.fromkeys(texts)
    for shift in sorted(range(-width // 2, width // 2 + 1), key=abs):
        cuts = {text: middle_cut(text, width, shift) for text in different}
        if len(set(cuts.values())) == len(different):
            return cuts
    return None


class Interval(Protocol):
    """Two ends, as `evaluation.intervals` has them: not every verb that renders numbers imports that."""

    @property
    def low(self) -> float:
        """The lower end."""

    @property
    def high(self) -> float:
        """The upper end."""


def number(value: float | None) -> str:
    """A score in few digits: 0.986, 12.3, 53782, 2.1e-05; a score that is not defined is a dash."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    size = abs(value)
    if size >= 1e7 or 0.0 < size < 5e-4:
        return f"{value:.0e}" if size < 1 else f"{value:.2e}"
    return f"{value:.{3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0}f}"


def interval(ends: Interval | None) -> str:
    """`[0.922, 0.997]`; "" where there is none, or none that is defined."""
    if ends is None or math.isnan(ends.low) or math.isnan(ends.high):
        return ""
    return f"[{number(ends.low)}, {number(ends.high)}]"


def count(n: int, one: str, many: str = "") -> str:
    """`1 row`, `344 rows`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}".replace(",", " " if n >= 10_000 else "")


def duration(seconds: float) -> str:
    """0.06 s, 2.5 s, 42 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(n_bytes: float) -> str:
    """640 kB, 12 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if n_bytes >= 10 or unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    raise AssertionError


def listed(names: Sequence[str], most: int = 8) -> str:
    """`a, b, c, and 5 more`."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])}, and {len(names) - most + 1} more"
