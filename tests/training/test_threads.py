"""How many threads a training gets, and that their number changes no bit."""

from dataclasses import replace
from threading import enumerate as enumerate_threads

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from mlpcli.machine import available_cores
from mlpcli.training import threads
from mlpcli.training.dataset import Dataset
from mlpcli.training.member import Member, NumpyTrainer
from mlpcli.training.threads import (
    MIN_MEMBER_WORK,
    SharedProducts,
    blas_threads,
    member_threads,
    product_chunks,
    product_threads,
    step_work,
)
from tests.training.staging import SPEC, network


def blas_pools():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 8)


@pytest.mark.parametrize(("work", "expected"), [(0, 1), (49, 1), (50, 2), (74, 2), (100, 4), (199, 4), (10_000, 8)])
def test_a_product_is_cut_into_a_power_of_two_by_its_work_alone(monkeypatch, work, expected):
    monkeypatch.setattr(threads, "MIN_CHUNK_WORK", 25)
    assert product_chunks(work) == expected


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_a_shared_product_is_that_of_numpy_however_it_lies_in_memory(monkeypatch, n_threads):
    monkeypatch.setattr(threads, "MIN_CHUNK_WORK", 100)
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(11, 7)), rng.normal(size=(7, 13))
    with SharedProducts(n_threads) as matmul:
        for out in (np.empty((11, 13)), np.empty((13, 11)).T):
            for left, right in ((A, B), (np.asfortranarray(A), B), (A, np.asfortranarray(B))):
                assert matmul(left, right, out=out) is out
                np.testing.assert_allclose(out, A @ B, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_number_of_threads_changes_no_bit_of_a_large_network(dtype):
    """Products of 50 million multiply-adds and more, which BLAS's own threads would sum in another order."""
    X = np.random.default_rng(0).normal(size=(256, 600)).astype(dtype)
    data = Dataset(X, (X[:, 0] > 0).astype(np.int8), np.eye(2, dtype=dtype))
    member, found = Member(0, network(500, 400, n_in=600), 256), set()
    spec = replace(SPEC, batch_size=256)
    assert product_threads(member.network, 256) > 1
    with blas_threads(1):
        for n_threads in (1, 2, 3):
            state = member.init(spec, np.dtype(dtype), None)
            NumpyTrainer(member, data, spec, state, n_threads).run(0, lambda: False)
            found.add(state.flat.tobytes())
    assert len(found) == 1


def test_what_fails_in_a_thread_is_raised_and_the_pool_ends():
    with SharedProducts(2) as matmul, pytest.raises(ValueError, match="core dimension"):
        matmul._multiply_all([(np.ones((2, 3)), np.ones((3, 2)), np.empty((2, 2)))] * 3 + [(np.ones((2, 3)),) * 3] * 3)
    assert not [thread for thread in enumerate_threads() if thread.name.startswith("product")]


@pytest.mark.usefixtures("eight_cores")
def test_members_are_trained_beside_each_other_where_a_step_is_worth_a_thread():
    assert member_threads(5, MIN_MEMBER_WORK) == 5
    assert member_threads(5, MIN_MEMBER_WORK - 1) == 1
    assert member_threads(20, MIN_MEMBER_WORK) == 8


def test_the_work_of_a_step_is_three_products_for_each_weight_and_row():
    assert step_work(network(7, n_in=5, n_out=2), 10) == 10 * 3 * (5 * 7 + 7 * 2)


def test_there_is_at_least_one_core():
    assert available_cores() >= 1


def test_the_limit_holds_within_the_context_and_ends_with_it():
    np.ones((4, 4)) @ np.ones((4, 4))
    threads.blas_libraries.cache_clear()  # other tests may have loaded more of them since
    before = blas_pools()
    with blas_threads(1):
        assert set(blas_pools()) <= {1}
    assert blas_pools() == before
