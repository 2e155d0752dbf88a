from contextlib import suppress

import numpy as np
import pytest

from mlpcli.data.schema.task import are_codes, infer_targets
from mlpcli.errors import DataError
from tests.data.tables_by_hand import hand_table


def plan(cells, task="auto"):
    return infer_targets(hand_table(y=cells), ["y"], task)


def task_of(cells, task="auto"):
    spec = plan(cells, task)
    return spec.task, spec.reason


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["Adelie", "Gentoo", "Adelie"], "classification"),
        (["True", "False"], "classification"),
        (["0", "1", "0", np.nan], "classification"),
        (["1", "2", "3"], "classification"),
        (["0", "1", "2", "3"], "classification"),
        (["1.0", "2.0", "3.0"], "classification"),
        (["-1", "1"], "classification"),
        (["0.5", "1.5"], "classification"),
        (["3", "4", "5"], "regression"),
        (["0", "1", "3"], "regression"),
        (["1.5", "2", "3"], "regression"),
        ([str(number) for number in range(20)], "classification"),
        ([str(number) for number in range(21)], "regression"),
        (["10.5", *(str(number) for number in range(40)), "oops"], "regression"),
        (["a", *(str(number) for number in range(5))], "classification"),
        (["None", "inf", *(str(number) for number in range(5))], "regression"),  # the infinite value is an error later
    ],
)
def test_the_task_follows_from_the_target(cells, task):
    assert task_of(cells)[0] == task


def test_the_reason_says_how_the_target_was_read_and_how_to_change_that():
    assert task_of(["3", "4", "9"])[1] == (
        "y: integers 3 to 9, read as numeric; write task: classification if they are codes"
    )
    assert task_of(["0", "1", "2"])[1] == (
        "y: integers 0 to 2 without gaps, read as 3 classes; write task: regression if they are numeric"
    )


def test_a_target_of_dates_or_formatted_numbers_is_reported():
    assert task_of(["2020-01-01", "2020-01-02", "2020-01-03"])[1] == "y: dates, read as 3 classes"
    (finding,) = plan([f"{number}%" for number in range(9)]).findings
    assert "its cells look like numbers" in finding.text
    assert not finding.is_fault


def test_the_user_has_the_last_word():
    assert task_of(["1", "b"], "regression")[0] == "regression"
    with pytest.raises(
        DataError, match=r"holds texts \('a', 'b'\), which are not numbers.* write task: classification"
    ):
        task_of(["a", "b"], "regression")


def test_several_targets_are_multilabel_only_when_all_are_yes_or_no():
    table = hand_table(a=["yes", "no"], b=["0", "1"], c=["1", "2"])
    assert infer_targets(table, ["a", "b"]).task == "multilabel"
    assert infer_targets(table, ["b", "c"]).task == "regression"


def test_the_target_columns_are_read_in_the_role_of_the_task():
    table = hand_table(a=["yes", "no", "yes"], b=["x", "y", "x"], c=["1", "2", "5"], d=["ja", "nein", "vielleicht"])
    for names, task, roles in [
        (["c"], "auto", ["number"]),
        (["c"], "classification", ["category"]),
        (["a"], "auto", ["category"]),
        (["a", "b"], "multilabel", ["boolean", "boolean"]),
        (["c"], "regression", ["number"]),
    ]:
        assert [schema.role for schema in infer_targets(table, names, task).schemas] == roles
    pairs = [schema.levels for schema in infer_targets(table, ["a", "b"], "multilabel").schemas]
    assert pairs == [("no", "yes"), ("x", "y")]
    with pytest.raises(DataError, match=r"the target d has 3 values \(ja, nein, vielleicht\); multilabel needs boo"):
        infer_targets(table, ["a", "d"], "multilabel")


def test_a_target_that_is_not_there_or_empty_is_an_error():
    table = hand_table(y=[None, None], t=["NA", " "])
    for name in ("y", "t"):
        with pytest.raises(DataError, match=f"target {name} is missing in every row"):
            infer_targets(table, [name])
    with pytest.raises(DataError, match="target column z is missing"):
        infer_targets(table, ["z"])


def test_labels_of_one_number_in_several_spellings_are_counted_once():
    assert task_of(["0", "0.0", "1", "1.0"]) == ("classification", "y: two distinct values, read as classes")
    assert task_of(["0", "0.0", "1", "1.0", "+2"])[0] == "classification"


def test_a_target_of_too_many_classes_is_an_error_that_says_what_it_looks_like():
    for cells, looks_like in [
        ([f"name {row}" for row in range(60)], "They look like names or free texts: name another target"),
        ([f"2024-01-{1 + row % 28:02} {row % 24:02}:30" for row in range(60)], "They are dates"),
        ([f"0{row % 10}:{row:02}:30" for row in range(60)], "its cells look like times of day or durations"),
        ([f"${row}.50" for row in range(60)], r"its cells look like numbers.*data\.columns: {y: {role: number, prefix"),
    ]:
        with pytest.raises(DataError, match=rf"(?s)the target y has \d+ classes in 60 rows.*too many.*{looks_like}"):
            plan(cells)
    assert plan([f"class {row % 12}" for row in range(60)]).task == "classification"
    assert plan([f"class {row % 10}" for row in range(20)]).task == "classification"


def test_strays_among_the_numbers_of_a_target_are_a_fault_unless_classification_is_requested():
    cells = [*(f"{row}.5" for row in range(40)), "oops"]
    for task in ("auto", "regression"):
        spec = plan(cells, task)
        assert spec.task == "regression"
        assert [finding.is_fault for finding in spec.findings] == [True]
        assert "new.csv:42: column y: 'oops' is not a number" in spec.findings[0].text
    assert plan(["1", "2"] * 30 + ["oops"], "classification").findings == ()


def test_classes_that_differ_only_in_case_are_noted():
    (finding,) = plan(["Yes", "No", "yes"] * 9).findings
    assert (finding.text, finding.is_fault) == ("column y: classes that differ in case only: Yes, yes", False)


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (("0", "1", "01"), "classes that look alike: '01', '1'"),
        (("0", "1", "\uff10"), "classes that look alike: '0', '\uff10' (U+FF10)"),
        (("yes", "yes\u200b", "no"), "classes that look alike: 'yes', 'yes\\u200b' (U+200B)"),
        (("0", "1", "true", "false"), "several words for no and yes, read as classes: "),
    ],
)
def test_labels_that_may_be_spellings_of_one_class_are_noted(labels, note):
    assert note in infer_targets(hand_table(y=list(labels) * 9), ["y"]).findings[-1].text


def test_codes_run_from_0_or_1_without_gaps():
    assert are_codes(np.array([2.0, 0.0, 1.0]))
    assert are_codes(np.array([1.0, 2.0]))
    assert not are_codes(np.array([2.0, 3.0]))
    assert not are_codes(np.array([0.0, 0.5, 1.0]))
    assert not are_codes(np.zeros(0))


@pytest.mark.parametrize("cells", [["0", "0,0", "1", "1,0"], ["$1", "1", "2"], ["1,5", "1.5", "2.5"]])
@pytest.mark.parametrize("task", ["auto", "classification"])
def test_labels_that_may_be_spellings_of_one_number_are_noted(cells, task):
    notes = [finding for finding in plan(cells * 9, task).findings if "look like numbers" in finding.text]
    assert [note.is_fault for note in notes] == [False]


def test_labels_with_units_that_are_different_numbers_are_classes_of_a_requested_classification():
    assert plan(["250 ml", "500 ml", "750 ml"] * 9, "classification").findings == ()


def test_no_message_advises_to_drop_the_target():
    for cells in (
        ["$1", "1", "2"] * 9,
        [f"~{number}.5" for number in range(40)],
        [f"{number}/{number}" for number in range(40)],
    ):
        with suppress(DataError):
            assert not [finding for finding in plan(cells).findings if "data.drop" in finding.text]
    with pytest.raises(DataError) as caught:
        plan([f"~{number}.5" for number in range(40)])
    assert "Write plain numbers; to keep texts: data.columns" in str(caught.value)
