import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data.reading.csv import digits, reader
from mlpcli.data.reading.csv.digits import parse_digits
from mlpcli.data.reading.read import read_table

NUMBERS = st.one_of(st.integers(0, 9), st.integers(0, 9999))
# Cells that are close to numbers of a few digits.
CELLS = st.one_of(st.integers(0, 100_000).map(str), st.text("0123456789", max_size=6))


def with_chunks_of(size, text, n_rows, n_fields):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "BYTES_PER_CHUNK", size)
        return parse_digits(text, n_rows, n_fields)


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.tuples(*[NUMBERS] * n), min_size=1)), st.integers(1, 40))
def test_small_integers_are_parsed_in_chunks_of_any_size(rows, size):
    text = "".join(",".join(map(str, row)) + "\n" for row in rows).encode()
    np.testing.assert_array_equal(with_chunks_of(size, text, len(rows), len(rows[0])), rows)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1), st.integers(1, 3), st.integers(1, 40))
def test_only_rows_of_the_right_width_with_small_integers_as_python_writes_them_are_parsed(rows, n_fields, size):
    text = "".join(";".join(row) + "\n" for row in rows)
    # The caller has counted lines and delimiters.
    n_delimiters = text.count(";")
    if n_delimiters != len(rows) * (n_fields - 1):
        return
    is_plain = all(
        len(row) == n_fields and all(cell and str(int(cell)) == cell and len(cell) <= 4 for cell in row) for row in rows
    )
    parsed = with_chunks_of(size, text.encode(), len(rows), n_fields)
    assert (parsed is not None) == is_plain


OTHER = ["-1", "+1", " 1", "1 ", "1.0", "1e3", '"1"', "x", "NA", "", "٣", "007", "12345", "1:2"]


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
