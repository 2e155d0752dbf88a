"""A bar on the last line of a terminal, drawn again in its place; elsewhere a few plain lines."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING

from mlpcli.cli.terminal import Screen, width_of
from mlpcli.messages import count, display_width, duration, middle_cut, size
from mlpcli.watching import Work, watched_by

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

REFRESH_SECONDS = 0.1
BAR_COLUMNS, FEWEST_COLUMNS = 24, 8
BAR_RANK = 3  # pieces of this rank give way to the bar
GAP = "  "
NAME_COLUMNS = 24
# Work that takes less is not shown; where it is no terminal, a line comes after a while, and then now and again.
FEWEST_SECONDS, FIRST_PLAIN_SECONDS, PLAIN_SECONDS = 0.5, 10.0, 30.0


@dataclass(frozen=True)
class Piece:
    """A text beside a bar; where there is no room, pieces of the highest rank are left out first."""

    text: str
    rank: int = 0


class LiveLine:
    """The last line of a terminal, drawn from any thread. What is said meanwhile is written above it."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._live: Live | None = None
        self._last_drawn = 0.0
        self._lock = RLock()
        self.is_live = sys.stderr.isatty() and not screen.is_quiet

    def draw(
        self,
        head: str,
        fraction: float | None,
        pieces: Sequence[Piece],
        is_due: bool = False,
        above: "Callable[[int], Text] | None" = None,
    ) -> None:
        """Show how far the work is, unless the line has just been drawn; `above` makes what stands above it."""
        now = monotonic()
        if not self.is_live or (not is_due and now - self._last_drawn < REFRESH_SECONDS):
            return
        from rich.live import Live
        from rich.text import Text

        with self._lock:
            self._last_drawn = now
            if self._live is None:
                self._live = Live(
                    console=self._screen.stderr, auto_refresh=False, transient=True, redirect_stdout=False,
                    redirect_stderr=False,
                )  # fmt: skip
                self._live.start()
            width = width_of(sys.stderr) or 80
            text = Text(bar_line(head, fraction, pieces, width), no_wrap=True, overflow="crop")
            if above is not None:
                text = Text("\n", no_wrap=True, overflow="crop").join([above(width), text])
            self._live.update(text, refresh=True)

    def clear(self) -> None:
        """Take the line away."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None


class WorkView:
    """Shows how much of a table is read, and how many of its rows are answered, where that takes a while."""

    def __init__(self, screen: Screen, then: str) -> None:
        self._screen, self._then = screen, then
        self._line = LiveLine(screen)
        self._reading = Work("bytes", "", 0)
        self._n_rows = 0
        self._started = self._last_said = monotonic()

    def __call__(self, work: Work) -> None:
        """Take note of it, and show it unless it has hardly begun."""
        if work.kind == "steps":
            return
        now = monotonic()
        if work.kind == "rows":
            self._n_rows = work.done
        else:
            if work.name != self._reading.name or work.done < self._reading.done:
                self._started = self._last_said = now
            self._reading = work
        seconds = now - self._started
        if seconds < FEWEST_SECONDS:
            return
        if work.kind == "bytes" and work.done == work.total and not self._n_rows:
            self._line.draw(f"{self._then}, after {duration(seconds)} of reading", None, [], is_due=True)
            return
        head, fraction, pieces = self._shown(seconds)
        if self._line.is_live:
            self._line.draw(head, fraction, pieces)
        elif now - self._last_said >= (PLAIN_SECONDS if self._last_said > self._started else FIRST_PLAIN_SECONDS):
            self._last_said = now
            self._screen.say(f"{head}   {', '.join(piece.text for piece in pieces)}")

    def ended(self) -> None:
        """Give the terminal back."""
        self._line.clear()

    def _shown(self, seconds: float) -> tuple[str, float | None, list[Piece]]:
        """What is done, how much of it, and with which rate and time left."""
        done, total = self._reading.done, self._reading.total
        name = middle_cut(os.path.basename(self._reading.name), NAME_COLUMNS)
        head = f"{'predicting' if self._n_rows else 'reading':<10}{'' if self._n_rows else name}".rstrip()
        fraction = done / total if total else None
        pieces = [Piece(f"{fraction:.0%}"), Piece(time_left(seconds, done, total), 1)] if fraction is not None else []
        if self._n_rows:
            pieces += [
                Piece(count(self._n_rows, "row"), 3),
                Piece(f"{count(round(self._n_rows / seconds), 'row')}/s", 4),
            ]
        else:
            amount = f"{size(done)} of {size(total)}" if total else size(done)
            pieces += [Piece(amount, 3), Piece(f"{size(done / seconds)}/s", 4)]
        return head, fraction, pieces


@contextmanager
def shown_work(screen: Screen, then: str = "preparing") -> Iterator[None]:
    """Show long work of this block; `then` is what comes when a table is read."""
    view = WorkView(screen, then)
    with watched_by(view):
        try:
            yield
        finally:
            view.ended()


def bar_line(head: str, fraction: float | None, pieces: Sequence[Piece], width: int) -> str:
    """Head, bar and pieces in fewer columns than `width`: in the last one the cursor would go to the next line.

    No bar where the `fraction` is None.
    """
    kept = list(pieces)
    least = 0 if fraction is None else FEWEST_COLUMNS + len(GAP)
    while len(kept) > 1:
        last = max(kept, key=lambda piece: (piece.rank, kept.index(piece)))
        if _length(head, kept) + (least if last.rank >= BAR_RANK else 0) < width:
            break
        kept.remove(last)
    room = width - 1 - _length(head, kept) - len(GAP)
    has_bar = fraction is not None and room >= FEWEST_COLUMNS
    parts = [head, *([_bar(fraction or 0.0, min(room, BAR_COLUMNS))] if has_bar else [])]
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
