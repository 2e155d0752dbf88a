"""Threads that take the parts of a step."""

import threading

import numpy as np
import pytest

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
