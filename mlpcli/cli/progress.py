"""A training as it is watched: a live line on a terminal, a few plain lines elsewhere."""

from time import monotonic

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from mlpcli.cli.terminal import Screen
from mlpcli.data.targets.target import ClassTarget
from mlpcli.messages import count, listed, number
from mlpcli.nn.merge import merged
from mlpcli.training.fit import EpochReport, TrainingState
from mlpcli.workflows.fitting import monitored_name
from mlpcli.workflows.preparation import Prepared
from mlpcli.workflows.resolution import smoothing_of

REFRESH_SECONDS = 0.1
PLAIN_SECONDS = 30.0
PLAIN_LINES = 10
# Terminals at least this wide, in columns, have room for the bar, and for the best score so far.
BAR_WIDTH = 125
BEST_WIDTH = 100


class TrainingView:
    """Shows what is trained, then epoch after epoch."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._progress: Progress | None = None
        self._last_shown = 0.0

    def note(self, text: str) -> None:
        """Something the user should know."""
        self._screen.warn(text)

    def prepared(self, prepared: Prepared, from_epoch: int) -> None:
        """A line each on data, network, training and engine; then the live line begins."""
        for name, text in (
            ("data", describe_data(prepared)),
            ("network", describe_network(prepared)),
            ("training", describe_training(prepared)),
        ):
            self._screen.say(f"{name:<10}{text}")
        if prepared.engine.reason:
            self._screen.say(f"{'engine':<10}{prepared.engine.name}: {prepared.engine.reason}")
        if from_epoch:
            self._screen.say(f"{'resumed':<10}after epoch {from_epoch}")
        self._metric, self._epochs = monitored_name(prepared), prepared.spec.epochs
        self._last_shown = monotonic()
        if self._screen.stderr.is_terminal and not self._screen.is_quiet:
            self._progress = Progress(
                TextColumn("epoch {task.completed:>4}/{task.total}", table_column=Column(no_wrap=True)),
                *([BarColumn(bar_width=24)] if self._screen.stderr.width >= BAR_WIDTH else []),
                TimeRemainingColumn(table_column=Column(no_wrap=True)),
                TextColumn("left   {task.fields[losses]}", table_column=Column(no_wrap=True, ratio=1)),
                console=self._screen.stderr,
                transient=True,
                expand=True,
            )
            self._task = self._progress.add_task("", total=self._epochs, completed=from_epoch, losses="")
            self._progress.start()

    def epoch(self, report: EpochReport, state: TrainingState) -> None:
        """Show an epoch, unless the last one shown is too close."""
        now = monotonic()
        is_last = report.epoch == self._epochs
        if self._progress is not None:
            if now - self._last_shown >= REFRESH_SECONDS or is_last:
                self._last_shown = now
                self._progress.update(self._task, completed=report.epoch, losses=self._losses(report, state))
            return
        step = max(1, self._epochs // PLAIN_LINES)
        if report.epoch in (1, self._epochs) or report.epoch % step == 0 or now - self._last_shown >= PLAIN_SECONDS:
            self._last_shown = now
            self._screen.say(f"epoch {report.epoch:>4}/{self._epochs}   {self._losses(report, state)}")

    def ended(self) -> None:
        """Give the terminal back."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _losses(self, report: EpochReport, state: TrainingState) -> str:
        text = f"loss {number(report.train_loss)}"
        if report.validation_loss is None:
            return text
        text += f"   validation: loss {number(report.validation_loss)}"
        if self._metric != "loss":
            text += f", {self._metric} {number(report.score)}"
        if state.best_score is not None and self._screen.stderr.width >= BEST_WIDTH:
            text += f" (best {number(state.best_score)} at {state.best_epoch})"
        return text


def describe_data(prepared: Prepared) -> str:
    """`344 rows: 275 train, 69 validation · 6 columns -> 11 inputs · 3 classes`."""
    parts = [part for part in prepared.parts if prepared.folds is None or part is not prepared.validation]
    sizes = ", ".join(f"{len(part.truth)} {part.name}" for part in parts)
    sizes += "" if prepared.folds is None else f" in {int(prepared.folds.max()) + 1} folds"
    n_rows = sum(len(part.truth) for part in parts)
    target = prepared.target
    of = f"{len(target.labels)} classes" if isinstance(target, ClassTarget) else f"target {listed(target.names)}"
    n_columns, n_inputs = len(prepared.preprocessor.columns), prepared.network.sizes[0]
    return f"{count(n_rows, 'row')}: {sizes} · {count(n_columns, 'column')} -> {count(n_inputs, 'input')} · {of}"


def describe_network(prepared: Prepared) -> str:
    """`11 -> 32 -> 16 -> 3 · relu, softmax · 963 parameters`, and how many the saved network has, if not as many."""
    network, training = prepared.network, prepared.loaded.config.model
    names = [*list(dict.fromkeys(function for _, function in network.dense_layers[:-1])), network.output]
    dropout = f" · dropout {training.dropout:g}" if training.dropout else ""
    sizes = " -> ".join(map(str, network.sizes))
    n_members = len(prepared.networks)
    members = f" · {n_members} members" if n_members > 1 else ""
    n_trained = sum(one.n_parameters for one in prepared.networks)
    n_saved = sum(merged(one).n_parameters for one in prepared.networks)
    parameters = count(n_trained, "parameter") + (
        f", {count(n_saved, 'as saved', 'as saved')}" if n_saved != n_trained else ""
    )
    return f"{sizes} · {', '.join(names)}{members} · {parameters}{dropout}"


def describe_training(prepared: Prepared) -> str:
    """`sgd 0.05, momentum 0.9, cosine · batch 32 · cross_entropy`."""
    spec, optimizer = prepared.spec, prepared.spec.update.optimizer
    rule = [f"{optimizer.name} {optimizer.learning_rate:g}"]
    momentum = getattr(optimizer, "momentum", 0.0)
    rule += [f"momentum {momentum:g}"] if momentum else []
    rule += [f"weight decay {optimizer.weight_decay:g}"] if optimizer.weight_decay else []
    rule += [spec.schedule.name] if spec.schedule.name != "constant" else []
    smoothing = smoothing_of(spec.loss)
    smoothed = f", label smoothing {smoothing:g}" if smoothing else ""
    return f"{', '.join(rule)} · batch {spec.batch_size} · {spec.loss.name}{smoothed}"
