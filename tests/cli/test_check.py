"""`mlp check`: everything that can fail, without training."""

import json

import pytest

from tests.program import DATA, ROOT, done, mlp, tree, write_config, write_csv

PENGUINS = {"train": str(DATA / "penguins.csv"), "target": "species", "drop": ["year"]}


@pytest.fixture
def config(folder):
    path = folder / "p.yaml"
    path.write_text(
        f"data:\n  train: {DATA / 'penguins.csv'}\n  target: species\n  drop: [year]\n"
        "model:\n  layers: [auto, 32, 16, auto]\ntraining:\n  optimizer: adam\n"
    )
    return "p.yaml"


def test_every_value_is_shown_with_its_origin(config):
    ended = done("check", config, "--set", "training.batch_size=7", "--seed", 3)
    origins = {line.split()[0]: line.split("  ")[-1].strip() for line in ended.lines if line.split("  ")[0].count(".")}
    assert origins["data.target"] == "p.yaml:3"
    assert origins["model.layers"] == "p.yaml:6"
    assert origins["training.optimizer.name"] == "p.yaml:8"
    assert origins["training.optimizer.learning_rate"] == "default"
    assert origins["training.batch_size"] == "--set"
    assert origins["training.seed"] == "--seed"


def test_network_rows_classes_and_costs_are_shown(config):
    ended = done("check", config)
    words = [line.split() for line in ended.lines]
    assert "data      344 rows: 275 train, 69 validation · 6 columns -> 11 inputs · 3 classes" in ended.lines
    assert any(
        line.startswith("network   11 -> 32 -> 16 -> 3 · relu, softmax · 963 parameters") for line in ended.lines
    )
    assert ["2", "16", "x", "32", "16", "528"] in words
    assert ["Chinstrap", "54", "14"] in words
    cost = next(line for line in ended.lines if line.startswith("cost"))
    assert " s and " in cost
    assert "of memory" in cost


def test_what_is_left_open_in_the_training_is_shown_as_what_it_comes_to(config):
    settings = [
        "training.batch_size=auto",
        "training.loss={name: cross_entropy, label_smoothing: auto}",
        "training.early_stopping.metric=accuracy",
    ]
    asked = ["check", config, *(word for setting in settings for word in ("--set", setting))]
    ended = done(*asked)
    line = next(line for line in ended.lines if line.startswith("training  "))
    assert "· batch 64 · cross_entropy, label smoothing 0.1 ·" in line
    assert "label_smoothing auto is 0.1: accuracy scores labels, not probabilities." in ended.stderr
    document = done(*asked, "--json").document
    assert (document["batch_size"], document["label_smoothing"], document["metric"]) == (64, 0.1, "accuracy")


def test_nothing_is_written(folder, config):
    before = tree(folder)
    done("check", config)
    assert tree(folder) == before


def test_the_document_holds_the_same(config):
    document = done("check", config, "--json", "--set", "training.epochs=3").document
    assert document["layers"] == [11, 32, 16, 3]
    assert document["config"]["training.epochs"] == {"value": 3, "origin": "--set"}
    assert document["rows"] == {"train": 275, "validation": 69}
    assert document["class_counts"]["validation"] == {"Adelie": 30, "Chinstrap": 14, "Gentoo": 25}
    assert len(document["inputs"]) == 11
    assert document["memory_bytes"] > 50_000_000  # of the whole process, as a budget counts it
    assert document["seconds"] >= 0
    assert document["output"] == "runs/p"


def test_constant_leaking_and_rare_things_and_shared_rows_are_warned_of(folder):
    rows = [(i % 5, "k", "abc"[i % 3].upper(), "abc"[i % 3]) for i in range(90)] + [(1, "k", "D", "d")] * 3
    write_csv(folder / "t.csv", ["x", "constant", "code", "label"], rows)
    write_csv(folder / "test.csv", ["x", "constant", "code", "label"], [(1, "k", "B", "b"), (77, "k", "A", "a")])
    path = write_config(folder / "c.yaml", {"train": "t.csv", "target": "label", "test": "test.csv"})
    ended = done("check", path)
    assert "constant: one value only (k). Leave it out: data.drop" in ended.stderr
    assert "code: leaks the target (label can be derived from it alone)" in ended.stderr
    assert "1 class has fewer than 10 training rows: d 2" in ended.stderr
    assert "1 of 2 test rows (50.0%) have the inputs of a training row." in ended.stderr
    assert done("check", path, "--quiet").stderr == ""
    assert len(done("check", path, "--json").document["warnings"]) >= 4


def test_more_inputs_than_rows_are_warned_of(folder):
    rows = [[*((i * k) % 11 for k in range(1, 31)), "ab"[i % 2]] for i in range(12)]
    write_csv(folder / "t.csv", [*(f"x{k}" for k in range(30)), "label"], rows)
    path = write_config(folder / "c.yaml", {"train": "t.csv", "target": "label"})
    assert "inputs for 10 training rows: expect overfitting." in done("check", path).stderr


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "configs").glob("*.yaml")))
def test_every_config_of_the_project_checks_out(monkeypatch, name):
    monkeypatch.chdir(ROOT)
    ended = done("check", f"configs/{name}")
    assert "leaks the target" not in ended.stderr


def test_what_would_fail_in_training_fails_here(folder):
    path = write_config(folder / "c.yaml", PENGUINS, expect={"min": {"acuracy": 0.9}})
    for verb in ("check", "train"):
        ended = mlp(verb, path)
        assert (ended.code, ended.stdout) == (2, "")
        assert "expect.min: unknown metric 'acuracy'. Did you mean accuracy?" in ended.stderr
    assert sorted(tree(folder)) == ["c.yaml"]


def test_the_document_is_plain_ascii_whatever_the_names(folder):
    rows = [(i % 7, "äb"[i % 2]) for i in range(30)]
    write_csv(folder / "t.csv", ["größe", "label"], rows)
    ended = done("check", write_config(folder / "c.yaml", {"train": "t.csv", "target": "label"}), "--json")
    assert ended.stdout.isascii()
    assert json.loads(ended.stdout)["inputs"] == ["größe"]


def test_columns_of_the_config_show_their_role_alone_where_nothing_else_is_set(folder):
    columns = {"island": "category", "body_mass_g": {"role": "number", "suffix": " g"}}
    data = {"train": str(DATA / "penguins.csv"), "target": "species", "columns": columns}
    (line,) = (one for one in done("check", write_config(folder / "c.yaml", data)).lines if "data.columns" in one)
    assert "{island: category, body_mass_g: {role: number, suffix: ' g'}}" in line


def test_large_numbers_of_rows_are_grouped_alike(folder):
    rows = [(i, i % 7) for i in range(12_500)]
    write_csv(folder / "t.csv", ["x", "y"], rows)
    config = write_config(folder / "c.yaml", {"train": "t.csv", "target": "y"}, {"epochs": 1})
    assert "12 500 rows: 10 000 train, 2500 validation · " in done("check", config).stdout


def test_without_data_several_configs_are_checked_and_each_fault_is_named(folder):
    good = write_config(folder / "good.yaml", {"train": "gone.csv", "target": "y"})
    bad = [write_config(folder / f"{name}.yaml", {"train": "gone.csv", "target": 1}) for name in ("one", "two")]
    assert mlp("check", good).code == 2
    assert done("check", good, good, "--no-data", "--json").document == {"valid": [str(good), str(good)]}
    ended = mlp("check", good, *bad, "--no-data")
    assert ended.code == 2
    assert [line.split(": ")[0] for line in ended.stderr.splitlines()] == [f"{path}:1" for path in bad]
    assert mlp("check", good, "--no-data", "--set", "training.epochs=0").code == 2
    assert "--no-data" in mlp("check", good, *bad).stderr
