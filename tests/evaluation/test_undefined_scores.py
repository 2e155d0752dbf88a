"""Whether a metric can distinguish good from bad predictions on given rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.evaluation.metrics.scores import metric_names, score
from mlpcli.evaluation.undefined_scores import can_distinguish, undefined_reason

CLASSES, NUMBERS, COLUMNS = ("a", "b", "c"), ("x", "y"), ("late", "lost")


@pytest.mark.parametrize("key", metric_names("classification", CLASSES))
def test_every_metric_of_classes_distinguishes_predictions_if_all_occur(key):
    assert can_distinguish("classification", key, np.array([0, 1, 2, 2]), CLASSES)


@pytest.mark.parametrize("key", metric_names("classification", ("a", "b")))
def test_every_metric_of_two_classes_distinguishes_predictions_if_both_occur(key):
    assert can_distinguish("classification", key, np.array([0, 1]), ("a", "b"))


@pytest.mark.parametrize("key", metric_names("regression", NUMBERS))
def test_every_metric_of_numbers_distinguishes_predictions_if_they_vary(key):
    assert can_distinguish("regression", key, np.array([[0.0, 5.0], [2.0, 3.0]]), NUMBERS)


@pytest.mark.parametrize("key", metric_names("multilabel", COLUMNS))
def test_every_metric_of_boolean_columns_distinguishes_predictions_if_each_has_both_values(key):
    assert can_distinguish("multilabel", key, np.array([[0.0, 1.0], [1.0, 0.0]]), COLUMNS)


@pytest.mark.parametrize("key", ["roc_auc", "mcc", "recall[b]", "precision[b]", "f1[b]", "f1", "recall"])
def test_some_metrics_cannot_distinguish_predictions_if_a_class_does_not_occur(key):
    y = np.zeros(40, np.int64)
    assert not can_distinguish("classification", key, y, ("a", "b"))
    assert undefined_reason("classification", y, ("a", "b")) == "no row is of class b"
    assert can_distinguish("classification", "log_loss", y, ("a", "b"))


def test_ranking_metrics_need_both_values_in_every_column():
    y = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert not can_distinguish("multilabel", "roc_auc", y, COLUMNS)
    assert not can_distinguish("multilabel", "f1[lost]", y, COLUMNS)
    assert can_distinguish("multilabel", "roc_auc[late]", y, COLUMNS)
    assert can_distinguish("multilabel", "log_loss", y, COLUMNS)
    assert undefined_reason("multilabel", y, COLUMNS) == "lost is no in every row"


def test_r2_needs_a_truth_that_varies():
    y = np.array([[7.0, 1.0], [7.0, 2.0]])
    assert not can_distinguish("regression", "r2", y, NUMBERS)
    assert can_distinguish("regression", "r2[y]", y, NUMBERS)
    assert can_distinguish("regression", "rmse", y, NUMBERS)
    assert undefined_reason("regression", y, NUMBERS) == "x is 7 in every row"


def test_rows_without_weight_do_not_count():
    y, weights = np.array([0, 0, 1]), np.array([1.0, 1.0, 0.0])
    assert not can_distinguish("classification", "roc_auc", y, ("a", "b"), weights)
    assert not can_distinguish("classification", "log_loss", y, ("a", "b"), np.zeros(3))
    assert undefined_reason("classification", y, ("a", "b"), np.zeros(3)) == "no row has a positive weight"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=12), st.integers(0, 2**32 - 1))
def test_a_metric_that_cannot_distinguish_is_equal_for_all_predictions(codes, seed):
    y = np.array(codes)
    predictions = [np.random.default_rng(seed + i).dirichlet(np.ones(3), len(y)) for i in range(3)]
    for key in metric_names("classification", CLASSES):
        if not can_distinguish("classification", key, y, CLASSES):
            scores = np.array(
                [score("classification", key, y, probabilities, CLASSES) for probabilities in predictions]
            )
            assert np.isnan(scores).all() or len(set(scores)) == 1
