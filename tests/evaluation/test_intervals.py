"""Intervals: published values, independent computations, and coverage by simulation."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.evaluation.metrics.ranking import RankedColumn
from mlpcli.evaluation.metrics.registry import METRICS
from mlpcli.evaluation.metrics.scores import score_classes, score_inputs, score_multilabel, score_numbers
from mlpcli.evaluation.uncertainty import resampling
from mlpcli.evaluation.uncertainty.intervals import IntervalOptions, gate_names, interval_ends, score_intervals
from mlpcli.evaluation.uncertainty.proportions import Interval, wilson

from .cases import class_cases, number_cases, weights_for, yes_no_cases

Z = IntervalOptions(0.95).z
SCORE_ALL = {"classification": score_classes, "regression": score_numbers, "multilabel": score_multilabel}
NAMES = ("a", "b [c]", "x=1", "d.low")
QUICK = IntervalOptions(0.95, 100)
brisk = settings(max_examples=40, deadline=None)


def intervals_of(task, y, predicted, weights=None, seed=0, interval_options=QUICK, keys=None):
    """The scores of a task, and their intervals."""
    names = NAMES[: predicted.shape[1]]
    scores = SCORE_ALL[task](y, predicted, names, weights)
    wanted = scores if keys is None else {key: scores[key] for key in keys}
    inputs = score_inputs(task, y, predicted, weights, None)
    return scores, score_intervals(task, inputs, names, wanted, interval_options, np.random.default_rng(seed))


def drawn_classes(rng, n_rows, n_classes=2, sharpness=1.5):
    """Calibrated probabilities, and classes `y` drawn from them."""
    p = np.exp(sharpness * rng.normal(size=(n_rows, n_classes)))
    p /= p.sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) < rng.random((n_rows, 1))).sum(axis=1).clip(0, n_classes - 1)
    return y, p


@pytest.mark.parametrize(
    ("n_right", "n_rows", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(n_right, n_rows, low, high):
    """Newcombe 1998, table I, method 3."""
    interval = wilson(n_right / n_rows, n_rows, Z)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_no_rows_is_the_unit_interval():
    assert (wilson(0.0, 0.0, Z).low, wilson(0.0, 0.0, Z).high) == (0.0, 1.0)


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilson_of_the_complement_is_mirrored(n_right, n_rows):
    n_right = min(n_right, n_rows)
    interval, mirrored = wilson(n_right / n_rows, n_rows, Z), wilson(1 - n_right / n_rows, n_rows, Z)
    assert (interval.low, interval.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-12)


def delong_by_definition(is_positive, scores, weights):
    """The variance of DeLong et al. 1988 from all pairs, with weighted placement values."""
    positive, negative = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)
    kernel = (scores[positive][:, None] > scores[negative]) + 0.5 * (scores[positive][:, None] == scores[negative])
    variance = 0.0
    pairs = ((kernel, weights[positive], weights[negative]), (kernel.T, weights[negative], weights[positive]))
    for matrix, own, others in pairs:
        placements = matrix @ others / others.sum()
        fractions = own / own.sum()
        n = 1 / (fractions**2).sum()
        variance += (fractions**2 * (placements - fractions @ placements) ** 2).sum() * n / (n - 1)
    return variance


@brisk
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=4, max_size=20), st.data())
def test_the_variance_of_roc_auc_is_that_of_all_pairs(rows, data):
    is_positive = np.array([True, True, False, False, *(positive for positive, _ in rows)])
    scores = np.array([1.0, 2.0, 1.0, 3.0, *(float(value) for _, value in rows)])
    weights = data.draw(st.none() | st.lists(st.integers(1, 5), min_size=len(scores), max_size=len(scores)))
    column = RankedColumn(is_positive, scores)
    given_weights = None if weights is None else np.array(weights, dtype=float)
    expected = delong_by_definition(is_positive, scores, np.ones(len(scores)) if weights is None else given_weights)
    assert column.auc_variance(given_weights) == pytest.approx(expected)


CASES = {"classification": class_cases(), "regression": number_cases(), "multilabel": yes_no_cases()}


@pytest.mark.parametrize("task", CASES)
@brisk
@given(st.data())
def test_resamples_score_as_the_rows_that_they_repeat(task, data):
    y, predicted, _ = data.draw(CASES[task].filter(lambda case: len(case[0]) > 1))
    n_rows = len(y)
    draws = data.draw(st.lists(st.lists(st.integers(0, n_rows - 1), min_size=n_rows, max_size=n_rows), min_size=3))
    counts = np.array([np.bincount(rows, minlength=n_rows) for rows in draws], dtype=float)
    together = score_inputs(task, y, predicted, counts, None)
    for metric in (metric for metric in METRICS.values() if metric.has_interval):
        for measure in (of[task] for of in (metric.overall, metric.per_output) if task in of):
            if metric.needs_two_classes and predicted.shape[1] != 2 and measure is metric.overall.get(task):
                continue
            with np.errstate(all="ignore"):
                scores = measure(together)
                alone = [measure(score_inputs(task, y[rows], predicted[rows], None, None)) for rows in draws]
            np.testing.assert_allclose(scores, alone, rtol=1e-7, atol=1e-9, err_msg=metric.name)


@pytest.mark.parametrize("task", CASES)
@brisk
@given(st.data())
def test_an_interval_contains_its_score_and_an_undefined_score_has_none(task, data):
    y, predicted, weights = data.draw(CASES[task])
    scores, intervals = intervals_of(task, y, predicted, weights, interval_options=IntervalOptions(0.9, 20))
    assert set(intervals) == {key for key in scores if not key.startswith(("max_error", "ece"))}
    for key, interval in intervals.items():
        if math.isnan(interval.low):
            assert math.isnan(interval.high), key
            assert interval.reason, key
        else:
            assert interval.low - 1e-12 <= scores[key] <= interval.high + 1e-12, key


def simulate(task, n_rows, draw, key, true_value, n_simulations=300):
    """The fraction of intervals that contain the true value, and of samples that have an interval."""
    rng, n_covered, n_given = np.random.default_rng(7), 0, 0
    for number in range(n_simulations):
        y, predicted = draw(rng, n_rows)
        _, intervals = intervals_of(task, y, predicted, None, number, IntervalOptions(0.95, 200), [key])
        n_given += not intervals[key].reason
        n_covered += intervals[key].low <= true_value <= intervals[key].high
    return n_covered / max(n_given, 1), n_given / n_simulations


def drawn_numbers(rng, n_rows):
    y = rng.normal(size=(n_rows, 1))
    return y, y + 0.5 * rng.normal(size=(n_rows, 1))


@cache
def true_scores(task, draw):
    """Those of so many rows that they are the scores of the distribution."""
    y, predicted = draw(np.random.default_rng(1), 400_000)
    return SCORE_ALL[task](y, predicted, NAMES[: predicted.shape[1]])


@pytest.mark.parametrize(
    ("task", "draw", "key", "n_rows"),
    [
        ("classification", drawn_classes, "accuracy", 60),
        ("classification", drawn_classes, "f1", 60),
        ("classification", drawn_classes, "recall", 60),
        ("classification", drawn_classes, "roc_auc", 60),
        ("classification", drawn_classes, "log_loss", 100),
        ("classification", drawn_classes, "balanced_accuracy", 100),
        ("classification", drawn_classes, "mcc", 100),
        ("classification", drawn_classes, "average_precision", 300),
        ("regression", drawn_numbers, "rmse", 500),
        ("regression", drawn_numbers, "r2", 500),
        ("regression", drawn_numbers, "median_absolute_error", 100),
    ],
)
def test_95_of_100_intervals_contain_the_true_score(task, draw, key, n_rows):
    coverage, given = simulate(task, n_rows, draw, key, true_scores(task, draw)[key])
    assert 0.92 <= coverage <= 0.99  # 300 samples of a rate of 0.95 stray by 0.013
    assert given > 0.7


def test_bca_agrees_with_scipy():
    pytest.importorskip("scipy", minversion="1.15")
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    y = np.zeros((60, 1))
    predicted = rng.exponential(size=(60, 1))  # skewed, so that bias and acceleration matter
    theirs = stats.bootstrap(
        (predicted[:, 0],), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    inputs = score_inputs("regression", y, predicted, None, None)
    mae = METRICS["mae"].overall["regression"]
    resampled = resampling.resample(inputs, {"mae": mae}, 20_000, np.random.default_rng(0))
    ours = resampling.bca(float(mae(inputs)), resampled.replicates["mae"], resampled.left_out["mae"], Z)
    assert ours == pytest.approx(tuple(theirs), rel=0.01)


def test_the_same_seed_gives_the_same_interval_whatever_the_size_of_the_blocks(monkeypatch):
    y, predicted = drawn_numbers(np.random.default_rng(0), 80)
    (_, before), (_, again), (_, other) = (intervals_of("regression", y, predicted, seed=seed) for seed in (0, 0, 1))
    monkeypatch.setattr(resampling, "BLOCK_WEIGHTS", 200)
    _, in_blocks = intervals_of("regression", y, predicted)
    assert before == again
    assert before["median_absolute_error"] != other["median_absolute_error"]
    assert before["mae"] == other["mae"]
    assert in_blocks == before


def test_a_higher_confidence_level_gives_a_wider_interval():
    y, p = drawn_classes(np.random.default_rng(0), 200)
    _, narrow = intervals_of("classification", y, p, interval_options=IntervalOptions(0.8, 500))
    _, wide = intervals_of("classification", y, p, interval_options=IntervalOptions(0.99, 500))
    assert all(wide[key].low < narrow[key].low and narrow[key].high < wide[key].high for key in wide)


@brisk
@given(class_cases())
def test_only_the_ratios_of_weights_matter(case):
    y, p, weights = case
    weights = np.ones(len(y)) if weights is None else weights
    _, ours = intervals_of("classification", y, p, weights, interval_options=IntervalOptions(0.95, 20))
    _, doubled = intervals_of("classification", y, p, 4 * weights, interval_options=IntervalOptions(0.95, 20))
    for key, interval in ours.items():
        assert (interval.low, interval.high) == pytest.approx((doubled[key].low, doubled[key].high), nan_ok=True), key


def test_weights_of_one_change_nothing():
    y, p = drawn_classes(np.random.default_rng(3), 50, 3)
    _, without = intervals_of("classification", y, p)
    _, given_ones = intervals_of("classification", y, p, np.ones(50))
    for key, interval in without.items():
        assert (interval.low, interval.high) == pytest.approx((given_ones[key].low, given_ones[key].high)), key


def test_perfect_predictions_have_wilsons_interval_of_the_rarest_class():
    y = np.array([0] * 14 + [1] * 20 + [2] * 30)
    scores, intervals = intervals_of("classification", y, np.eye(3)[y])
    rarest = wilson(1.0, 14, Z)
    for key in ("balanced_accuracy", "roc_auc", "average_precision", "f1_macro", "mcc", "recall[a]"):
        assert scores[key] == 1.0
        assert (intervals[key].low, intervals[key].high) == pytest.approx((rarest.low, 1.0), abs=1e-9)
    two, p = np.repeat([0, 1], [9, 40]), np.linspace(0, 1, 49)
    _, intervals = intervals_of("classification", two, np.column_stack([1 - p, p]))
    assert intervals["roc_auc"].low == pytest.approx(wilson(1.0, 9, Z).low)


def test_one_row_has_only_wilsons_intervals():
    scores, intervals = intervals_of("classification", np.array([1]), np.array([[0.2, 0.8]]))
    assert intervals["accuracy"] == wilson(1.0, 1.0, Z)
    assert math.isnan(intervals["log_loss"].low)
    assert math.isnan(scores["roc_auc"])
    assert math.isnan(intervals["roc_auc"].high)


def test_one_positive_row_gives_a_wide_interval_of_roc_auc():
    scores, intervals = intervals_of(
        "classification", np.array([1, 0, 0, 0]), np.array([[1 - p, p] for p in (5, 3, 6, 1)]) / 9
    )
    assert intervals["roc_auc"] == wilson(scores["roc_auc"], 1, Z)


def test_equal_scores_for_all_rows_give_an_interval_around_a_half():
    y = np.array([0, 1] * 20)
    scores, intervals = intervals_of("classification", y, np.full((40, 2), 0.5))
    assert scores["roc_auc"] == 0.5
    assert not intervals["roc_auc"].low < 0.5 - 1e-9  # no pair is in order, in any resample: the variance vanishes


def test_many_rows_have_fewer_resamples():
    assert resampling.replicates_for(100) == 1000
    assert resampling.replicates_for(10**6) == 200
    assert 200 < resampling.replicates_for(10**5) < 1000


@pytest.mark.parametrize(("y", "brier"), [([0, 0, 0], 2.0), ([2, 2, 2], 0.0)])
def test_the_brier_score_of_three_classes_is_scaled_by_its_maximum_of_two(y, brier):
    y, sure = np.array(y), np.array([[0.0, 0.0, 1.0]] * 3)
    scores, intervals = intervals_of("classification", y, sure, keys=["brier"])
    scaled = wilson(brier / 2, 3, QUICK.z)
    assert scores["brier"] == brier
    assert intervals["brier"] == Interval(2 * scaled.low, 2 * scaled.high)


def test_gates_may_name_the_ends_of_every_interval_and_of_no_other():
    names = gate_names("regression", ["y"])
    assert {"rmse.low", "rmse.high", "max_error"} <= set(names)
    assert "max_error.low" not in names
    _, intervals = intervals_of("regression", np.arange(9.0)[:, None], np.arange(9.0)[:, None] + 1)
    assert set(interval_ends(intervals)) <= set(names)


@brisk
@given(st.data())
def test_weighted_medians_of_resamples_are_those_of_the_rows_they_repeat(data):
    values = np.array(data.draw(st.lists(st.integers(-5, 5), min_size=2, max_size=20)), dtype=float)
    weights = data.draw(weights_for(len(values)))
    if weights is not None:
        from_one = intervals_of("regression", np.zeros((len(values), 1)), values[:, None], weights)[0]
        inputs = score_inputs("regression", np.zeros((len(values), 1)), values[:, None], weights[None], None)
        medians = METRICS["median_absolute_error"].overall["regression"](inputs)
        assert medians[0] == pytest.approx(from_one["median_absolute_error"])
