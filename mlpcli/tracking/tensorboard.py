"""Event files of TensorBoard, written by tensorboardX without its threads: a full disk is then an error like others.

They stand beside the run, in `tensorboard/<name of the run>`, as a run grows in one folder and is renamed in the end.
"""

import contextlib
import os
from importlib import import_module
from typing import Any

from mlpcli.tracking.tracker import Ending, Row, Training

FOLDER = "tensorboard"
SIGN = ".mlp"  # at the end of the names of our files
PARTS = ("train", "validation")


def log_folder(run: str) -> str:
    """Where the event files of a run are."""
    parent, name = os.path.split(os.path.normpath(run))
    return os.path.join(parent, FOLDER, name)


def tag_of(column: str) -> str:
    """`log_loss/validation` for `validation_log_loss`, so that both curves stand beside each other; no brackets."""
    part, _, metric = column.partition("_")
    tag = f"{metric}/{part}" if part in PARTS else column
    return tag.replace("[", "/").replace("]", "")


class TensorBoard:
    """Curves, config and scores of one training in one event file.

    A training from the beginning replaces the files of the one before; one that goes on adds a file, which says from
    which step on older numbers do not count.
    """

    def __init__(self, training: Training) -> None:
        self._training = training
        self._summary = import_module("tensorboardX.summary")
        self._events = import_module("tensorboardX.proto.event_pb2")
        folder = log_folder(training.run)
        os.makedirs(folder, exist_ok=True)
        old = [name for name in os.listdir(folder) if name.endswith(SIGN) and ".tfevents." in name]
        if not training.from_epoch:
            for name in old:
                os.unlink(os.path.join(folder, name))
            old = []
        writer = import_module("tensorboardX.event_file_writer").EventsWriter
        self._writer: Any = writer(os.path.join(folder, "events"), f".{len(old)}{SIGN}")
        if training.from_epoch:
            start = self._events.SessionLog(status=self._events.SessionLog.SessionStatus.Value("START"))
            self._writer.write_event(self._events.Event(session_log=start, step=training.from_epoch + 1))
        self._add(self._summary.text("config", f"```yaml\n{training.text.rstrip()}\n```"), 0)
        self.flush()

    def epoch(self, epoch: int, time: float, row: Row) -> None:
        """A scalar for each number, at the step of its epoch."""
        for name, value in row.items():
            self._add(self._summary.scalar(tag_of(name), value), epoch, time)

    def flush(self) -> None:
        """Bring all to the disk."""
        self._writer.flush()

    def end(self, ending: Ending, scores: Row, model_file: str) -> None:
        """Scores as a table and, of a finished training, beside the config (the tab HPARAMS)."""
        lines = ["| score | value |", "|---|---|", *(f"| {name} | {value:.6g} |" for name, value in scores.items())]
        head = f"{ending}; model file: {model_file}" if model_file else ending
        step = int(scores.get("epochs", 0))
        self._add(self._summary.text("scores", "\n".join([head, "", *lines])), step)
        if ending == "finished":
            options = {name: _plain(value) for name, value in self._training.config.items() if value is not None}
            named = {f"scores/{name}": value for name, value in scores.items() if "[" not in name}
            for name, value in named.items():
                self._add(self._summary.scalar(name, value), step)
            for summary in self._summary.hparams(options, named):
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
