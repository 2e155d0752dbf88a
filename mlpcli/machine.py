"""What the machine offers to this process."""

import contextlib
import ctypes
import os
import sys

try:
    import resource
except ImportError:  # Windows has no such module
    resource = None  # type: ignore[assignment]

# Of the C library's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> int:
    """The most memory this process has held, in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/status", "rb") as file:
            # What the resource module says on Linux can be that of the process that started this one.
            peak = next(line for line in file if line.startswith(b"VmHWM:"))
        return int(peak.split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):  # another system
        pass
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
    limits = []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:
                limits.append(int(file.read()))
        except (OSError, ValueError):  # no container, or "max"
            continue
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not every system tells
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)
