"""Temporary columns on disk: read as they were written, without a name, and watched for as long as they are used."""

import gc
import mmap
import os
import threading
import time
import weakref
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data import store
from mlpcli.data.store import PAGE_WATCHER, MappedFile, SpillFile, align_up
from mlpcli.errors import OutputError

NUMBERS = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=50)


@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_spilled_segments_are_read_as_one_array(arrays):
    with closing(SpillFile(None)) as file:
        segments = [file.append(np.asarray(values)) for values in arrays]
        np.testing.assert_array_equal(file.read(segments, np.dtype(np.int64)), np.concatenate(arrays))


@given(NUMBERS, st.randoms())
def test_a_mapped_array_holds_what_was_written_in_the_order_given(numbers, random):
    values, order = np.asarray(numbers), list(range(len(numbers)))
    random.shuffle(order)
    file = MappedFile(None, 3 * align_up(values.nbytes))
    straight, mixed = file.write(values), file.write(values, np.asarray(order))
    selected = file.write(values, np.asarray(order[: len(order) // 2], np.int64))
    file.close()
    PAGE_WATCHER.release()
    np.testing.assert_array_equal(straight, values)
    np.testing.assert_array_equal(mixed, values[order])
    np.testing.assert_array_equal(selected, values[order[: len(order) // 2]])


def test_a_temporary_file_has_no_name(tmp_path):
    X = MappedFile(str(tmp_path), 80).array((2, 5), np.float64)
    X[:] = 1.5
    assert list(tmp_path.iterdir()) == []
    assert X.sum() == 15.0


def test_bytes_missing_at_the_end_of_a_file_are_never_invented():
    with open(os.devnull, "rb", buffering=0) as file, pytest.raises(EOFError, match="16 bytes are missing"):
        store.read_all(file, np.empty(2))


def test_a_full_disk_is_an_error_of_one_sentence(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", refuse, raising=False)
    with pytest.raises(
        OutputError, match=r"not enough space for 5\.0 GB of temporary data \(No space left on device\)"
    ):
        MappedFile(str(tmp_path), 5_000_000_000)


def test_a_file_can_be_added_while_all_are_released():
    watch, late = store._PageWatcher(), []

    class Crowded(weakref.WeakSet):
        """Between two files another thread adds one, if nothing keeps it from that."""

        def __iter__(self):
            for file in super().__iter__():
                yield file
                if watch._lock.acquire(blocking=False):
                    watch._lock.release()
                    late.append(mmap.mmap(-1, 80))
                    watch.add(late[-1])

    watch._files, watch._thread = Crowded(), threading.current_thread()  # nobody else releases
    files = [mmap.mmap(-1, 80) for _ in range(3)]
    for file in files:
        watch.add(file)
    watch.release()
    assert len(watch._files) == len(files) + len(late)


def test_a_watch_that_ended_in_a_fault_begins_anew_with_the_next_file():
    watch = store._PageWatcher()
    watch._thread = ended = threading.Thread()
    file = mmap.mmap(-1, 80)
    watch.add(file)
    thread = watch._thread
    del file
    gc.collect()
    if thread is not ended:
        thread.join()
    assert (thread is ended) == (not os.path.exists("/proc/self/statm"))


def test_the_watching_thread_ends_when_no_file_is_mapped(monkeypatch):
    monkeypatch.setattr(store, "POLL_SECONDS", 0.001)
    X = MappedFile(None, 80).array((10,), np.float64)
    watchers = [thread for thread in threading.enumerate() if thread.name == "mapped-pages"]
    del X
    gc.collect()
    until = time.monotonic() + 30
    while any(thread.is_alive() for thread in watchers) and time.monotonic() < until:
        time.sleep(0.001)
    assert not any(thread.is_alive() for thread in watchers)
    held = MappedFile(None, 80).array((10,), np.float64)
    assert held.size == 10
    assert (PAGE_WATCHER._thread is None) == (not watchers)
