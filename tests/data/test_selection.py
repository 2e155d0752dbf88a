import numpy as np
import pandas as pd
import pytest

from mlpcli.data.selection import Selection
from mlpcli.errors import DataError

from .tables_by_hand import hand_table


def test_selected_rows_keep_their_places():
    table = hand_table(x=[1.0, 2.0, 3.0])
    selection = Selection(table, np.array([2, 0]))
    assert selection.n_rows == 2
    assert selection.numbers("x").tolist() == [3.0, 1.0]
    assert selection.where(0) == "new.csv:4"


def test_the_whole_column_is_seen_whatever_was_selected():
    selection = Selection(hand_table(x=[1.0, 2.0]), np.array([1]))
    assert selection.whole_column("x").tolist() == [1.0, 2.0]


def test_a_frame_from_python_has_row_numbers_for_places():
    selection = Selection(pd.DataFrame({"x": ["1", "oops"]}))
    with pytest.raises(DataError, match=r"^row 1: column x: 'oops' is not a number"):
        selection.numbers("x")


def test_column_names_of_a_frame_may_be_numbers():
    assert Selection(pd.DataFrame({0: [5.0]})).numbers("0").tolist() == [5.0]


def test_two_columns_of_one_name_are_an_error():
    frame = pd.DataFrame([[1, 2]], columns=["x", "x"])
    with pytest.raises(DataError, match="two columns x"):
        Selection(frame)


def test_an_infinite_number_is_an_error_with_its_line():
    selection = Selection(hand_table(x=[1.0, np.inf]))
    with pytest.raises(DataError, match=r"^new\.csv:3: column x is infinite"):
        selection.numbers("x")


def test_a_text_that_is_no_date_is_an_error_with_its_line():
    selection = Selection(hand_table(x=["2020-01-01", np.nan, "2020-02-30"]))
    with pytest.raises(DataError, match=r"^new\.csv:4: column x: '2020-02-30' is not a date written YYYY-MM-DD"):
        selection.days("x", "YYYY-MM-DD")
