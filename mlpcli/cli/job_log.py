"""`--log FILE`: the events of a job as JSON lines, independent of the terminal output.

Each line has `time` (UTC), `event` and `pid`. The first event is `start`, the last `end` with the exit code; without
`end` the job was killed. Each line is appended with one write, so that several jobs can share a file.
"""

import json
import os
import sys
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from mlpcli import __version__
from mlpcli.cli.rendering.plain import plain
from mlpcli.storage.atomic import BINARY, output_error


class JobLog:
    """The log of this process; does nothing before `begin`, or if that gets no file."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._path = ""
        self._started = 0.0

    def begin(self, path: str | None, verb: str, **facts: Any) -> None:
        """Open the file and log `start`; raises OutputError if it cannot be written."""
        self._close()
        if path is None:
            return
        self._path, self._started = path, perf_counter()
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | BINARY, 0o666)
        except OSError as error:
            raise output_error(path, error) from error
        self.event("start", verb=verb, version=__version__, folder=os.getcwd(), **facts)

    def event(self, name: str, **facts: Any) -> None:
        """Log an event. A write error ends the log, not the job."""
        if self._descriptor < 0:
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": time, "event": name, "pid": os.getpid(), **plain(facts)}, allow_nan=False) + "\n"
        try:
            rest = line.encode()
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._close()
            sys.stderr.write(f"note  the log {self._path} is incomplete: {error.strerror}\n")

    def end(self, exit_code: int) -> None:
        """Log `end`, and close the file."""
        self.event("end", exit_code=exit_code, seconds=round(perf_counter() - self._started, 3))
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


LOG = JobLog()
