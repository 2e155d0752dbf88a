"""Time and peak memory of whole processes."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import alternate, summary

LAUNCHER = Path(__file__).parent / "launcher.py"
SCRIPTS = Path(__file__).parent / "scripts"
MLP = str(Path(sys.executable).parent / "mlp")

# Cache bytecode, as in an installed program, even if Python is told not to; else every run would compile the sources.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
if len(ENVIRONMENT) < len(os.environ):
    ENVIRONMENT["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "mlp-benchmarks-bytecode")


@dataclass(frozen=True)
class Measured:
    """One run of a command; `cpu_seconds` is the sum over its threads."""

    seconds: float
    peak_bytes: int
    cpu_seconds: float


def python(code: str) -> list[str]:
    """The command that runs `code`."""
    return [sys.executable, "-c", code]


def script(name: str, *arguments: object) -> list[str]:
    """The command that runs a file of benchmarks/scripts/."""
    return [sys.executable, str(SCRIPTS / f"{name}.py"), *map(str, arguments)]


def isolated(file: Path, *arguments: object) -> list[str]:
    """The command that runs a file in isolated mode, without importing from its folder."""
    return [sys.executable, "-P", str(file), *map(str, arguments)]


def measure(command: Sequence[str], folder: Path, environment: Mapping[str, str] = ENVIRONMENT) -> Measured:
    """Run `command` once in `folder`; raises RuntimeError with the end of its output if it fails."""
    said = folder / "said.txt"
    launched = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER), str(said), *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(launched.stdout)
    if found.pop("exit_code"):
        raise RuntimeError(f"{' '.join(command)}\n{said.read_text(errors='replace')[-2000:]}")
    return Measured(**found)


def compare(
    commands: Mapping[str, Sequence[str]], folder: Path, repeats: int, warm_up: bool = True
) -> dict[str, dict[str, Any]]:
    """Seconds, CPU seconds and peak memory of each command, alternating, after a warm-up of the caches."""
    runs: dict[str, list[Measured]] = {name: [] for name in commands}

    def runner(name: str) -> Callable[[], float]:
        def once() -> float:
            runs[name].append(measure(commands[name], folder))
            return runs[name][-1].seconds

        return once

    if warm_up:
        for command in commands.values():
            measure(command, folder)
    seconds = alternate({name: runner(name) for name in commands}, repeats)
    return {
        name: {
            "seconds": summary(seconds[name]),
            "cpu_seconds": summary([run.cpu_seconds for run in found]),
            "peak_bytes": max(run.peak_bytes for run in found),
        }
        for name, found in runs.items()
    }


def without_missing(commands: Mapping[str, list[str]], needs: Mapping[str, str]) -> dict[str, list[str]]:
    """The commands whose peer is installed; `needs` names the package of a contestant."""
    from importlib.util import find_spec

    return {name: command for name, command in commands.items() if name not in needs or find_spec(needs[name])}


def workshop() -> AbstractContextManager[str]:
    """A temporary folder for data and models."""
    return tempfile.TemporaryDirectory(prefix="mlp-benchmarks-")
