import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlpcli.errors import MlpError
from mlpcli.evaluation.gates import Gate, evaluate_gates, make_gates, parse_gate
from mlpcli.evaluation.metrics.scores import find_metric, score_classes, score_inputs, score_multilabel, score_numbers
from mlpcli.evaluation.uncertainty.intervals import (
    DEFAULT_OPTIONS,
    gate_names,
    interval_ends,
    score_intervals,
    without_end,
)
from mlpcli.evaluation.undefined_scores import can_distinguish

SCORE_ALL = {"classification": score_classes, "regression": score_numbers, "multilabel": score_multilabel}

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, st.booleans())
def test_a_score_equal_to_the_bound_passes(bound, is_minimum):
    assert evaluate_gates([Gate("mae", bound, is_minimum)], {"mae": bound})[0].passed


@given(finite, st.floats(allow_nan=False))
def test_a_minimum_and_a_maximum_with_one_bound_both_pass_only_at_the_bound(bound, score):
    at_least, at_most = evaluate_gates([Gate("mae", bound, True), Gate("mae", bound, False)], {"mae": score})
    assert at_least.passed == (score >= bound)
    assert at_most.passed == (score <= bound)
    assert at_least.passed or at_most.passed


@given(finite, st.booleans())
def test_a_score_that_is_not_defined_never_passes(bound, is_minimum):
    (result,) = evaluate_gates([Gate("roc_auc", bound, is_minimum)], {"roc_auc": math.nan})
    assert not result.passed
    assert result.text.endswith(": - FAIL")


@given(st.text().filter(str.strip), finite, st.booleans())
@example("f1[a=b]", 0.5, True)
def test_parsing_the_text_of_a_gate_gives_the_gate(metric, bound, is_minimum):
    assert parse_gate(f" {metric} = {bound!r} ", is_minimum) == Gate(metric.strip(), bound, is_minimum)


@given(finite, st.floats(allow_nan=False), st.booleans())
@example(0.95, 0.9499999, True)
@example(0.1, 0.10000000000000002, False)
def test_the_displayed_score_is_on_the_side_of_the_bound_that_the_result_says(bound, score, is_minimum):
    (result,) = evaluate_gates([Gate("rmse", bound, is_minimum)], {"rmse": score})
    assert result.gate.passes(float(result.score_text)) == result.passed


def test_results_are_in_the_order_of_the_gates():
    gates = make_gates({"accuracy": 0.95, "f1[Adelie]": 1}, {"log_loss": 0.1})
    gate_results = evaluate_gates(gates, {"log_loss": 0.1304, "accuracy": 0.98551, "f1[Adelie]": 1.0})
    assert [result.text for result in gate_results] == [
        "accuracy >= 0.95: 0.986 pass",
        "f1[Adelie] >= 1: 1.000 pass",
        "log_loss <= 0.1: 0.130 FAIL",
    ]
    assert [result.gate.text for result in gate_results] == ["accuracy >= 0.95", "f1[Adelie] >= 1", "log_loss <= 0.1"]


def test_a_score_that_barely_fails_is_displayed_with_enough_digits():
    assert (
        evaluate_gates([Gate("accuracy", 0.95, True)], {"accuracy": 0.94999})[0].text
        == "accuracy >= 0.95: 0.94999 FAIL"
    )
    assert evaluate_gates([Gate("mae", 1.0, False)], {"mae": 0.000123456})[0].score_text == "0.000123"


@pytest.mark.parametrize("text", ["", "accuracy", "accuracy=", "=0.9", "=", "accuracy 0.9"])
def test_a_gate_without_metric_or_number_is_an_error_that_shows_an_example(text):
    with pytest.raises(MlpError) as caught:
        parse_gate(text, is_minimum=True)
    assert str(caught.value) == f"--min {text}: expected METRIC=NUMBER. Write for example --min accuracy=0.95"


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "95%", "0,95", "0_95", "high"])
def test_a_bound_that_is_not_a_finite_number_is_an_error_that_shows_an_example(number):
    with pytest.raises(MlpError) as caught:
        parse_gate(f"log_loss={number}", is_minimum=False)
    assert str(caught.value) == (
        f"--max log_loss={number}: {number!r} is not a finite number. Write for example --max log_loss=0.2"
    )


def test_a_gate_on_a_metric_without_a_score_is_an_error_with_the_nearest_name_and_all_names():
    with pytest.raises(MlpError) as caught:
        evaluate_gates([Gate("acuracy", 0.9, True)], {"accuracy": 1.0, "log_loss": 0.0, "f1[a]": 1.0})
    assert str(caught.value) == (
        "gate acuracy >= 0.9: unknown metric 'acuracy'. Did you mean accuracy?\nMetrics: accuracy, log_loss, f1[NAME]"
    )
    assert caught.value.exit_code == 2


def test_no_gates_give_no_results():
    assert evaluate_gates([], {"accuracy": 1.0}) == []


def _without_meaning():
    """Rows for which some metrics are undefined: task, truth, predictions and names."""
    rng, n_rows = np.random.default_rng(0), 400
    two, three = rng.dirichlet(np.ones(2), n_rows), rng.dirichlet(np.ones(3), n_rows)
    never = np.column_stack([two, np.full(n_rows, 1e-9)])
    sure, yes = np.full((n_rows, 2), [0.9, 0.1]), rng.random((n_rows, 2))
    some, column = rng.integers(0, 2, n_rows), rng.normal(size=(n_rows, 1))
    return {
        "a class without a row": ("classification", some, three, "abc"),
        "a class that is neither true nor predicted": ("classification", some, never, "abc"),
        "rows of the first class alone": ("classification", np.zeros(n_rows, np.int64), two, "ab"),
        "rows of the second class alone": ("classification", np.ones(n_rows, np.int64), two, "ab"),
        "the first class alone, and all right": ("classification", np.zeros(n_rows, np.int64), sure, "ab"),
        "a single row": ("classification", np.zeros(1, np.int64), sure[:1], "ab"),
        "columns without yes": ("multilabel", np.zeros((n_rows, 2), np.bool_), yes, "ab"),
        "columns of yes": ("multilabel", np.ones((n_rows, 2), np.bool_), yes, "ab"),
        "a constant": ("regression", np.ones((n_rows, 1)), 1.0 + column, "a"),
        "a constant, and all right": ("regression", np.ones((n_rows, 1)), np.ones((n_rows, 1)), "a"),
        "a single number": ("regression", np.ones((1, 1)), 1.0 + column[:1], "a"),
    }


@pytest.mark.parametrize("name", _without_meaning())
def test_no_gate_passes_on_a_metric_that_is_undefined_for_the_rows(name):
    """If a metric is equal for all predictions, neither its score nor an interval end passes a gate."""
    task, y, predictions, names = _without_meaning()[name]
    scores = SCORE_ALL[task](y, predictions, names)
    inputs = score_inputs(task, y, predictions, None, None)
    intervals = score_intervals(task, inputs, names, scores, DEFAULT_OPTIONS, np.random.default_rng(0))
    values, n_tested = scores | interval_ends(intervals), 0
    for key in gate_names(task, names):
        metric = find_metric(without_end(key))
        if can_distinguish(task, without_end(key), y, names):
            continue
        n_tested += 1
        worst = metric.lowest if metric.higher_is_better else metric.highest
        # A gate that every model meets; the interval of F1 or precision may end slightly above 0.
        bound = worst + (0.1 if metric.higher_is_better else -0.1) if math.isfinite(worst) else -1e6
        (result,) = evaluate_gates([Gate(key, bound, metric.higher_is_better)], values)
        assert not result.passed, result.text
    assert n_tested > 0
