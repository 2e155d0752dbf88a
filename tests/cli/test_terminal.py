"""How numbers, tables and texts are written."""

import io
import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.cli.document import Document, Facts, Gate, Gates, Paragraph, Table, name_column, number_columns
from mlpcli.cli.progress.bars import LiveLine, Piece, bar_line, time_left
from mlpcli.cli.rendering.terminal import NARROWEST, Screen, width_of
from mlpcli.messages import (
    display_width,
    escape_controls,
    format_count,
    format_duration,
    format_list,
    format_number,
    format_size,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"), (0.9864, "0.986"), (-0.5, "-0.500"), (12.345, "12.35"), (123.45, "123.5"), (53782.4, "53782"),
        (2.1e-5, "2e-05"), (1.5e9, "1.50e+09"), (math.nan, "-"), (None, "-"), (math.inf, "inf"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_a_score_keeps_few_digits(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 rows"), (1, "1 row"), (344, "344 rows"), (9999, "9999 rows"), (1_234_567, "1 234 567 rows")]
)
def test_a_count_has_its_noun(n, text):
    assert format_count(n, "row") == text


def test_a_count_knows_an_odd_plural():
    assert format_count(2, "class", "classes") == "2 classes"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.42 s"), (9.6, "9.6 s"), (42, "42 s"), (80, "1 min 20 s"), (7380, "2 h 3 min")]
)
def test_a_duration_has_one_or_two_units(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(12, "12 bytes"), (6400, "6.4 kB"), (64_000, "64 kB"), (12_000_000, "12 MB"), (4e12, "4000 GB")],
)
def test_a_size_has_one_unit(n_bytes, text):
    assert format_size(n_bytes) == text


def test_a_long_list_says_how_many_more():
    assert format_list(["a", "b"], 3) == "a, b"
    assert format_list(["a", "b", "c", "d"], 3) == "a, b, and 2 more"


def test_control_characters_are_escaped_and_letters_are_not():
    assert escape_controls("Grün 東京") == "Grün 東京"
    assert escape_controls("a\x1b[31m\x07\x9b\r\u202e\udcff") == "a\\x1b[31m\\x07\\x9b\\r\\u202e\\udcff"
    assert escape_controls("two\nlines") == "two\nlines"


def test_the_answer_and_the_conversation_go_to_their_streams(capsys):
    screen = Screen(is_quiet=False)
    screen.write("answer")
    screen.info("said")
    screen.warn("warned")
    assert capsys.readouterr() == ("answer\n", "said\nnote  warned\n")


def test_quiet_silences_the_conversation_alone(capsys):
    screen = Screen(is_quiet=True)
    screen.write("answer")
    screen.info("said")
    screen.warn("warned")
    assert capsys.readouterr() == ("answer\n", "")


def test_what_looks_like_markup_is_text_and_long_lines_are_not_broken(capsys):
    line = "[red]:smile: f1[Adelie] " + "x" * 200
    Screen(is_quiet=False).write(line)
    assert capsys.readouterr().out == line + "\n"


def test_a_document_has_null_for_what_is_not_finite_and_takes_arrays(capsys):
    Screen(is_quiet=False).json({"a": math.nan, "b": [math.inf, np.float32(0.5)], "c": np.arange(2), 3: (1, "ä\x9b")})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": None, "b": [None, 0.5], "c": [0, 1], "3": [1, "ä\x9b"]}
    assert text.isascii()


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("is_wanted", [True, False])
def test_colour_is_for_terminals_and_no_color_is_honoured(monkeypatch, is_wanted):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("NO_COLOR", "" if is_wanted else "1")
    failed = Document("", [Gates([Gate("accuracy >= 1", "0.5", False)])])
    terminal, pipe = Terminal(), io.StringIO()
    for stream, is_coloured in ((terminal, is_wanted), (pipe, False)):
        monkeypatch.setattr("sys.stdout", stream)
        Screen(is_quiet=False).write_result(failed, None, "text")
        assert ("\x1b[1;31mFAIL\x1b[0m" in stream.getvalue()) == is_coloured
        assert "FAIL" in stream.getvalue()


def test_the_width_is_that_of_the_terminal_or_of_columns_and_none_in_a_pipe(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert width_of(io.StringIO()) is None
    monkeypatch.setenv("COLUMNS", "60")
    assert width_of(io.StringIO()) == 60
    monkeypatch.setenv("COLUMNS", "1")
    assert width_of(io.StringIO()) == NARROWEST


def test_what_is_said_is_folded_between_words_beside_its_mark(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    screen = Screen(is_quiet=False)
    screen.warn("one two three four five six")
    screen.info("data      one two three four five", " " * 10)
    assert capsys.readouterr().err.splitlines() == [
        "note  one two three four five",
        "      six",
        "data      one two three four",
        "          five",
    ]


SHOWN = Document(
    "3 rows · <b>",
    [
        Table(
            [name_column("class"), *number_columns(["f|1"])],
            [["@team", "0.5"]],
            remark="(rows: truth)",
            more="and 2 more",
        ),
        Facts([("target", "`x`")]),
        Paragraph("done"),
        Gates([Gate("accuracy >= 1", "0.5", False)]),
    ],
    ["odd"],
    "mlp eval: 1 of 1 gate missed",
)


def test_one_document_is_text_json_markdown_or_html(capsys):
    screen = Screen(is_quiet=False)
    shown = {}
    for form in ("text", "json", "markdown", "html"):
        screen.write_result(SHOWN, {"a": math.nan}, form)
        shown[form], said = capsys.readouterr()
        assert said == "note  odd\n"
    assert shown["text"].splitlines()[1:3] == ["class   f|1   (rows: truth)", "@team   0.5"]
    assert shown["text"].splitlines()[-1] == "gate  accuracy >= 1   0.5   FAIL"
    assert json.loads(shown["json"]) == {"a": None}
    assert shown["markdown"].splitlines() == [
        *("### mlp eval: 1 of 1 gate missed", "", "3 rows · `<b>`", ""),
        *("| gate | score | verdict |", "| --- | ---: | ---: |", "| `accuracy >= 1` | 0.5 | **FAIL** |", ""),
        *("| class (rows: truth) | `f\\|1` |", "| --- | ---: |", "| `@team` | 0.5 |", "", "and 2 more", ""),
        *("|  |  |", "| --- | --- |", "| target | `` `x` `` |", "", "done"),
    ]
    assert "<p>3 rows · &lt;b&gt;</p>" in shown["html"]
    assert shown["html"].count("<b>") == 0
    assert shown["html"].index("FAIL") < shown["html"].index("@team")
    assert '<td class="text bad">FAIL</td>' in shown["html"]


def test_a_page_of_html_is_well_formed_and_loads_nothing(capsys):
    Screen(is_quiet=True).write_result(SHOWN, None, "html")
    page = capsys.readouterr().out
    assert "http" not in page
    assert "<script" not in page
    body = re.sub(r"(?s)<!doctype html>|<meta[^>]*>", "", page)
    ElementTree.fromstring(body)


class Recorded(io.StringIO):
    def isatty(self):
        return True


def test_a_live_line_is_drawn_in_its_place_and_what_is_said_stands_above_it(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    stream = Recorded()
    monkeypatch.setattr("sys.stderr", stream)
    screen = Screen(is_quiet=False)
    line = LiveLine(screen)
    line.draw("reading", 0.5, [Piece("50%")], is_due=True)
    screen.info("said")
    line.clear()
    screen.info("after")
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", stream.getvalue())
    bar = bar_line("reading", 0.5, [Piece("50%")], 40)
    assert drawn.startswith(bar)
    assert f"said\n{bar}" in drawn
    assert drawn.endswith("after\n")


def test_no_live_line_is_drawn_in_a_pipe_or_when_quiet(monkeypatch, capsys):
    LiveLine(Screen(is_quiet=False)).draw("reading", 0.5, [], is_due=True)
    assert capsys.readouterr().err == ""
    stream = Recorded()
    monkeypatch.setattr("sys.stderr", stream)
    LiveLine(Screen(is_quiet=True)).draw("reading", 0.5, [], is_due=True)
    assert stream.getvalue() == ""


@given(
    st.floats(0, 1),
    st.lists(st.text("abc ", max_size=30).map(lambda text: Piece(text, len(text) % 3)), max_size=5),
    st.integers(30, 120),
)
def test_a_bar_never_fills_the_last_column(fraction, pieces, width):
    line = bar_line("epoch    1/100", fraction, pieces, width)
    assert display_width(line) < width
    if not pieces:
        assert line.count("━") == round(fraction * (line.count("━") + line.count("─")))


def test_pieces_of_the_highest_rank_give_way_to_others():
    pieces = [Piece("0:00:01 left", 1), Piece("loss 0.1"), Piece("validation: loss 0.2", 2)]
    assert bar_line("epoch 1/2", 0.5, pieces, 80).endswith("0:00:01 left  loss 0.1  validation: loss 0.2")
    assert bar_line("epoch 1/2", 0.5, pieces, 40).endswith("0:00:01 left  loss 0.1")
    assert bar_line("epoch 1/2", 0.5, pieces, 30).endswith("─  loss 0.1")


def test_the_time_left_goes_by_what_is_done():
    assert time_left(10, 0, 5) == ""
    assert time_left(10, 1, 5) == "0:00:40 left"
    assert time_left(3661, 1, 2) == "1:01:01 left"
