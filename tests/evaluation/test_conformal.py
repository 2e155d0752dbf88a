"""Conformal intervals and sets, compared with brute force and tested by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss

from mlpcli.evaluation.conformal.ends import (
    MAX_STORED,
    Scores,
    intervals_of,
    keep,
    kept_ranks,
    rank_of,
    rows_needed,
    sets_of,
    upper_ends,
)
from mlpcli.evaluation.conformal.metrics import interval_scores, pinball_loss

LEVELS = st.sampled_from([0.5, 0.6, 0.75, 0.8, 0.9, 0.95])


@st.composite
def folds_and_predictions(draw: st.DrawFn) -> tuple[list[np.ndarray], np.ndarray]:
    """The scores of each fold, in quarters so that they tie, and predictions (n_folds, 3)."""
    n_folds = draw(st.integers(1, 4))
    quarters = st.lists(st.integers(-12, 12), min_size=1, max_size=12)
    scores = [np.asarray(draw(quarters)) / 4 for _ in range(n_folds)]
    cells = st.lists(st.integers(-40, 40), min_size=3 * n_folds, max_size=3 * n_folds)
    return scores, np.asarray(draw(cells)).reshape(n_folds, 3) / 8


@given(folds_and_predictions(), LEVELS)
def test_an_upper_end_is_the_sum_of_prediction_and_score_at_its_rank(case, level):
    scores, predictions = case
    n_rows = sum(map(len, scores))
    rank = rank_of(n_rows, level)
    ends = upper_ends([keep(fold) for fold in scores], level)(predictions)
    for row, end in enumerate(ends):
        sums = np.sort(np.concatenate([own[row] + fold for own, fold in zip(predictions, scores, strict=True)]))
        exact = sums[rank - 1] if rank <= n_rows else math.inf
        assert end == exact


def test_a_fold_that_predicts_minus_infinity_counts_as_a_very_low_prediction():
    scores = [keep(np.arange(10.0)), keep(np.arange(10.0) / 2)]
    for prediction in (-math.inf, -1e9):
        low, high = intervals_of("absolute", scores, 0.5)(np.array([[prediction], [1.0]]))
        assert low[0] < -1e8
        assert high[0] == 1.0


@given(folds_and_predictions(), LEVELS)
def test_a_label_is_in_the_set_if_fewer_than_rank_scores_are_better(case, level):
    scores, predictions = case
    is_in_set = sets_of([keep(fold) for fold in scores], level)(predictions)
    n_rows = sum(map(len, scores))
    for row, is_member in enumerate(is_in_set):
        n_not_better = sum((fold >= own[row]).sum() for own, fold in zip(predictions, scores, strict=True))
        p_value = (1 + n_not_better) / (n_rows + 1)
        assert is_member == (p_value > 1 - level + 1e-9)


@given(folds_and_predictions(), LEVELS)
def test_signed_intervals_are_mirrored_by_mirrored_scores_and_predictions(case, level):
    scores, predictions = case
    low, high = intervals_of("signed", [keep(fold) for fold in scores], level)(predictions)
    mirrored_low, mirrored_high = intervals_of("signed", [keep(-fold) for fold in scores], level)(-predictions)
    np.testing.assert_allclose(low, -mirrored_high, atol=1e-12)
    np.testing.assert_allclose(high, -mirrored_low, atol=1e-12)


@given(folds_and_predictions(), LEVELS, st.floats(0.0, 3.0))
def test_intervals_of_two_quantiles_shift_each_quantile_by_the_scores(case, level, width):
    scores, predictions = case
    kept = [keep(fold) for fold in scores]
    low, high = intervals_of("quantiles", kept, level)(predictions, predictions + width)
    point_intervals = intervals_of("absolute", kept, level)
    np.testing.assert_array_equal(low, point_intervals(predictions)[0])
    np.testing.assert_array_equal(high, point_intervals(predictions + width)[1])


@given(st.integers(1, 10**9), st.sampled_from([1, 5]), st.booleans())
def test_few_ranks_are_stored_and_they_are_dense_at_the_end(n_rows, n_folds, both_ends):
    ranks = kept_ranks(n_rows, n_folds, both_ends)
    assert ranks[0] == 1
    assert ranks[-1] == n_rows
    assert (np.diff(ranks) > 0).all()
    assert len(ranks) <= 4000
    if n_rows > MAX_STORED:
        left_out, gaps = n_rows - ranks[1:] + 1, np.diff(ranks)
        near = left_out <= n_rows / 2
        assert (gaps[near] <= np.maximum(1, left_out[near] / (100 if n_folds == 1 else 25) + 1)).all()


@given(st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]), st.sampled_from([501, 2000, 54321]))
def test_leaving_out_scores_hardly_widens_intervals(level, n_rows):
    scores = np.arange(n_rows) + 0.0
    for kind, both_ends in (("absolute", False), ("signed", True)):
        low, high = intervals_of(kind, [keep(scores, both_ends=both_ends)], level)(np.zeros((1, 1)))
        exact = intervals_of(kind, [Scores(n_rows, scores, np.arange(1, n_rows + 1))], level)(np.zeros((1, 1)))
        slack = 0.01 * (1 - level) * n_rows + 1
        assert exact[1][0] <= high[0] <= exact[1][0] + slack
        assert exact[0][0] - slack <= low[0] <= exact[0][0]


@given(LEVELS, st.integers(1, 400))
def test_rows_needed_is_the_smallest_number_with_a_finite_end(level, n_rows):
    assert (rank_of(n_rows, level) <= n_rows) == (n_rows >= rows_needed(level))


def test_too_few_rows_give_infinite_intervals_and_sets_of_all_labels():
    few = [keep(np.array([1.0, 2.0, 3.0]))]
    low, high = intervals_of("absolute", few, 0.9)(np.zeros((1, 2)))
    assert (low == -np.inf).all()
    assert (high == np.inf).all()
    assert sets_of(few, 0.9)(np.full((1, 2), 1e9)).all()


def coverage_of(kind: str, n_rows: int, level: float, repeats: int, rng: np.random.Generator) -> float:
    """The coverage of intervals from n_rows exchangeable scores; for quantiles they range from -2 to 1."""
    draws = rng.normal(size=(repeats, n_rows + 1)) + rng.exponential(size=(repeats, n_rows + 1))
    n_covered = 0
    for draw in draws:
        scores = {"absolute": np.abs(draw), "signed": draw, "quantiles": np.maximum(-2 - draw, draw - 1)}[kind]
        ends = (np.full((1, 1), -2.0), np.ones((1, 1))) if kind == "quantiles" else (np.zeros((1, 1)),)
        low, high = intervals_of(kind, [keep(scores[:-1])], level)(*ends)
        n_covered += bool(low[0] <= draw[-1] <= high[0])
    return n_covered / repeats


@pytest.mark.parametrize("kind", ["absolute", "signed", "quantiles"])
@pytest.mark.parametrize(("n_rows", "level"), [(19, 0.9), (60, 0.8), (199, 0.95)])
def test_intervals_have_their_nominal_coverage_and_hardly_more(kind, n_rows, level):
    repeats = 2000
    coverage = coverage_of(kind, n_rows, level, repeats, np.random.default_rng(7))
    error = 3.5 * math.sqrt(level * (1 - level) / repeats)
    assert level - error <= coverage <= level + 2 / (n_rows + 1) + error


def test_cv_plus_has_its_nominal_coverage_for_an_unstable_model():
    """Least squares with nearly as many columns as rows, the unstable case of Barber et al. 2021."""
    rng, level, repeats, n_rows, n_folds = np.random.default_rng(3), 0.8, 400, 40, 5
    fold = np.arange(n_rows) % n_folds
    n_covered = 0
    for _ in range(repeats):
        X, x = rng.normal(size=(n_rows, 24)), rng.normal(size=24)
        y, truth = X @ np.ones(24) + rng.normal(size=n_rows), x.sum() + rng.normal()
        members = [np.linalg.lstsq(X[fold != k], y[fold != k], rcond=None)[0] for k in range(n_folds)]
        scores = [keep(np.abs(y[fold == k] - X[fold == k] @ members[k])) for k in range(n_folds)]
        low, high = intervals_of("absolute", scores, level)(np.array([[x @ member] for member in members]))
        n_covered += bool(low[0] <= truth <= high[0])
    assert n_covered / repeats >= level - 3.5 * math.sqrt(level * (1 - level) / repeats)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.sampled_from([0.05, 0.5, 0.9]))
def test_the_pinball_loss_is_that_of_scikit_learn(cells, quantile):
    y = np.asarray(cells)
    predicted = np.roll(y, 1) / 2
    expected = mean_pinball_loss(y, predicted, alpha=quantile)
    assert pinball_loss(y, predicted, quantile).mean() == pytest.approx(expected, rel=1e-12, abs=1e-9)


@given(st.floats(-9, 9), st.floats(-9, 9), st.floats(0, 9), LEVELS)
def test_the_interval_score_is_the_pinball_loss_of_both_ends(y, low, width, level):
    """Gneiting & Raftery 2007: 2 / alpha times the losses at alpha / 2 and 1 - alpha / 2."""
    alpha = 1 - level
    truth, ends = np.array([y]), (np.array([low]), np.array([low + width]))
    losses = pinball_loss(truth, ends[0], alpha / 2) + pinball_loss(truth, ends[1], 1 - alpha / 2)
    np.testing.assert_allclose(interval_scores(truth, *ends, level), 2 / alpha * losses, atol=1e-9)
