import math

import numpy as np
import pytest
from hypothesis import example, given, settings

from mlpcli.evaluation.metrics.registry import METRICS
from mlpcli.evaluation.metrics.scores import (
    explain_unknown_metric,
    find_metric,
    metric_names,
    score,
    score_classes,
    score_multilabel,
    score_numbers,
)

from .cases import class_cases, number_cases, yes_no_cases
from .references import assert_same_scores, sklearn_classes, sklearn_multilabel, sklearn_numbers

NAMES = ["height", "width=", "a [b]", "01"]
TASKS = {
    "classification": (score_classes, sklearn_classes),
    "regression": (score_numbers, sklearn_numbers),
    "multilabel": (score_multilabel, sklearn_multilabel),
}
thorough = settings(max_examples=50, deadline=None)


def assert_agreement(task, y, predicted, weights):
    ours, theirs = TASKS[task]
    names = NAMES[: predicted.shape[1]]
    assert_same_scores(ours(y, predicted, names, weights), theirs(y, predicted, names, weights))


@thorough
@given(class_cases())
@example((np.array([1, 1, 1]), np.array([[0.5, 0.5], [0.2, 0.8], [0.0, 1.0]]), None))  # one class, a tie, a sure row
@example((np.array([0, 0]), np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0.0, 2.0])))
@example((np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([1.0, 0.0])))  # a class without weight
@example((np.array([0, 2, 2]), np.full((3, 3), 1 / 3), None))  # an absent class, everything tied
@example((np.array([0, 1, 2]), np.eye(3)[[1, 2, 0]], None))  # sure and always wrong
@example((np.array([0, 1, 2]), np.eye(3), np.array([0.25, 0.5, 0.0])))
def test_class_scores_agree_with_scikit_learn(case):
    assert_agreement("classification", *case)


@thorough
@given(number_cases())
@example((np.array([[1.0]]), np.array([[3.0]]), None))  # r2 of one row
@example((np.array([[0.0], [0.0]]), np.array([[0.0], [0.5]]), None))  # constant truth, zero as a denominator
@example((np.ones((3, 2)), np.ones((3, 2)), np.array([0.0, 0.25, 0.25])))
@example((np.arange(4.0)[:, None], np.zeros((4, 1)), np.array([0.25, 0.25, 0.0, 0.5])))  # half the weight, then a gap
def test_number_scores_agree_with_scikit_learn(case):
    assert_agreement("regression", *case)


@thorough
@given(yes_no_cases())
@example((np.zeros((2, 2)), np.full((2, 2), 0.5), None))  # no yes at all
@example((np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.0, 1.0])))
def test_multilabel_scores_agree_with_scikit_learn(case):
    assert_agreement("multilabel", *case)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_scores_of_many_rows_agree_with_scikit_learn(is_weighted):
    rng = np.random.default_rng(0)
    weights = rng.exponential(size=5000) if is_weighted else None
    for n_classes in (2, 4):
        probabilities = rng.dirichlet(np.ones(n_classes), size=5000)
        y = (probabilities.cumsum(axis=1) < rng.random((5000, 1))).sum(axis=1)
        assert_agreement("classification", y, probabilities, weights)
    y = rng.normal(size=(5000, 3)) * [1, 1e6, 1e-6] + 3
    assert_agreement("regression", y, y + rng.normal(size=(5000, 3)), weights)
    probabilities = rng.random((5000, 3))
    assert_agreement("multilabel", (rng.random((5000, 3)) < probabilities).astype(float), probabilities, weights)


@thorough
@given(class_cases())
def test_a_weight_counts_like_as_many_copies_of_the_row(case):
    y, probabilities, weights = case
    counts = np.ones(len(y), dtype=int) if weights is None else (4 * weights).astype(int)
    labels = NAMES[: probabilities.shape[1]]
    if set(y) == set(y.repeat(counts)):  # a class of weight zero is not the same as an absent one
        copies = score_classes(y.repeat(counts), probabilities.repeat(counts, axis=0), labels)
        weighted = score_classes(y, probabilities, labels, counts.astype(float))
        macro = {"f1_macro", "precision_macro", "recall_macro"}  # these ask which classes some row is predicted to have
        assert {k: v for k, v in weighted.items() if k not in macro} == pytest.approx(
            {k: v for k, v in copies.items() if k not in macro}, nan_ok=True
        )


@pytest.mark.parametrize("task", TASKS)
def test_one_score_is_the_same_number_as_among_all(task):
    rng = np.random.default_rng(1)
    y = {
        "classification": rng.integers(0, 2, 40),
        "regression": rng.normal(size=(40, 2)),
        "multilabel": rng.integers(0, 2, (40, 2)),
    }[task]
    predicted = rng.dirichlet(np.ones(2), size=40)
    weights = rng.random(40)
    scores = TASKS[task][0](y, predicted, ["a", "b"], weights)
    assert {key: score(task, key, y, predicted, ["a", "b"], weights) for key in scores} == scores


def test_a_single_score_is_computed_without_the_others(monkeypatch):
    def explode(*_):
        raise AssertionError

    monkeypatch.setattr("mlpcli.evaluation.metrics.classes.rank_blocks", explode)
    monkeypatch.setattr("mlpcli.evaluation.metrics.classes._cells", explode)
    y, probabilities = np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])
    assert score("classification", "log_loss", y, probabilities, ["a", "b"]) == pytest.approx(math.log(2))
    assert score("classification", "accuracy", y, probabilities, ["a", "b"]) == 0.5


def test_two_classes_are_scored_for_the_second_label():
    y = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2]])
    scores = score_classes(y, probabilities, ["no", "yes"])
    assert (scores["precision"], scores["recall"]) == (scores["precision[yes]"], scores["recall[yes]"]) == (0.5, 0.5)
    assert scores["roc_auc"] == 0.75
    assert scores["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_a_tie_goes_to_the_first_class_and_to_no():
    assert score("classification", "accuracy", np.array([0]), np.array([[0.5, 0.5]]), ["a", "b"]) == 1.0
    assert score("multilabel", "accuracy[a]", np.array([[0]]), np.array([[0.5]]), ["a"]) == 1.0


def test_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.3, 0.7]])
    scores = score_classes(np.array([0, 1, 1, 1]), probabilities, ["a", "b"])
    assert scores["ece"] == pytest.approx(0.5 * (0.9 - 0.5) + 0.5 * (1.0 - 0.7))


def test_a_top_probability_on_an_edge_belongs_to_the_bin_below():
    # 0.6 = 9/15 closes the bin that begins above 8/15, so 0.55 shares it: one is right, one is wrong.
    probabilities = np.array([[0.6, 0.4], [0.55, 0.45]])
    assert score_classes(np.array([0, 1]), probabilities, ["a", "b"])["ece"] == pytest.approx(0.575 - 0.5)


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_r2_of_a_constant_truth_is_not_defined_even_where_its_mean_is_rounded(error):
    y = np.full((3, 1), 0.1)
    assert y.mean() != 0.1
    assert math.isnan(score_numbers(y, y + error, ["a"])["r2"])
    weights = np.array([1.0, 1.0, 0.0])
    assert math.isnan(score_numbers(np.array([[0.1], [0.1], [3.0]]), y + error, ["a"], weights)["r2"])


def test_a_row_of_weight_0_does_not_affect_the_median():
    y, weights = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.25, 0.25, 0.0, 0.5])
    assert score_numbers(y, np.zeros((4, 1)), ["a"], weights)["median_absolute_error"] == 2.0  # between 1 and 3


def test_the_largest_error_of_several_outputs_is_the_largest_of_all():
    scores = score_numbers(np.zeros((2, 2)), np.array([[1.0, -5.0], [2.0, 3.0]]), ["a", "b"])
    assert (scores["max_error"], scores["max_error[a]"], scores["max_error[b]"]) == (5.0, 2.0, 5.0)


def test_predictions_that_overflow_give_scores_that_are_not_finite_and_no_warning():
    scores = score_numbers(np.array([[1.0], [2.0]]), np.array([[1e200], [np.nan]]), ["a"])
    assert not math.isfinite(scores["rmse"])
    assert not math.isfinite(score("regression", "rmse", np.array([[1.0]]), np.array([[1e200]]), ["a"]))


@pytest.mark.parametrize("n_rows", [0, 2])
def test_no_row_with_weight_makes_every_score_nan(n_rows):
    y, probabilities = np.zeros(n_rows, dtype=int), np.full((n_rows, 2), 0.5)
    scores = score_classes(y, probabilities, ["a", "b"], np.zeros(n_rows))
    assert tuple(scores) == metric_names("classification", ["a", "b"])
    assert all(math.isnan(value) for value in scores.values())
    assert math.isnan(score("classification", "accuracy", y, probabilities, ["a", "b"], np.zeros(n_rows)))


def test_float32_probabilities_are_scored_in_double_precision():
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
    single = score_classes(np.array([1, 0]), probabilities, ["a", "b"])
    assert single == score_classes(np.array([1, 0]), probabilities.astype(float), ["a", "b"])


def test_keys_are_in_the_order_of_display():
    y, probabilities = np.array([0, 1, 2]), np.eye(3)
    shown = (
        "accuracy, balanced_accuracy, log_loss, roc_auc, average_precision, f1_macro, f1_weighted, precision_macro, "
        "recall_macro, mcc, brier, ece, "
        "f1[x], precision[x], recall[x], f1[y], precision[y], recall[y], f1[z], precision[z], recall[z]"
    )
    assert ", ".join(score_classes(y, probabilities, ["x", "y", "z"])) == shown
    assert ", ".join(metric_names("classification", ["x", "y", "z"])) == shown


def test_precision_without_a_class_is_a_key_only_for_two_classes():
    assert "precision" in metric_names("classification")
    assert "precision" in metric_names("classification", ["a", "b"])
    assert "precision" not in metric_names("classification", ["a", "b", "c"])


def test_a_single_output_has_no_scores_per_output():
    assert metric_names("regression", ["price"]) == metric_names("regression")
    assert "mae[b]" in metric_names("regression", ["a", "b"])


@pytest.mark.parametrize("task", TASKS)
def test_find_metric_finds_the_metric_of_every_key(task):
    for key in metric_names(task, ["a[1]", "b"]):
        assert key.startswith(find_metric(key).name)
        assert task in find_metric(key).tasks
    assert not find_metric("log_loss").higher_is_better
    assert find_metric("f1[Adelie]").higher_is_better


def test_a_better_prediction_scores_better_on_every_metric():
    def scores_of(shift):
        probability = np.array([0.2, 0.7, 0.4, 0.9, 0.1, 0.6])[:, None]
        yes = np.array([0, 0, 1, 1, 0, 1])
        better = probability + shift * (yes[:, None] - probability)
        both, twice = np.hstack([1 - better, better]), np.hstack([better, better])
        return {
            **score_multilabel(np.stack([yes, yes], axis=1), twice, ["a", "b"]),
            **score_classes(yes, both, ["a", "b"]),
            **score_numbers(yes[:, None] + 1.0, better + 1.0, ["a"]),
        }

    poor, good = scores_of(0.0), scores_of(0.9)
    assert set(METRICS) <= {key.partition("[")[0] for key in poor}
    for key in poor:
        assert (good[key] > poor[key]) == find_metric(key).higher_is_better, key


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("acuracy", "accuracy"),
        ("auc", "roc_auc"),
        ("Log-Loss", "log_loss"),
        ("acc", "accuracy"),
        ("f1[adelie]", "f1[Adelie]"),
    ],
)
def test_the_message_on_an_unknown_metric_has_the_nearest_name_and_all_names(wrong, nearest):
    text = explain_unknown_metric(wrong, metric_names("classification", ["Adelie", "Chinstrap", "Gentoo"]))
    assert text.startswith(f"unknown metric {wrong!r}. Did you mean {nearest}?\nMetrics: accuracy, balanced_accuracy, ")
    assert text.endswith("ece, f1[NAME], precision[NAME], recall[NAME]")


def test_the_message_on_a_metric_unlike_all_others_has_all_names_only():
    assert explain_unknown_metric("zzz", ["rmse", "mae"]) == "unknown metric 'zzz'.\nMetrics: rmse, mae"


@pytest.mark.parametrize(
    ("task", "name"),
    [(task, name) for task in ("classification", "multilabel") for name in METRICS if task in METRICS[name].overall],
)
def test_judges_probabilities_is_true_if_more_than_the_labels_matters(task, name):
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet([1.0, 1.0], 60), NAMES[:2]
    y = (rng.random(60) < probabilities[:, 1]).astype(np.int64)
    sure = np.eye(2)[probabilities.argmax(axis=1)]
    if task == "multilabel":
        y, sure = np.column_stack([y, 1 - y[::-1]]), (probabilities > 0.5).astype(float)
    changes = score(task, name, y, probabilities, labels) != pytest.approx(score(task, name, y, sure, labels))
    assert changes == METRICS[name].judges_probabilities


def test_a_threshold_decides_labels_and_leaves_scores_of_probabilities_alone():
    p = np.array([0.1, 0.3, 0.4, 0.6, 0.9])
    y = np.array([0, 1, 0, 1, 1])
    predictions = np.column_stack([1 - p, p])
    plain = score_classes(y, predictions, ("no", "yes"))
    low = score_classes(y, predictions, ("no", "yes"), threshold=np.array([0.2]))
    assert (plain["accuracy"], plain["recall"]) == (0.6 + 0.2, 2 / 3)
    assert (low["accuracy"], low["recall"], low["precision"]) == (0.8, 1.0, 0.75)
    assert low["f1[no]"] == pytest.approx(2 / 3)
    for key in ("log_loss", "roc_auc", "average_precision", "brier", "ece"):
        assert low[key] == plain[key]
    assert score("classification", "recall", y, predictions, ("no", "yes"), threshold=np.array([0.2])) == 1.0


def test_a_threshold_of_one_half_is_the_default():
    p = np.random.default_rng(0).uniform(0, 1, (40, 2))
    y = p > 0.4
    assert score_multilabel(y, p, ("a", "b")) == score_multilabel(y, p, ("a", "b"), None, np.array([0.5, 0.5]))
    predictions = np.column_stack([1 - p[:, 0], p[:, 0]])
    codes = y[:, 0].astype(np.int64)
    plain = score_classes(codes, predictions, ("a", "b"))
    assert plain == score_classes(codes, predictions, ("a", "b"), None, np.array([0.5]))


def test_each_column_has_a_threshold_of_its_own():
    p, y = np.array([[0.3, 0.3], [0.6, 0.6]]), np.array([[1, 0], [1, 0]])
    scores = score_multilabel(y, p, ("a", "b"), None, np.array([0.2, 0.9]))
    assert (scores["accuracy[a]"], scores["accuracy[b]"], scores["subset_accuracy"]) == (1.0, 1.0, 1.0)


@thorough
@given(class_cases(), number_cases(), yes_no_cases())
def test_every_score_lies_within_the_bounds_of_its_metric(classes, numbers, booleans):
    for task, (y, predicted, weights) in zip(TASKS, (classes, numbers, booleans), strict=True):
        for key, value in TASKS[task][0](y, predicted, NAMES[: predicted.shape[1]], weights).items():
            metric = find_metric(key)
            assert math.isnan(value) or metric.lowest - 1e-9 <= value <= metric.highest + 1e-9, key


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_mcc_is_undefined_if_one_row_has_all_the_weight(names):
    y = np.arange(30) % len(names)
    probabilities = np.eye(len(names))[(y + (np.arange(30) % 4 == 1)) % len(names)]
    weights = np.where(np.arange(30) == 0, 1e30, 1e-30)
    assert math.isnan(score("classification", "mcc", y, probabilities, names, weights))
