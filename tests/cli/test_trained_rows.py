"""`mlp eval` and `mlp compare` say when rows were trained on."""

import json

import numpy as np
import pytest

from tests.program import done, mlp, write_config, write_csv

WORDS = "of the rows were trained on, so the scores are optimistic"


@pytest.fixture
def table(folder):
    rng = np.random.default_rng(0)
    rows = [(*map(float, row), "ab"[int(row.sum() > 0)]) for row in rng.normal(size=(300, 3))]
    write_csv(folder / "t.csv", ["x", "y", "z", "k"], rows[:200])
    write_csv(folder / "fresh.csv", ["x", "y", "z", "k"], rows[200:])
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "k"}, {"epochs": 2})
    done("train", "c.yaml", "-o", "run")
    return folder


def said(*arguments):
    ended = mlp(*arguments)
    assert ended.code == 0
    return [line for line in ended.stderr.splitlines() if "trained on" in line or "choose the epoch" in line]


def test_eval_of_the_training_file_says_so_with_the_fraction(table):
    (line,) = said("eval", "run/weights.npz", "t.csv")
    assert line == (f"note  t.csv: this is the training file: 80% {WORDS}. Evaluate on rows that were not trained on.")


def test_rows_under_another_name_in_another_order_and_format_are_known_again(table):
    head, *rows = (table / "t.csv").read_text().splitlines()
    names = head.split(",")
    with (table / "other.jsonl").open("w") as file:
        for row in reversed(rows):
            x, y, z, k = row.split(",")
            file.write(json.dumps({"k": k, "z": float(z), "y": float(y), "x": float(x), "more": 1}) + "\n")
    assert names == ["x", "y", "z", "k"]
    (line,) = said("eval", "run/weights.npz", "other.jsonl")
    assert line.startswith(f"note  other.jsonl: this table contains training rows: 80% {WORDS}")


def test_a_few_training_rows_among_new_ones_are_noted_with_their_fraction(table):
    head, *rows = (table / "t.csv").read_text().splitlines()
    fresh = (table / "fresh.csv").read_text().splitlines()[1:]
    (table / "mixed.csv").write_text("\n".join([head, *fresh, *rows[:20]]) + "\n")
    (line,) = said("eval", "run/weights.npz", "mixed.csv")
    assert " 1" in line
    assert WORDS in line


def test_new_rows_and_rows_with_another_target_are_not_noted(table):
    assert said("eval", "run/weights.npz", "fresh.csv") == []
    text = (table / "t.csv").read_text()
    swapped = text.replace(",a\n", ",?\n").replace(",b\n", ",a\n").replace(",?\n", ",b\n")
    (table / "swapped.csv").write_text(swapped)
    assert said("eval", "run/weights.npz", "swapped.csv") == []


def test_compare_says_which_model_was_trained_on_the_rows(table):
    done("train", "c.yaml", "-o", "other", "--set", "data.train=fresh.csv")
    lines = said("compare", "other/weights.npz", "run/weights.npz", "t.csv")
    assert [line.split(":")[0] for line in lines] == ["note  new model"]


def test_the_validation_file_chose_the_epoch(table):
    done("train", "c.yaml", "-o", "run2", "--set", "data.validation=fresh.csv")
    (line,) = said("eval", "run2/weights.npz", "fresh.csv")
    assert line == "note  fresh.csv: this file was used to choose the epoch, so the scores are optimistic."


def test_compare_says_once_what_is_so_of_both_models(table):
    done("train", "c.yaml", "-o", "other", "--seed", "5", "--set", "data.validation=null")
    done("train", "c.yaml", "-o", "again", "--seed", "6", "--set", "data.validation=null")
    (line,) = said("compare", "other/weights.npz", "again/weights.npz", "t.csv")
    assert line.startswith("note  t.csv: this is the training file")
