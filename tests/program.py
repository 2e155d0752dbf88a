"""The program, run inside the test process or as a process of its own, and the small tables and configs it is given."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import typer.main

from mlpcli.cli.main import run

# Typer builds every verb anew each time that the program runs, which happens once in a process but here thousands of
# times, and takes longer than many of the verbs.
typer.main.get_command = cache(typer.main.get_command)

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
QUICK = {"epochs": 2}


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document it is."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    @property
    def rows(self) -> list[dict[str, str]]:
        """Standard output as CSV."""
        return list(csv.DictReader(io.StringIO(self.stdout)))


def mlp(*arguments: object, stdin: bytes = b"") -> Ended:
    """Run the program in this process."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2)]
    given = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]), mock.patch.object(sys, "stdin", given):
        code = run([str(argument) for argument in arguments])
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Ended(code, *texts)


def done(*arguments: object, stdin: bytes = b"") -> Ended:
    """Run the program in this process; it must end well."""
    ended = mlp(*arguments, stdin=stdin)
    assert ended.code == 0, ended
    return ended


def start(*arguments: object, **options: Any) -> "subprocess.Popen[bytes]":
    """Start the program as a process of its own, with pipes for all three streams."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # Not what the process inherits by itself: readline, which pytest imports, sets COLUMNS behind Python's back.
    options = {**pipes, "env": dict(os.environ), **options}
    return subprocess.Popen([sys.executable, "-m", "mlpcli", *map(str, arguments)], **options)


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a table; cells are written as `str` has them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    return path


def write_config(path: Path, data: Mapping[str, Any], training: Mapping[str, Any] = QUICK, **sections: Any) -> Path:
    """Write a config; JSON is YAML."""
    path.write_text(json.dumps({"data": data, "training": training, **sections}), "utf-8")
    return path


def train(
    folder: Path,
    data: Mapping[str, Any],
    training: Mapping[str, Any] = QUICK,
    options: Sequence[object] = (),
    **sections: Any,
) -> Path:
    """Train a config with the program; returns weights.npz of the run in `folder`/run."""
    config = write_config(folder / "config.yaml", data, training, **sections)
    done("train", config, "--output", folder / "run", "--quiet", *options)
    return folder / "run" / "weights.npz"


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, every folder with None."""
    return {
        os.fsdecode(os.path.relpath(path, folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
