"""`mlp inspect`: what a model file holds."""

import re

import numpy as np

from mlpcli import __version__
from tests.program import DATA, done, mlp, train, write_config, write_csv


def test_the_summary_shows_layers_columns_classes_scores_and_record(penguins):
    ended = done("inspect", penguins)
    assert ended.stderr == ""
    assert ended.lines[0].startswith(str(penguins))
    assert " 11 -> 64 -> 64 -> 3 " in ended.lines[0]
    assert "classes   Adelie, Chinstrap, Gentoo" in ended.lines
    words = [line.split() for line in ended.lines]
    assert ["1", "64", "x", "11", "768", "relu"] in [line[:6] for line in words]
    assert ["island", "category", "3", "Biscoe,", "Dream,", "Torgersen"] in words
    assert any(line[:1] == ["log_loss"] and len(line) == 4 for line in words)
    assert any(line[:1] == ["seed"] and line[1] == "0" for line in words)
    assert f"mlp {__version__}" in ended.stdout
    assert ended.lines[-1] == "all numbers are finite"


def test_an_activation_for_each_hidden_layer_is_shown_by_each(folder):
    config = write_config(
        folder / "c.yaml", {"train": str(DATA / "iris.csv"), "target": "species"}, {"epochs": 2},
        model={"layers": ["auto", 6, 5, 4, "auto"], "activation": ["tanh", "relu", "tanh"]},
    )  # fmt: skip
    assert "4 -> 6 -> 5 -> 4 -> 3 · tanh, relu, tanh, softmax ·" in done("train", config).stderr
    ended = done("inspect", "runs/c/weights.npz")
    assert [line.split()[5] for line in ended.lines if line[:1] in "1234" and " x " in line] == [
        "tanh", "relu", "tanh", "softmax",
    ]  # fmt: skip
    assert done("inspect", "runs/c/weights.npz", "--json").document["activations"] == ["tanh", "relu", "tanh"]


def test_the_document_holds_the_whole_header(penguins):
    document = done("inspect", penguins, "--json").document
    assert document["sizes"] == [11, 64, 64, 3]
    assert document["target"]["labels"] == ["Adelie", "Chinstrap", "Gentoo"]
    assert [column["name"] for column in document["columns"]][:2] == ["island", "bill_length_mm"]
    assert document["record"]["config"]["training"]["epochs"] == 10
    assert document["record"]["rows"] == {"train": 275, "validation": 69}
    assert len(document["record"]["data"]["sha256"]["train"]) == 64
    assert 0 < document["scores"]["validation.log_loss"] < 2
    assert document["seconds"] > 0
    with np.load(penguins) as arrays:
        assert document["n_parameters"] == sum(arrays[f"{name}{layer}"].size for name in "Wb" for layer in (1, 2, 3))
        assert document["layers"][0]["weight_largest"] == np.abs(arrays["W1"]).max()


def test_a_model_away_from_its_run_folder_has_no_duration(folder, iris):
    (folder / "alone.npz").write_bytes(iris.read_bytes())
    assert done("inspect", "alone.npz", "--json").document["seconds"] is None
    assert "duration" not in done("inspect", "alone.npz").stdout


def test_a_file_that_is_no_model_is_refused(folder):
    ended = mlp("inspect", DATA / "iris.csv")
    assert (ended.code, ended.stdout) == (2, "")
    assert "not a model of mlp" in ended.stderr


def test_rows_in_folds_are_counted_once_and_a_first_layer_with_other_inputs_is_explained(folder):
    data = {"train": str(DATA / "penguins.csv"), "target": "species", "validation": None}
    model = {"members": {"count": 4, "rows": "folds", "folds": 2}, "numeric_embedding": "periodic"}
    shown = done("inspect", train(folder, data, {"epochs": 1}, model=model)).stdout
    assert "penguins.csv · 344 train in 2 folds\n" in shown
    assert re.search(
        r"^W of the first member, parameters of all 4; layer 1 reads \d+ values, computed from the 12 inputs",
        shown,
        re.M,
    )


def test_a_plain_network_needs_no_such_remark(iris):
    assert "layer 1 reads" not in done("inspect", iris).stdout


def test_a_target_of_numbers_is_named_once(folder):
    table = write_csv(folder / "t.csv", ["a", "price"], [[value, 2.5 * value] for value in range(20)])
    weights = train(folder, {"train": str(table), "target": "price"})
    facts = [line.split(maxsplit=1) for line in done("inspect", weights).lines if line.startswith("target ")]
    assert facts[0] == ["target", "price · regression"]
