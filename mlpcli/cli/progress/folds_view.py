"""A cross-validation as it is watched: a live line on a terminal, elsewhere a line for each fold."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from mlpcli.cli.job_log import LOG
from mlpcli.cli.progress.bars import LiveLine, Piece, WorkView, time_left
from mlpcli.cli.rendering.terminal import Screen
from mlpcli.messages import count, duration
from mlpcli.storage.fold_file import FoldRecord
from mlpcli.watching import Work, watched_by


class FoldsView:
    """Shows what is read, then fold after fold."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._line, self._work = LiveLine(screen), WorkView(screen, "preparing")
        self._n_all = 0  # unless folds are being trained
        self._last = ""

    def note(self, text: str) -> None:
        """Something the user should know."""
        self._screen.warn(text)

    def began(self, n_rows: int, n_done: int, n_all: int, n_jobs: int) -> None:
        """A line on what will be done; then the live line begins."""
        self._work.ended()
        done = f", {n_done} of them done already" if n_done else ""
        beside = f" · {n_jobs} at a time" if n_jobs > 1 else ""
        self._screen.say(f"{count(n_rows, 'row')} · {count(n_all, 'training')}{done}{beside}")
        self._n_all, self._n_done, self._first, self._started = n_all, n_done, n_done, monotonic()
        self._is_beside = n_jobs > 1
        self._draw(is_due=True)

    def __call__(self, work: Work) -> None:
        """Show how far the reading is; the line of the folds moves on with their steps."""
        if not self._n_all:
            self._work(work)
        elif not self._is_beside:
            self._draw()

    def fold(self, record: FoldRecord, name: str) -> None:
        """A line for a fold, unless a live line shows them."""
        self._n_done += 1
        self._last = f"{name}: {count(record.epochs, 'epoch')}, {duration(record.seconds)}"
        LOG.note("fold", number=record.number + 1, scores=record.scores, seconds=round(record.seconds, 3))
        if self._line.is_live:
            self._draw(is_due=True)
        else:
            self._screen.say(self._last)

    def ended(self) -> None:
        """Give the terminal back, and leave a line free before the answer."""
        self._line.clear()
        self._work.ended()
        if self._n_all:
            self._screen.say("")
        self._n_all = 0

    def _draw(self, is_due: bool = False) -> None:
        left = time_left(monotonic() - self._started, self._n_done - self._first, self._n_all - self._first)
        pieces = [Piece(left, 1), Piece(self._last, 4)]
        head = f"fold {min(self._n_done + 1, self._n_all)}/{self._n_all}"
        self._line.draw(
            head, self._n_done / self._n_all, [piece for piece in pieces if piece.text] or [Piece("")], is_due
        )


@contextmanager
def watched_folds(screen: Screen) -> Iterator[FoldsView]:
    """Show in this block how far the work is."""
    view = FoldsView(screen)
    with watched_by(view):
        yield view
