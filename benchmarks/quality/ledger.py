"""The results file: every finished run is in it at once, so a kill loses nothing and a rerun does only what is left."""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Run = dict[str, Any]


class Ledger:
    """`path` holds {"benchmark", "machine", "runs"}; a run is known by dataset, contestant and seed.

    Several processes may write to one file, each on a core of its own. Raises ValueError when the file tells of
    another processor: times of two machines do not belong into one table. Scores do: without `compares_times` it is
    taken.
    """

    def __init__(self, path: Path, benchmark: str, machine: Mapping[str, Any], compares_times: bool = True) -> None:
        self.benchmark = benchmark
        self._path = path
        self._machine = dict(machine)
        path.parent.mkdir(parents=True, exist_ok=True)
        known = self._read()["machine"]["processor"]
        if compares_times and known != machine["processor"]:
            raise ValueError(f"{path} was measured on {known}: choose another file with --json, or remove it")

    @property
    def runs(self) -> list[Run]:
        """All runs so far."""
        found: list[Run] = self._read()["runs"]
        return found

    @property
    def machine(self) -> dict[str, Any]:
        """Where the last run took place."""
        found: dict[str, Any] = self._read()["machine"]
        return found

    def has(self, dataset: str, contestant: str, seed: int, overrides: Sequence[str] = ()) -> bool:
        """Whether this run is in the file, made with these overrides."""
        wanted = (dataset, contestant, seed)
        return any(_key(run) == wanted and run["overrides"] == list(overrides) for run in self.runs)

    def add(self, run: Run) -> None:
        """Write `run`, in place of the one it repeats."""
        with self._alone():
            document = self._read()
            kept = [other for other in document["runs"] if _key(other) != _key(run)]
            self._write({**document, "machine": self._machine, "runs": [*kept, run]})

    def forget(self, contestants: Collection[str], datasets: Collection[str]) -> None:
        """Take out the runs of these contestants on these datasets: they are to be measured again."""
        with self._alone():
            document = self._read()
            kept = [
                run for run in document["runs"] if not (run["contestant"] in contestants and run["dataset"] in datasets)
            ]
            if len(kept) < len(document["runs"]):
                self._write({**document, "runs": kept})

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {"benchmark": self.benchmark, "machine": self._machine, "runs": []}
        document: dict[str, Any] = json.loads(self._path.read_text())
        return document

    def _write(self, document: dict[str, Any]) -> None:
        runs = sorted(document["runs"], key=_key)
        head = json.dumps({**document, "runs": []}, indent=1, allow_nan=False).removesuffix("[]\n}")
        lines = ",\n".join(f"  {json.dumps(run, allow_nan=False)}" for run in runs)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        temporary.write_text(f"{head}[\n{lines}\n ]\n}}\n" if runs else f"{head}[]\n}}\n")
        temporary.replace(self._path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else writes meanwhile, where the system has locks."""
        try:
            import fcntl
        except ImportError:
            yield
            return
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _key(run: Run) -> tuple[str, str, int]:
    return run["dataset"], run["contestant"], run["seed"]
