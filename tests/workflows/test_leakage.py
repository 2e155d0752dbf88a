"""Leakage of a random split is noted with the config key that prevents it, and with that key there is none."""

from pathlib import Path

import numpy as np
import pytest

from mlpcli.workflows.check import check
from mlpcli.workflows.preparing.preparation import prepare
from tests.program import write_csv
from tests.workflows.staging import loaded

RNG = np.random.default_rng(0)
WORDS = ("copies of training rows", "of a training row, and rows of one", "lie between training rows")


def notes(columns, rows, validation=0.25, members=1, **data):
    write_csv(Path("t.csv"), columns, rows)
    config = {"train": "t.csv", "target": "y", "validation": validation, **data}
    found = prepare(loaded(config, model={"members": members})).notes
    return [note for note in found if any(word in note for word in WORDS)]


def copied():
    rows = [(*np.round(RNG.normal(size=3), 3).tolist(), i % 2, "ab"[i % 2]) for i in range(200)]
    return ["a", "b", "c", "d", "y"], rows + rows[:80]


def of_patients(name="patient", text="P{}"):
    centers, labels = RNG.normal(size=(40, 3)), RNG.integers(0, 2, 40)
    rows = [
        (
            text.format(100 + i % 40),
            *np.round(centers[i % 40] + 0.1 * RNG.normal(size=3), 3).tolist(),
            "ab"[labels[i % 40]],
        )
        for i in range(320)
    ]
    return [name, "a", "b", "c", "y"], rows


def of_days():
    walk = np.cumsum(RNG.normal(size=300))
    rows = [
        (str(np.datetime64("2021-01-01") + i), *np.round(RNG.normal(size=2), 3).tolist(), round(float(walk[i]), 3))
        for i in RNG.permutation(300).tolist()
    ]
    return ["day", "a", "b", "y"], rows


FOLDS = {"count": 4, "rows": "folds"}


@pytest.mark.parametrize(
    ("table", "mended", "words"),
    [
        (copied, {"copies": "together"}, "are copies of training rows: the scores are optimistic."),
        (of_patients, {"group": "patient"}, "of the validation rows have the patient of a training row"),
        (of_days, {"time": "day"}, "validation rows lie between training rows in day"),
    ],
)
def test_a_leak_is_noted_with_a_key_and_is_gone_with_it(folder, table, mended, words):
    columns, rows = table()
    ((key, name),) = mended.items()
    for validation, members in ((0.25, 1), (None, FOLDS)):
        (note,) = notes(columns, rows, validation, members)
        assert words in note
        assert note.endswith(f"data.validation: {{{key}: {name}}}")
        assert notes(columns, rows, mended, members) == []


def test_a_leak_is_noted_with_its_size(folder):
    rows = [(*np.round(RNG.normal(size=3), 3).tolist(), "ab"[i % 2], "train") for i in range(100)]
    rows += [(*row[:-1], "val") for row in rows[:30]]
    rows += [(*np.round(RNG.normal(size=3), 3).tolist(), "ab"[i % 2], "val") for i in range(10)]
    validation = {"column": "part", "equals": "val"}
    (note,) = notes(["a", "b", "c", "y", "part"], rows, validation)
    assert note.startswith("30 of 40 validation rows (75.0%) are copies")


@pytest.mark.parametrize(("name", "text"), [("patient_id", "{}"), ("Client", "{}"), ("hidden", "h{}")])
def test_a_group_is_found_by_its_name_or_by_a_high_correlation_of_its_rows(folder, name, text):
    columns, rows = of_patients(name, text)
    (note,) = notes(columns, rows)
    assert f"data.validation: {{group: {name}}}" in note


def test_a_dropped_column_is_still_searched_for_groups(folder):
    columns, rows = of_patients("patient_id")
    (note,) = notes(columns, rows, drop=["patient_id"])
    assert "data.validation: {group: patient_id}" in note
    columns, rows = of_days()
    (note,) = notes(columns, rows, drop=["day"])
    assert "data.validation: {time: day}" in note


def test_what_is_no_leak_is_not_noted(folder):
    n = 400
    few = [(*RNG.integers(0, 3, 4).tolist(), "ab"[int(RNG.integers(0, 2))]) for _ in range(n)]
    assert notes(["a", "b", "c", "d", "y"], few) == []
    city = RNG.integers(0, 30, n)
    of_cities = [
        (f"c{code}", round(float(RNG.normal()), 3), round(float(code + 3 * RNG.normal()), 3)) for code in city.tolist()
    ]
    assert notes(["city", "a", "y"], of_cities) == []
    born = [
        (str(np.datetime64("1960-01-01") + int(RNG.integers(0, 9000))), round(float(RNG.normal()), 3), "ab"[i % 2])
        for i in range(n)
    ]
    assert notes(["born", "a", "y"], born) == []
    ids = [(f"u{i % 100}", round(float(RNG.normal()), 3), "ab"[int(RNG.integers(0, 2))]) for i in range(n)]
    assert notes(["user", "a", "y"], ids) == []  # rows of one user are not alike


def test_check_reports_the_number_of_equal_rows_that_chance_explains(folder):
    few = [(*RNG.integers(0, 3, 4).tolist(), "ab"[int(RNG.integers(0, 2))]) for _ in range(300)]
    write_csv(Path("t.csv"), ["a", "b", "c", "d", "y"], few)
    found = check(loaded({"train": "t.csv", "target": "y"}))
    assert any(
        "validation rows" in warning and "have the inputs of a training row" in warning for warning in found.warnings
    )
    columns, rows = copied()
    write_csv(Path("t.csv"), columns, rows)
    found = check(loaded({"train": "t.csv", "target": "y"}))
    assert not any("have the inputs of a training row" in warning for warning in found.warnings)
    assert any("are copies of training rows" in note for note in found.prepared.notes)
