import numpy as np
import pandas as pd
import pytest

from mlpcli.data.columns import Column, complete_yes_no, find_role, find_yes_no, yes_no_sign


@pytest.mark.parametrize(
    ("cells", "role"),
    [
        ([1.5, 2.5, np.nan], "number"),
        ([1, 2, 3], "number"),
        ([0, 1, 1], "number"),
        ([0.0, 1.0, np.nan], "number"),
        ([0, 0, 0], "number"),
        ([np.nan, np.nan], "number"),
        ([True, False], "yes_no"),
        (["yes", "No", "YES", np.nan], "yes_no"),
        (["t", "f"], "yes_no"),
        (["y", "no"], "category"),
        (["yes", "yes"], "category"),
        (["yes", "no", "maybe"], "category"),
        (["1.5", "", "2"], "number"),
        (["19.5", "None", "20"], "number"),
        (["01", "02", "10"], "category"),
        (["0.5", "0", "-0.25"], "number"),
        (["12345678901234567890", "12345678901234567891"], "category"),
        (["a", "b"], "category"),
        (["None", "-"], "category"),
        (["2020-01-01", np.nan], "date"),
        (["24.12.2020", "1.1.2021"], "date"),
        (["2020-01-01", "later"], "category"),
    ],
)
def test_the_role_of_a_column_is_found(cells, role):
    assert find_role(pd.Series(cells, dtype=object if isinstance(cells[0], str) else None)) == role


def test_dtypes_of_python_frames_speak_for_themselves():
    assert find_role(pd.Series(pd.to_datetime(["2020-01-01"]))) == "date"
    assert find_role(pd.Series([1, 2, 3], dtype="category")) == "category"
    assert find_role(pd.Series([1, 2, None], dtype="Int64")) == "number"
    assert find_role(pd.Series([True, None, False], dtype="boolean")) == "yes_no"
    assert find_role(pd.Series(["a", "b"], dtype="string")) == "category"


def test_yes_and_no_keep_the_spelling_of_the_user():
    assert find_yes_no(["TRUE", "FALSE"]) == ("FALSE", "TRUE")
    assert find_yes_no(["1", "0"]) == ("0", "1")
    assert find_yes_no(["yes", "true"]) is None


def test_a_single_word_is_completed_and_any_two_texts_will_do_when_asked():
    assert complete_yes_no(["No"]) == ("No", "yes")
    assert complete_yes_no(["T"]) == ("f", "T")
    assert complete_yes_no(["male", "female"]) == ("female", "male")
    assert complete_yes_no(["male"]) is None
    assert complete_yes_no(["a", "b", "c"]) is None


@pytest.mark.parametrize(
    ("levels", "text", "sign"),
    [
        (("No", "Yes"), "Yes", 1.0),
        (("No", "Yes"), "NO", -1.0),
        (("No", "Yes"), "1", 1.0),
        (("0", "1"), "0.0", -1.0),
        (("False", "True"), "y", 1.0),
        (("female", "male"), "Male", 1.0),
        (("a", "A"), "A", 1.0),
        (("a", "A"), "a", -1.0),
    ],
)
def test_yes_and_no_are_understood_in_other_spellings(levels, text, sign):
    assert yes_no_sign(levels, text) == sign


@pytest.mark.parametrize(("levels", "text"), [(("No", "Yes"), "maybe"), (("female", "male"), "yes"), (("0", "1"), "2")])
def test_other_texts_are_neither_yes_nor_no(levels, text):
    assert np.isnan(yes_no_sign(levels, text))


def test_n_inputs_counts_what_a_column_feeds():
    assert Column("a", "number").n_inputs == 1
    assert Column("a", "number", flag_of="a").n_inputs == 2
    assert Column("a", "number", flag_of="b").n_inputs == 1
    assert Column("a", "date").n_inputs == 5
    assert Column("a", "date", has_time=True).n_inputs == 7
    assert Column("a", "yes_no", levels=("no", "yes")).n_inputs == 1
    assert Column("a", "category", levels=("x", "y"), has_missing_level=True, has_other_level=True).n_inputs == 4
