"""How numbers, tables and texts are written."""

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from mlpcli.cli.terminal import Screen, aligned
from mlpcli.messages import count, duration, listed, number, printable, size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"), (0.9864, "0.986"), (-0.5, "-0.500"), (12.345, "12.35"), (123.45, "123.5"), (53782.4, "53782"),
        (2.1e-5, "2e-05"), (1.5e9, "1.50e+09"), (math.nan, "-"), (None, "-"), (math.inf, "inf"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_a_score_keeps_few_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 rows"), (1, "1 row"), (344, "344 rows"), (9999, "9999 rows"), (1_234_567, "1 234 567 rows")]
)
def test_a_count_has_its_noun(n, text):
    assert count(n, "row") == text


def test_a_count_knows_an_odd_plural():
    assert count(2, "class", "classes") == "2 classes"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.42 s"), (9.6, "9.6 s"), (42, "42 s"), (80, "1 min 20 s"), (7380, "2 h 3 min")]
)
def test_a_duration_has_one_or_two_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(12, "12 bytes"), (6400, "6.4 kB"), (64_000, "64 kB"), (12_000_000, "12 MB"), (4e12, "4000 GB")],
)
def test_a_size_has_one_unit(n_bytes, text):
    assert size(n_bytes) == text


def test_a_long_list_says_how_many_more():
    assert listed(["a", "b"], 3) == "a, b"
    assert listed(["a", "b", "c", "d"], 3) == "a, b, and 2 more"


def test_control_characters_are_escaped_and_letters_are_not():
    assert printable("Grün 東京") == "Grün 東京"
    assert printable("a\x1b[31m\x07\x9b\r\u202e\udcff") == "a\\x1b[31m\\x07\\x9b\\r\\u202e\\udcff"
    assert printable("two\nlines") == "two\nlines"


def test_columns_line_up_texts_to_the_left_and_numbers_to_the_right():
    lines = aligned([("", "train", "validation"), ("accuracy", "1.000", "0.986"), ("short",)])
    assert [line.plain for line in lines] == [
        "           train   validation",
        "accuracy   1.000        0.986",
        "short",
    ]


def test_wide_letters_count_twice():
    first, second = aligned([("東京", "1"), ("abcd", "2")])
    assert first.plain == "東京   1"
    assert second.plain == "abcd   2"


def test_the_answer_and_the_conversation_go_to_their_streams(capsys):
    screen = Screen(is_quiet=False)
    screen.answer("answer")
    screen.say("said")
    screen.warn("warned")
    assert capsys.readouterr() == ("answer\n", "said\nnote  warned\n")


def test_quiet_silences_the_conversation_alone(capsys):
    screen = Screen(is_quiet=True)
    screen.answer("answer")
    screen.say("said")
    screen.warn("warned")
    assert capsys.readouterr() == ("answer\n", "")


def test_what_looks_like_markup_is_text_and_long_lines_are_not_broken(capsys):
    line = "[red]:smile: f1[Adelie] " + "x" * 200
    Screen(is_quiet=False).answer(line)
    assert capsys.readouterr().out == line + "\n"


def test_a_document_has_null_for_what_is_not_finite_and_takes_arrays(capsys):
    Screen(is_quiet=False).json({"a": math.nan, "b": [math.inf, np.float32(0.5)], "c": np.arange(2), 3: (1, "ä\x9b")})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": None, "b": [None, 0.5], "c": [0, 1], "3": [1, "ä\x9b"]}
    assert text.isascii()


@pytest.mark.parametrize("is_wanted", [True, False])
def test_colour_is_for_terminals_and_no_color_is_honoured(monkeypatch, is_wanted):
    if not is_wanted:
        monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen(is_quiet=False)
    screen.stdout = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", soft_wrap=True, highlight=False
    )
    screen.answer(Text("FAIL", "bold red"))
    assert ("\x1b[1;31m" in screen.stdout.file.getvalue()) == is_wanted
