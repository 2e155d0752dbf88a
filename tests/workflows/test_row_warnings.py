"""Notes on columns that are unlikely to be useful inputs."""

import pytest
import yaml

from mlpcli.workflows.preparing.preparation import prepare
from tests.program import write_csv
from tests.workflows.staging import loaded

TRAIN = {"train": "t.csv", "target": "y"}


def notes_on(folder, cells, columns=None, name="x", **more):
    """The notes on a column beside an ordinary one; the cells are written to the file unchanged."""
    rows = [(cell, i % 7 + 0.5, "ab"[i % 2]) for i, cell in enumerate(cells)]
    write_csv(folder / "t.csv", [name, "other", "y"], rows)
    notes = prepare(loaded({**TRAIN, "columns": columns or {}}, **more)).notes
    return [note for note in notes if f"column {name}: " in note]


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (lambda i: f"{i // 60 % 24}:{i % 60:02}", "times of day"),
        (lambda i: f"2024-02-{i % 28 + 1:02} {i // 60}:{i % 60:02} CET", "dates"),
        (lambda i: f"{i // 60 + 1}:{i % 60:02} p.m.", "times of day"),
        (lambda i: f"{i % 28 + 1}. Jan {1700 + i}", None),
        (lambda i: f"name {i}", None),
        (lambda i: f"{i // 6},{i}-{i}", None),
    ],
)
def test_texts_that_share_one_input_are_noted_with_a_cell_and_the_keys(folder, write, kind):
    *others, note = notes_on(folder, [write(i) for i in range(300)])
    assert len(others) == (kind is not None)
    assert all(f"its cells look like {kind}" in other for other in others)
    assert note.startswith("t.csv:2: column x: ")
    assert repr(write(0)) in note
    assert "300 cells share the input of rare levels. Leave it out: data.drop: [x]; or say what it holds" in note


def test_a_column_of_mostly_rare_texts_is_noted_and_one_with_few_rare_texts_is_not(folder):
    (note,) = notes_on(folder, ["often"] * 100 + [f"name {i}" for i in range(200)])
    assert note.startswith("t.csv:102: column x: 201 distinct texts in 300 cells, such as 'name 0'. 200 cells share")
    assert notes_on(folder, ["often"] * 200 + [f"name {i}" for i in range(100)]) == []


def test_a_configured_category_is_noted_only_if_no_level_has_an_input(folder):
    columns = {"x": {"role": "category"}}
    assert notes_on(folder, ["often"] * 10 + [f"name {i}" for i in range(290)], columns) == []
    (note,) = notes_on(folder, [f"name {i}" for i in range(300)], columns)
    assert "300 distinct texts" in note


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("Unnamed: 0", range(300), "its name is that of an id (0 to 299)"),
        ("customer_id", range(5, 3005, 10), "its name is that of an id (5 to 2995)"),
        ("x", range(1, 301), "a different integer in each row, like an id (1 to 300)"),
    ],
)
def test_a_column_that_numbers_the_rows_is_noted(folder, name, cells, reason):
    (note,) = notes_on(folder, cells, name=name)
    said, _, advice = note.partition(". Leave it out: ")
    assert said == f"column {name}: {reason}"
    assert yaml.safe_load(advice) == {"data.drop": [name]}
    assert notes_on(folder, cells, {name: {"role": "number"}}, name=name) == []


@pytest.mark.parametrize("cells", [[i * 7 % 300 for i in range(300)][:200] * 2, [i * 11 for i in range(300)]])
def test_other_integer_columns_are_no_ids(folder, cells):
    assert notes_on(folder, cells) == []
