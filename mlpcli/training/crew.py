"""Threads that take the parts of a step at the same time and sleep in between.

A part begins within some 5 µs, as quick as Python lets a thread be woken, and who waits costs no processor time: on a
busy machine a step takes longer, but not many times longer, as it does where threads wait by spinning.
"""

from collections.abc import Callable
from threading import Lock, Thread
from types import TracebackType

import numpy as np


class Crew:
    """The caller's thread and `n` - 1 others; these live within the context."""

    def __init__(self, n: int) -> None:
        self._others = [_Other(place) for place in range(1, n)]

    def __enter__(self) -> "Crew":
        for other in self._others:
            other.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        for other in self._others:
            other.begin(None)
        for other in self._others:
            other.thread.join()

    def run(self, work: Callable[[int], None]) -> None:
        """`work(0)` here and `work(1)`, `work(2)`, ... in the others, to the end of all; raises what one raised."""
        for other in self._others:
            other.begin(work)
        try:
            work(0)
        finally:
            for other in self._others:
                other.ended.acquire()
        for other in self._others:
            if other.fault is not None:
                raise other.fault


class _Other:
    """One thread beside the caller's: a lock that it waits for to begin, and one that it opens at the end."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.fault: BaseException | None = None
        self.ended, self._begun = Lock(), Lock()
        self.ended.acquire()
        self._begun.acquire()
        self._work: Callable[[int], None] | None = None
        self.thread = Thread(target=self._serve, name=f"step-{place}", daemon=True)

    def begin(self, work: Callable[[int], None] | None) -> None:
        """Let it do `work`, or end with None."""
        self._work = work
        self._begun.release()

    def _serve(self) -> None:
        with np.errstate(all="ignore"):  # the caller's choice does not reach another thread
            while True:
                self._begun.acquire()
                if self._work is None:
                    return
                try:
                    self._work(self.place)
                except BaseException as fault:  # the caller's to raise
                    self.fault = fault
                self.ended.release()
