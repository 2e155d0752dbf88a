"""Pseudo-values, the interval of a skewed mean, and the conditions for an interval."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.evaluation.metrics.ranking import RankedColumn
from mlpcli.evaluation.metrics.registry import METRICS
from mlpcli.evaluation.metrics.scores import score_classes, score_inputs, score_numbers
from mlpcli.evaluation.uncertainty.intervals import DEFAULT_OPTIONS, score_intervals
from mlpcli.evaluation.uncertainty.pseudo_values import of_margins
from mlpcli.evaluation.uncertainty.skewed_means import degrees_of_freedom, mean_interval, student_quantile
from mlpcli.evaluation.uncertainty.tails import (
    ABSOLUTE_ERRORS,
    MIN_TAIL_INDEX,
    SQUARED_ERRORS,
    heavy_tail_reason,
    tail_index,
    widening,
)

from .cases import class_cases, number_cases, yes_no_cases

brisk = settings(max_examples=40, deadline=None)
CASES = {"classification": class_cases(), "regression": number_cases(), "multilabel": yes_no_cases()}


@pytest.mark.parametrize("degrees_of_freedom", [2, 2.5, 7.3, 30, 1e3, 1e6])
def test_quantiles_of_students_t_are_those_of_scipy(degrees_of_freedom):
    stats = pytest.importorskip("scipy.stats")
    for level in (0.5, 0.6, 0.9, 0.975, 0.9995):
        expected = stats.t.ppf(level, degrees_of_freedom)
        assert student_quantile(level, degrees_of_freedom) == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_the_interval_of_a_mean_without_skewness_is_students():
    stats = pytest.importorskip("scipy.stats")
    values = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]) + 5.0
    t = stats.t(degrees_of_freedom(values)).ppf(0.975)
    half = t * values.std(ddof=1) / math.sqrt(6)
    assert mean_interval(values, 0.95) == pytest.approx((5 - half, 5 + half))


def test_the_interval_of_a_skewed_mean_is_longer_on_the_side_of_the_tail():
    values = np.random.default_rng(0).exponential(size=50)
    low, high = mean_interval(values, 0.95)
    assert high - values.mean() > 1.1 * (values.mean() - low)


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=30), st.floats(-10, 10), st.floats(0.1, 10))
def test_the_interval_of_a_mean_is_shifted_and_scaled_with_the_values(values, move, stretch):
    values = np.array(values)
    expected = [move + stretch * end for end in mean_interval(values, 0.9)]
    assert mean_interval(move + stretch * values, 0.9) == pytest.approx(expected, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("index", [0.8, 1.5, 3.0])
def test_the_tail_index_is_that_of_a_pareto_distribution(index):
    losses = np.random.default_rng(0).pareto(index, 200_000) + 1.0
    assert tail_index(losses) == pytest.approx(index, rel=0.1)  # of 775 rows: 3 deviations


def test_the_tail_index_is_zero_with_few_positive_losses_and_infinite_for_equal_ones():
    assert tail_index(np.array([0.0] * 95 + [1.0] * 5)) == 0.0
    assert tail_index(np.ones(100)) == math.inf


@pytest.mark.parametrize("task", CASES)
@brisk
@given(st.data())
def test_pseudo_values_are_the_derivatives_of_the_score_by_the_weights(task, data):
    """Compare the pseudo-value of each row with the derivative of the score by its weight."""
    y, predicted, weights = data.draw(CASES[task].filter(lambda case: len(case[0]) > 3))
    given_weights = np.ones(len(y)) if weights is None else weights + 0.5
    inputs = score_inputs(task, y, predicted, given_weights, None)
    step = 1e-5 * np.eye(len(y)) * given_weights
    for metric in METRICS.values():
        if task not in metric.pseudo_values or (metric.needs_two_classes and predicted.shape[1] != 2):
            continue
        if metric.needed_rows or metric.name in ("mcc", "f1", "f1_weighted", "precision", "recall"):
            continue  # their pseudo-values are those of the jackknife
        with np.errstate(all="ignore"):
            values = metric.pseudo_values[task](inputs)
            above, below = (
                metric.overall[task](replace(inputs, weights=given_weights + sign * step)) for sign in (1, -1)
            )
            derivatives = (above - below) / 2e-5 * len(y)
        if metric.name in ("roc_auc", "average_precision") or not np.isfinite(derivatives).all():
            continue  # a factor for few rows: see the next test
        per_row = (len(y) - 1) / len(y) / (1 - given_weights / given_weights.sum())  # all of its weight, not a little
        derivatives = derivatives * per_row
        np.testing.assert_allclose(values - values.mean(), derivatives - derivatives.mean(), rtol=1e-3, atol=1e-4)


@brisk
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=20))
def test_the_influences_of_average_precision_are_its_derivatives(rows):
    is_positive = np.array([True, True, False, *(positive for positive, _, _ in rows)])
    scores = np.array([1.0, 3.0, 2.0, *(float(value) for _, value, _ in rows)])
    weights = np.array([1.0, 2.0, 1.0, *(float(weight) for _, _, weight in rows)])
    column = RankedColumn(is_positive, scores)
    step = 1e-6 * np.diag(weights)
    derivatives = (column.measure(weights + step)[1] - column.measure(weights - step)[1]) / 2e-6
    n = weights[is_positive].sum() ** 2 / (weights[is_positive] ** 2).sum()
    np.testing.assert_allclose(column.precision_deviations(weights), derivatives * math.sqrt(n / (n - 1)), atol=1e-7)


@brisk
@given(class_cases().filter(lambda case: len(case[0]) > 2))
def test_pseudo_values_of_a_confusion_matrix_are_those_of_the_jackknife(case):
    y, p, _ = case
    inputs = score_inputs("classification", y, p, None, None)
    n_rows, everything = len(y), np.arange(len(y))
    for name in ("f1_macro", "precision_macro", "mcc", "f1_weighted"):
        measure = METRICS[name].overall["classification"]
        without = np.array(
            [
                measure(score_inputs("classification", y[kept], p[kept], None, None))
                for kept in (everything != row for row in everything)
            ]
        )
        if not np.isfinite(without).all():
            continue  # Matthews correlation of a class whose only row is left out
        whole = float(measure(inputs))
        values = METRICS[name].pseudo_values["classification"](inputs)
        assert values.mean() == pytest.approx(n_rows * whole - (n_rows - 1) * without.mean(), abs=1e-9)
        expected = -n_rows * (without - without.mean())
        np.testing.assert_allclose(values - values.mean(), expected, atol=1e-9)


@brisk
@given(class_cases().filter(lambda case: len(case[0]) > 2), st.data())
def test_pseudo_values_of_a_weighted_mean_are_those_of_the_jackknife(case, data):
    y, p, _ = case
    weights = np.array(data.draw(st.lists(st.floats(0.1, 9.0), min_size=len(y), max_size=len(y))))
    measure = METRICS["brier"].overall["classification"]
    without = np.array(
        [
            measure(score_inputs("classification", y, p, weights * (np.arange(len(y)) != row), None))
            for row in range(len(y))
        ]
    )
    values = METRICS["brier"].pseudo_values["classification"](score_inputs("classification", y, p, weights, None))
    expected = -(len(y) - 1) * (without - without.mean())
    np.testing.assert_allclose(values - values.mean(), expected, atol=1e-9)


@brisk
@given(class_cases().filter(lambda case: len(case[0]) > 2), st.integers(1, 30))
def test_rows_of_weight_0_change_no_interval(case, n_more):
    y, p, _ = case
    names = [str(label) for label in range(p.shape[1])]
    weights = 1.0 + np.arange(len(y)) % 3
    more = np.arange(n_more) % len(y)
    alone = intervals("classification", y, p, names, weights)
    beside = intervals(
        "classification", np.append(y, y[more]), np.vstack([p, p[more]]), names, np.append(weights, np.zeros(n_more))
    )
    for key in ("log_loss", "brier", "f1_macro", "mcc", "balanced_accuracy"):
        ends = [(intervals_[key].low, intervals_[key].high) for intervals_ in (alone, beside)]
        assert ends[0] == pytest.approx(ends[1], rel=1e-6, abs=1e-9, nan_ok=True), key


@brisk
@given(class_cases().filter(lambda case: len(case[0]) > 2))
def test_equal_weights_give_the_pseudo_values_of_no_weights(case):
    y, p, _ = case
    values = [
        METRICS["f1_macro"].pseudo_values["classification"](score_inputs("classification", y, p, weights, None))
        for weights in (None, np.full(len(y), 2.0))
    ]
    np.testing.assert_allclose(values[0], values[1], atol=1e-9)


def intervals(task, y, predicted, names, weights=None):
    score = score_classes if task == "classification" else score_numbers
    scores = score(y, predicted, names, weights)
    inputs = score_inputs(task, y, predicted, weights, None)
    return score_intervals(task, inputs, names, scores, DEFAULT_OPTIONS, np.random.default_rng(0))


def test_few_rows_have_no_interval_of_a_score_that_large_errors_dominate():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(30, 1))
    results = intervals("regression", y, y + rng.normal(size=y.shape), ["y"])
    assert results["rmse"].reason == "too few rows for an interval (n = 30, needs about 300)"
    assert math.isnan(results["rmse"].high)
    assert not results["mae"].reason
    weighted = intervals("regression", y, y + rng.normal(size=y.shape), ["y"], np.repeat([1.0, 5.0], 15))
    assert weighted["mae"].reason == (
        "too few rows for an interval (30 rows, with weights worth n = 21, needs about 30)"
    )


def test_heavy_tailed_errors_have_no_interval_of_the_mean_squared_error():
    rng = np.random.default_rng(1)
    expected = np.exp(rng.normal(size=(1000, 1)))
    results = intervals("regression", expected * np.exp(0.7 * rng.normal(size=expected.shape) - 0.245), expected, ["y"])
    assert results["rmse"].reason.startswith("a few rows dominate it (tail index 0.")
    assert f"an interval needs {MIN_TAIL_INDEX})" in results["rmse"].reason
    assert not results["median_absolute_error"].reason
    assert not results["mae"].reason


def one_interval(y, predicted, key):
    """The intervals of a single regression score."""
    inputs = score_inputs("regression", y, predicted, None, None)
    score = score_numbers(y, predicted, ["y"])[key]
    return score_intervals("regression", inputs, ["y"], {key: score}, DEFAULT_OPTIONS, np.random.default_rng(0))[key]


def shown(draw_errors, key, n_rows, repeats):
    """The fraction of samples that have an interval, and of these intervals that contain the true score."""
    rng = np.random.default_rng(5)
    y = np.linspace(-2.0, 2.0, n_rows)[:, None]
    right = math.sqrt(float((draw_errors(np.random.default_rng(6), 1_000_000) ** 2).mean()))
    results = [one_interval(y, y + draw_errors(rng, y.shape), key) for _ in range(repeats)]
    given = [interval for interval in results if not interval.reason]
    return len(given) / repeats, np.mean([interval.low <= right <= interval.high for interval in given])


def test_intervals_of_samples_with_a_light_tail_by_chance_have_their_coverage():
    """Student's t errors with 5 degrees of freedom: one of seven samples has an interval, those with a low RMSE."""
    given, covered = shown(lambda rng, shape: rng.standard_t(5.0, shape), "rmse", 500, 400)
    assert 0.05 < given < 0.3
    assert covered >= 0.92  # without the widening 0.85


def test_errors_with_a_light_tail_have_an_interval_and_those_with_a_heavy_one_have_none():
    given, covered = shown(lambda rng, shape: rng.normal(size=shape), "rmse", 800, 100)
    assert given > 0.95
    assert covered >= 0.9
    rng = np.random.default_rng(0)
    heavy = [heavy_tail_reason(rng.standard_t(3.0, 3000) ** 2, SQUARED_ERRORS) for _ in range(100)]
    assert sum(map(bool, heavy)) >= 97


@pytest.mark.parametrize(("rule", "indices"), [(SQUARED_ERRORS, (2.8, 2.4, 2.1)), (ABSOLUTE_ERRORS, (1.9, 1.75, 1.6))])
def test_an_interval_is_wider_the_closer_the_tail_index_is_to_the_bound(rule, indices):
    ranks = (np.arange(1000) + 0.5) / 1000
    by = [(widening(ranks ** (-1 / index), rule), heavy_tail_reason(ranks ** (-1 / index), rule)) for index in indices]
    assert [reason for _, reason in by] == ["", "", ""]
    assert 0.0 <= by[0][0] < by[1][0] < by[2][0] <= rule.widening
    assert heavy_tail_reason(ranks**-1.0, rule).startswith("a few rows dominate it (tail index ")
    assert widening(np.arange(299.0), rule) == 0.0  # too few rows to tell


@pytest.mark.parametrize(
    ("draw", "most"),
    [
        (lambda rng, n: rng.exponential(size=n), 0.0),  # its density at 0 is not 0
        (lambda rng, n: rng.random(n), 0.0),
        (lambda rng, n: rng.normal(3.0, 1.0, n), 0.25),  # on one side of 0 in most samples of 300 rows
    ],
    ids=["exponential", "uniform", "normal"],
)
def test_a_relative_error_with_infinite_expectation_rarely_has_an_interval(draw, most):
    rng, given = np.random.default_rng(0), 0
    for _ in range(100):
        y = draw(rng, 300)[:, None]
        given += not one_interval(y, y + 0.5 * rng.normal(size=y.shape), "mape").reason
    assert given / 100 <= most


def test_relative_errors_have_an_interval_if_the_truth_is_far_from_zero_or_errors_shrink_with_it():
    rng = np.random.default_rng(0)
    away, small = 1.0 + rng.exponential(size=(400, 1)), rng.exponential(size=(400, 1))
    noise = 0.3 * rng.normal(size=(400, 1))
    for y, predicted in ((away, away + noise), (small, small * (1.0 + noise))):
        assert not intervals("regression", y, predicted, ["y"])["mape"].reason


def test_the_reason_names_a_truth_near_zero():
    rng = np.random.default_rng(0)
    y = rng.exponential(size=(400, 1))
    reason = intervals("regression", y, y + 0.3 * rng.normal(size=y.shape), ["y"])["mape"].reason
    assert reason.startswith(
        "the true value comes near 0, where a relative error has no finite mean (tail index of 1 / "
    )


def test_relative_errors_of_a_truth_on_both_sides_of_zero_have_no_interval():
    y = np.linspace(-1, 1, 400)[:, None]
    assert "changes sign" in intervals("regression", y, y + 0.1 * np.cos(9 * y), ["y"])["mape"].reason


def test_equal_errors_have_no_interval():
    y = np.arange(400.0)[:, None]
    results = intervals("regression", y, y, ["y"])
    assert {results[key].reason for key in ("rmse", "mae", "r2")} == {"every row has the same error"}


def test_the_reason_names_a_class_without_rows():
    y = np.array([0, 1] * 20)
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=40)
    results = intervals("classification", y, p, ("a", "b", "c"))
    assert results["balanced_accuracy"].reason == "no row is of 'c'"


def test_two_wrong_predictions_have_no_interval_of_log_loss_and_three_have():
    y = np.array([0, 1] * 50)
    p = np.where(np.eye(2)[y] > 0, 0.9, 0.1)
    reasons = []
    for n_wrong in (2, 3):
        some = p.copy()
        some[:n_wrong] = some[:n_wrong, ::-1]
        reasons.append(intervals("classification", y, some, ("a", "b"))["log_loss"].reason)
    assert reasons == ["too few wrong predictions (2 of 100 rows, needs 3)", ""]


def coverage(draw, key, true_value, n_rows, repeats=200):
    """The fraction of intervals that contain the true value, and of samples that have an interval."""
    rng = np.random.default_rng(3)
    results = [intervals("classification", *draw(rng, n_rows))[key] for _ in range(repeats)]
    covers = [interval.low <= true_value <= interval.high for interval in results if not interval.reason]
    return np.mean(covers), len(covers) / repeats


def many_classes(rng, n_rows, n_classes=100):
    """Predictions of which three in four are correct: the true class has a higher score on average."""
    y = rng.integers(0, n_classes, n_rows)
    z = rng.normal(size=(n_rows, n_classes))
    z[np.arange(n_rows), y] += 3.4
    p = np.exp(z)
    return y, p / p.sum(axis=1, keepdims=True), tuple(map(str, range(n_classes)))


def test_the_interval_of_f1_macro_covers_for_a_hundred_classes_of_six_rows():
    stats = pytest.importorskip("scipy.stats")
    x = np.linspace(-8, 12, 20_001)
    right = np.trapezoid(stats.norm.pdf(x - 3.4) * stats.norm.cdf(x) ** 99, x)  # by symmetry F1 of each class too
    covered, given = coverage(many_classes, "f1_macro", right, 600, 120)
    assert given > 0.95
    assert covered >= 0.9  # 120 samples of a rate of 0.95 stray by 0.02; the bootstrap of rows holds 0.78


def test_removing_all_rows_of_a_class_leaves_no_rounding_error_in_the_margins():
    """A class is absent if its only row is left out, despite the rounding error of its weight."""
    y = np.array([0, 0, 1, 1, 2])
    p = np.eye(3)[[0, 1, 1, 1, 2]]
    weights = np.array([0.1, 0.2, 0.3, 0.7, 0.1 + 0.2])
    true_counts = []

    def measure(margins):
        true_counts.append(margins.truth)
        return margins.truth.sum(axis=-1)

    of_margins(measure)(score_inputs("classification", y, p, weights, None))
    assert (true_counts[0] == 0.0).sum() == 1
