"""The mean of fold scores and its interval: the formula of Nadeau & Bengio by hand, and coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.evaluation.uncertainty.fold_scores import compare_folds, summarize

T_4 = 2.7764451051977987  # the 0.975 quantile of Student's t with 4 degrees of freedom


def test_the_interval_is_that_of_the_corrected_resampled_t_test():
    values = [0.81, 0.84, 0.79, 0.86, 0.80]
    summary = summarize("accuracy", values, 0.25, 0.95)
    deviation = np.std(values, ddof=1)
    reach = T_4 * deviation * math.sqrt(1 / 5 + 1 / 4)
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.deviation == pytest.approx(deviation)
    assert summary.interval.low == pytest.approx(np.mean(values) - reach)
    assert summary.interval.high == pytest.approx(np.mean(values) + reach)


def test_an_interval_is_clipped_to_the_range_of_the_metric():
    assert summarize("accuracy", [0.9, 1.0, 1.0], 0.5, 0.99).interval.high == 1.0
    assert summarize("log_loss", [0.01, 0.2, 0.02], 0.5, 0.99).interval.low == 0.0
    assert summarize("r2", [0.9, 0.1, -3.0], 0.5, 0.99).interval.low < -3.0


def test_equal_or_undefined_fold_scores_have_no_interval():
    assert summarize("accuracy", [1.0, 1.0, 1.0], 0.5, 0.95).interval.reason == "all folds have the same score"
    summary = summarize("roc_auc", [0.7, math.nan, 0.8, math.nan], 1 / 3, 0.95)
    assert math.isnan(summary.mean)
    assert summary.interval.reason == "it is undefined in 2 of 4 folds"


@given(st.lists(st.floats(0, 1), min_size=3, max_size=12), st.floats(0.05, 1.0))
def test_exchanging_old_and_new_reverses_the_comparison(values, ratio):
    others = [1.0 - value for value in values]
    there, back = (compare_folds("accuracy", a, b, ratio, 0.95) for a, b in ((values, others), (others, values)))
    opposite = {"better": "worse", "worse": "better", "undecided": "undecided"}
    assert back.verdict == opposite[there.verdict]
    assert back.low == pytest.approx(-there.high, nan_ok=True)


def test_a_verdict_needs_a_difference_beyond_the_margin_and_lower_is_better_for_losses():
    old, new = [0.50, 0.52, 0.51, 0.49, 0.50], [0.40, 0.43, 0.41, 0.38, 0.40]
    assert compare_folds("accuracy", old, new, 0.25, 0.95).verdict == "worse"
    assert compare_folds("accuracy", old, new, 0.25, 0.95, margin=0.2).verdict == "undecided"
    assert compare_folds("log_loss", old, new, 0.25, 0.95).verdict == "better"
    same = compare_folds("log_loss", old, old, 0.25, 0.95)
    assert (same.low, same.high, same.verdict) == (0.0, 0.0, "undecided")


def test_the_interval_covers_the_expected_score_of_least_squares_about_as_often_as_stated():
    """Five folds of a linear fit on new rows each time; its true error is measured on many other rows."""
    rng, n_rows, n_folds, n_held = np.random.default_rng(0), 60, 5, 0
    coefficients = np.array([1.0, -2.0, 0.5])

    def draw(n):
        X = rng.normal(size=(n, 3))
        return X, X @ coefficients + rng.standard_t(5, size=n)

    expected = []
    for _ in range(400):  # of a fit to 48 rows
        X, y = draw(n_rows * 4 // 5)
        beta = np.linalg.lstsq(X, y, rcond=None)[0]
        expected.append(math.sqrt(((beta - coefficients) ** 2).sum() + 5 / 3))
    truth = np.mean(expected)
    for _ in range(300):
        X, y = draw(n_rows)
        folds, scores = rng.permutation(n_rows) % n_folds, []
        for fold in range(n_folds):
            beta = np.linalg.lstsq(X[folds != fold], y[folds != fold], rcond=None)[0]
            scores.append(float(np.sqrt(np.mean((y - X @ beta)[folds == fold] ** 2))))
        interval = summarize("rmse", scores, 1 / (n_folds - 1), 0.9).interval
        n_held += interval.low <= truth <= interval.high
    assert 0.86 < n_held / 300 < 1.0
