import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data.dialect import DELIMITERS, TableFormat, find_dialect, looks_like_header
from mlpcli.data.encoding import TextBlocks
from mlpcli.data.sources import ByteStream
from mlpcli.errors import DataError

AS_FOUND = TableFormat()


def look_at(text, format=AS_FOUND, named=()):
    return find_dialect(TextBlocks(ByteStream("t.csv", io.BytesIO(text.encode())), None), format, named)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("a\tb c\n1\t2,3\n", "\t"),
        ("a|b\n1|x;y,z\n", "|"),
        ('a,b\n"1;2;3",x\n', ","),
        ("name;note\nx;one, two, three\ny;four\n", ";"),
        ("a\n1\n", ","),
        ("a,b,c\n1,2,3\n1,2\n3,4,5\n", ","),
    ],
)
def test_the_delimiter_is_the_one_under_which_the_lines_agree(text, delimiter):
    assert look_at(text).delimiter == delimiter


HEADERS = [
    ("x,y\n1,2\n", True, "words over numbers"),
    ("1,2\n3,4\n", False, "numbers over numbers"),
    ("5.1,3.5,setosa\n4.9,3.0,setosa\n", False, "numbers over numbers, and a label that comes back"),
    ("5.1,NA,setosa\n4.9,3.0,virginica\n", False, "a missing cell says nothing"),
    ("x,y\n,\n1,2\n", True, "words over numbers and missing cells"),
    (",0,1,2,3,4\n0,1,2,3,4,5\n", True, "the names pandas gives, after an index without a name"),
    ("0,1,2,3,4,5\n7,8,9,7,8,9\n", True, "the names pandas gives"),
    ("0,1\n1,0\n", False, "too short for such names"),
    ("2020-01-01,2\n2020-01-02,3\n", False, "a date over dates"),
    ("day,n\n2020-01-01,2\n", True, "words over dates"),
    ("p,x,s,p\np,x,y,k\n", False, "words, one of them twice"),
    ("red,square\nblue,round\nred,round\n", False, "words, one of which comes again"),
    ("colour,shape\nred,round\n", True, "words that do not come again"),
    ("1,2\n", False, "one line with a number"),
    ("a,b\n", True, "one line of words"),
]


@pytest.mark.parametrize(("text", "has_header", "why"), HEADERS, ids=[why for _, _, why in HEADERS])
def test_a_header_is_found_by_rule(text, has_header, why):
    assert look_at(text).has_header is has_header


def test_a_first_line_with_the_names_that_were_asked_for_is_a_header_whatever_it_looks_like():
    text = "p,x,y\np,x,k\nq,x,y\n"
    assert look_at(text).names == ("c1", "c2", "c3")
    assert look_at(text, named=["y"]).names == ("p", "x", "y")
    assert look_at(text, named=["x", "p"]).has_header
    assert not look_at(text, named=["y", "z"]).has_header
    assert not look_at(text, replace(AS_FOUND, header=False), named=["y"]).has_header


def test_without_a_header_columns_are_numbered_and_a_note_says_so():
    found = look_at("1,2\n3,4\n")
    assert found.names == ("c1", "c2")
    assert found.notes == ("t.csv: no names in the first line: the columns are called c1 to c2 (see data.header).",)
    assert found.first_line == 1
    assert look_at("1,2\n3,4\n", TableFormat(header=False)).notes == ()


def test_a_header_that_is_asked_for_is_taken():
    assert look_at("1,2\n3,4\n", TableFormat(header=True)).names == ("1", "2")


def test_blank_lines_before_the_header_are_counted():
    found = look_at("\n \na,b\n1,2\n")
    assert (found.names, found.first_line, found.rows) == (("a", "b"), 4, b"1,2\n")


def test_a_header_may_run_over_several_lines():
    found = look_at('"a\nx", "b"\n1,2\n')
    assert (found.names, found.first_line) == (("a\nx", "b"), 3)


def test_columns_without_a_name_get_one_and_a_note_says_so():
    found = look_at(",b,\n1,2,3\n")
    assert found.names == ("Unnamed: 0", "b", "Unnamed: 2")
    assert found.notes == ("t.csv: column 1 has no name: called Unnamed: 0; column 3 has no name: called Unnamed: 2.",)


ANY = (None, None)
FAULTS = [
    ("", ANY, "t.csv: the file is empty. It needs a line of column names and a line per row."),
    (" \n\n", ANY, "t.csv: the file is empty. It needs a line of column names and a line per row."),
    ("a, b,a \n1,2,3\n", ANY, "t.csv:1: columns 1 and 3 are both named 'a'. Rename one of them."),
    ("\x1b[1m,\x1b[1m\n1,2\n", ANY, "t.csv:1: columns 1 and 2 are both named '\\x1b[1m'. Rename one of them."),
    (
        "a,b\n1,2,3\n4,5,6\n",
        ANY,
        "t.csv:1: the header has 2 names, the rows have 3 fields. Name every column (R's write.table leaves out "
        "the first name), or name the delimiter with --delimiter / data.delimiter.",
    ),
    (
        '\n"a,b\n1,2\n',
        ANY,
        't.csv:2: a quote opens here and never closes. Close it; a quote inside a quoted field is written "".',
    ),
    (
        '"a"x,b\n1,2\n',
        ANY,
        "t.csv:1: text follows a closing quote. "
        'Close the quote at the end of its field; a quote inside a field is written "".',
    ),
    (
        "a\tb\n1\t2\n",
        (",", None),
        "t.csv:1: one column with the delimiter ','; tab gives 2. "
        "Correct --delimiter / data.delimiter, or leave it out to have it found.",
    ),
    ("a\n", ("ab", None), "'ab' is no delimiter. --delimiter / data.delimiter is one character, as ; or tab."),
    ("a\n", ('"', None), "'\"' is no delimiter. --delimiter / data.delimiter is one character, as ; or tab."),
]


@pytest.mark.parametrize(("text", "asked", "message"), FAULTS)
def test_a_first_line_that_cannot_be_is_an_error(text, asked, message):
    with pytest.raises(DataError) as caught:
        look_at(text, TableFormat(delimiter=asked[0], header=asked[1]))
    assert str(caught.value) == message


def test_a_delimiter_may_be_named_in_a_word():
    assert look_at("a\tb\n1\t2\n", TableFormat(delimiter="tab")).delimiter == "\t"


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@given(
    st.sampled_from(DELIMITERS),
    st.integers(2, 5).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=3)),
)
def test_the_delimiter_of_a_well_written_table_is_found(delimiter, rows):
    header = [f"name{position}" for position in range(len(rows[0]))]
    lines = [header, *([f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in rows)]
    found = look_at("\n".join(delimiter.join(line) for line in lines), TableFormat(header=True))
    assert (found.delimiter, found.names) == (delimiter, tuple(header))


@given(st.lists(st.lists(st.floats(-1e6, 1e6).map(repr), min_size=3, max_size=3), min_size=2, max_size=8))
def test_numbers_alone_are_rows_and_words_above_them_are_names(rows):
    assert not looks_like_header(rows[0], rows[1:], {""})
    assert looks_like_header(["x", "y", "z"], rows, {""})
