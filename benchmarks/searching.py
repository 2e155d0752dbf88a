"""(11) The overhead of a search over its trainings, and the speedup by a second process."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.children import workshop
from benchmarks.generating import write_table
from benchmarks.printing import print_table
from mlpcli.config.loading import LoadedConfig, config_from_mapping
from mlpcli.search.study import Study, Trial
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.preparing.reprepare import reprepare
from mlpcli.workflows.search import search
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state

OVERHEAD_TARGET, SPEEDUP_TARGET = 0.050, 1.7  # seconds a trial; trials of two processes beside one


class Timed:
    """An observer that records the end of each trial, in seconds and in CPU time of this process."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.processor = 0.0

    def note(self, text: str) -> None:
        """Say nothing."""

    def begun(self, study: Study, metric: str, n_trials: int | None, where: int | str) -> None:
        """Start the clocks."""
        self.started, self._processor = time.perf_counter(), time.process_time()

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter() - self.started)

    def ended(self) -> None:
        """Stop the clocks."""
        self.processor = time.process_time() - self._processor


def run(quick: bool) -> dict[str, Any]:
    """Run the benchmark, with trials that differ only in optimizer options, and so take equal time."""
    n_trials = 6 if quick else 40
    with workshop() as name:
        folder = Path(name)
        table = write_table(folder / "train.csv", 1_000 if quick else 20_000, 20, has_target=True)
        loaded = _config(table, 2 if quick else 10, n_trials)
        alone = _trainings(loaded, n_trials)
        found = {"trainings alone": alone}
        for n in (1, 2):
            options = replace(loaded.config.search, processes=n)  # type: ignore[type-var]
            observer = Timed()
            asked = replace(loaded, config=replace(loaded.config, search=options))
            search(asked, observer, str(folder / f"search-{n}"))
            # From the end of the first trial, to exclude the start of a process, which is reported separately.
            found[f"search, {n} process{'es' * (n > 1)}"] = {
                "seconds": observer.ends[-1],
                "trials_per_second": (len(observer.ends) - 1) / (observer.ends[-1] - observer.ends[0]),
                "processor_seconds": observer.processor,
                "first_trial": observer.ends[0],
            }
    one, two = found["search, 1 process"], found["search, 2 processes"]
    found["overhead"] = {
        "seconds_a_trial": (one["processor_seconds"] - alone["processor_seconds"]) / n_trials,
        "speedup": two["trials_per_second"] / one["trials_per_second"],
    }
    _print(found, n_trials)
    return found


def _config(table: Path, n_epochs: int, n_trials: int) -> LoadedConfig:
    space = {
        "training.optimizer.learning_rate": {"log": [0.001, 0.01]},
        "training.optimizer.beta1": {"uniform": [0.8, 0.9]},
    }
    return config_from_mapping(
        {
            "data": {"train": str(table), "target": "y"},
            "model": {"layers": ["auto", 64, 64, "auto"]},
            "training": {"epochs": n_epochs, "optimizer": "adam", "batch_size": 256, "engine": "numpy", "threads": 1},
            "search": {"space": space, "trials": n_trials, "recipes": False, "prune": False},
        },
        name="benchmark",
    )


def _trainings(loaded: LoadedConfig, n_trials: int) -> dict[str, float]:
    """The same number of trainings on four fifths of the rows, without a search."""
    prepared = prepare(replace(loaded, config=replace(loaded.config, search=None)))
    rows = int(0.8 * len(prepared.train.truth))
    prepared = replace(
        prepared,
        train=prepared.train.first(rows),
        validation=None if prepared.validation is None else prepared.validation.first(rows // 4),
    )
    started, processor = time.perf_counter(), time.process_time()
    for _ in range(n_trials):
        again = reprepare(prepared, prepared.loaded)
        state = initial_state(again)
        with blas_threads(1):
            for _report in epochs(again, state, lambda: False):
                pass
            finalize(again, state)
    return {"seconds": time.perf_counter() - started, "processor_seconds": time.process_time() - processor}


def _print(found: dict[str, Any], n_trials: int) -> None:
    rows = []
    for name, one in found.items():
        if name != "overhead":
            pace = (
                f"{one['trials_per_second']:.2f}" if "trials_per_second" in one else f"{n_trials / one['seconds']:.2f}"
            )
            first = f"{one['first_trial']:.2f} s" if "first_trial" in one else ""
            rows.append([name, f"{one['seconds']:.2f} s", pace, f"{one['processor_seconds']:.2f} s", first])
    head = ["", "time", "trials a second", "processor time of this process", "first trial after"]
    print_table(f"{n_trials} trials", head, rows)
    overhead = found["overhead"]
    print(f"overhead: {1000 * overhead['seconds_a_trial']:.0f} ms a trial (target: {1000 * OVERHEAD_TARGET:.0f})")
    print(f"two processes: {overhead['speedup']:.2f} x the trials of one (target: {SPEEDUP_TARGET})")
