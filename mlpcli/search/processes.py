"""Runs tasks in several processes on this machine, which report to the parent process through pipes.

If a process dies, its task has failed and the process is replaced. All processes exit when the parent is gone.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from mlpcli.fork_server import context, orphan_check, single_threaded_blas, start_server

POLL_SECONDS = 0.1  # between two calls of must_stop
EXIT_SECONDS = 2.0  # for a process to exit by itself


class Tasks(Protocol):
    """A queue of tasks, with callbacks for their reports and results; all are called in the parent process."""

    def next(self) -> Any:
        """The next task, None at the end."""

    def report(self, task: Any, *what: Any) -> Any:
        """Receive a report of a running task; the return value is sent back to its process."""

    def done(self, task: Any, result: Any) -> None:
        """Receive the result of a task."""

    def died(self, task: Any, reason: str) -> bool:
        """Called if the process of a task died; returns whether to continue with the other tasks."""


@dataclass(frozen=True)
class Channel:
    """The end of the pipe in a worker process; `is_orphan` returns whether the parent process is gone."""

    connection: Connection
    is_orphan: Callable[[], bool]

    def tasks(self) -> Iterator[Any]:
        """Yield tasks until there are no more, or until the parent process is gone."""
        while True:
            try:
                task = self.connection.recv()
            except (EOFError, OSError):
                return
            if task is None:
                return
            yield task

    def report(self, *what: Any) -> Any:
        """Send a report of the running task; returns the reply. Exits the process if the parent process is gone."""
        try:
            self.connection.send(("report", what))
            return self.connection.recv()
        except (EOFError, OSError):
            raise SystemExit(1) from None

    def done(self, result: Any) -> None:
        """Send the result of the running task."""
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
    """Run all tasks in processes that each call `serve(setup, channel)`; ends early if `must_stop` returns True.

    `serve` must be a module-level function, and `setup`, tasks and results picklable.
    """
    workers: list[_Worker] = []
    try:
        with single_threaded_blas():
            while len(workers) < n_processes and (task := tasks.next()) is not None:
                workers.append(_start_worker(serve, setup, task))
        while any(worker.task is not None for worker in workers) and not must_stop():
            busy = {worker.connection: worker for worker in workers if worker.task is not None}
            for connection in wait(list(busy), POLL_SECONDS):
                worker = busy[connection]  # type: ignore[index]
                if not _handle_message(worker, tasks):
                    workers.remove(worker)
                    reason = _exit_reason(worker)
                    continues = tasks.died(worker.task, reason)
                    task = tasks.next() if continues else None
                    if task is not None:
                        with single_threaded_blas():
                            workers.append(_start_worker(serve, setup, task))
    finally:
        _stop_workers(workers)


def _handle_message(worker: _Worker, tasks: Tasks) -> bool:
    """Handle one message of a worker; returns whether its process is alive. Exceptions of `tasks` are passed on."""
    try:
        kind, content = worker.connection.recv()
    except (EOFError, OSError):
        return False
    if kind == "report":
        answer = tasks.report(worker.task, *content)
    else:
        tasks.done(worker.task, content)
        worker.task = None  # the task is done, even if `next` raises
        answer = worker.task = tasks.next()
    try:
        if kind == "report" or answer is not None:
            worker.connection.send(answer)
    except OSError:
        return False
    return True


def _start_worker(serve: Callable[[Any, Channel], None], setup: Any, task: Any) -> _Worker:
    """Start a process and send it its first task."""
    start_server(__name__)  # unless it already runs
    parent_end, worker_end = context().Pipe()
    process = context().Process(target=_run, args=(serve, setup, worker_end), daemon=True)
    process.start()
    worker_end.close()
    with suppress(OSError):  # the process died, which `_handle_message` will find
        parent_end.send(task)
    return _Worker(process, parent_end, task)


def _run(serve: Callable[[Any, Channel], None], setup: Any, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent handles it
    serve(setup, Channel(connection, orphan_check()))


def _exit_reason(worker: _Worker) -> str:
    """How a process ended, as a clause for an error message."""
    worker.process.join(EXIT_SECONDS)
    code = worker.process.exitcode
    if code == -signal.SIGKILL:
        return "its process was killed: there was likely too little memory"
    return f"its process ended with signal {-code}" if code is not None and code < 0 else f"its process ended ({code})"


def _stop_workers(workers: list[_Worker]) -> None:
    for worker in workers:
        with suppress(OSError):
            if worker.task is None:
                worker.connection.send(None)
            else:
                worker.process.terminate()
    for worker in workers:
        worker.process.join(EXIT_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()
