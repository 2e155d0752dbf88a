"""Simulated rounds: what must hold whatever was measured."""

import numpy as np
import pytest

pytest.importorskip("distributed", reason="the extra cluster is not installed")

from benchmarks.scaling import WORKERS, Costs, Work, _costs, seconds_of_round, simulated

WORK = Work((10, 20, 3), 256)
GRADIENTS = {256 // n: 1.0 / n for n in (1, *WORKERS)}


def test_a_round_of_one_worker_is_its_work_and_a_message():
    assert seconds_of_round(np.array([2.0]), 0.5) == pytest.approx(2.5)


def test_a_round_is_as_long_as_its_slowest_worker_and_no_shorter_than_its_messages():
    assert seconds_of_round(np.array([1.0, 9.0, 1.0]), 0.0) == 9.0
    assert seconds_of_round(np.zeros(100), 0.5) == pytest.approx(50.0)


def test_without_costs_many_workers_are_as_many_times_as_fast():
    for n in WORKERS:
        found = simulated(WORK, Costs(0.0, (0.0,)), GRADIENTS, n)
        assert found["whole"] / found["sync"] == pytest.approx(n)
        assert found["local_steps"] == 1


def test_messages_bound_what_workers_can_bring():
    costs = Costs(0.01, (0.0,))
    many = simulated(WORK, costs, GRADIENTS, 256)
    assert many["sync"] > 2.5
    assert many["local_steps"] == 16
    assert many["local"] < many["sync"]


def test_costs_are_those_that_times_were_made_of():
    costs = _costs({n: [(0.005, 0.003 + 0.002 * n), (0.9, 0.9)] for n in (1, 2, 4, 8)})
    assert costs.per_message == pytest.approx(0.002)
    assert costs.latencies == pytest.approx((0.003,))
