"""Notes on near duplicates, and on validation rows that are older than the training rows."""

import numpy as np
import pytest

from mlpcli.workflows.preparing.preparation import prepare
from tests.program import write_csv
from tests.workflows.staging import loaded


def notes(train="t.csv", **data):
    prepared = prepare(loaded({"train": train, "target": "y", **data}))
    return [note for note in prepared.notes if "one column only" in note or "older than" in note]


def numbers(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 4)).round(4)


@pytest.mark.parametrize("folds", [False, True])
def test_rows_that_were_changed_in_one_column_are_noted_with_the_column(folder, folds):
    X = numbers(200)
    twice = np.vstack([X, X])
    twice[200:, 2] += 1.0
    write_csv(folder / "t.csv", [*"abcd", "y"], [(*row, "uv"[i % 2]) for i, row in enumerate(twice.tolist())])
    model = {"members": {"count": 4, "rows": "folds"}} if folds else {}
    config = loaded({"train": "t.csv", "target": "y", "validation": None if folds else 0.2}, model=model)
    (note,) = [note for note in prepare(config).notes if "one column only" in note]
    assert "differ from a training row in one column only, mostly c: " in note
    assert "Leave c out (data.drop) and keep equal rows together: data.validation: {copies: together}" in note


def test_rows_that_agree_by_chance_and_exact_copies_are_no_near_duplicates(folder):
    rng = np.random.default_rng(1)
    few = rng.integers(0, 3, size=(500, 4))
    write_csv(folder / "t.csv", [*"abcd", "y"], [(*row, "uv"[i % 2]) for i, row in enumerate(few.tolist())])
    assert notes() == []
    X = numbers(300)
    write_csv(folder / "t.csv", [*"abcd", "y"], [(*row, "uv"[i % 2]) for i, row in enumerate(X.tolist())])
    assert notes() == []
    write_csv(folder / "t.csv", [*"abcd", "y"], [(*row, "uv"[i % 2]) for i, row in enumerate(X.tolist() * 2)])
    assert notes() == []  # they are copies, of which another note tells


def days(first, n):
    return [str(np.datetime64(first) + i) for i in range(n)]


def dated(folder, name, first, n, split=""):
    rng = np.random.default_rng(n)
    rows = [(day, round(float(rng.normal()), 3), split, "uv"[i % 2]) for i, day in enumerate(days(first, n))]
    return rows, write_csv(folder / name, ["day", "x", "part", "y"], rows)


def test_validation_rows_older_than_the_training_rows_are_noted_for_a_fold_column_and_for_a_file(folder):
    old, _ = dated(folder, "old.csv", "2020-01-01", 60, "val")
    new, _ = dated(folder, "new.csv", "2021-01-01", 200, "train")
    write_csv(folder / "t.csv", ["day", "x", "part", "y"], [*new, *old])
    (note,) = notes(validation={"column": "part", "equals": "val"})
    assert note.startswith("the validation rows are older than the training rows, by day")
    assert "data.validation: {time: day}" in note
    assert notes(validation={"column": "part", "equals": "train"}) == []
    (note,) = notes("new.csv", validation="old.csv", drop=["part"])
    assert note.startswith("old.csv: the validation rows are older than the training rows, by day")
    (note,) = notes("new.csv", validation=0.2, test="old.csv", drop=["part"])
    assert note.startswith("old.csv: the test rows are older")
    assert notes("old.csv", validation="new.csv", drop=["part"]) == []
    assert notes("new.csv", validation=0.2, drop=["part"]) == []
