"""A server that forks processes: it has imported what they need, once, and has no thread or lock of this process."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context, parent_process, resource_tracker
from multiprocessing.forkserver import ensure_running
from typing import Any

METHOD = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"  # each process by itself, under Windows
STEPS_PER_LOOK = 64
# Each process computes on one core: the threads of a matrix product would wait for each other.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def context() -> Any:
    """How processes are started."""
    return get_context(METHOD)


def start_server(*modules: str) -> None:
    """Have the server import these modules while this process does something else; one that runs stays as it is."""
    if METHOD == "forkserver":
        context().set_forkserver_preload([*modules])
        resource_tracker.ensure_running()  # else the server starts it, and signals are heard again behind that
        with one_thread_each(), _deaf_to_ctrl_c():
            ensure_running()


def orphan_check() -> Callable[[], bool]:
    """Whether the process that started this one is gone, to be asked between steps: it looks at one in 64."""
    parent, n_asked = parent_process(), 0

    def is_orphan() -> bool:
        nonlocal n_asked
        n_asked += 1
        return n_asked % STEPS_PER_LOOK == 0 and parent is not None and not parent.is_alive()

    return is_orphan


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Within, processes that are started have one thread for matrix products."""
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
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Within, what is started does not hear Ctrl-C, which reaches all processes of a terminal; this one decides."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
