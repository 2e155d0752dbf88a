"""`mlp train`: prepare, train with checkpoints, and give the run its name when it is complete."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from mlpcli.config.dumping import as_plain, dump_yaml
from mlpcli.config.loading import LoadedConfig
from mlpcli.data.table import count_codes
from mlpcli.data.targets.target import ClassTarget
from mlpcli.errors import DataError, Diverged, Interrupted
from mlpcli.machine import keep_freed_memory, return_freed_memory
from mlpcli.nn.averaging import StochasticAverage
from mlpcli.storage.checkpoint import Checkpoint, encode_checkpoint, load_checkpoint
from mlpcli.storage.model_file import encode_model
from mlpcli.storage.run_directory import CHECKPOINT, CONFIG, METRICS, WEIGHTS, RunDirectory
from mlpcli.training.engine import NonFiniteLoss
from mlpcli.training.loop import EpochReport
from mlpcli.training.state import TrainingState
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.budget import Budget
from mlpcli.workflows.data_store import memory_limit
from mlpcli.workflows.engines import noting_compilation
from mlpcli.workflows.fitting import Outcome, epochs, finished, fresh_state
from mlpcli.workflows.interruption import Interruption
from mlpcli.workflows.memory import refuse_over_budget
from mlpcli.workflows.preparation import Prepared, prepare
from mlpcli.workflows.suspicions import rarest_class
from mlpcli.workflows.up_to_date import FinishedRun, finished_run

# A checkpoint is written this often at most, in seconds: a kill loses no more, and small trainings do not wait for the
# disk.
CHECKPOINT_SECONDS = 5.0

# Freed blocks beyond this go back to the system at once: so do arrays with a number for each row of a large table.
KEPT_MEMORY = 1 << 22

# Keys that may differ when a training is resumed: they do not change an epoch that was trained already. The number of
# epochs is one of them only where nothing in an epoch depends on it.
FREE_TO_CHANGE = (
    "output", "expect", "budget", "data.test", "training.early_stopping.patience",
    "training.early_stopping.patience_factor", "training.engine",
)  # fmt: skip
OPEN_ENDED_SCHEDULES = ("constant", "step", "exponential")


class Observer(Protocol):
    """Who watches a training: the terminal, or nobody."""

    def prepared(self, prepared: Prepared, from_epoch: int) -> None:
        """The training is about to start."""

    def epoch(self, report: EpochReport, state: TrainingState) -> None:
        """An epoch is done."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def ended(self) -> None:
        """No more epochs will come."""


@dataclass(frozen=True)
class TrainResult:
    """A complete run: where it is, what came out, and how long the training took in seconds."""

    prepared: Prepared
    outcome: Outcome
    folder: str
    seconds: float

    @property
    def rarest_class(self) -> str:
        """The rarest class where accuracy would hide it, with its share of the training rows; else ""."""
        target = self.prepared.target
        if not isinstance(target, ClassTarget):
            return ""
        return rarest_class(target.labels, count_codes(self.prepared.train.truth, len(target.labels)))


def default_output(loaded: LoadedConfig) -> str:
    """The folder of the run: `output`, or runs/<name of the config file>."""
    return f"runs/{Path(loaded.path).stem}" if loaded.config.output is None else loaded.config.output


def train_if_changed(
    loaded: LoadedConfig, observer: Observer, resume: bool = False, resume_command: str = ""
) -> TrainResult | FinishedRun:
    """The run that is there, if it is the one that would come out; else as `train`."""
    found = finished_run(loaded, RunDirectory(default_output(loaded)).final)
    return train(loaded, observer, resume, resume_command) if found is None else found


def train(loaded: LoadedConfig, observer: Observer, resume: bool = False, resume_command: str = "") -> TrainResult:
    """Train what the config says, and leave a run directory.

    Raises ConfigError and DataError before anything is touched; Diverged and Interrupted with the best weights so far
    and a checkpoint left in `<output>.partial/`; OutputError when a file cannot be written.
    """
    started = perf_counter()
    keep_freed_memory(KEPT_MEMORY)
    RunDirectory(default_output(loaded)).check()
    memory_limit(loaded)  # refuses a text that is none before the data is read
    prepared = prepare(loaded)
    refuse_over_budget(prepared)
    return_freed_memory()  # of the table, before the network and its scores take theirs
    with Interruption() as interruption, RunDirectory(default_output(loaded)) as run:
        for note in (*prepared.notes, *run.begin(resume)):
            observer.note(note)
        journal = _Journal(run, prepared)
        state = journal.resume() if run.can_resume else fresh_state(prepared)
        journal.start()
        budget = Budget(loaded, journal.seconds + perf_counter() - started, prepared.plan.chunk_rows is not None)
        observer.prepared(prepared, state.epoch)
        try:
            with blas_threads(1), noting_compilation(prepared.engine, observer.note):
                for report in epochs(prepared, state, lambda: interruption.was_asked() or budget.is_used_up()):
                    journal.epoch(report, state)
                    observer.epoch(report, state)
        except NonFiniteLoss as fault:
            journal.save(state)
            raise Diverged(_divergence(prepared, state, fault, run.partial)) from fault
        finally:
            observer.ended()
        if interruption.was_asked():
            journal.save(state)
            raise Interrupted(_interruption(state, run.partial, resume_command), interruption.exit_code)
        budget.refuse_untrained(state)
        try:
            with blas_threads(1), interruption.at_once():
                outcome = finished(prepared, state, budget.reason)
        except KeyboardInterrupt:
            if not interruption.was_asked():
                raise
            journal.checkpoint(state)
            raise Interrupted(_unscored(run.partial, resume_command), interruption.exit_code) from None
        seconds = journal.complete(state, outcome)
        return TrainResult(prepared, outcome, run.final, seconds)


class _Journal:
    """What a training writes into its run directory, and when."""

    def __init__(self, run: RunDirectory, prepared: Prepared) -> None:
        self.run, self.prepared = run, prepared
        self.config = as_plain(prepared.loaded.config)
        self._before = 0.0
        self._started = self._saved = perf_counter()

    @property
    def seconds(self) -> float:
        """Time spent on training, earlier sittings included."""
        return self._before + perf_counter() - self._started

    def start(self) -> None:
        """Write the resolved config; the clock starts."""
        self.run.write(CONFIG, dump_yaml(self.prepared.loaded.config).encode())
        self._started = self._saved = perf_counter()

    def resume(self) -> TrainingState:
        """The state of the checkpoint; raises ConfigError or DataError when it belongs to another training."""
        path = self.run.path(CHECKPOINT)
        checkpoint = load_checkpoint(path, fresh_state(self.prepared))
        free_keys = FREE_TO_CHANGE + (("training.epochs",) if _is_open_ended(self.prepared) else ())
        for key, old, new in _differences(checkpoint.config, self.config):
            if not any(key == free or key.startswith(free + ".") for free in free_keys):
                raise self.prepared.loaded.error(
                    key, f"{path} was written with {old}, the config says {new}. Undo the change, or drop --resume."
                )
        if checkpoint.state.epoch > self.prepared.plan.epochs:
            raise self.prepared.loaded.error(
                "training.epochs",
                f"{path} has {checkpoint.state.epoch} epochs already, the config says {self.prepared.plan.epochs}.",
            )
        for name, sha256 in checkpoint.data_sha256.items():
            if name != "test" and self.prepared.identity.get(name) != sha256:
                what = "order of the rows on disk (budget.memory)" if name == "order" else f"{name} data"
                raise DataError(f"the {what} is not what {path} was trained on. Restore it, or drop --resume.")
        self._before = checkpoint.seconds
        self.run.rewind_history(checkpoint.state.epoch)
        return checkpoint.state

    def epoch(self, report: EpochReport, state: TrainingState) -> None:
        """Note an epoch; a checkpoint when it is time."""
        row: dict[str, float | int | str | None] = {
            "epoch": report.epoch,
            "train_loss": report.train_loss,
            "validation_loss": report.validation_loss,
        }
        if self.prepared.metric != "loss":
            row[f"validation_{self.prepared.metric}"] = report.score
        row |= {"learning_rate": report.learning_rate, "seconds": round(report.seconds, 6)}
        self.run.append_history(row)
        if perf_counter() - self._saved >= CHECKPOINT_SECONDS:
            self.checkpoint(state)

    def save(self, state: TrainingState) -> None:
        """Keep what there is: checkpoint and the best weights so far; nothing before the first epoch is done."""
        if state.epoch:
            self.checkpoint(state)
            with blas_threads(1):
                self.run.write(WEIGHTS, encode_model(finished(self.prepared, state).model))

    def complete(self, state: TrainingState, outcome: Outcome) -> float:
        """Write everything and give the run its name; returns the seconds that metrics.json says."""
        seconds = self.seconds
        if state.epoch:
            self.checkpoint(state)
        self.run.write(WEIGHTS, encode_model(outcome.model))
        metrics = flat_metrics(outcome, seconds)
        self.run.write(METRICS, (json.dumps(metrics, indent=2, allow_nan=False) + "\n").encode())
        self.run.finish()
        return seconds

    def checkpoint(self, state: TrainingState) -> None:
        """Keep all that it takes to go on."""
        checkpoint = Checkpoint(state, self.config, self.prepared.identity, self.seconds)
        self.run.write(CHECKPOINT, encode_checkpoint(checkpoint))
        self._saved = perf_counter()


def flat_metrics(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """metrics.json: one level, `part.metric` for every score, null where a score is not defined."""
    return {
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "stop_reason": outcome.stop_reason or "all epochs done",
        "missed_gates": ", ".join(verdict.gate.text for verdict in outcome.verdicts if not verdict.passed),
        "seconds": round(seconds, 3),
        "n_parameters": int(outcome.model.parameters.flat.size),
        **outcome.model.scores,
    }


def _is_open_ended(prepared: Prepared) -> bool:
    """Whether an epoch is the same however many are planned."""
    plan, early_stopping = prepared.plan, prepared.loaded.config.training.early_stopping
    schedules = (plan.schedule, plan.dropout_schedule, plan.decay_schedule)
    judges_the_last = early_stopping is not None and early_stopping.at == "cycle_ends"
    averages_the_end = isinstance(plan.averaging, StochasticAverage)
    return all(one.name in OPEN_ENDED_SCHEDULES for one in schedules) and not (judges_the_last or averages_the_end)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Keys whose values differ, with both values."""
    found = []
    for key in dict.fromkeys([*old, *new]):
        before, after, path = old.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{path}.")
        elif before != after:
            found.append((path, before, after))
    return found


def _divergence(prepared: Prepared, state: TrainingState, fault: NonFiniteLoss, partial: str) -> str:
    """What happened, what is kept, the likely cause and what to try."""
    text = f"training diverged at epoch {fault.epoch}: the {fault.where} loss is not finite. "
    if state.epoch:
        text += f"Best weights so far (epoch {state.best_epoch or state.epoch}) are in {partial}/. "
    largest = float(np.abs(prepared.train.samples.X).max(initial=0.0))
    if largest > 1e3:
        return text + (
            f"The inputs reach {largest:.3g}, far from 1. Try --set preprocess.numeric=standardize, "
            "or --set preprocess.numeric=robust if a few rows are far out."
        )
    optimizer = prepared.plan.optimizer
    smaller = min(optimizer.learning_rate / 10, type(optimizer)().learning_rate)
    return text + f"The learning rate is likely too high. Try --set training.optimizer.learning_rate={_short(smaller)}"


def _interruption(state: TrainingState, partial: str, resume_command: str) -> str:
    if not state.epoch:
        return "interrupted before the first epoch was done: nothing to resume."
    return (
        f"interrupted after epoch {state.epoch}. The best weights so far (epoch {state.best_epoch or state.epoch}) "
        f"and a checkpoint are in {partial}/.{_how_to_resume(resume_command)}"
    )


def _unscored(partial: str, resume_command: str) -> str:
    return (
        f"interrupted after the last epoch, before the scores were there. A checkpoint is in {partial}/."
        f"{_how_to_resume(resume_command)}"
    )


def _how_to_resume(command: str) -> str:
    return f" Resume with: {command}" if command else ""


def _short(number: float) -> str:
    return f"{number:.{max(1, 1 - math.floor(math.log10(number)))}f}".rstrip("0") if number < 1 else f"{number:g}"
