"""What the machine offers to this process."""

import ctypes
import os
import sys
from contextlib import suppress


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def return_free_memory() -> None:
    """Give memory that was freed back to the system, where the C library keeps it and can be asked (glibc)."""
    if sys.platform != "linux":
        return
    with suppress(AttributeError):  # musl has no such function
        ctypes.CDLL(None).malloc_trim(0)
