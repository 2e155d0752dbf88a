"""Permutation importance, compared with scikit-learn."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import permutation_importance as sklearn_importance

from mlpcli.evaluation.uncertainty.paired import Truth
from mlpcli.explain.importance import Scorer, permutation_importance

ALL = {(name,): np.array([index]) for index, name in enumerate("abc")}


class Linear(RegressorMixin, BaseEstimator):
    """Rows with y = 2 a + b; c has no effect."""

    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return 2 * X[:, 0] + X[:, 1]


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, (2 * X[:, 0] + X[:, 1] + rng.normal(size=n))[:, None]


def scorer(y, metric="rmse", **options):
    return Scorer(lambda X: Linear().predict(X)[:, None], Truth("regression", y, ["y"]), metric, **options)


def test_the_importance_agrees_with_scikit_learn():
    X, y = rows(2000)
    found = permutation_importance(scorer(y), X, ALL, 20, np.random.default_rng(0))
    theirs = sklearn_importance(
        Linear().fit(X, y), X, y[:, 0], scoring="neg_root_mean_squared_error", n_repeats=20, random_state=0
    )
    assert [one.columns for one in found] == [("a",), ("b",), ("c",)]
    for one, mean, deviation in zip(found, theirs.importances_mean, theirs.importances_std, strict=True):
        assert one.loss == pytest.approx(mean, abs=max(4 * deviation / np.sqrt(10), 1e-12))


@pytest.mark.parametrize(("metric", "sign"), [("rmse", 1), ("r2", 1), ("mae", 1)])
def test_a_useful_column_has_a_positive_importance_for_scores_and_losses(metric, sign):
    X, y = rows(500)
    first = permutation_importance(scorer(y, metric), X, ALL, 2, np.random.default_rng(0))[0]
    assert first.columns == ("a",)
    assert 0 < first.low < first.loss < first.high


def test_a_column_that_the_model_ignores_has_no_importance():
    X, y = rows(300)
    found = permutation_importance(scorer(y), X, ALL, 3, np.random.default_rng(0))
    (idle,) = [one for one in found if one.columns == ("c",)]
    assert (idle.loss, idle.low, idle.high) == (0.0, 0.0, 0.0)


def test_the_interval_covers_the_expected_loss_as_often_as_stated():
    """Shuffling a, which is N(0, 1), adds 2 * 4 to a mean squared error of 1."""
    truth = 3.0 - 1.0
    held = 0
    for seed in range(200):
        X, y = rows(200, seed)
        (found,) = permutation_importance(scorer(y), X, {("a",): np.array([0])}, 1, np.random.default_rng(seed))
        held += found.low <= truth <= found.high
    assert held >= 0.91 * 200


def test_the_inputs_are_restored_even_if_the_model_fails():
    X, y = rows(50)
    before = X.copy()
    permutation_importance(scorer(y), X, ALL, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(X, before)
    calls = iter([False, True])

    def predict(given):
        if next(calls):
            raise ZeroDivisionError
        return Linear().predict(given)[:, None]

    with pytest.raises(ZeroDivisionError):
        permutation_importance(
            Scorer(predict, Truth("regression", y, ["y"]), "rmse"), X, ALL, 1, np.random.default_rng(0)
        )
    np.testing.assert_array_equal(X, before)


def test_every_column_is_shuffled_once_before_any_is_shuffled_again():
    X, y = rows(50)
    asked = iter(range(100))
    found = permutation_importance(scorer(y), X, ALL, 5, np.random.default_rng(0), lambda: next(asked) >= 4)
    assert sorted(one.repeats for one in found) == [1, 1, 2]
    asked = iter(range(100))
    found = permutation_importance(scorer(y), X, ALL, 5, np.random.default_rng(0), lambda: next(asked) >= 2)
    assert len(found) == 2


def test_cells_are_drawn_in_proportion_to_the_weights_of_their_rows():
    """Half of the rows have almost no weight, and only these have cells of a other than 0."""
    X, y = rows(400)
    weights = np.where(np.arange(400) % 2, 1.0, 1e-9)
    X[weights == 1.0, 0] = 0.0
    scorer = Scorer(lambda X: Linear().predict(X)[:, None], Truth("regression", y, ["y"], weights), "rmse")
    found = permutation_importance(scorer, X, {("a",): np.array([0])}, 3, np.random.default_rng(0))
    assert found[0].loss == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("weights", [np.ones(600), np.linspace(0.5, 3.0, 600)])
def test_equal_weights_give_about_the_importance_of_no_weights(weights):
    X, y = rows(600)
    alone = permutation_importance(scorer(y), X, ALL, 20, np.random.default_rng(0))
    weighted = Scorer(lambda X: Linear().predict(X)[:, None], Truth("regression", y, ["y"], weights), "rmse")
    for one, other in zip(alone, permutation_importance(weighted, X, ALL, 20, np.random.default_rng(0)), strict=True):
        assert one.loss == pytest.approx(other.loss, rel=0.1)


def test_a_row_never_takes_its_own_cells():
    weights = np.array([1e30, 1.0, 5.0, 1e-30, 2.0, 3.0])
    X = np.arange(6.0)[:, None]
    taken = []

    def predict(given):
        taken.append(given[:, 0].copy())
        return given

    scorer = Scorer(predict, Truth("regression", np.zeros((6, 1)), ["y"], weights), "rmse")
    permutation_importance(scorer, X, {("a",): np.array([0])}, 50, np.random.default_rng(0))
    assert (np.stack(taken[1:])[:, 1:] != X[1:, 0]).all()
