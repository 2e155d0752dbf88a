"""Whole tables and tables in chunks, from files and from standard input."""

import gzip
import hashlib
import io
import os
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.reading import read as read_module
from mlpcli.data.reading.csv import encoding, reader, records, sniff
from mlpcli.data.reading.read import map_tables, read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.sources import sha256_of
from mlpcli.data.schema.column import ColumnSchema, cast_table
from mlpcli.data.table import DEFAULT_MISSING, NumericColumn, TableFormat
from mlpcli.errors import DataError
from tests.data.tables_by_hand import cells_of, iter_tables, read_as


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Each test works in a folder of its own, so that messages have short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder):
    """Write a file and give its name."""

    def write(text, name="t.csv"):
        folder.joinpath(name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


@pytest.fixture
def row_by_row(monkeypatch):
    """Chunks of a row or two each."""
    in_batches_of(1, monkeypatch)


def in_batches_of(size, patch):
    """Read about so many bytes at a time, but for the first lines."""
    patch.setattr(encoding, "BLOCK_SIZE", max(size // 2, 4))
    patch.setattr(records, "BATCH_SIZE", size)
    patch.setattr(sniff, "SAMPLE_SIZE", 12)


def cells(table):
    """Columns as lists, None for a missing cell."""
    return {name: cells_of(column) for name, column in table.columns.items()}


def read(name, roles=None, **format):
    """The cells of a file as they are read in the roles that are found or given."""
    return cells(read_as(read_table(name, TableFormat(**format)), roles)[0])


def as_numbers(*names):
    """What reads columns as numbers, whatever they hold."""
    schemas = [ColumnSchema(name, "number") for name in names]
    return lambda table: cast_table(table, schemas)


def chunks_of(source, names, **options):
    """The chunks of a source, some columns read as numbers."""
    return list(map_tables(as_numbers(*names), source, **options))


def test_columns_are_numbers_or_texts(write):
    table = read_table(write("i,x,s,e\n1,1.5,a,\n2,, b ,\n"))
    assert cells(table) == {"i": [1, 2], "x": [1.5, None], "s": ["a", "b"], "e": [None, None]}
    assert [isinstance(column, NumericColumn) for column in table.columns.values()][:3] == [True, True, False]
    assert (table.format.delimiter, table.format.encoding, table.format.header) == (",", "utf-8", True)
    assert (table.name, table.notes, table.n_rows, table.is_file) == ("t.csv", (), 2, True)


def test_labels_keep_their_text_on_request(write):
    name = write("y,z\n01,True\n1.0,FALSE\n")
    assert cells(read_table(name, request=Request(written=["y", "not there"]))) == {
        "y": ["01", "1.0"],
        "z": ["True", "FALSE"],
    }


def test_digits_with_a_leading_zero_are_a_code_and_keep_it(write):
    assert read(write("y,z\n01,1\n2,0\n"))["y"] == ["01", "2"]
    assert read(write("y,z\n0.5,1\n0,0\n"))["y"] == [0.5, 0.0]


def test_truth_values_come_as_their_text_wherever_they_first_occur(write):
    table = read_table(write("a,b\n" + ",1\n" * 200 + "TRUE,1\nFalse,true\n"))
    assert cells(table)["a"][-2:] == ["TRUE", "False"]
    assert cells(table)["b"][-3:] == ["1", "1", "true"]


TEXTS = ["", "NA", "x", "1", "01", "-07", "1.0", "True", "FALSE", "é", " b ", "9" * 20, "1e5", '"a,b"', "inf", "1-02"]


@given(
    cells=st.lists(st.tuples(*[st.sampled_from(TEXTS)] * 2), min_size=1, max_size=40).map(
        lambda rows: "".join(f"{one},{other}\n" for one, other in rows)
    ),
    size=st.sampled_from([8, 64]),
)
def test_texts_are_the_same_however_pandas_holds_them(cells, size):
    found = []
    for infers_texts in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reader, "INFERS_TEXTS", infers_texts)
            in_batches_of(size, patch)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"a,b\n{cells}".encode())))
            found.append({name: cells_of(column) for name, column in read_table("-").columns.items()})
    assert found[0] == found[1]


def test_a_column_whose_first_word_comes_late_is_text_throughout(write):
    table = read_table(write("a,b\n" + "1.0,1\n" * 300_000 + "x,2\n"))
    assert set(table.columns["a"].levels) == {"1.0", "x"}
    assert isinstance(table.columns["b"], NumericColumn)


def test_missing_markers_count_with_blanks_around_them_and_none_counts_among_numbers(write):
    name = write('a,b,c,d\n1,x,1,"NA "\n NA ,?,None,y\n"",#N/A,3,z\n')
    assert read(name) == {"a": [1, None, None], "b": ["x", None, None], "c": [1, None, 3], "d": [None, "y", "z"]}
    assert read(write("s\nNone\nNA\n"))["s"] == ["None", None]


def test_missing_markers_can_be_chosen(write):
    name = write("a,s\n-999,NA\n1,-999\n,x\n")
    assert read(name, missing=("-999",)) == {"a": [None, 1, None], "s": ["NA", None, "x"]}


def test_a_missing_number_is_missing_in_every_spelling_whatever_the_other_cells_are(write):
    name = write("a,b,c\n-999.0,-999,x\n1,-999.00,-999\n2,-9.99e2,-999.0\n")
    expected = {"a": [None, 1, 2], "b": [None, None, None], "c": ["x", None, None]}
    assert read(name, {"b": "number"}, missing=("-999",)) == expected
    assert cells(as_numbers("a")(read_table(name, TableFormat(missing=("-999",)), request=Request(written=["a"])))) == {
        "a": [None, 1, 2]
    }


def test_number_columns_tolerate_the_marks_of_missing_numbers(write):
    name = write("a,b\n1,-\n2,.\n3,None\n4,5\n")
    assert read(name) == {"a": [1, 2, 3, 4], "b": [None, None, None, 5]}


def test_only_wanted_columns_are_read_but_all_names_are_listed(write):
    table = read_table(write("a,b,c\n1,x,3\n2,y,4\n"), request=Request(wanted=["c", "a", "zz"]))
    assert cells(table) == {"a": [1, 2], "c": [3, 4]}
    assert table.column_names == ("a", "b", "c")
    nothing = read_table("t.csv", request=Request(wanted=[]))
    assert (nothing.n_rows, nothing.columns) == (2, {})


INFINITE = "column age: an infinite value. Write a finite number instead of '{}', or leave the cell empty."
NUMBER_FAULTS = [
    ("age\n1\nabc\n", "t.csv:3: column age: 'abc' is not a number."),
    ('age\n1\n"1,234"\n', "t.csv:3: column age: '1,234' is not a number."),
    ("age\n1\nTrue\n", "t.csv:3: column age: 'True' is not a number."),
    ("age\nTrue\n", "t.csv:2: column age: 'True' is not a number."),
    ("age\n1\n\x1b[31m\n", "t.csv:3: column age: '\\x1b[31m' is not a number."),
    ("age\n1\ninf\n", f"t.csv:3: {INFINITE.format('inf')}"),
    ("age\n1\n1e999\n", f"t.csv:3: {INFINITE.format('1e999')}"),
    ("age\nNone\n-Infinity\n", f"t.csv:3: {INFINITE.format('-Infinity')}"),
]


@pytest.mark.parametrize(("text", "message"), NUMBER_FAULTS)
@pytest.mark.parametrize("texts", [(), None])
def test_a_cell_that_is_no_finite_number_is_an_error_with_its_line(text, message, texts, write, row_by_row):
    name = write(text)
    with pytest.raises(DataError) as caught:
        as_numbers("age")(read_table(name))
    assert str(caught.value).startswith(message)
    with pytest.raises(DataError) as caught:
        chunks_of(name, ["age"], request=Request(written=texts))
    assert str(caught.value).startswith(message)


def test_an_infinite_number_is_an_error_in_an_inferred_numeric_column_too(write):
    for cell in ("1e999", "inf"):
        with pytest.raises(DataError, match=r"^t\.csv:3: column b: an infinite value"):
            read(write(f"a,b\n1,2\n1,{cell}\n"))
    assert cells(read_table("t.csv", request=Request(written=["b"])))["b"] == ["2", "inf"]


@pytest.mark.parametrize("row", [0, 1, 5000])
def test_whole_numbers_too_long_for_a_float_are_names_to_the_last_digit(row, write):
    rows = ["1"] * 10_000
    rows.insert(row, "18446744073709551615")
    name = write("\n".join(["a", *rows]) + "\n")
    assert read(name)["a"] == rows
    assert read(name, {"a": "number"})["a"] == [float(cell) for cell in rows]


ROW_FAULTS = [
    ("a,b\n1,2\n1,2,3\n", "t.csv:3: 3 fields, expected 2. Quote the field or name the delimiter with "),
    ("a,b,c\n1,2,3\n1,2", "t.csv:3: 2 fields, expected 3. Add what is missing (an empty field is a missing value) or"),
    ("a,b\n1,2\n\n3,4\n", "t.csv:3: a blank line inside the data. Delete it, or write the row that is missing."),
    ('a,b\n1,2\n3,"4\n', "t.csv:3: a quote opens here and never closes. "),
    (
        b"a,b\n\xc3\xa9,1\n\xe9,2\n",
        "t.csv:3: byte 0xe9 is not valid utf-8. Save the file as UTF-8, or name its encoding",
    ),
    (b"a,b\n1,2\n1,\x00\n", "t.csv:3: a NUL byte. The file is damaged or not text;"),
    ("a,a\n1,2\n", "t.csv:1: columns 1 and 2 are both named 'a'. Rename one of them."),
    ("", "t.csv: the file is empty. It needs a line of column names and a line per row."),
]


@pytest.mark.parametrize(("text", "message"), ROW_FAULTS)
@pytest.mark.parametrize("wanted", [None, ["a"]])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_broken_file_is_an_error_with_its_line_whatever_columns_are_wanted(
    text, message, wanted, size, write, monkeypatch
):
    in_batches_of(size, monkeypatch)
    write(text)
    for read in (read_table, lambda *arguments, **options: list(iter_tables(*arguments, **options))):
        with pytest.raises(DataError) as caught:
            read("t.csv", request=Request(wanted=wanted))
        assert str(caught.value).startswith(message)


def test_an_error_far_down_is_raised_before_its_row_is_returned(write, monkeypatch):
    in_batches_of(1000, monkeypatch)
    name = write("a,b\n" + "1,2\n" * 50_000 + "1\n")
    with pytest.raises(DataError, match=r"^t\.csv:50002: 1 field, expected 2"):
        read_table(name)
    with pytest.raises(DataError, match=r"^t\.csv:50002: 1 field, expected 2"):
        list(iter_tables(name))


@pytest.mark.parametrize("wanted", [None, ["a"], ["c"]])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1,2", "1,2,3,4"], r"^t\.csv:152: 2 fields, expected 3"),
        (["1,2,3,4", "1,2"], r"^t\.csv:152: 4 fields, expected 3"),
        (["1,2,3,", "1,2"], r"^t\.csv:152: 4 fields, expected 3"),
        (["", "1,2,3,4,5"], r"^t\.csv:152: a blank line"),
    ],
)
def test_a_short_and_a_long_row_do_not_compensate_each_other(rows, message, wanted, write):
    name = write("\n".join(["a,b,c", *["1,2,3"] * 150, *rows, "1,2,3"]) + "\n")
    with pytest.raises(DataError, match=message):
        read_table(name, request=Request(wanted=wanted))
    with pytest.raises(DataError, match=message):
        list(iter_tables(name, request=Request(wanted=wanted)))


def test_a_header_alone_is_an_error_for_training_and_an_empty_table_for_predicting(write):
    name = write("a,b\n")
    with pytest.raises(DataError) as caught:
        read_table(name)
    assert str(caught.value) == "t.csv: header only, there are no rows. Add a line per row, or name another file."
    (table,) = iter_tables(name)
    assert (table.column_names, table.n_rows, cells(table)) == (("a", "b"), 0, {"a": [], "b": []})
    (numbers,) = chunks_of(name, ["a"])
    assert isinstance(numbers.columns["a"], NumericColumn)


def test_a_header_inside_the_rows_is_an_error_with_its_line(write, row_by_row):
    name = write("a,b\n1,x\n2,y\na,b\n3,z\n")
    for read in (read_table, lambda name: list(iter_tables(name, request=Request(written=None)))):
        with pytest.raises(DataError, match=r"^t\.csv:4: the header is repeated; were two files joined\?"):
            read(name)


@pytest.mark.parametrize("wanted", [None, ["a"], ["a", "b"]])
def test_a_cell_that_is_the_name_of_its_column_is_no_header(wanted, write):
    table = read_table(write("a,b,c\n" + "1,b,1\n" * 5 + "a,b,2\n" + "a,x,3\n"), request=Request(wanted=wanted))
    assert cells(table)["a"] == ["1"] * 5 + ["a", "a"]


GROUPED = {"n": [f"{n % 900 + 1}.{n % 1000:03d}" for n in range(40)], "small": [str(n % 990 + 1) for n in range(90)]}


@pytest.mark.parametrize("delimiter", [";", "\t", ",", "|"])
@pytest.mark.parametrize("order", ["small first", "groups first", "mixed"])
@pytest.mark.parametrize("spelled", [(), ("n",)])
def test_points_that_may_be_between_thousands_are_noted_in_any_order_of_the_rows(
    delimiter, order, spelled, write, monkeypatch
):
    in_batches_of(200, monkeypatch)  # of about thirty rows: points in one, small numbers in another
    small, grouped = GROUPED["small"] * 2, GROUPED["n"]
    cells = small + grouped if order == "small first" else grouped + small
    cells = sorted(cells, key=lambda cell: cell[::-1]) if order == "mixed" else cells
    name = write(f"n{delimiter}y\n" + "".join(f"{cell}{delimiter}a\n" for cell in cells))
    table = read_table(name, request=Request(spelled=spelled))
    (note,) = [note for note in table.notes if "three digits" in note]
    assert note.startswith("t.csv: column n: three digits follow every point (")
    assert sum("three digits" in note for chunk in iter_tables(name) for note in chunk.notes) == 1
    for text, position in (
        ("1.25", 0),
        ("1000", len(cells)),
        ("1e2", len(cells)),
        ("0.125", len(cells)),
        ("6.0015", 0),
    ):
        rows = [*cells[:position], text, *cells[position:]]
        write(f"n{delimiter}y\n" + "".join(f"{cell}{delimiter}a\n" for cell in rows))
        assert not [note for note in read_table(name).notes if "three digits" in note]


def test_every_row_knows_its_line(write, row_by_row):
    table = read_table(write('\na,b\n1,"x\ny"\n2,z\n"3\n\n",z\n4,z\n'))
    assert [table.where(row) for row in range(4)] == ["t.csv:3", "t.csv:5", "t.csv:6", "t.csv:9"]
    assert [table.take(np.array([3, 1])).where(row) for row in range(2)] == ["t.csv:9", "t.csv:5"]
    chunks = list(iter_tables("t.csv"))
    assert len(chunks) > 1
    locations = [chunk.where(row) for chunk in chunks for row in range(chunk.n_rows)]
    assert locations == ["t.csv:3", "t.csv:5", "t.csv:6", "t.csv:9"]


def test_several_files_are_one_table_whatever_the_order_of_their_columns(write):
    write("a,b\n1,x\n2,y\n", "p1.csv")
    write("b;a\nz;3\n", "p2.csv")
    table = read_table("p*.csv")
    assert cells(table) == {"a": [1, 2, 3], "b": ["x", "y", "z"]}
    assert [table.where(row) for row in range(3)] == ["p1.csv:2", "p1.csv:3", "p2.csv:2"]
    assert table.name == "p*.csv"
    assert table.sha256 == sha256_of("p*.csv")
    chunks = list(iter_tables(["p1.csv", "p2.csv"]))
    assert [cells(chunk) for chunk in chunks] == [{"a": [1, 2], "b": ["x", "y"]}, {"a": [3], "b": ["z"]}]


def test_a_column_that_is_text_in_one_of_several_files_is_text_in_all(write):
    write("a,b,c\n01,TRUE,\n", "p1.csv")
    write("a,b,c\nx,1,2\n", "p2.csv")
    assert read(["p1.csv", "p2.csv"]) == {"a": ["01", "x"], "b": ["TRUE", "1"], "c": [None, 2]}


def test_a_file_with_other_columns_is_named(write):
    write("a,b\n1,2\n", "p1.csv")
    write("a,c\n1,2\n", "p2.csv")
    message = "p2.csv: other columns than p1.csv: without b, with c. Files read together share their columns."
    for read in (read_table, lambda source: list(iter_tables(source))):
        with pytest.raises(DataError) as caught:
            read(["p1.csv", "p2.csv"])
        assert str(caught.value) == message


def test_files_without_rows_among_others_are_no_fault(write):
    write("a\n", "p1.csv")
    write("a\n1\n", "p2.csv")
    table = read_table(["p1.csv", "p2.csv"])
    assert (cells(table), table.where(0)) == ({"a": [1]}, "p2.csv:2")
    assert isinstance(table.columns["a"], NumericColumn)
    assert [chunk.n_rows for chunk in iter_tables(["p1.csv", "p2.csv"])] == [1]
    assert [chunk.n_rows for chunk in iter_tables(["p1.csv", "p1.csv"])] == [0]


def test_standard_input_is_read_like_a_file(monkeypatch, row_by_row):
    data = gzip.compress(b"a,b\n1,TRUE\n2,x\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    table = read_table("-")
    assert cells(table) == {"a": [1, 2], "b": ["TRUE", "x"]}
    assert (table.name, table.where(1)) == ("standard input", "standard input:3")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert [cell for chunk in iter_tables("-") for cell in cells(chunk)["b"]] == ["TRUE", "x"]


def test_the_hash_is_that_of_the_uncompressed_bytes(write):
    write(b"a\r\n1\r\n", "t.csv")
    write(gzip.compress(b"a\r\n1\r\n"), "t.csv.gz")
    assert read_table("t.csv").sha256 == read_table("t.csv.gz").sha256 == hashlib.sha256(b"a\r\n1\r\n").hexdigest()


def test_notes_say_what_was_guessed(write):
    table = read_table(write("1;caf\xe9\n2;caf\xe9\n".encode("latin-1")))
    assert table.notes == (
        "t.csv: no names in the first line: the columns are named c1 to c2 (see data.header).",
        "t.csv: read as cp1252, which is a guess (café): not valid UTF-8 at line 1 (see data.encoding).",
    )
    assert (table.format.delimiter, table.format.encoding, table.format.header) == (";", "cp1252", False)


def test_a_later_chunk_has_only_new_notes(write, row_by_row):
    write(b"1;2\n3;4\n5;\xe9\n" + b"7;8\n" * 3)
    notes = [note for chunk in iter_tables("t.csv") for note in chunk.notes]
    assert len(notes) == len(set(notes)) == 2


def test_the_detected_format_reads_the_same_table_again(write):
    name = write("\ufefftitle\n\na;b\n1,5;x\n")
    table = read_table(name, TableFormat(decimal=","))
    again = read_table(name, table.format)
    assert cells(again) == cells(table) == {"a": [1.5], "b": ["x"]}
    assert (again.format, again.where(0)) == (table.format, "t.csv:4")


def test_chunks_join_to_the_whole(write, monkeypatch):
    in_batches_of(40, monkeypatch)
    name = write("a,b,c\n" + "".join(f"{row},{row % 3 or ''},{row}\n" for row in range(25)))
    chunks = chunks_of(name, ["a", "b"])
    whole = as_numbers("a", "b")(read_table(name))
    assert len(chunks) > 2
    for column in ("a", "b"):
        assert [cell for chunk in chunks for cell in cells(chunk)[column]] == cells(whole)[column]
    locations = [chunk.where(row) for chunk in chunks for row in range(chunk.n_rows)]
    assert locations == [whole.where(row) for row in range(25)]
    assert [chunk.first_row for chunk in chunks] == np.cumsum([0, *(chunk.n_rows for chunk in chunks[:-1])]).tolist()
    assert {chunk.sha256 for chunk in chunks} == {""}


def test_chunks_take_constant_memory(write, monkeypatch):
    in_batches_of(1 << 18, monkeypatch)
    line = b"1.5,2.5,3.5\n"
    name = write(b"a,b,c\n" + line * 1_000_000)
    tracemalloc.start()
    try:
        n_rows = sum(chunk.n_rows for chunk in iter_tables(name))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_rows == 1_000_000
    assert peak < 8e6 < len(line) * n_rows


def test_a_file_is_closed_when_its_chunks_are_left_early(write, row_by_row):
    chunks = iter_tables(write("a\n" + "1\n" * 100))
    next(chunks)
    chunks.close()  # a file left open would be a ResourceWarning, which is an error here


NAMES = st.lists(
    st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=5), min_size=1, unique=True
)


@given(
    names=NAMES.map(lambda names: names[:4]),
    n_rows=st.integers(1, 12),
    delimiter=st.sampled_from(",;\t|"),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    data=st.data(),
)
def test_a_generated_table_is_read_as_it_was_written(names, n_rows, delimiter, codec, line_end, data):
    rows = data.draw(
        st.lists(
            st.lists(st.floats(-1e9, 1e9) | st.none(), min_size=len(names), max_size=len(names)),
            min_size=n_rows, max_size=n_rows,
        )
    )  # fmt: skip
    lines = [[*names, "wört"], *([*("" if x is None else repr(x) for x in row), f"café{delimiter}"] for row in rows)]
    text = "".join(delimiter.join(f'"{cell}"' for cell in line) + line_end for line in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode(codec))))
        table = read_table("-", TableFormat(header=True))
    assert table.column_names == (*names, "wört")
    assert table.format.delimiter == delimiter
    expected = [[np.nan if row[index] is None else row[index] for row in rows] for index in range(len(names))]
    read = cast_table(table, [ColumnSchema(name, "number") for name in names])
    np.testing.assert_array_equal([read.columns[name].values for name in names], expected)  # the very float64
    assert set(cells(table)["wört"]) == {f"café{delimiter}".strip()}


def test_an_invalid_cell_is_reported_after_the_rows_before_it(write, row_by_row):
    name = write("a\n" + "1\n2\n" * 20 + "x\n4\n")
    numbers = (cell for chunk in map_tables(as_numbers("a"), name) for cell in cells(chunk)["a"])
    assert [next(numbers) for _ in range(38)] == [1.0, 2.0] * 19
    with pytest.raises(DataError, match=r"^t\.csv:42: "):
        list(numbers)


def test_a_note_comes_once(write, monkeypatch):
    in_batches_of(1 << 10, monkeypatch)
    name = write(("a,b\n" + "1,x\n" * 1000 + "2,café\n" + "3,x\n" * 1000).encode("cp1252"))
    notes = list(map_tables(lambda table: table.notes, name))
    assert sum(map(len, notes)) == 1


def without_markers(cells):
    """A block of nothing but markers may come as missing cells."""
    return [None if cell in DEFAULT_MISSING else cell for cell in cells]


SOME_CELLS = st.sampled_from(
    ["1", "2", "2.5", "01", "NA", "", " a", "a", "b c", "None", "-", "True", '"q,1"', "x", "1e999"]
)


@pytest.mark.parametrize("texts", [[], ["b"], ["a", "b"]])
@settings(max_examples=settings.default.max_examples // 2)
@given(
    rows=st.lists(st.tuples(SOME_CELLS, SOME_CELLS, st.sampled_from(["1", "2.5", ""])), min_size=1, max_size=25),
    size=st.integers(1, 80),
)
def test_a_table_read_in_blocks_equals_the_table_read_at_once(rows, texts, size):
    with open("t.csv", "w", encoding="utf-8") as file:
        file.write("a,b,c\n" + "".join(",".join(row) + "\n" for row in rows))

    def found():
        try:
            table = read_table("t.csv", TableFormat(header=True), Request(written=texts))
            known = {name: own if name in texts else without_markers(own) for name, own in cells(table).items()}
            return known, cells(read_as(table)[0]), table.sha256, table.notes, table.names, table.format
        except DataError as error:
            return str(error)

    whole = found()
    with pytest.MonkeyPatch.context() as patch:
        in_batches_of(size, patch)
        assert found() == whole


@pytest.mark.parametrize("change", ["grows", "is truncated", "changes", "vanishes"])
@pytest.mark.parametrize("n_passes", [0, 1])
def test_a_file_that_changes_while_it_is_read_is_an_error(write, monkeypatch, change, n_passes):
    """Between its two passes too: a column that is numbers in one batch and texts in another is read again."""
    in_batches_of(8, monkeypatch)
    text = "x,y\n" + "1,a\n" * 30 + "b,c\n"
    path = Path(write(text))
    read_all, n_done = read_module._read_all, 0

    def reading(*arguments):
        nonlocal n_done
        found = read_all(*arguments)
        if n_done == n_passes:
            match change:
                case "grows":
                    path.write_text(text + "2,c\n")
                case "is truncated":
                    path.write_text(text[:-4])
                case "changes":
                    path.write_text(text.replace("a", "z"))
                    os.utime(path, ns=(0, 0))
                case "vanishes":
                    path.unlink()
        n_done += 1
        return found

    monkeypatch.setattr(read_module, "_read_all", reading)
    with pytest.raises(DataError, match=r"t.csv: (was changed while it was read|no such file)"):
        read_table("t.csv")


def test_a_file_that_grows_while_it_is_read_in_chunks_is_an_error(write, row_by_row):
    chunks = iter_tables(write("x,y\n" + "1,a\n" * 30))
    next(chunks)
    with open("t.csv", "a", encoding="utf-8") as file:
        file.write("2,")
    with pytest.raises(DataError):
        list(chunks)


def test_a_sheet_is_ignored_with_a_note_unless_the_file_is_a_workbook(write):
    name = write("x,y\n1,a\n2,b\n")
    assert read_table(name, TableFormat(sheet="May")).notes == ("t.csv: not a workbook, so data.sheet is not used.",)


def test_a_second_byte_order_mark_is_no_part_of_the_first_name(write):
    assert read_table(write("\ufeff\ufeffx,y\n1,a\n2,b\n")).names == ("x", "y")
