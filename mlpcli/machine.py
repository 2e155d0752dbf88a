"""What the machine offers to this process."""

import ctypes
import os

# Of the C library's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
