from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data import cells
from mlpcli.data.cells import Coder, canonical_number, coded, number_cells, number_text, parse_numbers, text_cells


def as_texts(series):
    found = text_cells(series)
    return [found.texts[code] if code >= 0 else None for code in found.codes]


SAME_NUMBERS = [
    pd.Series([1, 0, 3]),
    pd.Series([1.0, 0.0, 3.0]),
    pd.Series([1, 0, 3], dtype="uint8"),
    pd.Series([1, 0, 3], dtype="Int64"),
    pd.Series([1, 0, 3], dtype="float32"),
    pd.Series([1, 0, 3], dtype="category"),
    pd.Series([1.0, 0.0, 3.0], dtype="category"),
    pd.Series(["1", " 0", "3 "], dtype=object),
    pd.Series(["1", "0", "3"], dtype="string"),
    pd.Series([1, 0, 3], dtype=object),
]


@pytest.mark.parametrize("series", SAME_NUMBERS, ids=lambda series: str(series.dtype))
def test_the_same_numbers_read_the_same_in_every_dtype(series):
    assert as_texts(series) == ["1", "0", "3"]
    assert number_cells(series).values.tolist() == [1.0, 0.0, 3.0]
    assert number_cells(series).values.dtype == np.float64


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([1.0, np.nan, 3.0]),
        pd.Series([1, None, 3], dtype="Int64"),
        pd.Series([1, None, 3], dtype="category"),
        pd.Series(["1", np.nan, "3"], dtype=object),
        pd.Series(["1", None, "3"], dtype="string"),
        pd.Series(["1", " ", "3"], dtype=object),
    ],
    ids=lambda series: str(series.dtype),
)
def test_missing_cells_are_missing_in_every_dtype(series):
    assert as_texts(series) == ["1", None, "3"]
    assert text_cells(series).n_missing == 1
    np.testing.assert_array_equal(number_cells(series).values, [1.0, np.nan, 3.0])


def test_booleans_are_their_texts():
    assert as_texts(pd.Series([True, False])) == ["True", "False"]
    assert as_texts(pd.Series([True, None, False], dtype="boolean")) == ["True", None, "False"]
    assert as_texts(pd.Series([True, np.nan], dtype=object)) == ["True", None]


def test_dates_of_the_frame_are_iso_texts():
    assert as_texts(pd.Series(pd.to_datetime(["2024-02-29", None]))) == ["2024-02-29T00:00:00", None]


def test_texts_that_differ_in_blanks_are_one_text():
    cells = text_cells(pd.Series(["a", " a", "b", "a "], dtype=object))
    assert cells.texts == ("a", "b")
    assert cells.codes.tolist() == [0, 0, 1, 0]
    assert cells.counts.tolist() == [3, 1]


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=20))
def test_codes_and_texts_give_the_cells_back(values):
    expected = [value.strip() or None if value is not None else None for value in values]
    assert as_texts(pd.Series(values, dtype=object)) == expected


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_whole_numbers_have_one_spelling(number):
    assert number_text(float(number)) == str(number) == canonical_number(f"{number}.0")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_reads_back_exactly(number):
    assert float(number_text(number)) == number


def test_words_are_no_numbers_but_dashes_among_numbers_are_missing():
    values, unknown = parse_numbers(["1e3", "abc", "None", "-", ".", "inf", "1_000", "1,5"])
    assert unknown.tolist() == [False, True, False, False, False, False, True, True]
    assert values[0] == 1000.0
    assert np.isnan(values[[2, 3, 4]]).all()


def test_the_first_cell_that_is_no_number_is_named():
    cells = number_cells(pd.Series(["1", "x", "2", "y"], dtype=object))
    assert (cells.bad_row, cells.bad_text) == (1, "x")


def test_texts_stand_in_the_order_in_which_they_occur_however_many_rows_are_looked_at_at_once(monkeypatch):
    series = pd.Series(["b", "a", None, "c", "a", " b", "", "d", "c"], dtype=object)
    whole = text_cells(series)
    monkeypatch.setattr(cells, "FACTORIZED_AT_ONCE", 2)
    in_parts = text_cells(series)
    assert in_parts.texts == whole.texts == ("b", "a", "c", "d")
    assert in_parts.codes.tolist() == whole.codes.tolist() == [0, 1, -1, 2, 1, 0, -1, 3, 2]


@pytest.mark.parametrize(("n_texts", "dtype"), [(127, np.int8), (128, np.int16), (40_000, np.int32)])
def test_codes_have_the_smallest_type_with_room_for_one_more(n_texts, dtype):
    codes = text_cells(pd.Series([str(number) for number in range(n_texts)], dtype=object)).codes
    assert codes.dtype == dtype
    assert (codes + 1).max() == n_texts


@given(
    cells=st.lists(st.sampled_from(["a", "b", " a", "", " ", "NA", "1", None]), max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=4),
)
def test_a_column_coded_part_by_part_is_the_one_coded_as_a_whole(cells, cuts):
    ends = sorted({0, len(cells), *(cut for cut in cuts if cut < len(cells))})
    coder = Coder()
    for start, end in pairwise(ends):
        coder.add(coded(pd.Series(cells[start:end], dtype=object)))
    found, expected = coder.cells(str.strip), text_cells(pd.Series(cells, dtype=object))
    assert found.texts == expected.texts
    assert found.codes.tolist() == expected.codes.tolist()


@given(cells=st.lists(st.sampled_from(["a", "b", "NA", "?", None]), max_size=30))
def test_cells_without_some_texts_are_missing_there_and_elsewhere_as_they_were(cells):
    found = text_cells(pd.Series(cells, dtype=object)).without({"NA", "?"})
    kept = [None if cell in ("NA", "?") else cell for cell in cells]
    expected = text_cells(pd.Series(kept, dtype=object))
    assert (found.texts, found.codes.tolist()) == (expected.texts, expected.codes.tolist())
    assert [cell if isinstance(cell, str) else None for cell in found.series] == kept


def test_there_is_room_for_one_code_more_than_there_are_texts():
    coder = Coder()
    for start in range(0, 1000, 90):
        coder.add(coded(pd.Series([str(number) for number in range(start, start + 90)], dtype=object)))
    cells = coder.cells(str)
    assert [cells.texts[code] for code in cells.codes.tolist()] == [str(number) for number in range(1080)]
