"""How many threads the matrix products get."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from mlpcli.machine import available_cores
from mlpcli.nn.network import Network
from mlpcli.training import threads
from mlpcli.training.threads import (
    SHARE_WORTH_A_THREAD,
    blas_threads,
    choose_threads,
    step_work,
    training_threads,
)


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


def network(*sizes, members=1):
    return Network(sizes, "relu", "softmax", members=members)


@pytest.mark.usefixtures("eight_cores")
def test_a_training_shares_its_members_or_its_steps_where_these_are_large():
    assert training_threads("auto", network(4, 16, 3), 32) == 1
    assert training_threads("auto", network(784, 1024, 1024, 10), 256) == 8
    assert training_threads("auto", network(20, 128, 128, 3, members=5), 64) == 5
    assert training_threads("auto", network(4, 16, 3, members=5), 32) == 1
    assert training_threads(3, network(4, 16, 3), 32) == 3


@pytest.mark.usefixtures("eight_cores")
def test_each_thread_that_shares_a_step_has_enough_work_and_enough_rows():
    batch = 2 * SHARE_WORTH_A_THREAD // 200
    assert training_threads("auto", network(10, 10), batch) == 2
    assert training_threads("auto", network(10, 10), batch - 1) == 1
    assert training_threads("auto", network(784, 1024, 1024, 10), 128) == 4
    assert training_threads("auto", network(784, 1024, 1024, 10), 1024) == 8
    assert training_threads("auto", network(4096, 4096, 4096), 40) == 1


def test_the_work_of_a_step_is_that_of_its_matrix_products():
    """Forward once, backward twice, less the gradient of the inputs."""
    assert step_work(network(5, 7, 2), 10) == 10 * (2 * 5 * 7 + 3 * 7 * 2)


def test_there_is_at_least_one_core():
    assert available_cores() >= 1


def test_the_limit_holds_within_the_context_and_ends_with_it():
    np.ones((4, 4)) @ np.ones((4, 4))
    before = blas_pools()
    with blas_threads(1):
        assert set(blas_pools()) <= {1}
    assert blas_pools() == before
