"""Progress of a search: trials, best score so far and remaining time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from mlpcli.cli.progress.bars import PLAIN_SECONDS, LiveLine, Piece, WorkView, time_left
from mlpcli.cli.rendering.terminal import Screen
from mlpcli.messages import format_count, format_number
from mlpcli.progress import Progress, listening
from mlpcli.search.study import Study, Trial

LABEL = 10


class SearchView:
    """Shows progress of reading, then of the trials: a bar on a terminal, a line per new best trial elsewhere."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._line, self._work = LiveLine(screen), WorkView(screen, "preparing")
        self._total: int | None = None
        self._is_searching = False

    def __call__(self, progress: Progress) -> None:
        """Show the progress of reading before the first trial."""
        if not self._is_searching:
            self._work(progress)

    def note(self, text: str) -> None:
        """Show a warning."""
        self._screen.warn(text)

    def begun(self, study: Study, metric: str, n_trials: int | None, where: int | str) -> None:
        """Show a summary of the search, and start the progress bar."""
        self._work.ended()
        self._is_searching = True
        earlier = [trial for trial in study.trials() if trial.outcome != "in flight"]
        self._outcomes = Counter(trial.outcome for trial in earlier)
        self._metric, self._total, self._earlier = metric, n_trials, len(earlier)
        trials = format_count(n_trials, "trial") if n_trials is not None else "trials"
        location = f" on {where}" if isinstance(where, str) else f" on {where} processes" if where > 1 else ""
        text = f"{format_count(study.n_keys, 'key')} · {trials}{location} · judged by {metric} of the validation rows"
        self._screen.info(f"{'search':<{LABEL}}{text}", " " * LABEL)
        if earlier:
            self._screen.info(f"{'resumed':<{LABEL}}after {format_count(len(earlier), 'trial')}", " " * LABEL)
        self._started = self._said = monotonic()
        self._draw(study.best)

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """Show a completed trial."""
        self._outcomes[trial.outcome] += 1
        is_best, now = best is not None and best.number == trial.number, monotonic()
        if self._line.is_live:
            self._draw(best)
        elif is_best or now - self._said >= PLAIN_SECONDS:
            self._said = now
            self._screen.info("   ".join([self._head(), *(piece.text for piece in self._pieces(best) if piece.text)]))

    def ended(self) -> None:
        """Remove the bar, and leave an empty line before the result."""
        self._line.clear()
        self._screen.info("")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Show the progress of reading in the block."""
        with listening(self):
            try:
                yield
            finally:
                self._work.ended()
                self._line.clear()

    @property
    def _n_done(self) -> int:
        return sum(self._outcomes.values())

    def _head(self) -> str:
        return f"trial {self._n_done:>4}" + (f"/{self._total}" if self._total is not None else "")

    def _pieces(self, best: Trial | None) -> list[Piece]:
        pieces = []
        if best is not None:
            pieces.append(Piece(f"best {self._metric} {format_number(best.score)} (trial {best.number})", 0))
        outcomes = [f"{n} {outcome}" for outcome, n in self._outcomes.items() if outcome != "complete" and n]
        pieces += [Piece(", ".join(outcomes), 4)] if outcomes else []
        if self._total is not None:
            seconds, done = monotonic() - self._started, self._n_done - self._earlier
            pieces.append(Piece(time_left(seconds, done, self._total - self._earlier), 1))
        return pieces

    def _draw(self, best: Trial | None) -> None:
        fraction = None if self._total is None else self._n_done / self._total
        self._line.draw(self._head(), fraction, self._pieces(best), is_due=True)
