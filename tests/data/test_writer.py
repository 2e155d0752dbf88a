import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlpcli.data.tables import TableFormat, read_table
from mlpcli.data.writer import format_header, format_rows, without_formulas

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


def test_numbers_are_written_as_the_shortest_text_that_gives_them_back():
    assert format_rows([np.asarray([0.1, 1.0, 1e-7, 1e22, -0.5])]) == "0.1\n1\n1e-07\n1e+22\n-0.5\n"
    assert format_rows([np.asarray([0.1, 3.0, 16777216.0], np.float32)]) == "0.1\n3\n16777216\n"
    assert format_rows([np.asarray([1, -2]), np.asarray([True, False])]) == "1,True\n-2,False\n"


def test_missing_cells_are_empty():
    cells = np.asarray(["x", np.nan, None], dtype=object)
    assert format_rows([np.asarray([np.nan, 1.5, np.nan]), cells]) == ",x\n1.5,\n,\n"


def test_the_empty_cell_of_a_single_column_is_quoted_for_an_empty_line_is_no_row():
    assert format_rows([np.asarray([1.0, np.nan])]) == '1\n""\n'
    assert format_header([""]) == '""\n'


def test_texts_are_quoted_where_they_must_be():
    assert format_rows([["a", "b,c", 'd"e', "f\ng"], ["1", "2", "3", "4"]]) == 'a,1\n"b,c",2\n"d""e",3\n"f\ng",4\n'
    assert format_header(["a", "b,c"]) == 'a,"b,c"\n'


def test_an_object_column_of_mixed_cells_is_written_as_text():
    assert format_rows([np.asarray([1, "a", 2.5], dtype=object)]) == "1\na\n2.5\n"


def test_no_rows_are_no_text():
    assert format_rows([np.asarray([])]) == ""
    assert format_rows([]) == ""


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_any_texts_read_back_with_the_csv_module(rows):
    columns = [list(column) for column in zip(*rows, strict=True)]
    assert list(csv.reader(io.StringIO(format_rows(columns), newline=""))) == [list(row) for row in rows]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_and_texts_read_back_as_they_were(dtype, tmp_path):
    path = tmp_path / "t.csv"

    @given(
        hnp.arrays(dtype, st.integers(1, 6), elements={"allow_nan": True, "allow_infinity": False}),
        st.lists(TEXTS.map(str.strip), min_size=6, max_size=6),
    )
    def holds(numbers, texts):
        texts = texts[: len(numbers)]
        path.write_text(format_header(["x", "s"]) + format_rows([numbers, texts]), encoding="utf-8", newline="")
        table = read_table(str(path), TableFormat(missing=()), text_columns=["s"], number_columns=["x"])
        np.testing.assert_array_equal(table.frame["x"].to_numpy().astype(dtype), numbers)
        assert [text if isinstance(text, str) else "" for text in table.frame["s"]] == texts

    holds()


@pytest.mark.parametrize("cell", ["=1+1", "+a", "-a", "@x", "\tx", "\rx", "\n=1", "-", "+1-1", "-1.5x", "\uff1d1"])
def test_a_text_that_begins_like_a_formula_gets_a_quote_in_front(cell):
    assert without_formulas([cell, "plain"]) == [f"'{cell}", "plain"]


@pytest.mark.parametrize("cell", ["-1.5", "+3", "-.5", "-2.", "-1e-05", "1.5", "", "a=b", None, 3.0])
def test_numbers_and_all_other_cells_stay_as_they_are(cell):
    assert without_formulas([cell]) == [cell]
