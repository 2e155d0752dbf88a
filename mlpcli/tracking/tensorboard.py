"""TensorBoard event files, written by tensorboardX without its threads, so that a full disk raises an error.

They are beside the run, in `tensorboard/<name of the run>`, because the folder of a run is renamed when complete.
"""

import contextlib
import os
from importlib import import_module
from typing import Any

from mlpcli.tracking.tracker import Ending, Row, Training

FOLDER = "tensorboard"
SUFFIX = ".mlp"  # of files written by mlp
SPLITS = ("train", "validation")


def log_folder(run: str) -> str:
    """The folder of a run's event files."""
    parent, name = os.path.split(os.path.normpath(run))
    return os.path.join(parent, FOLDER, name)


def tag_of(column: str) -> str:
    """`log_loss/validation` for `validation_log_loss`, so that TensorBoard groups both curves; without brackets."""
    split, _, metric = column.partition("_")
    tag = f"{metric}/{split}" if split in SPLITS else column
    return tag.replace("[", "/").replace("]", "")


class TensorBoard:
    """Learning curves, config and scores of a training in an event file.

    A new training replaces older files; a resumed one adds a file that marks from which step on older numbers are void.
    """

    def __init__(self, training: Training) -> None:
        self._training = training
        self._summary = import_module("tensorboardX.summary")
        self._events = import_module("tensorboardX.proto.event_pb2")
        folder = log_folder(training.run)
        os.makedirs(folder, exist_ok=True)
        old = [name for name in os.listdir(folder) if name.endswith(SUFFIX) and ".tfevents." in name]
        if not training.from_epoch:
            for name in old:
                os.unlink(os.path.join(folder, name))
            old = []
        writer = import_module("tensorboardX.event_file_writer").EventsWriter
        self._writer: Any = writer(os.path.join(folder, "events"), f".{len(old)}{SUFFIX}")
        if training.from_epoch:
            start = self._events.SessionLog(status=self._events.SessionLog.SessionStatus.Value("START"))
            self._writer.write_event(self._events.Event(session_log=start, step=training.from_epoch + 1))
        self._add(self._summary.text("config", f"```yaml\n{training.text.rstrip()}\n```"), 0)
        self.flush()

    def epoch(self, epoch: int, time: float, row: Row) -> None:
        """Add a scalar for each number, with the epoch as step."""
        for name, value in row.items():
            self._add(self._summary.scalar(tag_of(name), value), epoch, time)

    def flush(self) -> None:
        """Flush to disk."""
        self._writer.flush()

    def end(self, ending: Ending, scores: Row, model_file: str) -> None:
        """Add scores as a table and, for a finished training, with the config for the tab HPARAMS."""
        lines = ["| score | value |", "|---|---|", *(f"| {name} | {value:.6g} |" for name, value in scores.items())]
        head = f"{ending}; model file: {model_file}" if model_file else ending
        step = int(scores.get("epochs", 0))
        self._add(self._summary.text("scores", "\n".join([head, "", *lines])), step)
        if ending == "finished":
            options = {name: _plain(value) for name, value in self._training.config.items() if value is not None}
            plain_scores = {f"scores/{name}": value for name, value in scores.items() if "[" not in name}
            for name, value in plain_scores.items():
                self._add(self._summary.scalar(name, value), step)
            for summary in self._summary.hparams(options, plain_scores):
                self._add(summary, step)
        with contextlib.closing(self._writer):
            self.flush()

    def _add(self, summary: Any, step: int, time: float | None = None) -> None:
        event = self._events.Event(summary=summary, step=step)
        if time is not None:
            event.wall_time = time
        self._writer.write_event(event)


def _plain(value: Any) -> str | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
