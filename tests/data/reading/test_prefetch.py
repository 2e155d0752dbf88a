import threading

import pytest

from mlpcli.data.reading.prefetch import MAX_THREADS, prefetch_map
from mlpcli.errors import DataError


def test_results_come_in_the_order_of_the_items():
    assert list(prefetch_map(lambda item: item * item, range(100))) == [item * item for item in range(100)]


def test_an_error_among_the_items_is_raised_behind_the_results_before_it():
    def items():
        yield 1
        raise DataError("t.csv:2: no")

    results = prefetch_map(str, items())
    assert next(results) == "1"
    with pytest.raises(DataError, match=r"^t\.csv:2: no$"):
        next(results)


def test_few_items_are_taken_ahead_and_no_thread_stays_behind():
    consumed, n_threads = [], threading.active_count()
    results = prefetch_map(lambda item: item, (consumed.append(item) or item for item in range(100)))
    next(results)
    assert len(consumed) <= MAX_THREADS + 2
    results.close()
    assert threading.active_count() == n_threads
