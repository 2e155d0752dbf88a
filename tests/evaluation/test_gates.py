import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlpcli.errors import MlpError
from mlpcli.evaluation.gates import Gate, judge, make_gates, parse_gate

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, st.booleans())
def test_the_bound_itself_passes(bound, is_minimum):
    assert judge([Gate("mae", bound, is_minimum)], {"mae": bound})[0].passed


@given(finite, st.floats(allow_nan=False))
def test_a_minimum_and_a_maximum_at_one_bound_agree_only_on_the_bound(bound, score):
    at_least, at_most = judge([Gate("mae", bound, True), Gate("mae", bound, False)], {"mae": score})
    assert at_least.passed == (score >= bound)
    assert at_most.passed == (score <= bound)
    assert at_least.passed or at_most.passed


@given(finite, st.booleans())
def test_a_score_that_is_not_defined_never_passes(bound, is_minimum):
    (result,) = judge([Gate("roc_auc", bound, is_minimum)], {"roc_auc": math.nan})
    assert not result.passed
    assert result.text.endswith(": - FAIL")


@given(st.text().filter(str.strip), finite, st.booleans())
@example("f1[a=b]", 0.5, True)
def test_a_gate_is_read_as_it_is_written(metric, bound, is_minimum):
    assert parse_gate(f" {metric} = {bound!r} ", is_minimum) == Gate(metric.strip(), bound, is_minimum)


@given(finite, st.floats(allow_nan=False), st.booleans())
@example(0.95, 0.9499999, True)
@example(0.1, 0.10000000000000002, False)
def test_the_score_as_shown_lies_on_the_side_of_its_verdict(bound, score, is_minimum):
    (result,) = judge([Gate("rmse", bound, is_minimum)], {"rmse": score})
    assert result.gate.passes(float(result.score_text)) == result.passed


def test_verdicts_come_in_the_order_of_the_gates():
    gates = make_gates({"accuracy": 0.95, "f1[Adelie]": 1}, {"log_loss": 0.1})
    gate_results = judge(gates, {"log_loss": 0.1304, "accuracy": 0.98551, "f1[Adelie]": 1.0})
    assert [result.text for result in gate_results] == [
        "accuracy >= 0.95: 0.986 pass",
        "f1[Adelie] >= 1: 1.000 pass",
        "log_loss <= 0.1: 0.130 FAIL",
    ]
    assert [result.gate.text for result in gate_results] == ["accuracy >= 0.95", "f1[Adelie] >= 1", "log_loss <= 0.1"]


def test_a_score_that_misses_by_little_is_shown_with_enough_digits():
    assert judge([Gate("accuracy", 0.95, True)], {"accuracy": 0.94999})[0].text == "accuracy >= 0.95: 0.94999 FAIL"
    assert judge([Gate("mae", 1.0, False)], {"mae": 0.000123456})[0].score_text == "0.000123"


@pytest.mark.parametrize("text", ["", "accuracy", "accuracy=", "=0.9", "=", "accuracy 0.9"])
def test_a_gate_without_metric_or_number_is_an_error_that_shows_an_example(text):
    with pytest.raises(MlpError) as caught:
        parse_gate(text, is_minimum=True)
    assert str(caught.value) == f"--min {text}: expected METRIC=NUMBER. Write for example --min accuracy=0.95"


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "95%", "0,95", "0_95", "high"])
def test_a_bound_that_is_no_finite_number_is_an_error_that_shows_an_example(number):
    with pytest.raises(MlpError) as caught:
        parse_gate(f"log_loss={number}", is_minimum=False)
    assert str(caught.value) == (
        f"--max log_loss={number}: {number!r} is not a finite number. Write for example --max log_loss=0.2"
    )


def test_a_gate_on_a_metric_without_a_score_is_an_error_with_the_nearest_name_and_all_names():
    with pytest.raises(MlpError) as caught:
        judge([Gate("acuracy", 0.9, True)], {"accuracy": 1.0, "log_loss": 0.0, "f1[a]": 1.0})
    assert str(caught.value) == (
        "gate acuracy >= 0.9: unknown metric 'acuracy'. Did you mean accuracy?\nMetrics: accuracy, log_loss, f1[NAME]"
    )
    assert caught.value.exit_code == 2


def test_no_gates_give_no_verdicts():
    assert judge([], {"accuracy": 1.0}) == []
