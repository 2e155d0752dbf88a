"""Threads that share a step: who does what, and how they wait for each other."""

from numba import njit

from mlpcli.extras.loops.arguments import LINE
from mlpcli.extras.loops.intrinsics import atomic_add, atomic_load, call_nap

MOST_SPINS = 10_000  # some 30 us


@njit
def part_of(n, place, n_threads):
    """Where the part of `n` things begins and ends that is a thread's; `training.neurons.parts_of` has them all."""
    return n * place // n_threads, n * (place + 1) // n_threads


@njit(error_model="numpy")
def meet(team):
    """Wait until all threads are here; whether they go on.

    Spinning is for the moment that others take on cores of their own; where they have none, it would keep them from it.
    """
    if team.n_threads == 1:
        return True
    wanted = (atomic_add(team.meeting, 0, 1) // team.n_threads + 1) * team.n_threads
    spins = 0
    while atomic_load(team.meeting, 0) < wanted:
        if atomic_load(team.meeting, LINE):
            return False
        spins += 1
        if spins > MOST_SPINS:
            call_nap(team.nap.address, team.nap.duration)
    return True
