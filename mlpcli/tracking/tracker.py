"""The tracker interface, and the threads that call trackers, so that none can stop or delay a training."""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol

from mlpcli.errors import Interrupted

Ending = Literal["finished", "interrupted", "failed"]
Row = Mapping[str, float]

# Seconds to wait at the end of a training, when its run is complete, for pending writes. Long, because the first use of
# a database creates its tables, and interrupting that would make it unusable.
TIMEOUT = 60.0
_END = object()


@dataclass(frozen=True)
class Training:
    """The training to track.

    `run` is the folder of the run, `config` has every config value by key path, `text` is the config as YAML;
    `from_epoch` is above 0 for a resumed training.
    """

    run: str
    config: Mapping[str, Any]
    text: str
    from_epoch: int = 0


class Tracker(Protocol):
    """A tracker of one training; an exception of a method ends only the tracking."""

    def epoch(self, epoch: int, time: float, row: Row) -> None:
        """Log the numbers of an epoch, which ended at `time` (seconds since 1970)."""

    def flush(self) -> None:
        """Write pending numbers."""

    def end(self, ending: Ending, scores: Row, model_file: str) -> None:
        """Log the scores of the model, by `split.metric`, and its path, "" for none."""


@dataclass(frozen=True)
class Kind:
    """A kind of tracker: the package that it needs, the extra that installs it, and its constructor."""

    module: str
    package: str
    extra: str
    start: Callable[[Training], Tracker]


class Background:
    """A tracker on a separate thread; `fault` is the reason why it has stopped, "" while it works."""

    def __init__(self, name: str, kind: Kind, training: Training) -> None:
        self.name = name
        self.fault = ""
        self._kind, self._training = kind, training
        self._tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # A daemon, because a server that does not answer must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name=f"tracking {name}", daemon=True)
        self._thread.start()

    def epoch(self, epoch: int, time: float, row: Row) -> None:
        """Queue the numbers of an epoch."""
        if not self.fault:
            self._tasks.put(("epoch", epoch, time, row))

    def end(self, ending: Ending, scores: Row, model_file: str) -> None:
        """Queue the end, and wait at most TIMEOUT until all is written."""
        self._tasks.put(("end", ending, scores, model_file))
        self._tasks.put(_END)
        self._thread.join(TIMEOUT)
        if self._thread.is_alive() and not self.fault:
            self.fault = f"did not answer within {TIMEOUT:.0f} s; its last numbers may be missing"

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
    """The first line of an error message, without a full stop."""
    lines = (getattr(error, "strerror", None) or str(error)).strip().splitlines()
    reason = lines[0].rstrip(". ")[:200] if lines else ""
    return reason or type(error).__name__


class Tracking:
    """All trackers of a training; calls `note` in the caller's thread when a tracker has stopped.

    Use it in a `with` block, which ends the tracking.
    """

    def __init__(self, kinds: Mapping[str, Kind], note: Callable[[str], None]) -> None:
        self._kinds, self._note = kinds, note
        self._trackers: Sequence[Background] = ()
        self._reported: set[str] = set()

    def __enter__(self) -> "Tracking":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end("interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed", {}, "")

    def start(self, training: Training) -> None:
        """Start every tracker on its thread."""
        self._trackers = [Background(name, kind, training) for name, kind in self._kinds.items()]

    def epoch(self, epoch: int, time: float, row: Mapping[str, float | None]) -> None:
        """Pass an epoch to each tracker."""
        numbers = {name: value for name, value in row.items() if value is not None and name != "epoch"}
        for tracker in self._trackers:
            tracker.epoch(epoch, time, numbers)
        self._report_faults()

    def end(self, ending: Ending, scores: Mapping[str, Any], model_file: str) -> None:
        """Pass the end to each tracker; only the first call counts."""
        numbers = {
            name: float(value)
            for name, value in scores.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        for tracker in self._trackers:
            if not tracker.fault:
                tracker.end(ending, numbers, model_file)
        self._report_faults()
        self._trackers = []

    def _report_faults(self) -> None:
        for tracker in self._trackers:
            if tracker.fault and tracker.name not in self._reported:
                self._reported.add(tracker.name)
                self._note(f"tracking by {tracker.name} has stopped: {tracker.fault}. The training is not affected.")
