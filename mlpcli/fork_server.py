"""The server that forks worker processes: it imports their modules once, and inherits no threads or locks from us."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context, parent_process, resource_tracker
from multiprocessing.forkserver import ensure_running
from typing import Any

METHOD = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"  # Windows has no fork
STEPS_PER_CHECK = 64
# Worker processes use one core each; more BLAS threads than cores would wait for each other.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def context() -> Any:
    """The multiprocessing context that starts worker processes."""
    return get_context(METHOD)


def start_server(*modules: str) -> None:
    """Start the server, which imports these modules in parallel with this process; no effect if it already runs."""
    if METHOD == "forkserver":
        context().set_forkserver_preload([*modules])
        resource_tracker.ensure_running()  # otherwise the server starts it, which unblocks SIGINT
        with single_threaded_blas(), _blocked_sigint():
            ensure_running()


def orphan_check() -> Callable[[], bool]:
    """A function that tells whether the parent process has ended; it checks only every STEPS_PER_CHECK-th call."""
    parent, n_calls = parent_process(), 0

    def is_orphan() -> bool:
        nonlocal n_calls
        n_calls += 1
        return n_calls % STEPS_PER_CHECK == 0 and parent is not None and not parent.is_alive()

    return is_orphan


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """A context in which started processes get one BLAS thread each, by environment variables."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _blocked_sigint() -> Iterator[None]:
    """A context in which started processes ignore Ctrl-C, which a terminal sends to all of its processes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
