"""Trainings that go on for long: memory, file handles and the work per epoch stay what they were."""

import gc
import os
import tracemalloc
from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest import mock

from mlpcli.config.loading import config_from_mapping
from mlpcli.storage import atomic
from mlpcli.workflows import train as train_workflow
from mlpcli.workflows.training.recording import journal
from tests.program import DATA

DAY = 86_400.0


@dataclass
class Clock:
    """A clock that moves on by `step` seconds each time it is asked."""

    step: float
    now: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Growth:
    """Watches a training: memory, handles, and whether history.csv is the same file, ever longer."""

    def __init__(self, history: Path) -> None:
        self._history = history
        self.samples: list[tuple[int, int]] = []
        self.inodes: set[int] = set()
        self.sizes = array("q")

    def prepared(self, prepared: object, from_epoch: int) -> None:
        tracemalloc.start()

    def epoch(self, report: object, state: object) -> None:
        found = self._history.stat()
        self.inodes.add(found.st_ino)
        self.sizes.append(found.st_size)
        n = len(self.sizes)
        if n >= 20 and n & (n - 1) == 0:  # once in a while: at 32, 64, 128, ...
            gc.collect()
            self.samples.append((tracemalloc.get_traced_memory()[0], len(os.listdir("/dev/fd"))))

    def note(self, text: str) -> None:
        pass

    def ended(self) -> None:
        tracemalloc.stop()


def train_for_long(folder: Path, n_epochs: int, simulated_seconds: float) -> int:
    """Train that many epochs under a clock that makes them take that long; gives how many checkpoints it wrote."""
    data = {"train": str(DATA / "iris.csv"), "target": "species"}
    loaded = config_from_mapping(
        {
            "data": data,
            "model": {"layers": ["auto", 4, "auto"]},
            "training": {"epochs": n_epochs, "batch_size": 150, "early_stopping": None, "threads": 1},
            "output": str(folder / "run"),
        }
    )
    growth = Growth(folder / "run.partial" / "history.csv")
    written: Counter[str] = Counter()

    def note_write(path: str, data: bytes) -> None:
        written[os.path.basename(path)] += 1
        atomic.write_file(path, data)

    def leave_unsynced(descriptor: int) -> None:
        pass

    # A disk that syncs takes longer than an epoch does; whether it was asked to is tested elsewhere.
    clock = Clock(simulated_seconds / n_epochs)
    with (
        mock.patch.object(train_workflow, "perf_counter", clock),
        mock.patch.object(journal, "perf_counter", clock),
        mock.patch.object(os, "fsync", leave_unsynced),
        mock.patch("mlpcli.storage.run.run_directory.write_file", note_write),
    ):
        train_workflow.train(loaded, growth)
    assert clock.now >= simulated_seconds
    assert len(growth.inodes) == 1, "history.csv was rewritten"
    assert all(before < after for before, after in pairwise(growth.sizes))
    assert len(growth.sizes) == n_epochs
    assert (folder / "run" / "history.csv").read_bytes().count(b"\n") == n_epochs + 2
    assert len({handles for _, handles in growth.samples}) == 1, growth.samples
    # What grows is the array of sizes above.
    first, last = growth.samples[0][0], growth.samples[-1][0]
    assert last - first < 100_000 + 20 * n_epochs, growth.samples
    return written["checkpoint.npz"]
