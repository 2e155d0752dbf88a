"""Progress of a training: a bar on a terminal, a few plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from time import monotonic

from mlpcli.cli.job_log import LOG
from mlpcli.cli.progress.bars import PLAIN_SECONDS, LiveLine, Piece, WorkView, ticking, time_left
from mlpcli.cli.progress.live_curves import LiveCurves
from mlpcli.cli.rendering.terminal import Screen
from mlpcli.cli.verbs.describing import describe_data, describe_network, describe_training
from mlpcli.messages import format_count, format_duration, format_number
from mlpcli.progress import Progress, listening
from mlpcli.training.fit import EpochReport, TrainingState
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.training.fitting import metric_is_loss, monitored_metric_name

PLAIN_LINES = 10
LABEL = 10  # width of `network   `
LONG_EPOCH = 1.0  # seconds; in longer epochs steps are shown


class TrainingView:
    """Shows progress of reading, a summary of the training, then epochs, and the steps of long epochs."""

    def __init__(self, screen: Screen, is_verbose: bool = False, plots: bool = False) -> None:
        self._screen, self._is_verbose = screen, is_verbose
        self._curves = LiveCurves() if plots else None
        self._began = monotonic()
        self._line, self._work = LiveLine(screen), WorkView(screen, "preparing")
        self._last_said = 0.0
        self._epochs = 0  # 0 unless training
        self._waits = False  # for the first step, while code is compiled
        self._losses: list[str] = []

    def note(self, text: str) -> None:
        """Show a warning."""
        self._screen.warn(text)

    def prepared(self, prepared: Prepared, from_epoch: int) -> None:
        """Show a summary of data, network, training and engine, and start the progress bar."""
        self._work.ended()
        for name, text in (
            ("data", describe_data(prepared)),
            ("network", describe_network(prepared)),
            ("training", describe_training(prepared)),
        ):
            self._fact(name, text)
        if prepared.engine.reason:
            self._fact("engine", f"{prepared.engine.name}: {prepared.engine.reason}")
        seconds = monotonic() - self._began
        if self._is_verbose:
            self._fact("prepared", f"in {format_duration(seconds)}")
        LOG.event(
            "prepared",
            seconds=round(seconds, 3),
            rows={split.name: len(split.truth) for split in prepared.splits},
            layers=prepared.network.sizes,
            members=len(prepared.networks),
            engine=prepared.engine.name,
            epochs=prepared.spec.epochs,
            from_epoch=from_epoch,
        )
        if from_epoch:
            self._fact("resumed", f"after epoch {from_epoch}")
        self._of = prepared.metric
        self._metric, self._epochs, self._first = monitored_metric_name(prepared), prepared.spec.epochs, from_epoch
        self._is_loss = metric_is_loss(prepared)
        self._batch_size, self._done = prepared.spec.batch_size, from_epoch
        self._started = self._epoch_started = self._last_said = monotonic()
        self._line.draw(f"epoch {from_epoch:>4}/{self._epochs}", from_epoch / self._epochs, [], is_due=True)

    def __call__(self, progress: Progress) -> None:
        """Show the progress within an epoch, of reading before the first, or of scoring after the last."""
        if progress.kind != "steps" or not self._epochs:
            self._waits = self._epochs > 0
            self._line.clear()
            self._work(progress)
            return
        now = monotonic()
        if self._waits:
            self._waits = False
            self._work.ended()
            self._started = self._epoch_started = now
        seconds = now - self._epoch_started
        if seconds < LONG_EPOCH:
            return
        rate = f"{format_count(round(progress.done * self._batch_size / seconds), 'row')}/s"
        step = f"step {progress.done}/{progress.total}"
        head, done = f"epoch {self._done + 1:>4}/{self._epochs}", self._done + progress.done / max(progress.total, 1)
        if self._line.is_live:
            self._draw(head, done, now, [Piece(step, 1), Piece(rate, 3)])
        elif now - self._last_said >= PLAIN_SECONDS:
            self._last_said = now
            self._screen.info(f"{head}   {step}   {rate}   {self._left(now, done)}")

    def epoch(self, report: EpochReport, state: TrainingState) -> None:
        """Show a completed epoch, unless one was shown shortly before."""
        now = monotonic()
        self._done, self._epoch_started, self._losses = report.epoch, now, self._texts(report, state)
        self._log(report, state)
        if self._curves is not None:
            self._curves.add(self._of, report)
        head = f"epoch {report.epoch:>4}/{self._epochs}"
        if self._is_verbose:
            pace = f"rate {report.learning_rate:.3g}   {format_duration(report.seconds)}"
            self._screen.info(f"{head}   {'   '.join([*self._losses, pace])}", " " * LABEL)
        if self._line.is_live:
            self._draw(head, report.epoch, now, [], is_due=report.epoch == self._epochs)
            return
        if self._is_verbose:
            return
        step = max(1, self._epochs // PLAIN_LINES)
        if report.epoch in (1, self._epochs) or report.epoch % step == 0 or now - self._last_said >= PLAIN_SECONDS:
            self._last_said = now
            self._screen.info(f"{head}   {'   '.join(self._losses[:2])}", " " * LABEL)

    def ended(self) -> None:
        """Remove the bar, and leave an empty line before the result."""
        self._epochs = 0
        self._line.clear()
        if self._curves is not None and (chart := self._curves.chart()) is not None:
            self._screen.info("")
            self._screen.info(self._curves.title)
            self._screen.draw(chart)
        self._screen.info("")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Show the progress of the block."""
        with listening(self), nullcontext() if self._screen.is_quiet else ticking(self._tick):
            try:
                yield
            finally:
                self._work.ended()

    def _tick(self) -> None:
        if self._waits or not self._epochs:
            self._work.tick()

    def _draw(self, head: str, done: float, now: float, pieces: list[Piece], is_due: bool = False) -> None:
        losses = [Piece(text, rank) for rank, text in zip((0, 2, 4), self._losses, strict=False)]
        left = Piece(self._left(now, done), 1)
        above = None if self._curves is None or self._curves.chart() is None else self._curves.drawn
        self._line.draw(head, done / self._epochs, [left, *pieces, *losses], is_due, above)

    def _left(self, now: float, done: float) -> str:
        return time_left(now - self._started, done - self._first, self._epochs - self._first)

    def _log(self, report: EpochReport, state: TrainingState) -> None:
        LOG.event(
            "epoch",
            epoch=report.epoch,
            epochs=self._epochs,
            train_loss=report.train_loss,
            validation_loss=report.validation_loss,
            metric=self._metric,
            score=report.score,
            best_epoch=state.best_epoch,
            best_score=state.best_score,
            learning_rate=report.learning_rate,
            seconds=round(report.seconds, 6),
        )

    def _fact(self, name: str, text: str) -> None:
        self._screen.info(f"{name:<{LABEL}}{text}", " " * LABEL)

    def _texts(self, report: EpochReport, state: TrainingState) -> list[str]:
        """Training loss, validation scores, and the best score so far."""
        texts = [f"loss {format_number(report.train_loss)}"]
        if report.validation_loss is not None:
            scores = [] if self._is_loss else [f"loss {format_number(report.validation_loss)}"]
            scores += [f"{self._metric} {format_number(report.score)}"] if self._metric != "loss" else []
            texts.append(f"validation: {', '.join(scores)}")
        if state.best_score is not None:
            metric = f"{self._metric} " if report.validation_loss is None else ""
            texts.append(f"(best {metric}{format_number(state.best_score)} at {state.best_epoch})")
        return texts
