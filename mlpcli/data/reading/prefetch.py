"""Prefetch: process items in threads and in the calling one; results in order, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mlpcli.errors import DataError
from mlpcli.machine import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_THREADS = 4  # the item of each thread is in memory


def prefetch_map(function: Callable[[Item], Result], items: Iterable[Item], n_waiting: int = 1) -> Iterator[Result]:
    """Yield `function(item)` in order; at most `n_waiting` items more than threads are in progress.

    `items` are consumed in the calling thread, which is one of the threads: instead of waiting for a result, it
    processes the next item that no other thread has begun. A DataError raised by `items` is raised again after the
    results before it. Closing the iterator early ends the threads.
    """
    n_threads = min(available_cores(), MAX_THREADS)
    if n_threads == 1:
        yield from map(function, items)
        return
    waiting: deque[tuple[Future[Result], Item]] = deque()
    source, failure, is_done = iter(items), None, False
    pool = ThreadPoolExecutor(n_threads - 1)
    try:
        while True:
            while not is_done and len(waiting) < n_threads + n_waiting:
                try:
                    item = next(source)
                    waiting.append((pool.submit(function, item), item))
                except StopIteration:
                    is_done = True
                except DataError as error:
                    failure, is_done = error, True
            if not waiting:
                break
            while not waiting[0][0].done():
                index = next((index for index, (future, _) in enumerate(waiting) if future.cancel()), None)
                if index is None:
                    break
                waiting[index] = (_finished(function, waiting[index][1]), waiting[index][1])
            yield waiting.popleft()[0].result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _finished(function: Callable[[Item], Result], item: Item) -> Future[Result]:
    """The result or the error of a function, as of a thread that has ended."""
    future: Future[Result] = Future()
    try:
        future.set_result(function(item))
    except Exception as error:
        future.set_exception(error)
    return future
