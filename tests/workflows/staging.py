"""Configs as the workflows take them, and an observer that stops a training where a test wants it."""

import os
import signal
from typing import Any

from mlpcli.config.loading import LoadedConfig, config_from_mapping
from tests.program import DATA

IRIS = {"train": str(DATA / "iris.csv"), "target": "species"}


def loaded(data: Any = IRIS, training: Any = None, **sections: Any) -> LoadedConfig:
    """A config whose run goes to ./run."""
    training = {"epochs": 2, "threads": 1} | (training or {})
    return config_from_mapping({"data": data, "training": training, "output": "run", **sections})


class Watch:
    """Records the events of a training, and interrupts it after the epoch `stop_after`."""

    def __init__(self, stop_after: int = 0, number: int = signal.SIGINT) -> None:
        self.stop_after, self.number = stop_after, number
        self.notes: list[str] = []
        self.epochs: list[int] = []
        self.from_epoch = -1
        self.has_ended = False

    def note(self, text: str) -> None:
        self.notes.append(text)

    def prepared(self, prepared: Any, from_epoch: int) -> None:
        self.from_epoch = from_epoch

    def epoch(self, report: Any, state: Any) -> None:
        self.epochs.append(report.epoch)
        if report.epoch == self.stop_after:
            os.kill(os.getpid(), self.number)

    def ended(self) -> None:
        self.has_ended = True
