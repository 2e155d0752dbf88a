"""What a training writes into its run directory: checkpoints, history.csv, the model and metrics.json."""

import json
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from mlpcli.config.yaml.dumping import as_plain, dump_yaml, flow_text
from mlpcli.errors import DataError
from mlpcli.model import Model
from mlpcli.nn.averaging import StochasticAverage
from mlpcli.storage.model.model_file import encode_model
from mlpcli.storage.model.model_record import Sitting
from mlpcli.storage.run.checkpoint import Checkpoint, encode_checkpoint, load_checkpoint
from mlpcli.storage.run.run_directory import CHECKPOINT, CONFIG, METRICS, WEIGHTS, RunDirectory
from mlpcli.training.fit import EpochReport, TrainingState
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.training.finalize import TrainingResult, finalize
from mlpcli.workflows.training.fitting import initial_report, monitored_metric_name
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.recording.learning_curves import curve_metrics
from mlpcli.workflows.training.recording.sittings import current_sitting, merge_sittings

# A checkpoint is written this often at most, in seconds: a kill loses no more, and small trainings do not wait for the
# disk.
CHECKPOINT_SECONDS = 5.0

# Keys that may differ when a training is resumed: they do not change an epoch that was trained already. The number of
# epochs is among them only where nothing in an epoch depends on it.
FREE_TO_CHANGE = (
    "output", "expect", "budget", "tracking", "data.test", "training.early_stopping.patience",
    "training.early_stopping.patience_factor", "training.engine", "training.threads",
)  # fmt: skip
HistoryRow = Mapping[str, float | None]
NAMES_OF_INPUTS = {"order": "order of the rows on disk (budget.memory)", "from": "model of --from"}
OPEN_ENDED_SCHEDULES = ("constant", "step", "exponential")


class Journal:
    """What a training writes into its run directory, and when."""

    def __init__(self, run: RunDirectory, prepared: Prepared) -> None:
        self.run, self.prepared = run, prepared
        self.config = as_plain(prepared.loaded.config)
        self._earlier_seconds = 0.0
        self.earlier: tuple[Sitting, ...] = ()
        self._started = self._saved = perf_counter()

    @property
    def seconds(self) -> float:
        """Time spent on training, earlier sittings included."""
        return self._earlier_seconds + perf_counter() - self._started

    def start(self) -> None:
        """Write the resolved config; the clock starts. What an earlier sitting came to is of no use any more."""
        self.run.remove(METRICS)
        self.run.write(CONFIG, dump_yaml(self.prepared.loaded.config).encode())
        self._started = self._saved = perf_counter()

    def resume(self) -> TrainingState:
        """The state of the checkpoint; raises ConfigError or DataError when it belongs to another training."""
        path = self.run.path(CHECKPOINT)
        checkpoint = load_checkpoint(path, initial_state(self.prepared))
        free_keys = FREE_TO_CHANGE + (("training.epochs",) if _is_open_ended(self.prepared) else ())
        for key, old, new in _differences(checkpoint.config, self.config):
            if not any(key == free or key.startswith(free + ".") for free in free_keys):
                raise self.prepared.loaded.error(
                    key, f"{path} was written with {old}, the config says {new}. Undo the change, or omit --resume."
                )
        if checkpoint.state.epoch > self.prepared.spec.epochs:
            raise self.prepared.loaded.error(
                "training.epochs",
                f"{path} has {checkpoint.state.epoch} epochs already, the config says {self.prepared.spec.epochs}.",
            )
        identity = self.prepared.identity
        for name in dict.fromkeys([*checkpoint.data_sha256, *identity]):
            if name != "test" and identity.get(name) != checkpoint.data_sha256.get(name):
                what = NAMES_OF_INPUTS.get(name, f"{name} data")
                raise DataError(f"the {what} differs from what {path} was trained on. Restore it, or omit --resume.")
        self._earlier_seconds, self.earlier = checkpoint.seconds, checkpoint.sittings
        columns = list(_row(self.prepared, 0, None, None, None, {}, None, None))
        self.run.rewind_history(checkpoint.state.epoch, columns)
        return checkpoint.state

    def record_initial(self, state: TrainingState) -> HistoryRow:
        """Note what the weights are worth before the first step; returns the row of history.csv."""
        row = initial_row(self.prepared, state)
        self.run.append_history(row)
        return row

    def epoch(self, report: EpochReport, state: TrainingState) -> HistoryRow:
        """Note an epoch; a checkpoint when it is time. Returns the row of history.csv."""
        row = history_row(self.prepared, report)
        self.run.append_history(row)
        if perf_counter() - self._saved >= CHECKPOINT_SECONDS:
            self.checkpoint(state)
        return row

    def save(self, state: TrainingState, reason: str) -> None:
        """Keep what there is: checkpoint, the best weights so far and their scores; nothing before the first epoch."""
        if state.epoch:
            self.checkpoint(state)
            with blas_threads(1):
                outcome = finalize(self.prepared, state, reason, self.sittings(state))
            self.run.write(WEIGHTS, encode_model(outcome.model))
            self._write_metrics(outcome, self.seconds)

    def complete(self, state: TrainingState, outcome: TrainingResult) -> float:
        """Write everything and give the run its name; returns the seconds that metrics.json says."""
        seconds = self.seconds
        if state.epoch:
            self.checkpoint(state)
        self.run.write(WEIGHTS, encode_model(outcome.model))
        self._write_metrics(outcome, seconds)
        self.run.finish()
        return seconds

    def _write_metrics(self, outcome: TrainingResult, seconds: float) -> None:
        metrics = flat_metrics(outcome, seconds)
        self.run.write(METRICS, (json.dumps(metrics, indent=2, allow_nan=False) + "\n").encode())

    def sittings(self, state: TrainingState) -> tuple[Sitting, ...]:
        """Every sitting of the training, this one included."""
        return merge_sittings([*self.earlier, current_sitting(self.prepared, state.epoch)])

    def checkpoint_if_trained(self, state: TrainingState) -> None:
        """A checkpoint, but of a training without a whole epoch, which cannot be resumed."""
        if state.epoch:
            self.checkpoint(state)

    def checkpoint(self, state: TrainingState) -> None:
        """Keep all that it takes to go on."""
        sittings = self.sittings(state)
        checkpoint = Checkpoint(state, self.config, self.prepared.identity, self.seconds, sittings)
        self.run.write(CHECKPOINT, encode_checkpoint(checkpoint))
        self._saved = perf_counter()


def initial_row(prepared: Prepared, state: TrainingState) -> dict[str, float | None]:
    """The row of history.csv before the first step."""
    validation_loss, score, scores = initial_report(prepared, state)
    return _row(prepared, 0, None, validation_loss, score, scores, None, None)


def history_row(prepared: Prepared, report: EpochReport) -> dict[str, float | None]:
    """The row of history.csv for an epoch."""
    return _row(
        prepared, report.epoch, report.train_loss, report.validation_loss, report.score, report.scores,
        report.learning_rate, round(report.seconds, 6),
    )  # fmt: skip


def _row(
    prepared: Prepared,
    epoch: int,
    train_loss: float | None,
    validation_loss: float | None,
    score: float | None,
    scores: Mapping[str, float],
    learning_rate: float | None,
    seconds: float | None,
) -> dict[str, float | None]:
    row = {"epoch": epoch, "train_loss": train_loss, "validation_loss": validation_loss}
    parts = ("train",) if prepared.validation is None else ("train", "validation")
    row |= {(key := f"{part}_{metric}"): scores.get(key) for metric in curve_metrics(prepared) for part in parts}
    judged_by = monitored_metric_name(prepared)
    if prepared.picks_best_epoch and judged_by != "loss":  # after a temperature of its own it is another number
        row[f"validation_{judged_by.replace(' ', '_')}"] = score
    return row | {"learning_rate": learning_rate, "seconds": seconds}


def flat_metrics(outcome: TrainingResult, seconds: float) -> dict[str, Any]:
    """metrics.json: one level, `part.metric` for every score, null where a score is not defined."""
    return {
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "stop_reason": outcome.stop_reason or "all epochs done",
        "missed_gates": [result.gate.text for result in outcome.gate_results if not result.passed],
        "chosen_on_validation": list(outcome.chosen),
        "seconds": round(seconds, 3),
        "n_parameters": int(outcome.model.ensemble.n_parameters),
        **_of_members(outcome.model),
        **outcome.model.scores,
    }


def _of_members(model: Model) -> dict[str, Any]:
    """`members.1.model.dropout`: what each member has drawn, lists as texts; `members.1.weight` of those selected."""
    found: dict[str, Any] = {}
    numbers = model.record.get("members", range(1, len(model.ensemble.networks) + 1))
    for number, drawn in zip(numbers, model.record.get("drawn", ()), strict=False):
        for key, value in drawn.items():
            is_plain = isinstance(value, int | float | str | None)
            found[f"members.{number}.{key}"] = value if is_plain else flow_text(value)
    for number, times in zip(model.record.get("members", ()), model.ensemble.member_counts, strict=False):
        found[f"members.{number}.weight"] = times / sum(model.ensemble.member_counts)
    return found


def _is_open_ended(prepared: Prepared) -> bool:
    """Whether an epoch is the same however many are planned."""
    plan, early_stopping = prepared.spec, prepared.loaded.config.training.early_stopping
    schedules = (plan.schedule, plan.dropout_schedule, plan.decay_schedule)
    judges_the_last = early_stopping is not None and early_stopping.at == "cycle_ends"
    averages_the_end = isinstance(plan.update.averaging, StochasticAverage)
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
