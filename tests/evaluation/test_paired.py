"""The difference of two predictions of the same rows."""

from math import comb

import numpy as np
import pytest

from mlpcli.evaluation.metrics.scores import metric_names
from mlpcli.evaluation.uncertainty import paired
from mlpcli.evaluation.uncertainty.paired import Prediction, Truth, compare_scores, has_interval, mcnemar


def rights(both, only_old, only_new, neither):
    """Whether the old and the new prediction of each row are correct, from the four counts."""
    old = [True] * (both + only_old) + [False] * (only_new + neither)
    new = [True] * both + [False] * only_old + [True] * only_new + [False] * neither
    return np.array(old), np.array(new)


@pytest.mark.parametrize(("only_old", "only_new"), [(0, 0), (1, 0), (5, 5), (3, 12), (22, 1), (40, 60), (7, 0)])
def test_mcnemar_is_the_two_sided_binomial_test_of_rows_that_only_one_prediction_has_correct(only_old, only_new):
    n, fewer = only_old + only_new, min(only_old, only_new)
    expected = min(1.0, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n)
    test = mcnemar(*rights(10, only_old, only_new, 4))
    assert (test.only_old, test.only_new) == (only_old, only_new)
    assert test.p == pytest.approx(expected, rel=1e-9)


def test_mcnemar_agrees_with_scipy_also_for_many_rows():
    stats = pytest.importorskip("scipy.stats")
    for only_old, only_new in ((3, 9), (480, 520), (20_000, 20_500)):
        expected = stats.binomtest(only_old, only_old + only_new).pvalue
        assert mcnemar(*rights(0, only_old, only_new, 0)).p == pytest.approx(expected, rel=1e-7)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution_for_many_rows():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(2000, 1))
    old, new = y + rng.normal(size=y.shape), y + rng.normal(size=y.shape)
    (difference,) = compare_scores(Truth("regression", y, ("y",)), Prediction(old), Prediction(new), ["mae"], 0.9, {})
    differences = (np.abs(new - y) - np.abs(old - y))[:, 0]
    half = 1.6449 * differences.std() / np.sqrt(len(y))
    assert difference.difference == pytest.approx(differences.mean())
    assert [difference.low, difference.high] == pytest.approx(
        [differences.mean() - half, differences.mean() + half], abs=half / 10
    )


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "roc_auc", "balanced_accuracy"])
def test_equally_good_predictions_are_rarely_called_worse(metric, monkeypatch):
    """The two predictions of each row are exchanged at random, so neither is better; 5% may be called worse."""
    monkeypatch.setattr(paired, "N_RESAMPLES", 300)
    rng, n_rows, n_trials = np.random.default_rng(5), 80, 400
    alarms = 0
    for _ in range(n_trials):
        y = rng.integers(0, 2, n_rows)
        logits = 2.0 * (y - 0.5)[:, None] + rng.normal(0.0, 1.5, (n_rows, 2))
        p = 1.0 / (1.0 + np.exp(-logits))
        old, new = (Prediction(np.stack([1 - column, column], axis=1)) for column in p.T)
        (difference,) = compare_scores(Truth("classification", y, ("a", "b")), old, new, [metric], 0.9, {})
        alarms += difference.verdict == "worse"
    # 5% are expected (fewer of accuracy, whose test is exact); 8% is three standard deviations above.
    assert alarms <= 0.08 * n_trials
    if metric == "log_loss":
        assert alarms >= 0.02 * n_trials


def drawn(task, rng, n_rows):
    """Truth and two equally good predictions with independent noise."""
    if task == "regression":
        y = 3.0 + np.abs(rng.normal(size=(n_rows, 2)))
        return y, [y + 0.5 * rng.normal(size=y.shape) for _ in "ab"]
    if task == "multilabel":
        y = rng.random((n_rows, 2)) < np.array([0.5, 0.25])
        return y, [1.0 / (1.0 + np.exp(1.5 - 3.0 * y + 1.5 * rng.normal(size=y.shape))) for _ in "ab"]
    y = rng.integers(0, 2, n_rows)
    yes = [1.0 / (1.0 + np.exp(1.0 - 2.0 * y + 1.5 * rng.normal(size=n_rows))) for _ in "ab"]
    return y, [np.stack([1.0 - p, p], axis=1) for p in yes]


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_equally_good_predictions_rarely_differ_significantly_in_any_score(task):
    """For every metric, overall and per output. The nominal rate is 5%; 11% is three standard deviations above it."""
    rng, n_trials, names = np.random.default_rng(8), 120, ("a", "b")
    keys = [
        key for key in metric_names(task, names) if has_interval(key) and not key.startswith("median_absolute_error")
    ]
    alarms, decided = dict.fromkeys(keys, 0), dict.fromkeys(keys, 0)
    for _ in range(n_trials):
        y, predictions = drawn(task, rng, 40)
        for difference in compare_scores(Truth(task, y, names), *map(Prediction, predictions), keys, 0.95, {}):
            alarms[difference.metric] += difference.verdict != "undecided"
            decided[difference.metric] += not difference.reason
    assert min(decided.values()) > 0.9 * n_trials, decided
    assert max(alarms.values()) <= 0.11 * n_trials, alarms


@pytest.mark.parametrize(("metric", "sign"), [("accuracy", -1), ("log_loss", 1), ("roc_auc", -1)])
def test_a_worse_prediction_is_called_worse_and_the_reverse_comparison_better(metric, sign):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 400)
    good, bad = (np.where(y == 1, 1.0, -1.0) * strength + rng.normal(size=400) for strength in (2.0, 0.3))
    old, new = (Prediction(np.stack([1 - p, p], axis=1)) for p in (1 / (1 + np.exp(-z)) for z in (good, bad)))
    truth = Truth("classification", y, ("a", "b"))
    (worse,) = compare_scores(truth, old, new, [metric], 0.95, {})
    (better,) = compare_scores(truth, new, old, [metric], 0.95, {})
    assert (worse.verdict, better.verdict) == ("worse", "better")
    assert sign * worse.difference > 0
    assert [better.low, better.high] == pytest.approx([-worse.high, -worse.low])
    (within,) = compare_scores(truth, old, new, [metric], 0.95, {metric: 5.0})
    assert within.verdict == "undecided"


def test_equal_predictions_have_a_difference_of_zero():
    y = np.arange(10.0)[:, None]
    one = Prediction(y + 1.0)
    for difference in compare_scores(Truth("regression", y, ("y",)), one, one, ["rmse", "r2", "mape"], 0.95, {}):
        assert (difference.difference, difference.low, difference.high, difference.verdict) == (
            0.0,
            0.0,
            0.0,
            "undecided",
        )


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_error_of_one_row_gets_no_interval_and_no_verdict(seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(200, 2))
    old, new = (Prediction(y + rng.normal(size=y.shape)) for _ in range(2))
    for difference in compare_scores(
        Truth("regression", y, ("a", "b")), old, new, ["max_error", "max_error[a]"], 0.95, {}
    ):
        assert difference.difference != 0.0
        assert np.isnan([difference.low, difference.high]).all()
        assert difference.verdict == "undecided"


def test_a_calibration_error_gets_no_verdict():
    rng = np.random.default_rng(0)
    y, old, new = rng.integers(0, 2, 300), rng.dirichlet([5, 5], 300), rng.dirichlet([0.1, 0.1], 300)
    truth = Truth("classification", y, ("a", "b"))
    (difference,) = compare_scores(truth, Prediction(old), Prediction(new), ["ece"], 0.95, {})
    assert difference.verdict == "undecided"
    assert np.isnan(difference.low)


def test_weighted_scores_have_no_mcnemar_test():
    y = np.array([0, 1, 0, 1])
    one = Prediction(np.eye(2)[y] * 0.8 + 0.1)
    weights = np.array([1.0, 2.0, 0.0, 1.0])
    (difference,) = compare_scores(Truth("classification", y, ("a", "b"), weights), one, one, ["accuracy"], 0.95, {})
    assert difference.mcnemar is None


def test_a_difference_that_single_rows_dominate_has_no_interval_and_no_verdict():
    rng = np.random.default_rng(0)
    y = rng.standard_t(1.0, size=(1000, 1))  # no mean, let alone a variance
    old, new = Prediction(y + rng.standard_t(1.0, size=y.shape)), Prediction(y + 2 * rng.standard_t(1.0, size=y.shape))
    rmse, median = compare_scores(Truth("regression", y, ("y",)), old, new, ["rmse", "median_absolute_error"], 0.95, {})
    assert rmse.reason.startswith("a few rows dominate it")
    assert (rmse.verdict, median.verdict) == ("undecided", "worse")
    assert np.isnan([rmse.low, rmse.high]).all()


@pytest.mark.parametrize("n_rows", [29, 30])
def test_thirty_rows_have_a_verdict_and_fewer_have_none(n_rows):
    y = np.zeros((n_rows, 1))
    old, new = Prediction(y + np.linspace(1, 2, n_rows)[:, None]), Prediction(y + np.linspace(5, 6, n_rows)[:, None])
    (difference,) = compare_scores(Truth("regression", y, ("y",)), old, new, ["mae"], 0.95, {})
    expected = ("worse", "") if n_rows == 30 else ("undecided", "too few rows for an interval (n = 29, needs about 30)")
    assert (difference.verdict, difference.reason) == expected


def test_few_errors_of_both_predictions_give_no_verdict_but_those_of_one_do():
    y = np.array([0, 1] * 100)
    good = np.eye(2)[y] * 0.8 + 0.1
    bad = good.copy()
    bad[:40] = bad[:40, ::-1]
    truth = Truth("classification", y, ("a", "b"))
    sharp = np.eye(2)[y] * 0.9 + 0.05
    (of_good,) = compare_scores(truth, Prediction(good), Prediction(sharp), ["log_loss"], 0.95, {})
    (of_bad,) = compare_scores(truth, Prediction(good), Prediction(bad), ["log_loss"], 0.95, {})
    assert (of_good.verdict, of_good.reason) == ("undecided", "too few wrong predictions (0 of 200 rows, needs 3)")
    assert (of_bad.verdict, of_bad.reason) == ("worse", "")
