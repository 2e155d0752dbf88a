"""Prefetch: process items in threads while the caller is busy; results in order, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mlpcli.errors import DataError
from mlpcli.machine import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_THREADS = 4  # the item of each thread is in memory


def prefetch_map(function: Callable[[Item], Result], items: Iterable[Item], n_waiting: int = 2) -> Iterator[Result]:
    """Yield `function(item)` in order; at most `n_waiting` items more than threads are in progress.

    `items` are consumed in the calling thread, so that Ctrl-C interrupts a wait for them. A DataError raised by `items`
    is raised again after the results before it. Closing the iterator early ends the threads.
    """
    waiting: deque[Future[Result]] = deque()
    n_threads = min(available_cores(), MAX_THREADS)
    source, failure, is_done = iter(items), None, False
    pool = ThreadPoolExecutor(n_threads)
    try:
        while True:
            while not is_done and len(waiting) < n_threads + n_waiting:
                try:
                    waiting.append(pool.submit(function, next(source)))
                except StopIteration:
                    is_done = True
                except DataError as error:
                    failure, is_done = error, True
            if not waiting:
                break
            yield waiting.popleft().result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
