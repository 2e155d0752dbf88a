"""What can go wrong with a disk, at a chosen call: a kill, a refusal, a folder that vanishes.

A `Disk` counts the calls a process makes on files below one folder: those that Python announces to an audit hook (open,
rename, remove, ...), and write, fsync and close, which it does not. At call number `nth` it does what it was told. A
hook cannot be taken back, so a disk belongs into a child process that ends.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ANNOUNCED = {
    "open": "open",
    "os.rename": "rename",
    "os.remove": "unlink",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.listdir": "listdir",
    "os.truncate": "truncate",
}


@dataclass(frozen=True)
class Trouble:
    """What happens at the nth call (from 1; 0: never).

    kill: before the call, a write being torn in the middle. fail: the call ends with `code`, a write after half of its
    bytes; with `is_lasting` so do all writes after it, as on a full disk. vanish: `victim` is removed before the call.
    """

    nth: int = 0
    kind: str = "none"
    code: int = 0
    is_lasting: bool = False
    victim: str = ""


class Disk:
    """The calls of this process on what lies below `folder`, in `calls` and, one per line, in the file `trace`."""

    def __init__(self, folder: str, trouble: Trouble, trace: str = "") -> None:
        self._folder = os.path.realpath(folder) + os.sep
        self._trouble = trouble
        self._open: dict[int, str] = {}
        self._is_full = False
        self._is_busy = False
        self._n_calls = 0
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666) if trace else -1
        self._real: dict[str, Callable[..., Any]] = {
            name: getattr(os, name) for name in ("open", "write", "fsync", "close")
        }

    def install(self) -> None:
        """From now on every call counts."""
        os.open, os.write, os.fsync, os.close = self._opened, self._write, self._fsync, self._close  # type: ignore
        sys.addaudithook(self._announced)

    def _announced(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ANNOUNCED and arguments and isinstance(arguments[0], str | bytes) and not self._is_busy:
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if path.startswith(self._folder):
                self._count(ANNOUNCED[event], path)

    def _opened(self, path: Any, *arguments: Any, **options: Any) -> int:
        descriptor: int = self._real["open"](path, *arguments, **options)
        full = os.path.abspath(os.fsdecode(path))
        if full.startswith(self._folder):
            self._open[descriptor] = full
        return descriptor

    def _write(self, descriptor: int, data: Any) -> int:
        if descriptor not in self._open:
            return int(self._real["write"](descriptor, data))
        half = memoryview(data)[: len(data) // 2]
        self._count("write", self._open[descriptor], lambda: self._real["write"](descriptor, half))
        return int(self._real["write"](descriptor, data))

    def _fsync(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._count("fsync", self._open[descriptor])
        self._real["fsync"](descriptor)

    def _close(self, descriptor: int) -> None:
        path = self._open.pop(descriptor, "")
        if path:
            self._count("close", path, lambda: self._real["close"](descriptor))
        self._real["close"](descriptor)

    def _count(self, call: str, path: str, first: Callable[[], object] = lambda: None) -> None:
        self._n_calls += 1
        if self._trace >= 0:
            self._real["write"](self._trace, f"{call} {path.removeprefix(self._folder)}\n".encode())
        trouble = self._trouble
        if self._is_full and call == "write":
            raise OSError(trouble.code, os.strerror(trouble.code))
        if self._n_calls != trouble.nth:
            return
        if trouble.kind == "kill":
            if call == "write":
                first()
            os.kill(os.getpid(), signal.SIGKILL)
        elif trouble.kind == "vanish":
            self._is_busy = True
            shutil.rmtree(trouble.victim, ignore_errors=True)
            self._is_busy = False
        elif trouble.kind == "fail":
            first()
            self._is_full = trouble.is_lasting
            raise OSError(trouble.code, os.strerror(trouble.code), path if call in ANNOUNCED.values() else None)
