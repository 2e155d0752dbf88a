import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data import encoding, records
from mlpcli.data.encoding import TextBlocks
from mlpcli.data.records import LineMap, RowStream, split_records
from mlpcli.data.sources import ByteStream
from mlpcli.errors import DataError


class SlowRowStream(RowStream):
    """Every block goes through the exact check."""

    def _check_quickly(self, block):
        return None


def stream_rows(data, n_fields, delimiter=",", kind=RowStream, block_size=1 << 20):
    """The text of the rows and their lines; raises the fault."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "BLOCK_SIZE", block_size)
        lines = LineMap("t.csv", 1)
        rows = kind(TextBlocks(ByteStream("t.csv", io.BytesIO(data)), None), b"", delimiter, n_fields, lines)
        text = b"".join(rows)
    if rows.fault is not None:
        raise rows.fault
    return text, [lines.line(row) for row in range(rows.n_rows)]


FAULTS = {
    b"1,2\n1,2,3\n": (
        "t.csv:2: 3 fields, expected 2. Quote the field or name the delimiter with --delimiter / data.delimiter."
    ),
    b"1,2\n1\n": (
        "t.csv:2: 1 field, expected 2. Add what is missing (an empty field is a missing value) "
        "or name the delimiter with --delimiter / data.delimiter."
    ),
    b'1,"\n"\n1,2,"3\n4"\n': ("t.csv:3: 3 fields, expected 2. A quote joins lines 3 to 4: close it on its own line."),
    b"1,2\n\n3,4\n": "t.csv:2: a blank line inside the data. Delete it, or write the row that is missing.",
    b"1,2\n \t\n3,4\n": "t.csv:2: a blank line inside the data. Delete it, or write the row that is missing.",
    b'1,2\n3,"4\n5,6\n': (
        't.csv:2: a quote opens here and never closes. Close it; a quote inside a quoted field is written "".'
    ),
    b'1,2\n3,"4\n5,"6"\n': (
        "t.csv:2: text follows a closing quote (on line 3). "
        'Close the quote at the end of its field; a quote inside a field is written "".'
    ),
    b'1,"2"x\n': (
        "t.csv:1: text follows a closing quote. "
        'Close the quote at the end of its field; a quote inside a field is written "".'
    ),
}


@pytest.mark.parametrize("kind", [RowStream, SlowRowStream])
@pytest.mark.parametrize(("data", "message"), FAULTS.items())
def test_a_fault_is_named_with_its_line(data, message, kind):
    with pytest.raises(DataError) as caught:
        stream_rows(data, 2, kind=kind)
    assert str(caught.value) == message


@pytest.mark.parametrize("block_size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(("data", "message"), FAULTS.items())
def test_a_fault_is_found_wherever_blocks_end(data, message, block_size):
    with pytest.raises(DataError) as caught:
        stream_rows(data, 2, block_size=block_size)
    assert str(caught.value) == message


def test_a_blank_line_is_a_fault_in_a_table_of_one_column_too():
    with pytest.raises(DataError, match=r"^t\.csv:2: a blank line"):
        stream_rows(b"1\n\n3\n", 1)
    assert stream_rows(b'1\n""\n3\n', 1)[1] == [1, 2, 3]


def test_blank_lines_at_the_end_are_no_fault():
    assert stream_rows(b"1,2\n3,4\n\n  \n\n", 2, block_size=4) == (b"1,2\n3,4\n", [1, 2])


def test_quoted_line_ends_move_the_lines_of_the_rows_behind_them():
    assert stream_rows(b'1,"a\nb\n"\n2,c\n3,"d\n"\n4,e\n', 2)[1] == [1, 4, 5, 7]


def test_a_quote_inside_an_unquoted_field_is_a_letter():
    assert stream_rows(b'5" pipe,2\n"a", "b,c"\n', 2)[1] == [1, 2]


def test_a_row_longer_than_any_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(records, "LONGEST_RECORD", 1)
    with pytest.raises(DataError, match=r"^t\.csv:1: a line of more than 1 MB\. This is no table"):
        stream_rows(b"x" * (1 << 22), 1, block_size=1 << 16)


CELLS = [
    "a",
    "",
    '"a"',
    '"a,b"',
    '"a\nb"',
    '""',
    '"x""y"',
    ' "q"',
    '5"',
    '"a" ',
    '"\n"',
    " b",
    '"""a"""',
    '"a',
    '"a"b',
    "é",
]
ROWS = st.lists(st.lists(st.sampled_from(CELLS), min_size=1, max_size=3).map(",".join), min_size=1, max_size=5)


@settings(max_examples=300)
@given(
    ROWS.map("\n".join) | st.text(st.sampled_from('a,"\n \t\ré'), min_size=1, max_size=14),
    st.integers(1, 3),
    st.integers(1, 20),
)
def test_the_quick_check_agrees_with_the_exact_one_and_both_with_pandas(text, n_fields, block_size):
    def answer(kind, size):
        try:
            return stream_rows(text.encode(), n_fields, kind=kind, block_size=size)
        except DataError as fault:
            return str(fault), None

    found, lines = answer(RowStream, block_size)
    exact, exact_lines = answer(SlowRowStream, 1 << 20)
    assert lines == exact_lines
    if lines is None:
        assert found == exact
    elif found:
        frame = pd.read_csv(
            io.BytesIO(found), header=None, names=range(n_fields), index_col=False, dtype=object, na_filter=False,
            skipinitialspace=True, skip_blank_lines=False,
        )  # fmt: skip
        cells = [[field.decode().strip() for field in record.fields] for record in split_records(found, ",")]
        assert [[cell.strip() for cell in row] for row in frame.to_numpy().tolist()] == cells
        assert len(cells) == len(lines)
