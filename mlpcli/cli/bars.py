"""A bar on the last line of a terminal, drawn again in its place; elsewhere a few plain lines."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from mlpcli.cli.terminal import Screen, width_of
from mlpcli.messages import display_width, middle_cut

REFRESH_SECONDS = 0.1
BAR_COLUMNS, FEWEST_COLUMNS = 24, 8
GAP = "  "


@dataclass(frozen=True)
class Piece:
    """A text beside a bar; where there is no room, pieces of the highest rank are left out first."""

    text: str
    rank: int = 0


class LiveLine:
    """The last line of a terminal. What is said meanwhile is written above it."""

    def __init__(self, screen: Screen) -> None:
        self._screen, self._write_line = screen, screen.write_line
        self._text = ""
        self._last_drawn = 0.0
        self.is_live = sys.stderr.isatty() and not screen.is_quiet

    def draw(self, head: str, fraction: float, pieces: Sequence[Piece], is_due: bool = False) -> None:
        """Show how far the work is, unless the line has just been drawn."""
        now = monotonic()
        if not self.is_live or (not is_due and now - self._last_drawn < REFRESH_SECONDS):
            return
        if not self._text:
            self._screen.write_line = self._write_above
        self._last_drawn, self._text = now, bar_line(head, fraction, pieces, width_of(sys.stderr) or 80)
        sys.stderr.write(f"\r{self._text}\x1b[K")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._text:
            self._text = ""
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._screen.write_line = self._write_line

    def _write_above(self, line: str) -> None:
        sys.stderr.write(f"\r\x1b[K{line}\n{self._text}")
        sys.stderr.flush()


def bar_line(head: str, fraction: float, pieces: Sequence[Piece], width: int) -> str:
    """Head, bar and pieces in fewer columns than `width`: in the last one the cursor would go to the next line."""
    kept = list(pieces)
    while len(kept) > 1 and _length(head, kept) >= width:
        kept.remove(max(kept, key=lambda piece: (piece.rank, kept.index(piece))))
    room = width - 1 - _length(head, kept) - len(GAP)
    parts = [head, *([_bar(fraction, min(room, BAR_COLUMNS))] if room >= FEWEST_COLUMNS else [])]
    return middle_cut(GAP.join([*parts, *(piece.text for piece in kept)]), width - 1)


def time_left(seconds: float, done: float, total: float) -> str:
    """`0:01:05 left`, from the time that what is done took; "" before anything is done."""
    if done <= 0:
        return ""
    rest = round(seconds * max(total - done, 0.0) / done)
    return f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02} left"


def _length(head: str, pieces: Sequence[Piece]) -> int:
    return display_width(head) + sum(len(GAP) + display_width(piece.text) for piece in pieces)


def _bar(fraction: float, columns: int) -> str:
    n_full = round(min(max(fraction, 0.0), 1.0) * columns)
    return "━" * n_full + "─" * (columns - n_full)
