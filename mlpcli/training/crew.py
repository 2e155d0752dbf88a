"""Threads that take the parts of a step at the same time and sleep in between.

A part begins within some 5 µs, as quick as Python lets a thread be woken, and who waits costs no processor time: on a
busy machine a step takes longer, but not many times longer, as it does where threads wait by spinning.
"""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from types import TracebackType

import numpy as np

from mlpcli.errors import MlpError

Work = Callable[[int], None]


class Crew:
    """The caller's thread and `n` - 1 others; these live within the context, which what a part raises must end."""

    def __init__(self, n: int) -> None:
        self._others = [_Other(place) for place in range(1, n)]

    def __enter__(self) -> "Crew":
        for number, other in enumerate(self._others):
            try:
                other.thread.start()
            except RuntimeError as error:
                self._end(self._others[:number])
                raise MlpError(f"the system gives no more than {number + 1} threads: lower training.threads") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._end(self._others)

    def run(self, work: Work) -> None:
        """`work(0)` here and `work(1)`, `work(2)`, ... in the others, to the end of all; raises what one raised."""
        for other in self._others:
            other.todo.put(work)
        work(0)
        faults = [other.ended.get() for other in self._others]
        for fault in faults:
            if fault is not None:
                raise fault

    @staticmethod
    def _end(others: "list[_Other]") -> None:
        """Let them end what they have begun; that holds wherever in `run` Ctrl-C came."""
        for other in others:
            other.todo.put(None)
        for other in others:
            other.thread.join()


class _Other:
    """One thread beside the caller's: what it is to do, None for nothing more, and how each part ended."""

    def __init__(self, place: int) -> None:
        self.todo: SimpleQueue[Work | None] = SimpleQueue()
        self.ended: SimpleQueue[BaseException | None] = SimpleQueue()
        self.thread = Thread(target=self._serve, args=(place,), name=f"step-{place}", daemon=True)

    def _serve(self, place: int) -> None:
        with np.errstate(all="ignore"):  # the caller's choice does not reach another thread
            while (work := self.todo.get()) is not None:
                try:
                    work(place)
                except BaseException as fault:  # the caller's to raise
                    self.ended.put(fault)
                else:
                    self.ended.put(None)
