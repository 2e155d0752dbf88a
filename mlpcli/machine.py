"""Cores and memory that are available to this process, and those it uses."""

import contextlib
import ctypes
import math
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache

try:
    import resource
except ImportError:  # Windows has no such module
    resource = None  # type: ignore[assignment]

PROC, CONTROL_GROUPS = "/proc", "/sys/fs/cgroup"
# Parameters of mallopt in <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


_core_limit: ContextVar[float] = ContextVar("core limit", default=math.inf)


def available_cores() -> int:
    """Cores that this process may run on, within the quota of its container (rounded up) and `limited_cores`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _core_quota(), _core_limit.get())))


@contextlib.contextmanager
def limited_cores(n_cores: int) -> Iterator[None]:
    """Within, `available_cores` is at most `n_cores` in this thread: the others are left to other processes."""
    token = _core_limit.set(n_cores)
    try:
        yield
    finally:
        _core_limit.reset(token)


@cache
def _core_quota() -> float:
    """The CPU quota of the process's control groups in cores (Linux), infinity without one."""
    quotas = [math.inf]
    for folder in _control_groups():
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # "max": no quota
            quota, period = _words(f"{folder}/cpu.max")
            quotas.append(int(quota) / int(period))
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # version 1, where -1 is no quota
            (quota,), (period,) = _words(f"{folder}/cpu.cfs_quota_us"), _words(f"{folder}/cpu.cfs_period_us")
            quotas.append(int(quota) / int(period) if int(quota) > 0 else math.inf)
    return min(quotas)


def _control_groups() -> Iterator[str]:
    """The folders of this process's control group and its ancestors; the limits of all of them apply."""
    try:
        with open(f"{PROC}/self/cgroup", encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:  # another system
        return
    for _, controllers, path in (line for line in lines if len(line) == 3):
        mount = CONTROL_GROUPS if not controllers else f"{CONTROL_GROUPS}/{controllers}"
        while path.strip("/"):
            yield mount + path
            path = path.rpartition("/")[0]
        yield mount


def _words(path: str) -> list[str]:
    with open(path, encoding="ascii") as file:
        return file.read().split()


def _status(field: bytes) -> int | None:
    """A memory size from /proc/self/status (Linux) in bytes, None if it is not available."""
    try:
        with open(f"{PROC}/self/status", "rb") as file:
            return int(next(line for line in file if line.startswith(field)).split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):  # another system
        return None


def held_memory() -> int:
    """The resident memory of this process in bytes; the peak if the system does not report the current value."""
    held = _status(b"VmRSS:")
    return peak_memory() if held is None else held


def peak_memory() -> int:
    """The peak resident memory of this process in bytes; 0 if the system does not report it."""
    peak = _status(b"VmHWM:")  # on Linux, the value of the resource module can be that of the parent process
    if peak is not None:
        return peak
    if resource is None:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def keep_freed_memory(n_bytes: int) -> None:
    """Make glibc keep freed blocks of up to `n_bytes`, at most twice as much per thread, for later allocations.

    By default glibc returns blocks from 128 kB on to the system at once, which clears each page of the next one. That
    takes a fifth of the time of work that allocates megabytes again and again. No effect with other C libraries.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    mallopt(M_MMAP_THRESHOLD, n_bytes)
    mallopt(M_TRIM_THRESHOLD, 2 * n_bytes)


def return_freed_memory() -> None:
    """Make glibc return freed memory to the system; no effect with other C libraries."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        return
    trim(0)


def memory_of_machine() -> int | None:
    """The memory limit of this process in bytes: that of its container or of the machine; None if unknown."""
    limits: list[int] = []
    for folder in _control_groups():
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):  # no limit, or "max"
                limits += map(int, _words(f"{folder}/{name}"))
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not available on every system
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)
