"""Threads that share a step: division of work, and a barrier."""

from numba import njit

from mlpcli.compiled.codes import CACHE_LINE, INTERNAL
from mlpcli.compiled.intrinsics import atomic_add, atomic_load, call_sleep

MAX_SPINS = 10_000  # some 30 us


@njit(**INTERNAL)
def split_range(n, part, n_parts):
    """Start and stop of part `part` of `range(n)` split into `n_parts`."""
    return n * part // n_parts, n * (part + 1) // n_parts


@njit(**INTERNAL)
def wait_at_barrier(thread_group):
    """Wait for all threads; returns False if one of them has failed.

    Spins briefly, then yields its core between looks, so that threads without a core of their own can run. From a sleep
    it would wake up 50 to 100 us late.
    """
    if thread_group.n_threads == 1:
        return True
    wanted = (atomic_add(thread_group.counters, 0, 1) // thread_group.n_threads + 1) * thread_group.n_threads
    spins = 0
    while atomic_load(thread_group.counters, 0) < wanted:
        if atomic_load(thread_group.counters, CACHE_LINE):
            return False
        spins += 1
        if spins > MAX_SPINS:
            call_sleep(thread_group.sleep)
    return True
