"""`mlp explain`, through the command line."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

import mlpcli
from mlpcli.cli.verbs.explain import _all_of
from tests.program import DATA, done, mlp, train, tree, write_config, write_csv

PENGUINS = DATA / "penguins.csv"


@pytest.fixture(scope="module")
def prices(tmp_path_factory):
    """A model of y = 10 a + b, with c as noise, d near a copy of b, and a table to explain it on."""
    folder = tmp_path_factory.mktemp("prices")
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 400))
    d = b + 0.1 * rng.normal(size=400)
    rows = np.column_stack([a, b, c, d, 10 * a + b])
    write_csv(folder / "t.csv", ["a", "b", "c", "d", "y"], rows.round(4).tolist())
    data = {"train": str(folder / "t.csv"), "target": "y"}
    training = {"epochs": 40, "optimizer": {"name": "adam", "learning_rate": 0.01}}
    config = write_config(folder / "c.yaml", data, training, output=str(folder / "run"))
    done("train", config, "-q")
    return folder / "run" / "weights.npz", folder / "t.csv"


def test_columns_are_listed_by_what_they_cost(prices):
    ended = done("explain", *prices)
    assert ended.lines[0].startswith("400 rows · target y · rmse 0.")
    assert ended.lines[1].split() == ["column", "rmse", "rises", "by", "interval"]
    assert ended.lines[2].split()[0] == "a"
    assert "▇" * 14 in ended.lines[2]
    assert any(line.startswith("b and d are correlated (rank correlation 0.99") for line in ended.lines)


def test_of_many_columns_that_go_together_some_are_named_and_the_others_counted():
    assert _all_of(["a", "b", "c"]) == "a, b and c"
    assert _all_of([f"x{n}" for n in range(98)]) == "x0, x1, x2, x3, x4, x5, x6, and 91 more"


def test_of_very_many_columns_those_that_matter_most_are_shown_and_the_others_counted(folder):
    names = [f"c{number}" for number in range(42)]
    rows = [[*(number * place % 7 for place in range(1, 43)), number % 2] for number in range(40)]
    data = {"train": str(write_csv(folder / "t.csv", [*names, "y"], rows)), "target": "y"}
    words = ["explain", train(folder, data), "t.csv", "--repeats", 1]
    known = [one["column"] for one in done(*words, "--json").document["columns"]]
    shown = done(*words).lines
    assert len(known) == len(names)
    assert [line.split()[0] for line in shown[2:42]] == known[:40]
    assert shown[42] == "and 2 columns that matter less (--json)"


def test_the_document_has_every_column_its_interval_and_what_goes_together(prices):
    document = done("explain", *prices, "--json").document
    columns = {one["column"]: one for one in document["columns"]}
    assert list(columns) == sorted(columns, key=lambda name: -columns[name]["loss"])
    assert set(columns) == set("abcd")
    assert columns["a"]["low"] < columns["a"]["loss"] < columns["a"]["high"]
    assert columns["a"]["loss"] > 10 * abs(columns["c"]["loss"])
    (linked,) = document["together"]
    assert linked["columns"] == ["b", "d"]
    assert linked["correlation"] > 0.9
    assert document["metric"] == "rmse"
    assert document["score"] == done("eval", *prices, "--json").document["scores"]["rmse"]


def test_the_same_seed_gives_the_same_answer_and_another_one_another(prices):
    first, again, other = (done("explain", *prices, "--json", "--seed", seed).stdout for seed in (1, 1, 2))
    assert first == again != other


def test_a_sample_is_said_to_be_one(prices):
    ended = done("explain", *prices, "--sample", 100)
    assert ended.lines[0].startswith("100 rows of 400 rows")


def test_a_time_that_does_not_suffice_is_told(prices):
    ended = done("explain", *prices, "--max-seconds", "1e-9")
    assert "1e-09 s were not enough for: a; b; c; d; b, d. Raise --max-seconds, or lower --sample." in ended.stderr


def test_the_time_ends_any_number_of_shuffles(prices):
    ended = done("explain", *prices, "--repeats", 10**17, "--max-seconds", "0.2")
    assert "note  0.2 s " in ended.stderr


def test_classes_have_metrics_of_classes(penguins):
    document = done("explain", penguins, PENGUINS, "--metric", "accuracy", "--json").document
    assert document["metric"] == "accuracy"
    assert {one["column"] for one in document["columns"]} >= {"island", "bill_length_mm"}


def test_the_parts_of_a_row_add_up_to_its_value_minus_that_of_the_typical_row(prices):
    rows = list(csv.DictReader(io.StringIO(done("explain", *prices, "--rows").stdout)))
    assert len(rows) == 400
    predicted = mlpcli.load(str(prices[0])).predict(pd.read_csv(prices[1]))
    for row, value in zip(rows, predicted, strict=True):
        parts = [float(row[f"by_{name}"]) for name in "abcd"]
        assert float(row["value"]) == pytest.approx(value, rel=1e-4, abs=1e-4)
        assert sum(parts) == pytest.approx(float(row["value"]) - float(row["typical"]), abs=1e-3)
    slopes = np.polyfit(pd.read_csv(prices[1])["a"], [float(row["by_a"]) for row in rows], 1)
    assert slopes[0] == pytest.approx(10, rel=0.1)


def test_the_probability_of_the_answered_class_is_explained_or_of_the_one_that_is_named(penguins):
    lines = [json.loads(line) for line in done("explain", penguins, PENGUINS, "--rows", "--json").lines]
    model = mlpcli.load(str(penguins))
    frame = pd.read_csv(PENGUINS)
    chances = model.predict_proba(frame)
    assert [line["prediction"] for line in lines] == model.predict(frame).tolist()
    assert [line["explained"] for line in lines] == [model.classes[i] for i in chances.argmax(axis=1)]
    assert [line["value"] for line in lines] == pytest.approx(chances.max(axis=1).tolist(), abs=1e-6)
    for line in lines:
        assert sum(line["by"].values()) == pytest.approx(line["value"] - line["typical"], abs=1e-5)
    named = [
        json.loads(line) for line in done("explain", penguins, PENGUINS, "--rows", "--json", "--of", "Gentoo").lines
    ]
    assert {line["explained"] for line in named} == {"Gentoo"}
    assert [line["value"] for line in named] == pytest.approx(chances[:, 2].tolist(), abs=1e-6)


def test_a_partial_dependence_follows_the_function(prices):
    document = done("explain", *prices, "--columns", "a,c", "--json").document
    a, c = document["columns"]
    values, mean = np.asarray(list(map(float, a["values"]))), np.asarray(a["mean"])[:, 0]
    assert np.all(np.diff(values) > 0)
    assert np.polyfit(values, mean, 1)[0] == pytest.approx(10, rel=0.1)
    assert np.ptp(np.asarray(c["mean"])) < 0.1 * np.ptp(mean)
    assert np.asarray(a["curves"]).shape == (50, len(values), 1)


def test_a_level_is_a_value(penguins):
    ended = done("explain", penguins, PENGUINS, "--columns", "island")
    assert ended.lines[1].split() == ["island", "p_Adelie", "p_Chinstrap", "p_Gentoo"]
    assert [line.split()[0] for line in ended.lines[2:]] == ["Biscoe", "Dream", "Torgersen"]  # by their frequency


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "rsme"], "--metric rsme: unknown metric 'rsme'. Did you mean rmse?"),
        (["--metric", "max_error"], "--metric max_error: has no interval: it is the error of a single row"),
        (["--columns", "aa"], "--columns aa: no input column of the model. There is: a, b, c, d."),
        (["--rows", "--columns", "a"], "--rows and --columns cannot be combined. Choose one."),
        (["--rows", "--of", "z"], "--of z: no target of the model."),
        (["--of", "y"], "--of y: applies to --rows only."),
        (["--columns", ","], "--columns ,: names no column."),
        (["--rows", "--markdown"], "--rows and --markdown: the output is CSV"),
        (["--repeats", "0"], "--repeats 0: must be an integer of 1 or more."),
        (["--sample", "-5"], "--sample -5: must be an integer of 0 or more."),
        (["--confidence", "95"], "--confidence 95: must be between 0 and 1"),
        (["--max-seconds", "0"], "--max-seconds 0: must be greater than 0."),
    ],
)
def test_mistakes_are_told_in_a_line(prices, options, message):
    ended = mlp("explain", *prices, *options)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(message)


def test_rows_need_no_target_and_importance_does(prices, folder):
    pd.read_csv(prices[1]).drop(columns="y").head(5).to_csv("new.csv", index=False)
    assert len(done("explain", prices[0], "new.csv", "--rows").lines) == 6
    ended = mlp("explain", prices[0], "new.csv")
    assert ended.code == 2
    assert "the target column y is missing" in ended.stderr


def test_nothing_is_written(prices, folder):
    done("explain", *prices)
    assert tree(folder) == {}


def test_rows_of_weight_0_are_named_and_say_nothing_of_a_column(tmp_path):
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 300))
    rows = [*np.column_stack([x, noise, x, 1.0 + np.arange(300) % 2]).round(4).tolist()]
    weightless = [[9.0, -9.0, -9.0, 0.0]] * 100
    write_csv(tmp_path / "t.csv", ["x", "noise", "y", "w"], rows)
    write_csv(tmp_path / "more.csv", ["x", "noise", "y", "w"], [*rows, *weightless])
    data = {"train": str(tmp_path / "t.csv"), "target": "y", "weight": "w"}
    done("train", write_config(tmp_path / "c.yaml", data, {"epochs": 3}, output=str(tmp_path / "run")), "-q")
    model = tmp_path / "run" / "weights.npz"
    alone, beside = (done("explain", model, tmp_path / name, "--json").document for name in ("t.csv", "more.csv"))
    assert alone["columns"] == beside["columns"]
    assert any("100 rows of weight 0 (w): left out." in note for note in beside["notes"])


def test_rows_that_were_trained_on_are_named(prices):
    assert any("so the scores are optimistic" in note for note in done("explain", *prices, "--json").document["notes"])


def test_a_constant_column_and_texts_too_long_to_keep_have_a_typical_cell(tmp_path):
    rng = np.random.default_rng(0)
    rows = [[x, 5.0, f"{'a' * 250}{i % 3}", x] for i, x in enumerate(rng.normal(size=200).round(4).tolist())]
    write_csv(tmp_path / "t.csv", ["x", "five", "text", "y"], rows)
    columns = {"five": {"role": "number"}, "text": {"role": "category"}}
    data = {"train": str(tmp_path / "t.csv"), "target": "y", "columns": columns}
    done("train", write_config(tmp_path / "c.yaml", data, {"epochs": 2}, output=str(tmp_path / "run")), "-q")
    ended = done("explain", tmp_path / "run" / "weights.npz", tmp_path / "t.csv", "--rows", "--json")
    assert all(json.loads(line)["by"]["five"] == 0.0 for line in ended.lines)
