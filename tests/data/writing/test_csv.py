import csv
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlpcli.data.reading.csv.reader import CsvReader
from mlpcli.data.writing.csv import Labels, LabelSets, float_texts, format_header, format_rows, without_formulas
from tests.data.reading.columns_by_hand import opened, whole

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


def test_numbers_are_written_as_the_shortest_text_that_gives_them_back():
    assert format_rows([np.asarray([0.1, 1.0, 1e-7, 1e22, -0.5])]) == "0.1\n1\n1e-07\n1e+22\n-0.5\n"
    assert format_rows([np.asarray([0.1, 3.0, 16777216.0], np.float32)]) == "0.1\n3\n16777216\n"
    assert format_rows([np.asarray([1, -2]), np.asarray([True, False])]) == "1,True\n-2,False\n"


def as_python(numbers):
    """The shortest decimal, NumPy's, in Python's notation."""
    texts = [repr(float(str(number))).removesuffix(".0") for number in numbers]
    return ["" if text == "nan" else text for text in texts]


@given(hnp.arrays(np.float32, (20,)) | hnp.arrays(np.float64, (20,)))
def test_any_number_is_written_as_python_writes_it(numbers):
    assert float_texts(numbers) == as_python(numbers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_of_every_size_and_next_to_every_power_of_ten_too(dtype):
    edges = dtype(10.0) ** np.arange(-38, 38, dtype=dtype)
    rng = np.random.default_rng(0)
    spread = -(10 ** rng.uniform(-38, 38, 5_000)).astype(dtype)
    short = np.asarray([float(f"{number:.2g}") for number in spread.tolist()], dtype)
    for numbers in (edges, np.nextafter(edges, dtype(0)), np.nextafter(edges, dtype(np.inf)), spread, short):
        assert float_texts(numbers) == as_python(numbers)
        np.testing.assert_array_equal(np.asarray(float_texts(numbers)).astype(dtype), numbers)


def test_special_numbers_and_every_other_number_of_an_array():
    assert float_texts(np.asarray([0.0, -0.0, np.nan, np.inf, -np.inf])) == ["0", "-0", "", "inf", "-inf"]
    assert float_texts(np.arange(6.0)[::2]) == ["0", "2", "4"]
    assert float_texts(np.zeros(0)) == []
    assert float_texts(np.asarray([np.nan])) == [""]


def test_missing_cells_are_empty():
    cells = np.asarray(["x", np.nan, None], dtype=object)
    assert format_rows([np.asarray([np.nan, 1.5, np.nan]), cells]) == ",x\n1.5,\n,\n"
    assert format_rows([Labels(["a", "b"], np.asarray([1, -1])), [1, 2]]) == "b,1\n,2\n"


def test_the_empty_cell_of_a_single_column_is_quoted_for_an_empty_line_is_no_row():
    assert format_rows([np.asarray([1.0, np.nan])]) == '1\n""\n'
    assert format_rows([Labels(["a"], np.asarray([0, -1]))]) == 'a\n""\n'
    assert format_header([""]) == '""\n'


def test_texts_are_quoted_where_they_must_be():
    assert format_rows([["a", "b,c", 'd"e', "f\ng"], ["1", "2", "3", "4"]]) == 'a,1\n"b,c",2\n"d""e",3\n"f\ng",4\n'
    assert format_header(["a", "b,c"]) == 'a,"b,c"\n'
    assert format_rows([["a\tb", "c,d"], [1, 2]], "\t") == '"a\tb"\t1\nc,d\t2\n'


def test_an_object_column_of_mixed_cells_is_written_as_text():
    assert format_rows([np.asarray([1, "a", 2.5], dtype=object)]) == "1\na\n2.5\n"


def test_no_rows_are_no_text():
    assert format_rows([np.asarray([])]) == ""
    assert format_rows([]) == ""
    assert format_rows([]).encode() == b""


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_any_texts_read_back_with_the_csv_module(rows):
    columns = [list(column) for column in zip(*rows, strict=True)]
    assert list(csv.reader(io.StringIO(format_rows(columns), newline=""))) == [list(row) for row in rows]


@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True), st.lists(st.integers(0, 4), max_size=9))
def test_labels_are_written_as_their_texts(texts, indices):
    codes = np.asarray([index % len(texts) for index in indices], np.int8)
    rows = [texts[code] for code in codes]
    assert format_rows([Labels(texts, codes), codes]).encode() == format_rows([rows, codes]).encode()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_read_back_as_they_were(dtype, tmp_path):
    path = tmp_path / "t.csv"

    @given(hnp.arrays(dtype, st.integers(1, 6), elements={"allow_nan": True, "allow_infinity": False}))
    def holds(numbers):
        path.write_bytes(format_header(["x", "y"]).encode() + format_rows([numbers, np.ones(len(numbers))]).encode())
        labels_read = np.asarray(whole(opened(CsvReader, path))["x"][1], object).astype(np.float64)
        np.testing.assert_array_equal(labels_read.astype(dtype), numbers)

    holds()


@pytest.mark.parametrize("cell", ["=1+1", "+a", "-a", "@x", "\tx", "\rx", "\n=1", "-", "+1-1", "-1.5x", "\uff1d1"])
def test_a_text_that_begins_like_a_formula_gets_a_quote_in_front(cell):
    assert without_formulas([cell, "plain"]) == [f"'{cell}", "plain"]


@pytest.mark.parametrize("cell", ["-1.5", "+3", "-.5", "-2.", "-1e-05", "1.5", "", "a=b", None, 3.0])
def test_numbers_and_all_other_cells_stay_as_they_are(cell):
    assert without_formulas([cell]) == [cell]


@given(st.lists(st.text("ab|\\", max_size=3), min_size=1, max_size=70, unique=True), st.integers(0, 5), st.data())
def test_sets_of_labels_are_joined_so_that_they_can_be_told_apart(labels, n_rows, data):
    cells = data.draw(st.lists(st.booleans(), min_size=n_rows * len(labels), max_size=n_rows * len(labels)))
    holds = np.asarray(cells, np.bool_).reshape(n_rows, len(labels))
    texts = LabelSets(labels, holds).joined()
    for row, code in zip(holds, texts.codes, strict=True):
        escaped = re.findall(r"((?:[^\\|]|\\.)*)(?:\||$)", texts.values[code])
        labels_read = [re.sub(r"\\(.)", r"\1", field) for field in escaped]
        expected = [label for label, is_held in zip(labels, row, strict=True) if is_held]
        assert labels_read[: len(expected)] == expected
