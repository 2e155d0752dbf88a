import threading

import pytest

from mlpcli.data.reading.prefetch import MOST_THREADS, mapped_ahead
from mlpcli.errors import DataError


def test_results_come_in_the_order_of_the_items():
    assert list(mapped_ahead(lambda item: item * item, range(100))) == [item * item for item in range(100)]


def test_an_error_among_the_items_is_raised_behind_the_results_before_it():
    def items():
        yield 1
        raise DataError("t.csv:2: no")

    results = mapped_ahead(str, items())
    assert next(results) == "1"
    with pytest.raises(DataError, match=r"^t\.csv:2: no$"):
        next(results)


def test_few_items_are_taken_ahead_and_no_thread_stays_behind():
    taken, n_threads = [], threading.active_count()
    results = mapped_ahead(lambda item: item, (taken.append(item) or item for item in range(100)))
    next(results)
    assert len(taken) <= MOST_THREADS + 2
    results.close()
    assert threading.active_count() == n_threads
