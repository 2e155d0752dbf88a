"""Whole numbers parsed with NumPy are those that pandas reads."""

import io

import numpy as np
import pandas as pd
import pytest

from mlpcli.data import parsing, whole_numbers
from mlpcli.data.tables import TableFormat, iter_tables, read_table
from mlpcli.data.whole_numbers import WholeFrames


def rows_of_digits(n_rows, n_columns, seed=0):
    """Cells of one to four digits, some with zeros in front."""
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 5, (n_rows, n_columns))
    return [[f"{rng.integers(10**width):0{width}d}" for width in row] for row in widths.tolist()]


def text_of(rows, delimiter=","):
    return "".join(delimiter.join(row) + "\n" for row in rows).encode()


@pytest.fixture(params=[3, 1 << 18])
def piece(request, monkeypatch):
    """However much of a block is parsed at once."""
    monkeypatch.setattr(whole_numbers, "PIECE", request.param)


@pytest.mark.parametrize("n_columns", [1, 2, 7])
@pytest.mark.parametrize("delimiter", [",", ";", " ", "\t"])
def test_a_block_of_digits_is_what_pandas_reads(n_columns, delimiter, piece):
    names = [f"c{number}" for number in range(n_columns)]
    rows = rows_of_digits(40, n_columns)
    text = text_of(rows, delimiter)
    expected = pd.read_csv(io.BytesIO(text), header=None, names=names, dtype={"c0": object}, sep=delimiter)
    frame = WholeFrames(delimiter, names, names, ["c0"]).frame(text)
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False)
    assert all(type(cell) is str for cell in frame["c0"])


def test_only_the_columns_that_are_wanted_are_in_the_frame():
    frame = WholeFrames(",", ["a", "b", "c", "d"], {"d", "b"}, {"a", "d"}).frame(b"1,2,3,04\n5,6,7,4\n")
    assert frame.columns.tolist() == ["b", "d"]
    assert frame.to_numpy().tolist() == [[2, "04"], [6, "4"]]


@pytest.mark.parametrize(
    "text",
    [
        "1,,3\n", ",2,3\n", "1,2,\n", "1,2,3\n\n", "\n1,2,3\n", "1,2\n", "1,2,3,4\n", "1,2,3\n1,2\n1,2,3,4\n",
        "1,2\n3,4,5,6\n", "1,-2,3\n", "1,+2,3\n", "1,2.0,3\n", "1,2e1,3\n", "1, 2,3\n", "1,x,3\n", '1,"2",3\n',
        "1,12345,3\n", "1,²,3\n", "1,2;3\n",
    ],
)  # fmt: skip
def test_any_other_block_is_left_to_pandas(text, piece):
    names = ["a", "b", "c"]
    assert WholeFrames(",", names, names, []).frame(text.encode()) is None
    assert WholeFrames(",", names, names, []).frame(b"1,2,3\n" * 4 + text.encode()) is None


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A table of digits."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_bytes(b"a,b,c\n" + text_of(rows_of_digits(60, 3)))
    return "t.csv"


def tables_with_and_without(monkeypatch, read):
    """What is read with NumPy, and what pandas reads."""
    found = read()
    monkeypatch.setattr(parsing.WholeFrames, "frame", lambda _self, _text: None)
    return found, read()


@pytest.mark.parametrize("texts", [[], ["a"], ["a", "b", "c"]])
@pytest.mark.parametrize("numbers", [[], ["c"]])
@pytest.mark.parametrize("missing", [("NA",), ("7", "12")])
def test_a_table_is_the_same_whoever_parses_it(path, monkeypatch, texts, numbers, missing):
    format = TableFormat(missing=missing)
    tables = tables_with_and_without(
        monkeypatch, lambda: read_table(path, format, texts, number_columns=numbers, packs=True)
    )
    pd.testing.assert_frame_equal(tables[0].frame, tables[1].frame)
    assert tables[0].where(33) == tables[1].where(33)


@pytest.mark.parametrize("numbers", [["a", "b", "c"], ["b"]])
def test_chunks_are_the_same_whoever_parses_them(path, monkeypatch, numbers):
    found, expected = tables_with_and_without(
        monkeypatch, lambda: list(iter_tables(path, number_columns=numbers, chunk_rows=25))
    )
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one.frame, other.frame)


def test_a_table_that_goes_on_with_other_numbers_is_read_as_ever(path, monkeypatch):
    monkeypatch.setattr("mlpcli.data.encoding.BLOCK_SIZE", 64)
    with open(path, "ab") as file:
        file.write(b"1,2.5,70000\n,1,-3\n" * 20)
    tables = tables_with_and_without(monkeypatch, lambda: read_table(path, packs=True))
    pd.testing.assert_frame_equal(tables[0].frame, tables[1].frame)
