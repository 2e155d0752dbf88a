"""Tasks on several processes of this machine, which talk to the one that started them.

A process that dies costs its task and is replaced. When the first one ends, however it ends, the others do.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from mlpcli.fork_server import context, orphan_check, single_threaded_blas

POLL_SECONDS = 0.1  # seconds between two looks at whether to stop
EXIT_SECONDS = 2.0  # seconds for a process to end by itself


class Tasks(Protocol):
    """What is to be done, and who is told."""

    def next(self) -> Any:
        """The next task, None for none."""

    def report(self, task: Any, *what: Any) -> Any:
        """Answer what a task reports."""

    def done(self, task: Any, result: Any) -> None:
        """Take note of a result."""

    def died(self, task: Any, reason: str) -> bool:
        """Take note of a task whose process ended; says whether to go on."""


@dataclass(frozen=True)
class Channel:
    """The side of a process that does tasks; `is_orphan` says whether the process that gives them is gone."""

    connection: Connection
    is_orphan: Callable[[], bool]

    def tasks(self) -> Iterator[Any]:
        """Every task, until there are no more or nobody asks any more."""
        while True:
            try:
                task = self.connection.recv()
            except (EOFError, OSError):
                return
            if task is None:
                return
            yield task

    def report(self, *what: Any) -> Any:
        """Tell of the task under way; gives the answer. Ends the process where nobody listens."""
        try:
            self.connection.send(("report", what))
            return self.connection.recv()
        except (EOFError, OSError):
            raise SystemExit(1) from None

    def done(self, result: Any) -> None:
        """Give a result."""
        with suppress(OSError):
            self.connection.send(("done", result))


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Any = None


def run_tasks(
    n_processes: int,
    serve: Callable[[Any, Channel], None],
    setup: Any,
    tasks: Tasks,
    must_stop: Callable[[], bool],
) -> None:
    """Run tasks on processes, each of which calls `serve(setup, channel)`, until there are no more or `must_stop`.

    `serve` is a function of a module, `setup` and tasks what `multiprocessing` can send.
    """
    workers: list[_Worker] = []
    try:
        with single_threaded_blas():
            while len(workers) < n_processes and (task := tasks.next()) is not None:
                workers.append(_start_worker(serve, setup, task))
        while any(one.task is not None for one in workers) and not must_stop():
            busy = {one.connection: one for one in workers if one.task is not None}
            for connection in wait(list(busy), POLL_SECONDS):
                worker = busy[connection]  # type: ignore[index]
                if not _handle_message(worker, tasks):
                    workers.remove(worker)
                    reason = _exit_reason(worker)
                    goes_on = tasks.died(worker.task, reason)
                    task = tasks.next() if goes_on else None
                    if task is not None:
                        with single_threaded_blas():
                            workers.append(_start_worker(serve, setup, task))
    finally:
        _stop_workers(workers)


def _handle_message(worker: _Worker, tasks: Tasks) -> bool:
    """Take one message of a worker; says whether it is alive. What `tasks` raises is not the worker's fault."""
    try:
        kind, what = worker.connection.recv()
    except (EOFError, OSError):
        return False
    if kind == "report":
        answer = tasks.report(worker.task, *what)
    else:
        tasks.done(worker.task, what)
        worker.task = None  # it is done whatever becomes of the process
        answer = worker.task = tasks.next()
    try:
        if kind == "report" or answer is not None:
            worker.connection.send(answer)
    except OSError:
        return False
    return True


def _start_worker(serve: Callable[[Any, Channel], None], setup: Any, task: Any) -> _Worker:
    """A process that begins with a task."""
    here, there = context().Pipe()
    process = context().Process(target=_run, args=(serve, setup, there), daemon=True)
    process.start()
    there.close()
    with suppress(OSError):  # it died at once, which the next look finds
        here.send(task)
    return _Worker(process, here, task)


def _run(serve: Callable[[Any, Channel], None], setup: Any, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all: the first process decides
    serve(setup, Channel(connection, orphan_check()))


def _exit_reason(worker: _Worker) -> str:
    """How a process ended, for a message."""
    worker.process.join(EXIT_SECONDS)
    code = worker.process.exitcode
    if code == -signal.SIGKILL:
        return "its process was killed: there was likely too little memory"
    return f"its process ended with signal {-code}" if code is not None and code < 0 else f"its process ended ({code})"


def _stop_workers(workers: list[_Worker]) -> None:
    for one in workers:
        with suppress(OSError):
            if one.task is None:
                one.connection.send(None)
            else:
                one.process.terminate()
    for one in workers:
        one.process.join(EXIT_SECONDS)
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        one.connection.close()
