"""Threads that take the parts of a step."""

import threading

import numpy as np
import pytest

from mlpcli.errors import MlpError
from mlpcli.training.crew import Crew


def test_every_part_is_done_once_before_run_ends():
    done = []
    with Crew(3) as crew:
        for _ in range(50):
            done.clear()
            crew.run(done.append)
            assert sorted(done) == [0, 1, 2]


def test_parts_are_done_at_the_same_time():
    together = threading.Barrier(3, timeout=30)
    with Crew(3) as crew:
        crew.run(lambda _place: together.wait())


def test_no_thread_is_left_behind():
    before = threading.active_count()
    with Crew(4) as crew:
        crew.run(lambda _place: None)
    assert threading.active_count() == before


def members_of_the_crew():
    return [thread for thread in threading.enumerate() if thread.name.startswith("step-")]


def test_an_interrupt_between_two_parts_leaves_no_thread_behind():
    """Ctrl-C can come when some of the others have begun and some have not."""
    crew = Crew(3)
    first, second = crew._others

    def is_interrupted():
        with crew:
            first.todo.put(lambda _place: None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        is_interrupted()
    assert not members_of_the_crew()
    assert first.ended.get_nowait() is None
    assert second.ended.empty()


def test_a_thread_that_cannot_be_started_ends_those_that_were(monkeypatch):
    start, started = threading.Thread.start, []

    def refuse_the_third(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_the_third)
    with pytest.raises(MlpError, match=r"no more than 3 threads: lower training\.threads"), Crew(5):
        pass
    assert len(started) == 2
    assert not members_of_the_crew()


@pytest.mark.parametrize("guilty", [0, 1, 2])
def test_what_a_part_raises_is_raised_when_all_are_through(guilty):
    done = []

    def work(place):
        if place == guilty:
            raise ValueError(place)
        done.append(place)

    with pytest.raises(ValueError, match=str(guilty)), Crew(3) as crew:
        crew.run(work)
    assert len(done) == 2


def test_numbers_out_of_range_are_no_matter_in_another_thread():
    with np.errstate(all="ignore"), Crew(2) as crew:
        crew.run(lambda _place: np.float32(1e38) * np.float32(10.0))
