import numpy as np
import pytest

from mlpcli.evaluation.metrics.constant import constant_classes, constant_numbers, constant_yes_no
from mlpcli.evaluation.metrics.scores import score, score_numbers


def test_the_constant_for_classes_is_the_fraction_of_each_class():
    y = np.array([0, 0, 2, 0])
    assert constant_classes(y, 4).tolist() == [0.75, 0.0, 0.25, 0.0]
    assert constant_classes(y, 4, np.array([1.0, 0.0, 2.0, 1.0])).tolist() == [0.5, 0.0, 0.5, 0.0]


def test_no_other_constant_has_a_smaller_log_loss():
    y = np.array([0, 1, 1, 2, 2, 2])
    weights = np.array([1.0, 2.0, 0.5, 1.0, 1.0, 3.0])
    best = constant_classes(y, 3, weights)

    def loss_of(shares):
        return score("classification", "log_loss", y, np.tile(shares, (6, 1)), ["a", "b", "c"], weights)

    for other in np.random.default_rng(0).dirichlet(np.ones(3), size=50):
        assert loss_of(best) < loss_of(other)


@pytest.mark.parametrize(("quantile", "metric"), [(None, "rmse"), (0.5, "mae")])
@pytest.mark.parametrize("weights", [None, np.array([3.0, 1.0, 0.0, 1.0, 0.5])])
def test_no_other_constant_has_a_smaller_error(quantile, metric, weights):
    y = np.array([[1.0, 10.0], [2.0, -4.0], [2.5, 0.0], [100.0, 3.0], [7.0, 3.5]])
    best = constant_numbers(y, weights, quantile)
    assert best.shape == (2,)
    least = score_numbers(y, np.broadcast_to(best, y.shape), ["a", "b"], weights)
    for shift in (-1.0, -0.1, 0.1, 1.0):
        others = score_numbers(y, np.broadcast_to(best + shift, y.shape), ["a", "b"], weights)
        assert all(others[f"{metric}[{name}]"] >= least[f"{metric}[{name}]"] for name in "ab")


def test_the_constant_for_numbers_is_the_mean_or_a_quantile():
    y = np.array([[1.0], [2.0], [9.0]])
    assert constant_numbers(y).tolist() == [4.0]
    assert constant_numbers(y, quantile=0.5).tolist() == [2.0]
    assert constant_numbers(y, np.array([0.5, 0.5, 1.0]), 0.5).tolist() == [5.5]
    assert constant_numbers(y, np.array([1.0, 1.0, 2.0]), 0.2).tolist() == [1.0]


def test_the_constant_for_boolean_columns_is_the_fraction_of_true():
    y = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert constant_yes_no(y).tolist() == [0.75, 0.25]
    assert constant_yes_no(y, np.array([0.0, 1.0, 0.0, 1.0])).tolist() == [0.5, 0.5]
