"""A progress bar on the last line of a terminal; occasional plain lines elsewhere."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Event, RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Literal

from mlpcli.cli.rendering.terminal import Screen, width_of
from mlpcli.messages import cut_middle, display_width, format_count, format_size
from mlpcli.progress import Progress, listening

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

REFRESH_SECONDS = 0.1
BAR_COLUMNS, FEWEST_COLUMNS = 24, 8
BAR_RANK = 3  # pieces of this rank are omitted before the bar
GAP = "  "
NAME_COLUMNS = 24
# Work is shown on a terminal after FEWEST_SECONDS; elsewhere as a line after FIRST_PLAIN_SECONDS, then at intervals.
FEWEST_SECONDS, FIRST_PLAIN_SECONDS, PLAIN_SECONDS = 0.5, 10.0, 30.0
TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Piece:
    """A text beside a bar; if it does not fit, pieces of the highest rank are omitted first."""

    text: str
    rank: int = 0


class LiveLine:
    """The last line of a terminal, which any thread may redraw; messages are printed above it."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._live: Live | None = None
        self._last_drawn = 0.0
        self._lock = RLock()
        self.is_live = sys.stderr.isatty() and not screen.is_quiet

    @property
    def is_drawn(self) -> bool:
        """Whether the line is on the screen."""
        return self._live is not None

    def draw(
        self,
        head: str,
        fraction: float | None,
        pieces: Sequence[Piece],
        is_due: bool = False,
        above: "Callable[[int], Text] | None" = None,
    ) -> None:
        """Redraw the line, at most every REFRESH_SECONDS unless `is_due`; `above` makes the lines above it."""
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
        """Remove the line."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None


class WorkView:
    """Shows progress of reading, prediction and other long stages.

    `ticking` calls `tick` to update the time between reports of the work.
    """

    def __init__(self, screen: Screen, then: str) -> None:
        self._screen, self._then = screen, then
        self._line = LiveLine(screen)
        self._reading = Progress("bytes", "", 0)
        self._stage: Progress | None = None
        self._n_rows = 0
        self._started = self._last_said = monotonic()
        self._lock = RLock()

    def __call__(self, progress: Progress) -> None:
        """Record and show the progress."""
        with self._lock:
            self._take(progress, monotonic())

    def tick(self) -> None:
        """Update the elapsed time, if work has begun."""
        with self._lock:
            if self._stage is not None or self._n_rows or self._reading.name:
                self._show(monotonic())

    def ended(self) -> None:
        """Remove the line and reset the state."""
        with self._lock:
            self._line.clear()
            self._stage, self._n_rows, self._reading = None, 0, Progress("bytes", "", 0)

    def _take(self, progress: Progress, now: float) -> None:
        match progress.kind:
            case "steps":
                return
            case "rows":
                self._n_rows = progress.done
            case "stage":
                self._begin_stage(progress, now)
            case _:
                is_other = (progress.kind, progress.name) != (self._reading.kind, self._reading.name)
                if is_other or self._stage is not None or progress.done < self._reading.done:
                    self._started = self._last_said = now
                self._reading, self._stage = progress, None
                if 0 < progress.done == progress.total and not self._n_rows:
                    self._begin_stage(Progress("stage", self._then, 0), now)
        self._show(now)

    def _begin_stage(self, stage: Progress, now: float) -> None:
        if self._stage is None or self._stage.name != stage.name:
            self._started = now
            if not self._line.is_drawn:
                self._last_said = now
        self._stage = stage

    def _show(self, now: float) -> None:
        seconds = now - self._started
        if seconds < FEWEST_SECONDS and not (self._stage is not None and self._line.is_drawn):
            return
        head, fraction, pieces = self._shown(seconds)
        if self._line.is_live:
            self._line.draw(head, fraction, pieces)
        elif now - self._last_said >= (PLAIN_SECONDS if self._last_said > self._started else FIRST_PLAIN_SECONDS):
            self._last_said = now
            self._screen.info(f"{head}   {', '.join(piece.text for piece in pieces)}")

    def _shown(self, seconds: float) -> tuple[str, float | None, list[Piece]]:
        """The name of the work, its completed fraction, and its rate and remaining time."""
        if self._stage is not None:
            return _shown_stage(self._stage, seconds)
        done, total = self._reading.done, self._reading.total
        name = cut_middle(os.path.basename(self._reading.name), NAME_COLUMNS)
        head = f"{'predicting' if self._n_rows else 'reading':<10}{'' if self._n_rows else name}".rstrip()
        fraction = done / total if total else None
        pieces = [Piece(f"{fraction:.0%}"), Piece(time_left(seconds, done, total), 1)] if fraction is not None else []
        if self._n_rows:
            return head, fraction, [*pieces, *_amount_and_rate("rows", self._n_rows, 0, seconds)]
        unit: Literal["rows", "bytes"] = "rows" if self._reading.kind == "rows read" else "bytes"
        return head, fraction, [*pieces, *_amount_and_rate(unit, done, total, seconds)]


def _shown_stage(stage: Progress, seconds: float) -> tuple[str, float | None, list[Piece]]:
    """The name of a stage, its completed fraction if known, and the elapsed time."""
    if not stage.total:
        return stage.name, None, [Piece(clock(seconds))]
    fraction = stage.done / stage.total
    return (
        stage.name,
        fraction,
        [
            Piece(f"{fraction:.0%}"),
            Piece(time_left(seconds, stage.done, stage.total) or clock(seconds), 1),
        ],
    )


def _amount_and_rate(unit: Literal["rows", "bytes"], done: int, total: int, seconds: float) -> list[Piece]:
    """`71 MB of 240 MB`, `92 MB/s`."""
    if unit == "rows":
        of_all = (
            f"{format_count(done, '', '').rstrip()} of {format_count(total, 'row')}"
            if total
            else format_count(done, "row")
        )
        return [Piece(of_all, 3), Piece(f"{format_count(round(done / seconds), 'row')}/s", 4)]
    return [
        Piece(f"{format_size(done)} of {format_size(total)}" if total else format_size(done), 3),
        Piece(f"{format_size(done / seconds)}/s", 4),
    ]


@contextmanager
def ticking(tick: Callable[[], None], seconds: float = TICK_SECONDS) -> Iterator[None]:
    """Call `tick` every `seconds` from another thread during the block."""
    has_ended = Event()

    def run() -> None:
        while not has_ended.wait(seconds):
            tick()

    thread = Thread(target=run, name="mlp-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        has_ended.set()
        thread.join()


@contextmanager
def show_progress(screen: Screen, then: str = "preparing") -> Iterator[None]:
    """Show the progress of the block; `then` names the stage after a table is read."""
    view = WorkView(screen, then)
    with listening(view), nullcontext() if screen.is_quiet else ticking(view.tick):
        try:
            yield
        finally:
            view.ended()


def bar_line(head: str, fraction: float | None, pieces: Sequence[Piece], width: int) -> str:
    """Head, bar and pieces in fewer than `width` columns, as the last column would wrap the cursor.

    There is no bar if `fraction` is None.
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
    segments = [head, *([_bar(fraction or 0.0, min(room, BAR_COLUMNS))] if has_bar else [])]
    return cut_middle(GAP.join([*segments, *(piece.text for piece in kept)]), width - 1)


def time_left(seconds: float, done: float, total: float) -> str:
    """`0:01:05 left`, extrapolated from the completed work; "" if there is none."""
    return "" if done <= 0 else f"{clock(seconds * max(total - done, 0.0) / done)} left"


def clock(seconds: float) -> str:
    """`0:01:05`."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _length(head: str, pieces: Sequence[Piece]) -> int:
    return display_width(head) + sum(len(GAP) + display_width(piece.text) for piece in pieces)


def _bar(fraction: float, columns: int) -> str:
    n_full = round(min(max(fraction, 0.0), 1.0) * columns)
    return "━" * n_full + "─" * (columns - n_full)
