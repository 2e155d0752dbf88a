import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.evaluation.metrics.ranking import RankedColumn, rank_blocks

from .cases import weights_for


def count_pairs(is_positive, scores, weights):
    """ROC AUC by its definition: the chance that a positive row stands above a negative one, a tie counting half."""
    wins = total = 0.0
    for i in np.flatnonzero(is_positive):
        for j in np.flatnonzero(~is_positive):
            pair = weights[i] * weights[j]
            wins += pair * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
            total += pair
    return wins / total if total else math.nan


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=15), st.data())
def test_roc_auc_is_the_fraction_of_pairs_in_the_correct_order(rows, data):
    is_positive = np.array([positive for positive, _ in rows])
    scores = np.array([float(value) for _, value in rows])
    weights = data.draw(weights_for(len(rows)))
    expected = count_pairs(is_positive, scores, np.ones(len(rows)) if weights is None else weights)
    assert RankedColumn(is_positive, scores).measure(weights)[0] == pytest.approx(expected, nan_ok=True)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=15))
def test_negating_truth_and_score_keeps_roc_auc(rows):
    is_positive, scores = np.array([positive for positive, _ in rows]), np.array([value for _, value in rows])
    turned, _ = RankedColumn(~is_positive, -scores).measure(None)
    assert RankedColumn(is_positive, scores).measure(None)[0] == pytest.approx(turned, nan_ok=True)


def test_equal_weights_change_nothing():
    column = RankedColumn(np.array([True, False, True, False]), np.array([0.9, 0.4, 0.4, 0.1]))
    np.testing.assert_allclose(column.measure(np.full(4, 0.1)), column.measure(None))


def test_scores_that_float32_cannot_represent_are_ranked_with_those_that_it_can():
    scores = np.array([[0.5], [0.25], [0.1], [0.1 + 1e-12]])
    is_positive = np.array([[True], [False], [False], [True]])
    blocks = [(is_positive[:2], scores[:2]), (is_positive[2:], scores[2:])]
    rankings = rank_blocks(4, 1, lambda: blocks)
    assert rankings.roc_auc == RankedColumn(is_positive[:, 0], scores[:, 0]).measure(None)[0] == 0.75
