"""A level or label that is hardly meant as one is noted with its place."""

import pytest

from mlpcli.data.schema.column import ColumnOptions
from mlpcli.data.schema.roles import infer_schema
from mlpcli.data.schema.task import infer_targets
from tests.data.tables_by_hand import hand_table

LEVELS = ["red", "green", "blue"] * 100
WORDS = {
    "looks like a missing value": ("n/a", "N.A.", "-", "--", "...", "(null)", "Missing", "\\N"),
    "looks like an error": ("ERROR", "#ERR"),
    "looks like a line of totals": ("Total", "Grand total:", "Summe"),
}
each_word = pytest.mark.parametrize(
    ("problem", "word"), [(key, word) for key, words in WORDS.items() for word in words]
)


@each_word
def test_a_word_that_is_no_level_is_noted_with_its_place(problem, word):
    table = hand_table(x=[*LEVELS, word])
    schema, (note,) = infer_schema(table, "x")
    assert (schema.role, note.is_fault) == ("category", False)
    assert note.text.startswith(f"new.csv:302: column x: {word!r} {problem}".replace("\\\\", "\\"))
    assert infer_schema(table, "x", ColumnOptions(role="category"))[1] == []


@each_word
def test_labels_are_noted_too(problem, word):
    assert problem in infer_targets(hand_table(y=[*LEVELS, word]), ["y"]).findings[0].text


def test_frequent_words_are_levels_but_no_frequent_sign_for_missing_values_is():
    for word in ("error", "total", "none", "unknown"):
        assert infer_schema(hand_table(x=[*LEVELS, *[word] * 20]), "x")[1] == []
    assert infer_schema(hand_table(x=["+", "-", "+/-"] * 20), "x")[1] == []
    (note,) = infer_schema(hand_table(x=[*LEVELS, *["n/a"] * 20]), "x")[1]
    assert "one of 20 such cells" in note.text


@pytest.mark.parametrize("damaged", ["Z\u00c3\u00bcrich", "caf\u00c3\u00a9", "don\u00e2\u20ac\u2122t", "M\ufffdller"])
def test_damaged_letters_are_noted_with_their_place(damaged):
    (note,) = infer_schema(hand_table(x=[*LEVELS, damaged, damaged]), "x")[1]
    assert note.text.startswith(f"new.csv:302: column x: {damaged!r} looks damaged, one of 2 such cells")
    assert infer_targets(hand_table(y=[*LEVELS, damaged]), ["y"]).findings[0].text.startswith("new.csv:302: column y: ")


@pytest.mark.parametrize("sound", ["Z\u00fcrich", "\u00c3o", "\u6771\u4eac", "\u041c\u043e", "m\u00b2", "\u20ac"])
def test_sound_letters_are_not(sound):
    assert infer_schema(hand_table(x=[*LEVELS, sound]), "x")[1] == []


def test_a_rare_word_among_words_for_no_and_yes_is_noted_with_its_place():
    cells = ["yes", "no"] * 60 + ["maybe", "Yes"]
    message = "new.csv:122: column x: 'maybe' is neither no nor yes, and is read as a level."
    assert [note.text.startswith(message) for note in infer_schema(hand_table(x=cells), "x")[1]] == [True]
    assert infer_targets(hand_table(x=cells), ["x"]).findings[0].text.startswith(message)
    assert infer_schema(hand_table(x=[*cells, *["maybe"] * 9]), "x")[1] == []
    assert "missing value" in infer_schema(hand_table(x=["yes", "no"] * 60 + ["-"]), "x")[1][0].text


@pytest.mark.parametrize("word", ["None", "none"])
def test_a_class_none_is_noted_unless_the_column_is_set_to_category(word):
    table = hand_table(y=["mild", "severe", word] * 50)
    (note,) = infer_targets(table, ["y"]).findings
    assert note.text.startswith(f"column y: {word!r} is read as a class. If it is a missing value: data.missing")
    assert infer_targets(table, ["y"], options={"y": ColumnOptions(role="category")}).findings == ()
