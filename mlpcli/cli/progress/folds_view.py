"""Progress of a cross-validation: a bar on a terminal, a line per fold elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from mlpcli.cli.job_log import LOG
from mlpcli.cli.progress.bars import LiveLine, Piece, WorkView, time_left
from mlpcli.cli.rendering.terminal import Screen
from mlpcli.messages import format_count, format_duration
from mlpcli.progress import Progress, listening
from mlpcli.storage.run.fold_file import FoldRecord


class FoldsView:
    """Shows progress of reading, then of the folds."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._line, self._work = LiveLine(screen), WorkView(screen, "preparing")
        self._n_all = 0  # 0 unless folds are being trained
        self._last = ""

    def note(self, text: str) -> None:
        """Show a warning."""
        self._screen.warn(text)

    def began(self, n_rows: int, n_done: int, n_all: int, n_jobs: int) -> None:
        """Show a summary, and start the progress bar."""
        self._work.ended()
        done = f", {n_done} of them done already" if n_done else ""
        beside = f" · {n_jobs} at a time" if n_jobs > 1 else ""
        self._screen.info(f"{format_count(n_rows, 'row')} · {format_count(n_all, 'training')}{done}{beside}")
        self._n_all, self._n_done, self._first, self._started = n_all, n_done, n_done, monotonic()
        self._is_beside = n_jobs > 1
        self._draw(is_due=True)

    def __call__(self, progress: Progress) -> None:
        """Show the progress of reading, or redraw the bar of the folds."""
        if not self._n_all:
            self._work(progress)
        elif not self._is_beside:
            self._draw()

    def fold(self, record: FoldRecord, name: str) -> None:
        """Show a completed fold as a line, or in the bar on a terminal."""
        self._n_done += 1
        self._last = f"{name}: {format_count(record.epochs, 'epoch')}, {format_duration(record.seconds)}"
        LOG.event("fold", number=record.number + 1, scores=record.scores, seconds=round(record.seconds, 3))
        if self._line.is_live:
            self._draw(is_due=True)
        else:
            self._screen.info(self._last)

    def ended(self) -> None:
        """Remove the bar, and leave an empty line before the result."""
        self._line.clear()
        self._work.ended()
        if self._n_all:
            self._screen.info("")
        self._n_all = 0

    def _draw(self, is_due: bool = False) -> None:
        left = time_left(monotonic() - self._started, self._n_done - self._first, self._n_all - self._first)
        pieces = [Piece(left, 1), Piece(self._last, 4)]
        head = f"fold {min(self._n_done + 1, self._n_all)}/{self._n_all}"
        self._line.draw(
            head, self._n_done / self._n_all, [piece for piece in pieces if piece.text] or [Piece("")], is_due
        )


@contextmanager
def show_fold_progress(screen: Screen) -> Iterator[FoldsView]:
    """Show the progress of the block."""
    view = FoldsView(screen)
    with listening(view):
        yield view
