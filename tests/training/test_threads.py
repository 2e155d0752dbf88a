"""How many threads the matrix products get."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from mlpcli.machine import available_cores
from mlpcli.training import threads
from mlpcli.training.threads import MEMBER_WORTH_A_THREAD, blas_threads, choose_threads, member_threads, step_work
from tests.training.staging import network


def blas_pools():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 8)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((7, 64, 64, 3), 1), ((784, 30, 10), 8), ((10, 100, 100, 10), 8), ((10, 85, 85, 10), 1)],
)
def test_rows_are_scored_on_all_cores_only_where_products_are_large(sizes, expected):
    assert choose_threads(sizes) == expected


@pytest.mark.usefixtures("eight_cores")
def test_members_are_trained_beside_each_other_where_a_step_is_worth_a_thread():
    assert member_threads(5, MEMBER_WORTH_A_THREAD) == 5
    assert member_threads(5, MEMBER_WORTH_A_THREAD - 1) == 1
    assert member_threads(20, MEMBER_WORTH_A_THREAD) == 8


def test_the_work_of_a_step_is_three_products_for_each_weight_and_row():
    assert step_work(network(7, n_in=5, n_out=2), 10) == 10 * 3 * (5 * 7 + 7 * 2)


def test_there_is_at_least_one_core():
    assert available_cores() >= 1


def test_the_limit_holds_within_the_context_and_ends_with_it():
    np.ones((4, 4)) @ np.ones((4, 4))
    before = blas_pools()
    with blas_threads(1):
        assert set(blas_pools()) <= {1}
    assert blas_pools() == before
