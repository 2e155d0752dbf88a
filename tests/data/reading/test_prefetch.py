import threading

import pytest

from mlpcli.data.reading import prefetch
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


def test_the_calling_thread_processes_an_item_instead_of_waiting(monkeypatch):
    monkeypatch.setattr(prefetch, "available_cores", lambda: 2)
    is_second_done = threading.Event()

    def wait_for_second(item):
        if item == 0:
            assert is_second_done.wait(10)
        elif item == 1:
            is_second_done.set()
        return item, threading.current_thread() is threading.main_thread()

    assert list(prefetch_map(wait_for_second, range(3)))[:2] == [(0, False), (1, True)]


def test_an_error_of_an_item_is_raised_behind_the_results_before_it_whoever_processes_it(monkeypatch):
    monkeypatch.setattr(prefetch, "available_cores", lambda: 2)
    is_second_begun = threading.Event()

    def fail_at_second(item):
        if item == 0:
            assert is_second_begun.wait(10)
            return item
        is_second_begun.set()
        raise DataError("t.csv:2: no")

    results = prefetch_map(fail_at_second, range(3))
    assert next(results) == 0
    with pytest.raises(DataError, match=r"^t\.csv:2: no$"):
        next(results)


def test_one_core_starts_no_thread(monkeypatch):
    monkeypatch.setattr(prefetch, "available_cores", lambda: 1)
    assert {*prefetch_map(lambda item: threading.get_ident(), range(3))} == {threading.get_ident()}
