"""Validation scores of members: of the mean of their outputs, on folds of those that have not seen a row."""

import numpy as np
import pytest

from mlpcli.nn.groups import member_of
from mlpcli.nn.initialization import initialize_members
from mlpcli.nn.losses import CrossEntropy
from mlpcli.nn.network import Network, predict
from mlpcli.training import scorer as scorer_module
from mlpcli.training.members import draw_folds
from mlpcli.training.samples import Samples
from mlpcli.training.scorer import Scorer

NETWORK = Network((3, 5, 2), "tanh", "softmax", members=4)
N_ROWS = 30


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    parameters = initialize_members(NETWORK, "auto", [np.random.default_rng(m) for m in range(4)], np.float64)
    X, codes = rng.normal(size=(N_ROWS, 3)), rng.integers(2, size=N_ROWS)
    weights = rng.uniform(0.2, 2.0, N_ROWS)
    samples = Samples(X, codes, np.eye(2), weights / weights.mean())
    each = np.stack([predict(NETWORK.member(m), member_of(NETWORK, parameters, m), X) for m in range(4)])
    return parameters, samples, each


def log_losses(outputs, samples):
    return -np.log(outputs[np.arange(N_ROWS), samples.y]) * samples.weights


def test_outputs_are_the_mean_of_the_members_and_the_loss_is_of_it(case):
    parameters, samples, each = case
    loss, outputs = Scorer(NETWORK, CrossEntropy(), samples).run(parameters)
    np.testing.assert_allclose(outputs, each.mean(axis=0), rtol=1e-12)
    assert loss == pytest.approx(log_losses(each.mean(axis=0), samples).mean(), rel=1e-12)


@pytest.mark.parametrize("block", [None, 1, 3])
@pytest.mark.parametrize("n_folds", [2, 4])
def test_on_folds_a_row_is_scored_by_the_members_that_leave_it_out_each_for_itself(case, n_folds, block, monkeypatch):
    parameters, samples, each = case
    if block:
        monkeypatch.setattr(scorer_module, "scoring_rows", lambda network, n_rows: block)
    folds = draw_folds(n_folds, samples.y, N_ROWS, seed=0)
    loss, outputs = Scorer(NETWORK, CrossEntropy(), samples, folds).run(parameters)
    assert outputs.shape == (4 // n_folds, N_ROWS, 2)
    for turn, own in enumerate(outputs):
        np.testing.assert_allclose(own, each[turn * n_folds + folds, np.arange(N_ROWS)], rtol=1e-12)
    assert loss == pytest.approx(np.mean([log_losses(own, samples) for own in outputs]), rel=1e-12)


def test_what_a_member_has_trained_on_does_not_reach_its_score(case):
    """Moving the members that trained on a row leaves its outputs as they are."""
    parameters, samples, _ = case
    folds = draw_folds(4, None, N_ROWS, seed=0)
    before = Scorer(NETWORK, CrossEntropy(), samples, folds).run(parameters)[1].copy()
    for tensor in parameters.tensors.values():
        tensor[1] += 1.0
    after = Scorer(NETWORK, CrossEntropy(), samples, folds).run(parameters)[1]
    moved = (before != after).any(axis=(0, 2))
    np.testing.assert_array_equal(moved, folds == 1)
