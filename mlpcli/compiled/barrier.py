"""Threads that share a step: who does what, and how they wait for each other."""

from numba import njit

from mlpcli.compiled.codes import INNER, LINE
from mlpcli.compiled.intrinsics import atomic_add, atomic_load, call_sleep

MOST_SPINS = 10_000  # some 30 us


@njit(**INNER)
def part_of(n, part, n_parts):
    """Where one of `n_parts` parts of `n` things begins and ends."""
    return n * part // n_parts, n * (part + 1) // n_parts


@njit(**INNER)
def wait_for_all(team):
    """A barrier; False once a thread has failed.

    Spinning is for the moment that others take on cores of their own; where they have none, it would keep them from it.
    """
    if team.n_threads == 1:
        return True
    wanted = (atomic_add(team.counters, 0, 1) // team.n_threads + 1) * team.n_threads
    spins = 0
    while atomic_load(team.counters, 0) < wanted:
        if atomic_load(team.counters, LINE):
            return False
        spins += 1
        if spins > MOST_SPINS:
            call_sleep(team.sleep.address, team.sleep.duration)
    return True
