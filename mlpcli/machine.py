"""What the machine offers to this process."""

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
# Of the C library's <malloc.h>.
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
    """How much processor time its control groups grant a process in a second (Linux), else infinity."""
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
    """The folders of this process's control group and of those around it; a limit of any of them holds."""
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
    """An amount of memory of this process, in bytes, as Linux tells it."""
    try:
        with open(f"{PROC}/self/status", "rb") as file:
            return int(next(line for line in file if line.startswith(field)).split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):  # another system
        return None


def held_memory() -> int:
    """The memory this process holds, in bytes; the most it has held where the system does not tell."""
    held = _status(b"VmRSS:")
    return peak_memory() if held is None else held


def peak_memory() -> int:
    """The most memory this process has held, in bytes; 0 where the system does not tell."""
    peak = _status(b"VmHWM:")  # what the resource module says on Linux can be that of the parent process
    if peak is not None:
        return peak
    if resource is None:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def keep_freed_memory(n_bytes: int) -> None:
    """Have the C library keep freed blocks of up to `n_bytes`, twice as much in all per thread, for what comes next.

    glibc gives blocks of 128 kB and more back at once, and the system clears each page of the next one anew: a fifth of
    the time of work that goes through megabytes again and again. Other libraries stay as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    mallopt(M_MMAP_THRESHOLD, n_bytes)
    mallopt(M_TRIM_THRESHOLD, 2 * n_bytes)


def return_freed_memory() -> None:
    """Have the C library give the system what it keeps of freed memory, where it can be asked (glibc)."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        return
    trim(0)


def memory_of_machine() -> int | None:
    """Bytes that this process may hold at most: what its container allows, else what the machine has; None: unknown."""
    limits: list[int] = []
    for folder in _control_groups():
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):  # no limit, or "max"
                limits += map(int, _words(f"{folder}/{name}"))
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not every system tells
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)
