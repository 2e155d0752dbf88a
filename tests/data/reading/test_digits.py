import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data.reading.csv import digits, reader
from mlpcli.data.reading.csv.digits import parse_digits
from mlpcli.data.reading.read import read_table

NUMBERS = st.one_of(st.integers(0, 9), st.integers(0, 9999))
CELLS = st.one_of(NUMBERS.map(str), st.integers(0, 10**10).map(str), st.text("0123456789", max_size=6))


def parsed(text, n_rows, n_fields, size=1 << 17, fraction=1.0):
    """The numbers of the columns; None if they are not parsed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "BYTES_PER_CHUNK", size)
        patch.setattr(digits, "MAX_FRACTION", fraction)
        integers = parse_digits(text.encode(), n_rows, n_fields)
        return integers and [column.values.tolist() for column in integers.columns(list(range(n_fields)))]


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.tuples(*[NUMBERS] * n), min_size=1)), st.integers(1, 40))
def test_small_integers_are_parsed_in_chunks_of_any_size(rows, size):
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    assert parsed(text, len(rows), len(rows[0]), size, fraction=0.0) == list(map(list, zip(*rows, strict=True)))


@given(st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1), st.integers(1, 3), st.integers(1, 40))
def test_only_rows_of_the_right_width_are_parsed_with_integers_as_python_writes_them_or_nothing(rows, n_fields, size):
    text = "".join(";".join(row) + "\n" for row in rows)
    if text.count(";") != len(rows) * (n_fields - 1):  # which the caller counts
        return
    is_plain = all(
        len(row) == n_fields and all(not cell or (str(int(cell)) == cell and len(cell) <= 9) for cell in row)
        for row in rows
    )
    columns = parsed(text, len(rows), n_fields, size)
    assert (columns is not None) == is_plain
    if columns is not None:
        expected = [[int(cell) if cell else math.nan for cell in column] for column in zip(*rows, strict=True)]
        np.testing.assert_array_equal(columns, expected)


def test_many_large_or_missing_cells_are_not_parsed():
    assert parsed("12345,1\n" * 3, 3, 2, fraction=0.4) is None
    assert parsed(",1\n" * 3, 3, 2, fraction=0.4) is None
    assert parsed("1" * 5000 + "\n", 1, 1) is None


OTHER = ["-1", "+1", " 1", "1 ", "1.0", "1e3", '"1"', "x", "NA", "", "٣", "007", "12345", "1234567890", "1:2"]


@pytest.mark.parametrize("cell", OTHER)
@pytest.mark.parametrize("row", [0, 150])
def test_other_cells_are_read_as_in_tables_with_other_columns(tmp_path, monkeypatch, cell, row):
    rows = [[str(number), str(number % 7), "5"] for number in range(200)]
    rows[row][1] = cell
    (tmp_path / "t.csv").write_text("a,b,c\n" + "".join(",".join(cells) + "\n" for cells in rows), encoding="utf-8")
    table = read_table(str(tmp_path / "t.csv"))
    monkeypatch.setattr(reader, "parse_digits", lambda *_: None)
    other = read_table(str(tmp_path / "t.csv"))
    for name in table.names:
        one, two = table.columns[name], other.columns[name]
        assert type(one) is type(two)
        assert getattr(one, "levels", ()) == getattr(two, "levels", ())
        cells = [getattr(column, "codes", None) if hasattr(column, "codes") else column.values for column in (one, two)]
        np.testing.assert_array_equal(*cells)
        assert cells[0].dtype == cells[1].dtype


def test_a_table_of_small_integers_is_read_without_pandas(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("a,b\n0,255\n12,3\n", encoding="utf-8")
    monkeypatch.setattr(reader, "parse_frame", None)
    table = read_table(str(tmp_path / "t.csv"))
    assert table.columns["a"].values.tolist() == [0, 12]
    assert table.columns["b"].values.tolist() == [255, 3]
    assert table.columns["b"].values.dtype == np.uint8
