"""Optuna's journal of a search: one line of JSON for each event, appended to one file.

A process that is killed while it writes leaves an incomplete last line, which is removed when the file is opened again.
Only one process writes, as the folder is locked; it keeps the events in memory.
"""

import json
import os
from collections.abc import Iterable
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from mlpcli.errors import MlpError


class JournalFile(BaseJournalBackend):
    """The journal file `path`, created if it is missing; raises MlpError if it is not a journal or is damaged."""

    def __init__(self, path: str) -> None:
        self._logs, end = _events(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        os.ftruncate(self._descriptor, end)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The events from this index on."""
        return iter(self._logs[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append events; a change of a trial's state is synced to disk."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        rest = memoryview("".join(f"{line}\n" for line in lines).encode())
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._logs += map(json.loads, lines)  # parsed again, so that they equal those that a later process reads
        if any("state" in log for log in logs):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _events(path: str) -> tuple[list[dict[str, Any]], int]:
    """Read the complete events of a journal; returns them and the byte offset of their end. Raises MlpError."""
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
    # A crash leaves one incomplete line at the end. Anything else is damage, and truncating would lose trials.
    if data.count(b"\n", end) > 1 or (data and not events and b"\n" in data):
        raise MlpError(
            f"{path}:{len(events) + 1}: not an event of a search. Restore the file, or name another --output."
        )
    return events, end
