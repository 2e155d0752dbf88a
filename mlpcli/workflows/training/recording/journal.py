"""Writes the files of a training into its run directory: checkpoints, history.csv, the model and metrics.json."""

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

# Seconds between checkpoints: a killed training loses no more than this, and small trainings do not wait for the disk.
CHECKPOINT_SECONDS = 5.0

# Keys that may differ when a training is resumed: they do not change an epoch that was trained already. The number of
# epochs is added if no epoch depends on it.
FREE_TO_CHANGE = (
    "output", "expect", "budget", "tracking", "data.test", "training.early_stopping.patience",
    "training.early_stopping.patience_factor", "training.engine", "training.threads",
)  # fmt: skip
HistoryRow = Mapping[str, float | None]
NAMES_OF_INPUTS = {"order": "order of the rows on disk (budget.memory)", "from": "model of --from"}
OPEN_ENDED_SCHEDULES = ("constant", "step", "exponential")


class Journal:
    """Decides what a training writes into its run directory, and when.

    Every writing method raises OutputError.
    """

    def __init__(self, run: RunDirectory, prepared: Prepared) -> None:
        self.run, self.prepared = run, prepared
        self.config = as_plain(prepared.loaded.config)
        self._earlier_seconds = 0.0
        self.earlier: tuple[Sitting, ...] = ()
        self._started = self._saved = perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds spent on training, including earlier sittings."""
        return self._earlier_seconds + perf_counter() - self._started

    def start(self) -> None:
        """Write the resolved config, remove the metrics of an earlier sitting, and start the clock."""
        self.run.remove(METRICS)
        self.run.write(CONFIG, dump_yaml(self.prepared.loaded.config).encode())
        self._started = self._saved = perf_counter()

    def resume(self) -> TrainingState:
        """Load the state of the checkpoint; raises ConfigError or DataError if it belongs to another training."""
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
        data_sha256 = self.prepared.identity
        for name in dict.fromkeys([*checkpoint.data_sha256, *data_sha256]):
            if name != "test" and data_sha256.get(name) != checkpoint.data_sha256.get(name):
                data = NAMES_OF_INPUTS.get(name, f"{name} data")
                raise DataError(f"the {data} differs from what {path} was trained on. Restore it, or omit --resume.")
        self._earlier_seconds, self.earlier = checkpoint.seconds, checkpoint.sittings
        columns = list(_row(self.prepared, 0, None, None, None, {}, None, None))
        self.run.rewind_history(checkpoint.state.epoch, columns)
        return checkpoint.state

    def record_initial(self, state: TrainingState) -> HistoryRow:
        """Write the scores of the initial weights as the first row of history.csv; returns the row."""
        row = initial_row(self.prepared, state)
        self.run.append_history(row)
        return row

    def epoch(self, report: EpochReport, state: TrainingState) -> HistoryRow:
        """Write the row of history.csv for an epoch, and a checkpoint if it is due; returns the row."""
        row = history_row(self.prepared, report)
        self.run.append_history(row)
        if perf_counter() - self._saved >= CHECKPOINT_SECONDS:
            self.checkpoint(state)
        return row

    def save(self, state: TrainingState, reason: str) -> None:
        """Write a checkpoint, the best weights so far and their scores; nothing before the end of the first epoch."""
        if state.epoch:
            self.checkpoint(state)
            with blas_threads(1):
                result = finalize(self.prepared, state, reason, self.sittings(state))
            self.run.write(WEIGHTS, encode_model(result.model))
            self._write_metrics(result, self.seconds)

    def complete(self, state: TrainingState, result: TrainingResult) -> float:
        """Write all files, and rename the run to its final name; returns the seconds written to metrics.json."""
        seconds = self.seconds
        if state.epoch:
            self.checkpoint(state)
        self.run.write(WEIGHTS, encode_model(result.model))
        self._write_metrics(result, seconds)
        self.run.finish()
        return seconds

    def _write_metrics(self, result: TrainingResult, seconds: float) -> None:
        metrics = flat_metrics(result, seconds)
        self.run.write(METRICS, (json.dumps(metrics, indent=2, allow_nan=False) + "\n").encode())

    def sittings(self, state: TrainingState) -> tuple[Sitting, ...]:
        """Every sitting of the training, including this one."""
        return merge_sittings([*self.earlier, current_sitting(self.prepared, state.epoch)])

    def checkpoint_if_trained(self, state: TrainingState) -> None:
        """Write a checkpoint unless no epoch is complete: such a training cannot be resumed."""
        if state.epoch:
            self.checkpoint(state)

    def checkpoint(self, state: TrainingState) -> None:
        """Write everything that resuming needs."""
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
    splits = ("train",) if prepared.validation is None else ("train", "validation")
    row |= {(key := f"{split}_{metric}"): scores.get(key) for metric in curve_metrics(prepared) for split in splits}
    metric_name = monitored_metric_name(prepared)
    if prepared.picks_best_epoch and metric_name != "loss":  # a temperature fitted per epoch makes it another number
        row[f"validation_{metric_name.replace(' ', '_')}"] = score
    return row | {"learning_rate": learning_rate, "seconds": seconds}


def flat_metrics(result: TrainingResult, seconds: float) -> dict[str, Any]:
    """The content of metrics.json: a flat mapping, with `split.metric` for each score; None if it is undefined."""
    return {
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "stop_reason": result.stop_reason or "all epochs done",
        "missed_gates": [gate_result.gate.text for gate_result in result.gate_results if not gate_result.passed],
        "chosen_on_validation": list(result.chosen),
        "seconds": round(seconds, 3),
        "n_parameters": int(result.model.ensemble.n_parameters),
        **_member_values(result.model),
        **result.model.scores,
    }


def _member_values(model: Model) -> dict[str, Any]:
    """Drawn values of each member (`members.1.model.dropout`, lists as texts), and weights of selected members."""
    values: dict[str, Any] = {}
    numbers = model.record.get("members", range(1, len(model.ensemble.networks) + 1))
    for number, drawn in zip(numbers, model.record.get("drawn", ()), strict=False):
        for key, value in drawn.items():
            is_scalar = isinstance(value, int | float | str | None)
            values[f"members.{number}.{key}"] = value if is_scalar else flow_text(value)
    for number, member_count in zip(model.record.get("members", ()), model.ensemble.member_counts, strict=False):
        values[f"members.{number}.weight"] = member_count / sum(model.ensemble.member_counts)
    return values


def _is_open_ended(prepared: Prepared) -> bool:
    """Whether an epoch is the same for any number of epochs."""
    spec, early_stopping = prepared.spec, prepared.loaded.config.training.early_stopping
    schedules = (spec.schedule, spec.dropout_schedule, spec.decay_schedule)
    scores_cycle_ends = early_stopping is not None and early_stopping.at == "cycle_ends"

    if scores_cycle_ends or isinstance(spec.update.averaging, StochasticAverage):
        return False
    return all(schedule.name in OPEN_ENDED_SCHEDULES for schedule in schedules)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Dotted keys whose values differ, with both values; nested mappings are compared key by key."""
    differences = []
    for key in dict.fromkeys([*old, *new]):
        before, after, path = old.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(before, dict) and isinstance(after, dict):
            differences += _differences(before, after, f"{path}.")
        elif before != after:
            differences.append((path, before, after))
    return differences
