import ctypes

import pytest

from mlpcli import machine


def test_there_is_at_least_one_core():
    assert machine.available_cores() >= 1


def test_freed_memory_is_kept_up_to_the_size_of_a_block_and_twice_that_in_all(monkeypatch):
    asked = []

    class Library:
        def __init__(self, name):
            assert name is None

        def mallopt(self, option, value):
            asked.append((option, value))

    monkeypatch.setattr(ctypes, "CDLL", Library)
    machine.keep_freed_memory(1000)
    assert asked == [(-3, 1000), (-1, 2000)]


@pytest.mark.parametrize("fault", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_as_it_is(monkeypatch, fault):
    def fails(_name):
        raise fault

    monkeypatch.setattr(ctypes, "CDLL", fails)
    machine.keep_freed_memory(1000)
