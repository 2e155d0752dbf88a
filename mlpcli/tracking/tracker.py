"""What every tracker is told, and the thread that tells it: no tracker can stop or delay a training."""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol

from mlpcli.errors import Interrupted

Ending = Literal["finished", "interrupted", "failed"]
Row = Mapping[str, float]

# How long the end of a training, whose run is complete by then, waits for what is not yet written, in seconds. It is
# long because the first use of a database makes its tables: cut off half-way, that database would be of no use.
PATIENCE = 60.0
_END = object()


@dataclass(frozen=True)
class Training:
    """What is known before the first step.

    `run` is the folder of the run, `config` has every key of the config by its path, `text` is the same as YAML;
    `from_epoch` is above 0 where a training goes on.
    """

    run: str
    config: Mapping[str, Any]
    text: str
    from_epoch: int = 0


class Tracker(Protocol):
    """A program that is told of one training; whatever a method raises ends the tracking, and nothing else."""

    def epoch(self, epoch: int, time: float, row: Row) -> None:
        """Take the numbers of an epoch, which ended at `time` (seconds since 1970)."""

    def flush(self) -> None:
        """Bring to its place what was taken."""

    def end(self, ending: Ending, scores: Row, model_file: str) -> None:
        """Take the scores of the model, by `split.metric`, and where it is; "" for none."""


@dataclass(frozen=True)
class Kind:
    """A tracker that can be chosen: the package that it needs, the extra that has it, and how it starts."""

    module: str
    package: str
    extra: str
    start: Callable[[Training], Tracker]


class Background:
    """One tracker on a thread of its own.

    `fault` says why it was given up, "" while it works.
    """

    def __init__(self, name: str, kind: Kind, training: Training) -> None:
        self.name = name
        self.fault = ""
        self._kind, self._training = kind, training
        self._tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # A daemon: a server that does not answer must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=f"tracking {name}", daemon=True)
        self._thread.start()

    def epoch(self, epoch: int, time: float, row: Row) -> None:
        """Hand over the numbers of an epoch."""
        if not self.fault:
            self._tasks.put(("epoch", epoch, time, row))

    def end(self, ending: Ending, scores: Row, model_file: str) -> None:
        """Hand over the end, and wait until all is written, but not for ever."""
        self._tasks.put(("end", ending, scores, model_file))
        self._tasks.put(_END)
        self._thread.join(PATIENCE)
        if self._thread.is_alive() and not self.fault:
            self.fault = f"did not answer within {PATIENCE:.0f} s; its last numbers may be missing"

    def _work(self) -> None:
        try:
            tracker = self._kind.start(self._training)
            while (task := self._tasks.get()) is not _END:
                getattr(tracker, task[0])(*task[1:])
                if self._tasks.empty():
                    tracker.flush()
        except BaseException as error:
            self.fault = _reason(error)


def _reason(error: BaseException) -> str:
    """The first line of what was raised, without a full stop."""
    lines = (getattr(error, "strerror", None) or str(error)).strip().splitlines()
    said = lines[0].rstrip(". ")[:200] if lines else ""
    return said or type(error).__name__


class Tracking:
    """All trackers of a training; `note` is told in the caller's thread once a tracker is given up.

    Use it in a `with` block, which ends the tracking however the training ends.
    """

    def __init__(self, kinds: Mapping[str, Kind], note: Callable[[str], None]) -> None:
        self._kinds, self._note = kinds, note
        self._trackers: Sequence[Background] = ()
        self._told: set[str] = set()

    def __enter__(self) -> "Tracking":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end("interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed", {}, "")

    def start(self, training: Training) -> None:
        """Start every tracker, each on its thread."""
        self._trackers = [Background(name, kind, training) for name, kind in self._kinds.items()]

    def epoch(self, epoch: int, time: float, row: Mapping[str, float | None]) -> None:
        """Tell each tracker of an epoch."""
        numbers = {name: value for name, value in row.items() if value is not None and name != "epoch"}
        for tracker in self._trackers:
            tracker.epoch(epoch, time, numbers)
        self._tell_faults()

    def end(self, ending: Ending, scores: Mapping[str, Any], model_file: str) -> None:
        """Tell each tracker of the end; only the first call counts."""
        numbers = {
            name: float(value)
            for name, value in scores.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        for tracker in self._trackers:
            if not tracker.fault:
                tracker.end(ending, numbers, model_file)
        self._tell_faults()
        self._trackers = []

    def _tell_faults(self) -> None:
        for tracker in self._trackers:
            if tracker.fault and tracker.name not in self._told:
                self._told.add(tracker.name)
                self._note(f"tracking by {tracker.name} has stopped: {tracker.fault}. The training is not affected.")
