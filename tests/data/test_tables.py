import gzip
import hashlib
import io
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data import encoding
from mlpcli.data.tables import Table, TableFormat, iter_tables, map_tables, read_table, table_from_frame
from mlpcli.errors import DataError


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


def cells(table):
    """Columns as lists, None for a missing cell."""
    return {name: [None if cell != cell else cell for cell in column.tolist()] for name, column in table.frame.items()}


def dtypes(table):
    return [str(dtype) for dtype in table.frame.dtypes]


def test_columns_are_whole_numbers_numbers_or_texts(write):
    table = read_table(write("i,x,s,e\n1,1.5,a,\n2,, b ,\n"))
    assert cells(table) == {"i": [1, 2], "x": [1.5, None], "s": ["a", "b"], "e": [None, None]}
    assert dtypes(table) == ["int64", "float64", "object", "float64"]
    assert isinstance(table.frame.index, pd.RangeIndex)
    assert table.format == TableFormat(",", "utf-8", True)
    assert (table.name, table.notes) == ("t.csv", ())


def test_labels_keep_their_text_when_asked_for(write):
    name = write("y,z\n01,True\n1.0,FALSE\n")
    assert cells(read_table(name, text_columns=["y", "not there"])) == {"y": ["01", "1.0"], "z": ["True", "FALSE"]}


def test_digits_with_a_leading_zero_are_a_code_and_keep_it(write):
    assert cells(read_table(write("y,z\n01,1\n2,0\n")))["y"] == ["01", "2"]
    assert cells(read_table(write("y,z\n0.5,1\n0,0\n"))) == {"y": [0.5, 0.0], "z": [1, 0]}


def test_truth_values_come_as_their_text_wherever_they_first_occur(write):
    name = write("a,b\n" + ",1\n" * 200 + "TRUE,1\nFalse,true\n")
    table = read_table(name)
    assert table.frame["a"].tolist()[-2:] == ["TRUE", "False"]
    assert table.frame["b"].tolist()[-3:] == ["1", "1", "true"]


def test_a_column_whose_first_word_comes_late_is_text_throughout(write):
    table = read_table(write("a,b\n" + "1.0,1\n" * 300_000 + "x,2\n"))
    assert set(table.frame["a"]) == {"1.0", "x"}
    assert dtypes(table) == ["object", "int64"]


def test_missing_markers_count_with_blanks_around_them_and_none_counts_among_numbers(write):
    table = read_table(write('a,b,c,d\n1,x,1,"NA "\n NA ,?,None,y\n"",#N/A,3,z\n'))
    assert cells(table) == {
        "a": [1, None, None], "b": ["x", None, None], "c": [1, None, 3], "d": [None, "y", "z"],
    }  # fmt: skip
    assert cells(read_table(write("s\nNone\nNA\n")))["s"] == ["None", None]


def test_missing_markers_can_be_chosen(write):
    name = write("a,s\n-999,NA\n1,-999\n,x\n")
    assert cells(read_table(name, TableFormat(missing=("-999",)))) == {"a": [None, 1, None], "s": ["NA", None, "x"]}


def test_number_columns_are_float64_and_tolerate_the_marks_of_missing_numbers(write):
    name = write("a,b\n1,-\n2,.\n3,None\n4,5\n")
    table = read_table(name, number_columns=["a", "b"])
    assert cells(table) == {"a": [1, 2, 3, 4], "b": [None, None, None, 5]}
    assert dtypes(table) == ["float64", "float64"]


def test_only_wanted_columns_are_parsed_but_all_names_are_told(write):
    table = read_table(write("a,b,c\n1,x,3\n2,y,4\n"), wanted=["c", "a", "zz"])
    assert cells(table) == {"a": [1, 2], "c": [3, 4]}
    assert table.column_names == ("a", "b", "c")
    assert read_table("t.csv", wanted=[]).frame.shape == (2, 0)


NUMBER_FAULTS = [
    ("age\n1\nabc\n", "t.csv:3: column age: 'abc' is not a number."),
    (
        'age\n1\n"1,234"\n',
        "t.csv:3: column age: '1,234' is not a number. Write decimals with a point and thousands without a sign.",
    ),
    ("age\n1\nTrue\n", "t.csv:3: column age: 'True' is not a number."),
    ("age\nTrue\n", "t.csv:2: column age: 'True' is not a number."),
    ("age\n1\n\x1b[31m\n", "t.csv:3: column age: '\\x1b[31m' is not a number."),
    ("age\n1\ninf\n", "t.csv:3: column age: an infinite value. Write a finite number, or leave the cell empty."),
    ("age\n1\n1e999\n", "t.csv:3: column age: an infinite value. Write a finite number, or leave the cell empty."),
    (
        "age\nNone\n-Infinity\n",
        "t.csv:3: column age: an infinite value. Write a finite number, or leave the cell empty.",
    ),
]


@pytest.mark.parametrize(("text", "message"), NUMBER_FAULTS)
def test_a_cell_that_is_no_finite_number_is_an_error_with_its_line(text, message, write):
    with pytest.raises(DataError) as caught:
        read_table(write(text), number_columns=["age"])
    assert str(caught.value) == message
    with pytest.raises(DataError) as caught:
        list(iter_tables("t.csv", number_columns=["age"], chunk_rows=1))
    assert str(caught.value) == message


def test_an_infinite_number_is_an_error_where_numbers_were_not_asked_for_too(write):
    with pytest.raises(DataError, match=r"^t\.csv:3: column b: an infinite value"):
        read_table(write("a,b\n1,2\n1,1e999\n"))
    with pytest.raises(DataError, match=r"^t\.csv:3: column b: an infinite value"):
        read_table(write("a,b\n1,2\n1,inf\n"))
    assert cells(read_table("t.csv", text_columns=["b"]))["b"] == ["2", "inf"]


def test_whole_numbers_too_long_for_a_float_are_names_to_the_last_digit(write):
    assert cells(read_table(write("a\n18446744073709551615\n1\n"))) == {"a": ["18446744073709551615", "1"]}
    floats = read_table(write("a\n18446744073709551615\n1\n"), number_columns=["a"])
    assert cells(floats) == {"a": [18446744073709551615.0, 1.0]}


ROW_FAULTS = [
    ("a,b\n1,2\n1,2,3\n", "t.csv:3: 3 fields, expected 2. Quote the field or name the delimiter with "),
    ("a,b,c\n1,2,3\n1,2", "t.csv:3: 2 fields, expected 3. Add what is missing (an empty field is a missing value) or"),
    ("a,b\n1,2\n\n3,4\n", "t.csv:3: a blank line inside the data. Delete it, or write the row that is missing."),
    ('a,b\n1,2\n3,"4\n', "t.csv:3: a quote opens here and never closes. "),
    (
        b"a,b\n\xc3\xa9,1\n\xe9,2\n",
        "t.csv:3: byte 0xe9 is not valid utf-8. Save the file as UTF-8, or name its encoding",
    ),
    (b"a,b\n1,2\n1,\x00\n", "t.csv:3: a NUL byte. The file is damaged or no text;"),
    ("a,a\n1,2\n", "t.csv:1: columns 1 and 2 are both named 'a'. Rename one of them."),
    ("", "t.csv: the file is empty. It needs a line of column names and a line per row."),
]


@pytest.mark.parametrize(("text", "message"), ROW_FAULTS)
@pytest.mark.parametrize("wanted", [None, ["a"]])
def test_a_broken_file_is_an_error_with_its_line_whatever_columns_are_wanted(text, message, wanted, write):
    write(text)
    with pytest.raises(DataError) as caught:
        read_table("t.csv", wanted=wanted)
    assert str(caught.value).startswith(message)
    with pytest.raises(DataError) as caught:
        list(iter_tables("t.csv", wanted=wanted, chunk_rows=1))
    assert str(caught.value).startswith(message)


def test_a_fault_far_down_is_found_before_its_row_is_given_out(write):
    name = write("a,b\n" + "1,2\n" * 500_000 + "1\n")
    with pytest.raises(DataError, match=r"^t\.csv:500002: 1 field, expected 2"):
        read_table(name)
    with pytest.raises(DataError, match=r"^t\.csv:500002: 1 field, expected 2"):
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
def test_a_short_and_a_long_row_do_not_make_up_for_each_other(rows, message, wanted, write):
    name = write("\n".join(["a,b,c", *["1,2,3"] * 150, *rows, "1,2,3"]) + "\n")
    with pytest.raises(DataError, match=message):
        read_table(name, wanted=wanted)
    with pytest.raises(DataError, match=message):
        list(iter_tables(name, wanted=wanted, number_columns=["c"]))


def test_a_header_alone_is_an_error_for_training_and_an_empty_table_for_predicting(write):
    name = write("a,b\n")
    with pytest.raises(DataError) as caught:
        read_table(name)
    assert str(caught.value) == "t.csv: header only, there are no rows. Add a line per row, or name another file."
    (table,) = iter_tables(name, number_columns=["a"])
    assert table.column_names == ("a", "b")
    assert table.frame.shape == (0, 2)


def test_every_row_knows_its_line(write):
    table = read_table(write('\na,b\n1,"x\ny"\n2,z\n"3\n\n",z\n4,z\n'))
    assert [table.where(row) for row in range(4)] == ["t.csv:3", "t.csv:5", "t.csv:6", "t.csv:9"]
    chunks = list(iter_tables("t.csv", chunk_rows=1))
    assert [chunk.where(0) for chunk in chunks] == ["t.csv:3", "t.csv:5", "t.csv:6", "t.csv:9"]


def test_several_files_are_one_table_whatever_the_order_of_their_columns(write):
    write("a,b\n1,x\n2,y\n", "p1.csv")
    write("b;a\nz;3\n", "p2.csv")
    table = read_table("p*.csv")
    assert cells(table) == {"a": [1, 2, 3], "b": ["x", "y", "z"]}
    assert [table.where(row) for row in range(3)] == ["p1.csv:2", "p1.csv:3", "p2.csv:2"]
    assert table.name == "p*.csv"
    assert table.sha256 == hashlib.sha256(b"a,b\n1,x\n2,y\nb;a\nz;3\n").hexdigest()
    chunks = list(iter_tables(["p1.csv", "p2.csv"], number_columns=["a"]))
    assert [cells(chunk) for chunk in chunks] == [{"a": [1, 2], "b": ["x", "y"]}, {"a": [3], "b": ["z"]}]


def test_a_column_that_is_text_in_one_of_several_files_is_text_in_all(write):
    write("a,b,c\n01,TRUE,\n", "p1.csv")
    write("a,b,c\nx,1,2\n", "p2.csv")
    assert cells(read_table(["p1.csv", "p2.csv"])) == {"a": ["01", "x"], "b": ["TRUE", "1"], "c": [None, 2]}


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
    assert (cells(table), table.where(0), dtypes(table)) == ({"a": [1]}, "p2.csv:2", ["int64"])
    assert [len(chunk.frame) for chunk in iter_tables(["p1.csv", "p2.csv"])] == [1]
    assert [len(chunk.frame) for chunk in iter_tables(["p1.csv", "p1.csv"])] == [0]


def test_standard_input_is_read_like_a_file(monkeypatch):
    data = gzip.compress(b"a,b\n1,TRUE\n2,x\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    table = read_table("-")
    assert cells(table) == {"a": [1, 2], "b": ["TRUE", "x"]}
    assert (table.name, table.where(1)) == ("standard input", "standard input:3")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert [cells(chunk)["b"] for chunk in iter_tables("-", chunk_rows=1)] == [["TRUE"], ["x"]]


def test_the_hash_is_that_of_the_uncompressed_bytes(write):
    write(b"a\r\n1\r\n", "t.csv")
    write(gzip.compress(b"a\r\n1\r\n"), "t.csv.gz")
    assert read_table("t.csv").sha256 == read_table("t.csv.gz").sha256 == hashlib.sha256(b"a\r\n1\r\n").hexdigest()


def test_notes_say_what_was_guessed(write):
    table = read_table(write("1;caf\xe9\n2;caf\xe9\n".encode("latin-1")))
    assert table.notes == (
        "t.csv: no names in the first line: the columns are called c1 to c2 (see data.header).",
        "t.csv: read as cp1252: not valid UTF-8 at line 1.",
    )
    assert table.format == TableFormat(";", "cp1252", False)
    assert read_table(write("a;b\n1,5;x\n")).notes == (
        "t.csv: a: numbers with a decimal comma are read as texts. Write decimals with a point.",
    )


def test_a_later_chunk_has_only_new_notes(write):
    write(b"1;2\n3;4\n5;\xe9\n" + b"7;8\n" * 3)
    chunks = list(iter_tables("t.csv", chunk_rows=2))
    assert [len(chunk.notes) for chunk in chunks] == [2, 0, 0]


def test_the_format_that_was_found_reads_the_same_table_again(write):
    name = write("\ufeffa;b\n1;x\n")
    table = read_table(name)
    assert read_table(name, table.format).frame.equals(table.frame)


def test_chunks_have_fixed_types_and_join_to_the_whole(write):
    name = write("a,b,c\n" + "".join(f"{row},{row % 3 or ''},{row}\n" for row in range(25)))
    chunks = list(iter_tables(name, number_columns=["a", "b"], chunk_rows=10))
    assert [len(chunk.frame) for chunk in chunks] == [10, 10, 5]
    assert {tuple(dtypes(chunk)) for chunk in chunks} == {("float64", "float64", "object")}
    assert [chunk.where(0) for chunk in chunks] == ["t.csv:2", "t.csv:12", "t.csv:22"]
    whole = read_table(name, text_columns=["c"], number_columns=["a", "b"]).frame
    assert pd.concat([chunk.frame for chunk in chunks], ignore_index=True).equals(whole)
    assert all(chunk.sha256 == "" and isinstance(chunk.frame.index, pd.RangeIndex) for chunk in chunks)


def test_chunks_take_constant_memory(write, monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK_SIZE", 1 << 18)
    line = b"1.5,2.5,3.5\n"
    name = write(b"a,b,c\n" + line * 1_000_000)
    tracemalloc.start()
    try:
        n_rows = sum(len(chunk.frame) for chunk in iter_tables(name, number_columns=["a", "b", "c"]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_rows == 1_000_000
    assert peak < 8e6 < len(line) * n_rows


def test_a_file_is_closed_when_its_chunks_are_left_early(write):
    chunks = iter_tables(write("a\n" + "1\n" * 100), chunk_rows=1)
    next(chunks)
    chunks.close()  # a file left open would be a ResourceWarning, which is an error here


def test_a_frame_is_a_table_without_lines():
    table = table_from_frame(pd.DataFrame({0: [1, 2]}, index=[5, 6]))
    assert table.frame.index.tolist() == [0, 1]
    assert (table.column_names, table.where(1)) == (("0",), "the data frame: row 1")
    assert isinstance(table, Table)


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
    lines = [[*names, "wört"], *([*("" if x is None else repr(x) for x in row), f"é{delimiter}"] for row in rows)]
    text = "".join(delimiter.join(f'"{cell}"' for cell in line) + line_end for line in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode(codec))))
        table = read_table("-", TableFormat(header=True))
    assert table.column_names == (*names, "wört")
    assert table.format.delimiter == delimiter
    expected = np.asarray([[np.nan if x is None else x for x in row] for row in rows])
    np.testing.assert_array_equal(table.frame[names].to_numpy(np.float64), expected)
    assert set(table.frame["wört"]) == {f"é{delimiter}".strip()}


def test_a_bad_cell_is_told_behind_the_rows_before_it(write):
    name = write("a\n1\n2\nx\n4\n")
    numbers = map_tables(lambda table: table.frame["a"].tolist(), name, number_columns=["a"], chunk_rows=1)
    assert [next(numbers), next(numbers)] == [[1.0], [2.0]]
    with pytest.raises(DataError, match=r"^t\.csv:4: "):
        next(numbers)


def test_a_note_comes_once_and_with_the_first_rows_it_is_about(write, monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK_SIZE", 1 << 10)
    name = write(("a,b\n" + "1,x\n" * 1000 + "2,é\n" + "3,x\n" * 1000).encode("cp1252"))
    notes = list(map_tables(lambda table: table.notes, name))
    assert sum(map(len, notes)) == 1
    assert not notes[0]


SOME_CELLS = st.sampled_from(
    ["1", "2", "2.5", "01", "NA", "", " a", "a", "b c", "None", "-", "True", '"q,1"', "x", "1e999"]
)


@pytest.mark.parametrize("texts", [[], ["b"], ["a", "b"]])
@pytest.mark.parametrize("numbers", [[], ["c"]])
@given(rows=st.lists(st.tuples(SOME_CELLS, SOME_CELLS, st.sampled_from(["1", "2.5", ""])), min_size=1, max_size=25))
def test_a_table_read_in_blocks_is_the_one_read_in_one_piece(rows, texts, numbers):
    with open("t.csv", "w", encoding="utf-8") as file:
        file.write("a,b,c\n" + "".join(",".join(row) + "\n" for row in rows))

    def found(packs):
        try:
            table = read_table("t.csv", TableFormat(header=True), texts, number_columns=numbers, packs=packs)
        except DataError as error:
            return str(error)
        columns = {name: table.column(name) for name in table.read_names}
        coded = {name: (table.text_cells(name).texts, table.text_cells(name).codes.tolist()) for name in columns}
        parsed = {name: table.number_cells(name) for name in columns}
        return (
            table,
            pd.DataFrame(columns),
            coded,
            {name: cells.values.tolist() for name, cells in parsed.items() if cells},
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "BLOCK_SIZE", 64)
        blocks, whole = found(packs=True), found(packs=False)
    if isinstance(whole, str):
        assert blocks == whole
        return
    pd.testing.assert_frame_equal(blocks[1], whole[1])
    assert blocks[2] == whole[2]
    np.testing.assert_equal(blocks[3], whole[3])
    assert (blocks[0].sha256, blocks[0].notes, blocks[0].read_names) == (
        whole[0].sha256,
        whole[0].notes,
        whole[0].read_names,
    )
