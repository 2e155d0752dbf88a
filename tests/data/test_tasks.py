import numpy as np
import pandas as pd
import pytest

from mlpcli.data.tasks import are_codes, resolve_task
from mlpcli.errors import DataError


def task_of(cells, task="auto"):
    return resolve_task(pd.DataFrame({"y": pd.Series(cells, dtype=object)}), ["y"], task)


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
    ],
)
def test_the_task_follows_from_the_target(cells, task):
    assert task_of(cells)[0] == task


def test_the_reason_says_how_the_target_was_read_and_how_to_change_that():
    assert task_of(["3", "4", "9"])[1] == (
        "y: whole numbers 3 to 9, read as amounts; write task: classification if they are codes"
    )
    assert task_of(["0", "1", "2"])[1] == (
        "y: whole numbers 0 to 2 without gaps, read as 3 classes; write task: regression if they are amounts"
    )


def test_the_user_has_the_last_word():
    assert task_of(["a", "b"], "regression")[0] == "regression"


def test_several_targets_are_multilabel_only_when_all_are_yes_or_no():
    frame = pd.DataFrame({"a": ["yes", "no"], "b": ["0", "1"], "c": ["1", "2"]}, dtype=object)
    assert resolve_task(frame, ["a", "b"])[0] == "multilabel"
    assert resolve_task(frame, ["b", "c"])[0] == "regression"


def test_a_target_that_is_not_there_or_empty_is_an_error():
    frame = pd.DataFrame({"y": [np.nan, np.nan]}, dtype=object)
    with pytest.raises(DataError, match="target y is missing in every row"):
        resolve_task(frame, ["y"])
    with pytest.raises(DataError, match="target column z is missing"):
        resolve_task(frame, ["z"])


def test_codes_run_from_0_or_1_without_gaps():
    assert are_codes(np.array([2.0, 0.0, 1.0]))
    assert are_codes(np.array([1.0, 2.0]))
    assert not are_codes(np.array([2.0, 3.0]))
    assert not are_codes(np.array([0.0, 0.5, 1.0]))
    assert not are_codes(np.zeros(0))
