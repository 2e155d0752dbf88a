"""Greedy selection: properties of the counts, and an independent implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.evaluation.selection import greedy_counts


def squared(y):
    return lambda mean: float(np.square(mean - y).mean())


def members(seed, k=5, n_rows=30):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n_rows, 1))
    return y, y + rng.normal(size=(k, n_rows, 1)) * rng.uniform(0.2, 2.0, (k, 1, 1))


def mean_of(outputs, counts):
    return np.average(outputs, axis=0, weights=counts)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_the_mean_is_never_worse_than_the_best_member(seed, k):
    y, outputs = members(seed, k)
    loss = squared(y)
    counts = greedy_counts(outputs, loss)
    assert len(counts) == k
    assert np.gcd.reduce(counts) == 1
    assert loss(mean_of(outputs, counts)) <= min(map(loss, outputs)) * (1 + 1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_the_counts_are_those_of_trying_every_member_at_every_step(seed):
    y, outputs = members(seed)
    loss, taken, passed = squared(y), [], []
    for _ in range(12):
        taken.append(min(range(5), key=lambda member: loss(outputs[[*taken, member]].mean(axis=0))))
        passed.append((loss(outputs[taken].mean(axis=0)), list(taken)))
    best = min(passed, key=lambda step: step[0])[1]
    counts = np.bincount(best, minlength=5)
    assert greedy_counts(outputs, loss, steps=12) == tuple((counts // np.gcd.reduce(counts)).tolist())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(5)))
def test_the_order_of_the_members_does_not_matter(seed, order):
    y, outputs = members(seed)
    counts = greedy_counts(outputs, squared(y))
    assert greedy_counts(outputs[list(order)], squared(y)) == tuple(counts[index] for index in order)


def test_two_members_with_opposite_errors_are_weighted_so_that_these_cancel():
    y = np.zeros((4, 1))
    outputs = np.stack([y + 1.0, y - 3.0, y + 9.0])
    assert greedy_counts(outputs, squared(y)) == (3, 1, 0)


def test_a_member_without_finite_loss_is_left_out():
    y, outputs = members(3, k=3)
    outputs[1] = np.nan
    counts = greedy_counts(outputs, squared(y))
    assert counts[1] == 0
    assert greedy_counts(outputs[[0, 2]], squared(y)) == (counts[0], counts[2])


@pytest.mark.parametrize("k", [1, 4])
def test_of_equal_members_only_the_first_is_selected(k):
    y = np.arange(6.0)[:, None]
    assert greedy_counts(np.stack([y + 0.5] * k), squared(y)) == (1, *(0,) * (k - 1))
