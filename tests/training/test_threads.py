"""How many threads the matrix products get."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from mlpcli.machine import available_cores
from mlpcli.nn.network import Network
from mlpcli.training import threads
from mlpcli.training.threads import (
    PRODUCT_WORTH_THREADS,
    STEP_WORTH_THREADS,
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
def test_the_number_asked_for_is_used_whatever_the_size():
    assert choose_threads(3, (2, 2), 1) == 3
    assert choose_threads(1, (4096, 4096), 512) == 1


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("sizes", "batch_size", "expected"),
    [
        ((7, 64, 64, 3), 32, 1),
        ((784, 30, 10), 10, 1),
        ((784, 1024, 10), 128, 8),
        ((10, 1000, 1000, 10), 32, 8),
        ((10, 10), PRODUCT_WORTH_THREADS // 100, 8),
        ((10, 10), PRODUCT_WORTH_THREADS // 100 - 1, 1),
    ],
)
def test_auto_takes_all_cores_only_for_large_products(sizes, batch_size, expected):
    assert choose_threads("auto", sizes, batch_size) == expected


def network(*sizes, members=1):
    return Network(sizes, "relu", "softmax", members=members)


@pytest.mark.usefixtures("eight_cores")
def test_a_training_shares_its_members_or_its_steps_where_these_are_large():
    assert training_threads("auto", network(4, 16, 3), 32) == 1
    assert training_threads("auto", network(784, 1024, 1024, 10), 128) == 8
    assert training_threads("auto", network(4, 16, 3, members=5), 32) == 5
    assert training_threads("auto", network(10, 10), STEP_WORTH_THREADS // 200) == 8
    assert training_threads("auto", network(10, 10), STEP_WORTH_THREADS // 200 - 1) == 1
    assert training_threads(3, network(4, 16, 3), 32) == 3


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
