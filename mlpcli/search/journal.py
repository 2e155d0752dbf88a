"""The trials of a search as Optuna's journal: a line of JSON for each event, appended to one file.

A process that is killed while it writes leaves a line without its end. Such a line is an event that did not happen: it
is cut off before the next one is written. One process writes, and its folder is locked; it holds the events in memory.
"""

import json
import os
from collections.abc import Iterable
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from mlpcli.errors import MlpError


class JournalFile(BaseJournalBackend):
    """The journal under `path`, made if it is not there; raises MlpError for a file that is none."""

    def __init__(self, path: str) -> None:
        self._logs, end = _events(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        os.ftruncate(self._descriptor, end)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The events from this one on."""
        return iter(self._logs[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append events; the end of a trial is on the disk when this returns."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        rest = memoryview("".join(f"{line}\n" for line in lines).encode())
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._logs += map(json.loads, lines)  # as another process would read them
        if any("state" in log for log in logs):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def _events(path: str) -> tuple[list[dict[str, Any]], int]:
    """The whole events of a journal, and where the last of them ends in the file."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return [], 0
    events, end = [], 0
    for line in data.splitlines(keepends=True):
        try:
            event = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            event = None
        if not isinstance(event, dict) or "op_code" not in event:
            break
        events.append(event)
        end += len(line)
    # What a crash tears is the end. A file that breaks off before is damaged, and to cut it would lose trials.
    if data.count(b"\n", end) > 1 or (data and not events and b"\n" in data):
        raise MlpError(
            f"{path}:{len(events) + 1}: not an event of a search. Restore the file, or name another --output."
        )
    return events, end
