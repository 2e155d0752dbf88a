import csv
import io
import re
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.reading.byte_stream import ByteStream
from mlpcli.data.reading.csv import encoding, records
from mlpcli.data.reading.csv.encoding import TextBlocks
from mlpcli.data.reading.csv.records import RowBatches, has_leading_blanks, leading_zero_columns
from mlpcli.data.reading.csv.rows import split_rows
from mlpcli.data.reading.csv.sniff import Dialect, find_dialect
from mlpcli.data.table import TableFormat
from mlpcli.errors import DataError


def make_dialect(n_fields, delimiter=",", comment=None):
    names = tuple(f"c{number}" for number in range(n_fields))
    return Dialect(delimiter, False, names, 1, b"", comment=comment)


def open_text(data):
    return TextBlocks(ByteStream("t.csv", io.BytesIO(data)), None)


def read_rows(data, n_fields, delimiter=",", block_size=1 << 20, comment=None, is_quick=True, defers_check=False):
    """The text of the rows, their lines, and the fault; batches are checked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "BLOCK_SIZE", block_size)
        if not is_quick:
            patch.setattr(records, "_count_fields", lambda *_, **__: None)
        rows = RowBatches(
            open_text(data), make_dialect(n_fields, delimiter, comment), defers_check, size=2 * block_size
        )
        texts, lines, raised = [], [], None
        try:
            for batch in rows:
                assert batch.first_row == len(lines)
                rows.check(batch)
                texts.append(batch.text)
                lines += [rows.line_number(batch, row) for row in range(batch.n_rows)]
        except DataError as error:
            raised = str(error)
    return b"".join(texts), lines, raised


def without_blanks(rows):
    """Cells without blanks: those behind closing quotes and before delimiters are of no concern."""
    return [[re.sub("[ \t]", "", cell) for cell in row] for row in rows]


FAULTS = {
    b"1,2\n1,2,3\n": (
        "t.csv:2: 3 fields, expected 2. Quote the field or name the delimiter with --delimiter / data.delimiter."
    ),
    b"1,2\n1\n": (
        "t.csv:2: 1 field, expected 2. Add what is missing (an empty field is a missing value) "
        "or name the delimiter with --delimiter / data.delimiter."
    ),
    b"1,2\n(2 rows)\n\n": (
        't.csv:2: 1 field, expected 2, in the last line. If it is a footer, delete it or set data.comment: "("; if it '
        "is a row, add what is missing (an empty field is a missing value) "
        "or name the delimiter with --delimiter / data.delimiter."
    ),
    b"1,2\nTotal\n": (
        "t.csv:2: 1 field, expected 2, in the last line. If it is a footer, delete it; if it "
        "is a row, add what is missing (an empty field is a missing value) "
        "or name the delimiter with --delimiter / data.delimiter."
    ),
    b"1,2\n1,2,3\n1\n": (
        "t.csv:2: 3 fields, expected 2. Quote the field or name the delimiter with --delimiter / data.delimiter."
    ),
    b"1,2\n1,2, \n": (
        "t.csv:2: 3 fields, expected 2. The row ends with a delimiter: delete it, "
        "or name the delimiter with --delimiter / data.delimiter."
    ),
    b"1,2\n# the end\n": (
        "t.csv:2: 1 field, expected 2, in a line that begins with #. "
        "If it is a comment, leave such lines out with data.comment: '#'."
    ),
    b'1,"\n"\n1,2,"3\n4"\n': "t.csv:3: 3 fields, expected 2. A quote joins lines 3 to 4: close it on its own line.",
    b"1,2\n\n3,4\n": "t.csv:2: a blank line inside the data. Delete it, or write the row that is missing.",
    b"1,2\n \t\n\n3,4\n": "t.csv:2: a blank line inside the data. Delete it, or write the row that is missing.",
    b'1,2\n3,"4\n5,6\n': (
        't.csv:2: a quote opens here and never closes. Close it; a quote inside a quoted field is written "".'
    ),
    b'1,2\n"3\n",5" "", "4\n5,6': (
        't.csv:3: a quote opens here and never closes. Close it; a quote inside a quoted field is written "".'
    ),
    b'1,2\n3,"4\n5,"6"\n': (
        "t.csv:2: text follows a closing quote (on line 3). "
        'Close the quote at the end of its field; a quote inside a field is written "".'
    ),
    b'1,"2"x\n': (
        "t.csv:1: text follows a closing quote. "
        'Close the quote at the end of its field; a quote inside a field is written "".'
    ),
    b'1,2\n3,4\0\n': (
        "t.csv:2: a NUL byte. The file is damaged or not text; "
        "if it is UTF-16, name its encoding with --encoding / data.encoding (utf-16-le or utf-16-be)."
    ),
}  # fmt: skip


@pytest.mark.parametrize("defers_check", [False, True])
@pytest.mark.parametrize("is_quick", [True, False])
@pytest.mark.parametrize("block_size", [1, 2, 3, 5, 8, 1 << 20])
@pytest.mark.parametrize(("data", "message"), FAULTS.items())
def test_a_fault_is_named_with_its_line_wherever_blocks_end(data, message, block_size, is_quick, defers_check):
    text, _, fault = read_rows(data, 2, block_size=block_size, is_quick=is_quick, defers_check=defers_check)
    assert fault == message
    assert data.startswith(text)


def test_the_rows_before_a_fault_are_given():
    rows = RowBatches(open_text(b"1,2\n3,4\n5\n6,7\n"), make_dialect(2))
    batches = iter(rows)
    assert next(batches).text == b"1,2\n3,4\n"
    with pytest.raises(DataError, match=r"^t\.csv:3: 1 field, expected 2\."):
        next(batches)
    assert rows.error is not None


def test_short_and_long_rows_that_compensate_each_other_are_detected_by_the_deferred_check():
    rows = RowBatches(open_text(b"1,2\n3\n4,5,6\n"), make_dialect(2), defers_check=True)
    (batch,) = rows
    assert (batch.n_rows, batch.is_verified) == (3, False)
    with pytest.raises(DataError, match=r"^t\.csv:2: 1 field, expected 2\."):
        rows.check(batch)
    (batch,) = RowBatches(open_text(b"1,2\n3,4\n"), make_dialect(2), defers_check=True)
    assert not batch.is_verified
    rows.check(batch)
    rows = RowBatches(open_text(b"1\n\n"), make_dialect(2), defers_check=True)
    batch = replace(batch, text=b"1,2\n\n3,4,5\n", n_rows=3)
    with pytest.raises(DataError, match=r"^t\.csv:2: a blank line"):
        rows.check(batch)


def test_a_blank_line_is_a_fault_in_a_table_of_one_column_too():
    assert str(read_rows(b"1\n\n3\n", 1)[2]).startswith("t.csv:2: a blank line")
    assert read_rows(b'1\n""\n3\n', 1)[1:] == ([1, 2, 3], None)


def test_blank_lines_at_the_end_are_no_fault():
    assert read_rows(b"1,2\n3,4\n\n  \n\n", 2, block_size=4) == (b"1,2\n3,4\n", [1, 2], None)
    assert read_rows(b"1\t2\n\t\n\n", 2, "\t") == (b"1\t2\n\t\n", [1, 2], None)
    assert read_rows(b"1,2\n3,4\n\n# end", 2, comment="#") == (b"1,2\n3,4\n", [1, 2], None)


def test_quoted_line_ends_move_the_lines_of_the_rows_behind_them():
    assert read_rows(b'1,"a\nb\n"\n2,c\n3,"d\n"\n4,e\n', 2)[1] == [1, 4, 5, 7]


def test_a_quote_inside_an_unquoted_field_is_a_letter():
    assert read_rows(b'5" pipe,2\n"a", "b,c" \n', 2)[1:] == ([1, 2], None)


def test_comment_lines_are_left_out_but_not_those_inside_quotes():
    data = b'#a "b\n1,2\n# c\n# d\n3,"\n#4"\n#\n5,6\n#e'
    for block_size in (1, 4, 7, 1 << 20):
        text, lines, fault = read_rows(data, 2, comment="#", block_size=block_size)
        assert (text, lines, fault) == (b'1,2\n3,"\n#4"\n5,6\n', [2, 5, 8], None)


def test_a_row_longer_than_any_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(records, "MAX_ROW_SIZE", 1)
    fault = read_rows(b"x" * (1 << 22), 1, block_size=1 << 16)[2]
    assert fault == "t.csv:1: a line of more than 1 MB. This is not a table, or its line ends are lost."


def test_a_field_longer_than_python_reads_by_default_is_read():
    data = b'1,"' + b"x" * 200_000 + b'" \n'
    assert read_rows(data, 2) == (data, [1], None)


def test_batches_have_about_the_requested_size(monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK_SIZE", 1000)
    data = b"1,2\n" * 5000
    for size in (1000, 4000):
        text = open_text(data)
        batches = list(RowBatches(text, find_dialect(text, TableFormat(header=False)), size=size))
        assert all(size / 2 <= len(batch.text) <= 2 * size for batch in batches[1:-1])
        assert b"".join(batch.text for batch in batches) == data


CELLS = [
    "a", "", '"a"', '"a,b"', '"a\nb"', '""', '"x""y"', ' "q"', '5"', '"a" ', '"\n"', " b", '"""a"""', '"a', '"a"b', "é",
    "#", '"\n#"', '"a""\t', '"" ,"',
]  # fmt: skip
ROWS = st.lists(st.lists(st.sampled_from(CELLS), min_size=1, max_size=3).map(",".join), min_size=1, max_size=5)


@settings(max_examples=300)
@given(
    ROWS.map("\n".join) | st.text(st.sampled_from('a,"\n \t\ré#'), min_size=1, max_size=14),
    st.integers(1, 3),
    st.integers(1, 20),
    st.sampled_from([None, "#"]),
)
def test_the_vectorized_check_agrees_with_the_row_by_row_check_and_with_pandas(text, n_fields, block_size, comment):
    quick = read_rows(text.encode(), n_fields, block_size=block_size, comment=comment, defers_check=True)
    exact = read_rows(text.encode(), n_fields, comment=comment, is_quick=False)
    assert quick[2] == exact[2]
    if quick[2] is None:
        assert quick == exact
    if exact[0]:
        frame = pd.read_csv(
            io.BytesIO(exact[0]), header=None, names=range(n_fields), index_col=False, dtype=object, na_filter=False,
            skipinitialspace=True, skip_blank_lines=False,
        )  # fmt: skip
        cells = [row.cells for row in split_rows(exact[0], ",")]
        assert without_blanks(frame.to_numpy().tolist()) == without_blanks(cells)
        assert len(cells) == len(exact[1])


WRITTEN = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5) | st.sampled_from(
    ["\n", '"', ","]
)


@given(
    st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(WRITTEN, min_size=width, max_size=width), min_size=1)),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(",;\t|"),
    st.integers(1, 50),
)
def test_a_written_table_is_read_with_the_lines_that_csv_tells(rows, quoting, delimiter, block_size):
    file = io.StringIO(newline="")
    csv.writer(file, quoting=quoting, delimiter=delimiter, lineterminator="\n").writerows(rows)
    data = file.getvalue().encode()
    text, lines, fault = read_rows(data, len(rows[0]), delimiter, block_size)
    reader = csv.reader(io.StringIO(data.decode(), newline="\n"), delimiter=delimiter)
    ends = [0, *(reader.line_num for _ in reader)]
    assert (text, lines, fault) == (data, [end + 1 for end in ends[:-1]], None)
    assert without_blanks(row.cells for row in split_rows(text, delimiter)) == without_blanks(rows)


CODES = st.sampled_from(
    ["0", "01", "-01", "+00", "0.1", "10", "1e-05", "2020-01-05", "a 01", "05:00", " 07", "\t08", "x"]
)


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CODES, min_size=width, max_size=width), min_size=1)),
    st.sampled_from(["{}", '"{}"', ' "{}" ', 'a"{}', '"0,{}\n03"']),
    st.sampled_from(",;|"),
    st.sampled_from([3, 1 << 18]),
)
def test_leading_zeros_are_detected_in_the_columns_that_have_them(rows, pattern, delimiter, chunk_size):
    rows = [[cell if index else pattern.format(cell) for index, cell in enumerate(row)] for row in rows]
    text = "".join(delimiter.join(row) + "\n" for row in rows)
    naive = {
        index
        for row in csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, skipinitialspace=True)
        for index, cell in enumerate(row)
        if re.match(r"[ \t]*[+-]?0[0-9](?![:/-])", cell)  # not times and dates
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BYTES_PER_CHUNK", chunk_size)
        assert leading_zero_columns(text.encode(), delimiter, len(rows[0])) == naive


@pytest.mark.parametrize("delimiter", [",", ":"])
def test_a_time_in_the_first_cell_has_no_leading_zero_unless_its_colon_is_the_delimiter(delimiter):
    rows = b"05:00\n" if delimiter == ":" else b"05:00,1\n"
    assert leading_zero_columns(rows, delimiter, 2) == ({0, 1} if delimiter == ":" else set())


@given(
    st.lists(st.sampled_from(["a", " a", "a b", "a ", '"a, b"', '" a"', "", " "]), min_size=2, max_size=12),
    st.sampled_from(",;|"),
    st.sampled_from([1, 1 << 18]),
)
def test_cells_that_begin_with_a_blank_are_detected(cells, delimiter, chunk_size):
    text = "".join(cell + (delimiter if index % 2 else "\n") for index, cell in enumerate(cells))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BYTES_PER_CHUNK", chunk_size)
        found = has_leading_blanks(text.encode(), delimiter)
    assert found == bool(re.search(rf"(^|[\n{delimiter}]) ", text))
