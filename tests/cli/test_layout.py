"""A document in the width of a terminal."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.cli.document import (
    Cell,
    Column,
    Document,
    Facts,
    Gate,
    Gates,
    Paragraph,
    Table,
    number_columns,
    text_columns,
)
from mlpcli.cli.rendering.layout import document_lines, paragraph_lines, table_lines
from mlpcli.messages import cut_distinctly, cut_middle, display_width, wrap_text

WORDS = st.text(st.sampled_from("abcdefgäß東"), min_size=1, max_size=25)
SENTENCES = st.lists(WORDS, max_size=12).map(" ".join)


def shown(lines):
    return ["".join(cell.text for cell in line) for line in lines]


def words_of(lines):
    return [word for line in lines for word in line.split()]


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=7))
    columns = [Column(draw(SENTENCES), is_text=is_text, rank=draw(st.integers(0, 2))) for is_text in kinds]
    cell = {True: SENTENCES, False: st.from_regex(r"\d{1,6}", fullmatch=True)}
    rows = [[draw(cell[is_text]) for is_text in kinds] for _ in range(draw(st.integers(1, 4)))]
    return Table(columns, rows)


@settings(max_examples=150, deadline=None)
@given(tables(), st.sampled_from([60, 80, 120]))
def test_no_line_of_a_table_is_longer_than_the_terminal_and_no_word_is_cut_without_points(table, width):
    lines = shown(table_lines(table, width))
    assert max(map(display_width, lines), default=0) <= width
    known = {word for row in table.rows for cell in row for word in cell.split()}
    known |= {word for column in table.columns for word in column.name.split()}
    said = re.compile(r"and \d+ more|columns?|\(wider|terminals,|--json\):?|and|more|\d+")
    for word in words_of(lines):
        assert word.rstrip(",") in known or "..." in word or said.match(word), word


@settings(max_examples=100, deadline=None)
@given(tables())
def test_in_a_pipe_every_row_is_one_line_and_nothing_is_left_out(table):
    lines = shown(table_lines(table, None))
    assert len(lines) == len(table.rows) + any(column.name for column in table.columns)
    assert words_of(lines) == words_of([" ".join(column.name for column in table.columns), *map(" ".join, table.rows)])


@settings(max_examples=100, deadline=None)
@given(SENTENCES, st.integers(30, 120))
def test_a_folded_text_has_all_its_words_in_order_in_lines_that_fit(text, width):
    lines = wrap_text(text, width, "  ")
    assert words_of(lines) == text.split()
    assert max(map(display_width, lines)) <= width


@given(st.text(st.sampled_from("ab東"), max_size=40), st.integers(5, 20))
def test_a_word_cut_in_the_middle_fits_and_shows_both_ends(word, width):
    cut = cut_middle(word, width)
    assert display_width(cut) <= width
    if cut != word:
        assert word.startswith(cut.partition("...")[0])
        assert word.endswith(cut.partition("...")[2])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 9), st.sampled_from("a東"))
def test_words_that_differ_in_one_place_are_cut_so_that_they_still_differ(before, after, more, letter):
    words = [f"{letter * before}{digit}{letter * after}" for digit in range(10)]
    width = display_width(letter) * min(before, after) + len("0...") + more
    cuts = cut_distinctly(words, width)
    assert list(cuts) == words
    assert len(set(cuts.values())) == len(words)
    assert max(map(display_width, cuts.values())) <= width


def test_words_that_no_cut_tells_apart_have_none():
    assert cut_distinctly([f"{first}{'x' * 30}{last}" for first in "ab" for last in "ab"], 3) is None


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_two_names_of_a_table_look_the_same(width):
    names = [f"column_number_{number:03d}_of_the_measuring_station" for number in range(100)]
    columns = [Column("column", is_text=True), Column("score"), Column("interval", rank=1)]
    lines = shown(table_lines(Table(columns, [[name, "0.001", "[-0.001, 0.001]"] for name in names]), width))
    assert len({line.split()[0] for line in lines[1:101]}) == len(names)
    assert max(map(display_width, lines)) <= width


def test_a_table_that_is_too_wide_says_which_columns_it_leaves_out():
    names = [f"metric_{number}" for number in range(12)]
    lines = shown(
        table_lines(Table([Column("class", is_text=True), *number_columns(names)], [["a"] + ["0.5"] * 12]), 60)
    )
    assert lines[0].split() == ["class", *names[:5]]
    assert " ".join(lines[2:]).startswith("and 7 more columns (wider terminals, --json): metric_5, metric_6,")


def test_columns_of_the_highest_rank_are_left_out_first():
    columns = [Column("name", is_text=True), Column("interval", rank=1), Column("score")]
    lines = shown(table_lines(Table(columns, [["x" * 10, "[0.111111, 0.222222]", "0.512345"]]), 30))
    assert lines[0].split() == ["name", "score"]


def test_a_table_may_have_another_for_narrow_terminals():
    narrow = Table(text_columns(["pair"]), [["a, b"]])
    wide = Table(number_columns([f"class{number}" for number in range(20)]), [["1"] * 20], narrow=narrow)
    assert shown(table_lines(wide, 80)) == ["pair", "a, b"]
    assert len(shown(table_lines(wide, 300))[0].split()) == 20


def test_facts_are_folded_beside_their_names():
    facts = Facts([("target", "one two three four five six"), ("classes", "")])
    assert shown(document_lines(Document("t", [facts]), 30)) == [
        "t",
        "target    one two three four",
        "          five six",
        "classes",
    ]


def test_a_blank_line_stands_before_tables_but_not_before_sentences_or_at_the_top():
    document = Document(
        "", [Table(text_columns(["a"]), [["b"]]), Paragraph("c"), Gates([Gate("x >= 1", "2", True)], more="d")]
    )
    assert shown(document_lines(document, None)) == ["a", "b", "c", "", "gate  x >= 1   2   pass", "d"]


def test_a_remark_stands_beside_the_heading_or_above_it():
    table = Table(text_columns(["confusion"]), [["a"]], remark="rows: truth")
    assert shown(table_lines(table, None))[0] == "confusion   rows: truth"
    assert shown(table_lines(table, 20))[:2] == ["rows: truth", "confusion"]


def test_what_a_verdict_says_is_coloured_and_names_cannot_drive_the_terminal():
    lines = table_lines(Table(text_columns(["", ""]), [["a\x1b[31m\nb", Cell("FAIL", "bad")]]), None)
    assert [(cell.text, cell.tone) for cell in lines[0] if cell.text.strip()] == [
        ("a\\x1b[31m\\nb", ""),
        ("FAIL", "bad"),
    ]
    assert shown(paragraph_lines(Paragraph("one\ntwo\x07"), None)) == ["one", "two\\x07"]


def test_a_number_of_several_groups_of_digits_stays_on_one_line():
    assert wrap_text("of 339 444 numbers in 1 234 567 rows", 10) == ["of 339 444", "numbers in", "1 234 567", "rows"]
    assert wrap_text("5 folds of 12 rows, 1000 or 20", 12) == ["5 folds of", "12 rows,", "1000 or 20"]


@pytest.mark.parametrize("width", [60, 80])
def test_a_word_longer_than_the_line_has_a_line_of_its_own(width):
    assert wrap_text(f"see {'x' * 100} there", width) == ["see", "x" * 100, "there"]
