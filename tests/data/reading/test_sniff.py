import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data.reading.byte_stream import ByteStream
from mlpcli.data.reading.csv import encoding
from mlpcli.data.reading.csv.encoding import TextBlocks
from mlpcli.data.reading.csv.header import looks_like_header
from mlpcli.data.reading.csv.sniff import DELIMITERS, find_dialect
from mlpcli.data.table import TableFormat
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
        ("x;y\n0,5;1,5\n1,5;2,25\n", ";"),
        ("a;b;c\n1,5;3,25;2,5\n", ";"),
        ("day;a;b\n2020-01-01;1,5;2,5\n2020-01-02;2,5;3,5\n", ";"),
        ("A;1,5;3,25;2,5\nB;1,5;3,5;2,25\n", ";"),
        ("1,5;3.100,25;2,5\n1,5;3,25;-2,5\n", ";"),
        ("1,5\t3\n2,5\t4\n", "\t"),
        ("x,y\n1,2;3\n2,3;4\n", ","),
        ('x,y\n"1,5",2\n"2,5",3\n', ","),
    ],
)
def test_the_delimiter_is_the_one_that_gives_lines_of_equal_width(text, delimiter):
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
    ("x,y\n1,2\nx,y\n3,4\n", True, "words over numbers, once more"),
    ("color,shape\nred,round\ncolor,shape\n", True, "words that come again in a line like the first"),
    ("p,x\np,x\n", False, "nothing but one line over and over"),
    ("1,2\n", False, "one line with a number"),
    ("a,b\n", True, "one line of words"),
]


@pytest.mark.parametrize(("text", "has_header", "why"), HEADERS, ids=[why for _, _, why in HEADERS])
def test_a_header_is_detected_by_the_documented_rule(text, has_header, why):
    assert look_at(text).has_header is has_header


def test_a_first_line_with_the_configured_names_is_a_header_whatever_it_looks_like():
    text = "p,x,y\np,x,k\nq,x,y\n"
    assert look_at(text).names == ("c1", "c2", "c3")
    assert look_at(text, named=["y"]).names == ("p", "x", "y")
    assert look_at(text, named=["x", "p"]).has_header
    assert not look_at(text, named=["y", "z"]).has_header
    assert not look_at(text, replace(AS_FOUND, header=False), named=["y"]).has_header


def test_without_a_header_columns_are_numbered_with_a_note():
    dialect = look_at("1,2\n3,4\n")
    assert dialect.names == ("c1", "c2")
    assert dialect.notes == ("t.csv: no names in the first line: the columns are named c1 to c2 (see data.header).",)
    assert dialect.first_line == 1
    assert look_at("1,2\n3,4\n", TableFormat(header=False)).notes == ()


def test_a_requested_header_is_used():
    assert look_at("1,2\n3,4\n", TableFormat(header=True)).names == ("1", "2")


def test_blank_lines_before_the_header_are_counted():
    dialect = look_at("\n \na,b\n1,2\n")
    assert (dialect.names, dialect.first_line, dialect.rows) == (("a", "b"), 4, b"1,2\n")


def test_a_header_may_run_over_several_lines():
    dialect = look_at('"a\nx", "b"\n1,2\n')
    assert (dialect.names, dialect.first_line) == (("a\nx", "b"), 3)


def test_columns_without_a_name_get_one_with_a_note():
    dialect = look_at(",b,\n1,2,3\n")
    assert dialect.names == ("Unnamed: 0", "b", "Unnamed: 2")
    assert dialect.notes == ("t.csv: column 1 has no name: named Unnamed: 0; column 3 has no name: named Unnamed: 2.",)


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
        "the first name unless col.names = NA), or name them c1 to c3: data.skip_rows: 1 and data.header: false, "
        "or name the delimiter with --delimiter / data.delimiter.",
    ),
    (
        "a,b\n1,2,\n4,5,\n",
        ANY,
        "t.csv:1: the header has 2 names, the rows have 3 fields. Each row ends with a delimiter: delete it, "
        "or end the header with one too, or name the delimiter with --delimiter / data.delimiter.",
    ),
    (
        "a,b,c\n1,2\n4,5\n",
        ANY,
        "t.csv:1: the header has 3 names, the rows have 2 fields. Match them, "
        "or name the delimiter with --delimiter / data.delimiter.",
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
        '"x" "y"\n"1" 2 3\n',
        ANY,
        "t.csv:1: text follows a closing quote. "
        'Close the quote at the end of its field; a quote inside a field is written "". '
        "If blanks separate the fields: --delimiter / data.delimiter: blank.",
    ),
    (
        "a\tb\n1\t2\n",
        (",", None),
        "t.csv:1: one column with the delimiter ','; tab gives 2. "
        "Correct --delimiter / data.delimiter, or leave it out to detect it.",
    ),
    ("a\n", ("ab", None), "'ab' is not a delimiter. --delimiter / data.delimiter is one character, such as ; or tab."),
    ("a\n", ('"', None), "'\"' is not a delimiter. --delimiter / data.delimiter is one character, such as ; or tab."),
]


ROWS = "1.5,red,2\n2.5,blue,3\n3.5,red,4\n"
MISPLACED = [
    ("Report, Berlin, 2024\nx,colour,y\n" + ROWS, {"skip_rows": 1}, "data.skip_rows: 1 (--set data.skip_rows=1)", 2),
    ("c1,c2,c3\nx,colour,y\n" + ROWS, {"skip_rows": 1}, "data.skip_rows: 1 (--set data.skip_rows=1)", 2),
    (
        "REM a, b, c\nREM d, e, f\nx,colour,y\n" + ROWS,
        {"skip_rows": 2},
        "data.skip_rows: 2 (--set data.skip_rows=2)",
        3,
    ),
    ("sep=,\nx;colour;y\n" + ROWS.replace(",", ";"), {"delimiter": ";"}, "--delimiter / data.delimiter: ';'", 2),
]


@pytest.mark.parametrize(("text", "settings", "advice", "line"), MISPLACED)
def test_a_header_below_a_line_like_it_is_an_error_whose_advice_works(text, settings, advice, line):
    with pytest.raises(DataError, match=rf"^t\.csv:{line}: .* as it names y, but .*\. Set {re.escape(advice)}\.$"):
        look_at(text, named=["y", "other"])
    assert look_at(text, replace(AS_FOUND, **settings), named=["y"]).names == ("x", "colour", "y")


def test_cells_like_configured_names_do_not_make_a_header_below_one_with_a_configured_name():
    assert look_at("a,b\ny,1\nx,2\n", named=["b", "y"]).names == ("a", "b")


@pytest.mark.parametrize(("text", "options", "message"), FAULTS)
def test_an_invalid_first_line_is_an_error(text, options, message):
    with pytest.raises(DataError) as caught:
        look_at(text, TableFormat(delimiter=options[0], header=options[1]))
    assert str(caught.value) == message


def test_a_sep_line_specifies_the_delimiter():
    dialect = look_at("sep=;\nx;y\n0,5;yes\n0,7;no\n")
    assert (dialect.delimiter, dialect.names, dialect.first_line, dialect.notes) == (";", ("x", "y"), 3, ())
    assert look_at('"sep=|"\na|b,c\n1|2\n').names == ("a", "b,c")
    assert look_at("sep=\t\na\tb\n1\t2\n").names == ("a", "b")
    assert look_at("sep=,\na,b;c\n1,2\n", TableFormat(delimiter=";")).delimiter == ";"
    assert look_at("sep=;\na;b\n1;2\n", TableFormat(skip_rows=1)).names == ("a", "b")
    assert look_at("sep=x,y\n1,2\n").names == ("sep=x", "y")


NUMBERS = "x,z,y\n1,2,a\n3,4,b\n5,6,a\n"
ABOVE = [
    ("Sales report\n", 1, "a title"),
    ("Sales report\nGenerated 2024-01-02\n\n", 2, "titles, and a blank line"),
    ("Sales report,,\n", 1, "a title that a spreadsheet padded"),
    ("Sales report,,\n,,\n", 2, "a title and an empty row of a spreadsheet"),
    (",,\n,,\n", 2, "empty rows of a spreadsheet"),
    ("Sales report,,\nof all shops,,\n,,\n", 3, "titles and an empty row of a spreadsheet"),
    ("Sales, of all shops, all year, in euros\n", 1, "a title with delimiters"),
    ("# made by a program\n", 1, "a comment"),
    ("\n# a, b, c\n#d\n\n", 2, "comments, one with as many fields"),
    ("# made by a program\nSales report\n", 2, "a comment and a title"),
    ('# it\'s 5" wide\n#, "open\n', 2, "comments with quotes"),
]


@pytest.mark.parametrize(("above", "n_lines", "why"), ABOVE, ids=[why for _, _, why in ABOVE])
def test_lines_above_the_table_are_left_out_with_a_note(above, n_lines, why):
    dialect = look_at(above + NUMBERS)
    assert dialect.names == ("x", "z", "y")
    assert dialect.first_line == above.count("\n") + 2
    assert dialect.rows == NUMBERS.split("\n", 1)[1].encode()
    lines = "1 line" if n_lines == 1 else f"{n_lines} lines"
    assert dialect.notes == (f"t.csv: {lines} above the table skipped (see data.comment and data.skip_rows).",)
    assert look_at(above + NUMBERS.replace(",", ";")).names == ("x", "z", "y")


def test_an_empty_row_above_words_is_a_blank_line_and_above_rows_without_header_is_a_row():
    words = "color,shape,y\nred,round,a\nblue,round,b\nred,square,a\n"
    assert look_at("Sales report,,\n,,\n" + words).names == ("color", "shape", "y")
    rows = ",,\n1,2,3\n4,5,6\n7,8,9\n"
    assert look_at(rows, TableFormat(header=False)).rows == rows.encode()
    assert look_at("z,c,y\n,,\n1,2,3\n").names == ("z", "c", "y")


NOT_ABOVE = [
    ("#id,x\n1,2\n3,4\n", ("#id", "x")),
    ("#,Name,Type\n1,a,b\n2,c,d\n", ("#", "Name", "Type")),
    ("# x,y\n1,2\n3,4\n", ("# x", "y")),
    ("#id\n1\n2\n", ("#id",)),
    ("#color,shape\nred,round\nblue,square\n", ("#color", "shape")),
    ("#ff0000,1\n#00ff00,2\n", ("c1", "c2")),
    (",x\n0,5\n1,7\n", ("Unnamed: 0", "x")),
    ("id,,\n1,2,3\n4,5,6\n", ("id", "Unnamed: 1", "Unnamed: 2")),
    ("title\n1\n2\n", ("title",)),
    ("a,b\n1,2\n", ("a", "b")),
    ("a,b,c\n1,2,3\n1,2\n3,4,5\n", ("a", "b", "c")),
]


@pytest.mark.parametrize(("text", "names"), NOT_ABOVE)
def test_a_header_is_not_taken_for_a_title_or_a_comment(text, names):
    dialect = look_at(text)
    assert dialect.names == names
    assert not any("left out" in note for note in dialect.notes)
    assert dialect.first_line == (1 if names[0] == "c1" else 2)


def test_comments_above_a_header_with_a_hash_are_left_out():
    dialect = look_at("# made by a program\n#id,x\n1,2\n3,4\n")
    assert (dialect.names, dialect.first_line) == (("#id", "x"), 3)


def test_configured_names_determine_where_the_table_begins():
    text = "Report, all\ncolor,shape,size\nred,round,big\nred,square,big\n"
    with pytest.raises(DataError, match="header has 2 names, the rows have 3 fields"):
        look_at(text)
    assert look_at(text, named=["shape"]).names == ("color", "shape", "size")
    assert look_at("p,k\nq,y\np,z\n", named=["y"]).sample == (("p", "k"), ("q", "y"), ("p", "z"))
    assert look_at("# a b\n#x,y\n1,2\n", named=["#x"]).names == ("#x", "y")


def test_the_requested_number_of_lines_is_skipped():
    text = "Report, 2024\n#c\nx,y\n1,2\n3,4\n"
    dialect = look_at(text, TableFormat(skip_rows=2))
    assert (dialect.names, dialect.first_line, dialect.rows, dialect.notes) == (("x", "y"), 4, b"1,2\n3,4\n", ())
    with pytest.raises(DataError, match=r"^t\.csv:2: the header has 1 name, the rows have 2 fields\."):
        look_at(text, TableFormat(skip_rows=1))
    assert look_at("#a,b\nx,y\n1,2\n", TableFormat(skip_rows=0)).names == ("#a", "b")
    with pytest.raises(DataError) as caught:
        look_at(text, TableFormat(skip_rows=5))
    assert str(caught.value) == ("t.csv: nothing is left after data.skip_rows: 5. Name fewer lines, or another file.")


def test_comment_lines_are_left_out_above_and_among_the_rows():
    dialect = look_at("% a\n% b\nx,y\n% c\n1,2\n", TableFormat(comment="%"))
    assert (dialect.names, dialect.first_line, dialect.rows) == (("x", "y"), 4, b"% c\n1,2\n")
    assert dialect.sample == (("1", "2"),)
    assert dialect.notes == ()
    assert look_at("#x,y\na,b\n1,2\n", TableFormat(comment="#")).names == ("a", "b")
    with pytest.raises(DataError, match=r"^t\.csv: the file is empty"):
        look_at("% a\n", TableFormat(comment="%"))


def test_names_are_nfc_and_names_that_look_alike_are_shown_with_code_points():
    assert look_at("e\u0301,x\n1,2\n").names == ("é", "x")
    assert look_at("e\u0301,x\na,b\n", named=["é"]).has_header
    with pytest.raises(DataError) as caught:
        look_at("é,e\u0301\n1,2\n")
    assert str(caught.value) == (
        "t.csv:1: columns 1 and 2 are both named 'é' (written U+00E9 and U+0065 U+0301). Rename one of them."
    )


def test_where_blocks_end_makes_no_difference(monkeypatch):
    text = "# a\nReport\n" + NUMBERS
    expected = look_at(text)
    monkeypatch.setattr(encoding, "BLOCK_SIZE", 3)
    assert look_at(text) == expected


def test_a_long_header_is_read_whole_below_a_title_too(monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK_SIZE", 1 << 16)
    header = ",".join(f"name{number}" for number in range(20_000))
    row = ",".join(["1"] * 20_000)
    assert len(look_at(f"{header}\n{row}\n{row}\n").names) == 20_000


def test_a_delimiter_may_be_named_in_a_word():
    assert look_at("a\tb\n1\t2\n", TableFormat(delimiter="tab")).delimiter == "\t"


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@given(
    st.sampled_from(DELIMITERS),
    st.integers(2, 5).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=3)),
)
def test_the_delimiter_of_a_valid_table_is_detected(delimiter, rows):
    header = [f"name{position}" for position in range(len(rows[0]))]
    lines = [header, *([f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in rows)]
    dialect = look_at("\n".join(delimiter.join(line) for line in lines), TableFormat(header=True))
    assert (dialect.delimiter, dialect.names) == (delimiter, tuple(header))


@given(st.lists(st.lists(st.floats(-1e6, 1e6).map(repr), min_size=3, max_size=3), min_size=2, max_size=8))
def test_numbers_alone_are_rows_and_words_above_them_are_names(rows):
    assert not looks_like_header(rows[0], rows[1:], {""})
    assert looks_like_header(["x", "y", "z"], rows, {""})


@given(
    st.text(st.sampled_from('ab1,;"# \t\n='), max_size=40)
    | st.lists(st.sampled_from(["#a", "T", "x,y", "1,2", ""])).map("\n".join),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, "#"]),
    st.sampled_from([None, 0, 1, 3]),
    st.sampled_from([None, ",", " ", "#"]),
)
def test_any_text_is_a_table_or_an_error_and_its_rows_begin_on_the_reported_line(
    text, header, comment, skip, delimiter
):
    fault = ""
    try:
        dialect = look_at(text, TableFormat(delimiter, None, header, comment=comment, skip_rows=skip), named=["x"])
    except DataError as error:
        fault = str(error)
    if fault:
        assert re.match(r"t\.csv(:\d+)?: ", fault)
        return
    data = text.encode() + b"\n" * (not text.endswith("\n"))
    assert data.endswith(dialect.rows)
    assert dialect.first_line == 1 + data.removesuffix(dialect.rows).count(b"\n")
    assert len(set(dialect.names)) == len(dialect.names) > 0
