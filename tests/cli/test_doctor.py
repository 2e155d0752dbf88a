"""`mlp doctor`, on runs that are sick on purpose, one for each finding, and on healthy ones."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import mlpcli
from mlpcli.config.loading import config_from_mapping
from mlpcli.doctor.finding import NAMES
from tests.program import done, mlp, train, write_csv

ADAM = {"name": "adam", "learning_rate": 0.003}
N = 600
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6)).round(4)
SCORE = X[:, 0] + X[:, 1] * X[:, 2]
INPUTS = {f"x{i}": X[:, i] for i in range(6)}
CLASSES = {"y": np.where(SCORE + 0.5 * RNG.normal(size=N) > 0, "yes", "no")}
NUMBERS = {"y": (3 * X[:, 0] + X[:, 1] ** 2 + 0.3 * RNG.normal(size=N)).round(3)}
COINS = {"y": np.where(RNG.random(N) < 0.5, "yes", "no")}
RARE = {"y": np.where(RNG.random(N) < 0.06, "rare", CLASSES["y"])}
DAYS = {"day": np.arange(N)}
LATER = {"later": 1000 * (CLASSES["y"] == "yes") + RNG.integers(0, 400, N)}


def run(folder, columns, training=None, data=None, **sections):
    """Train on a table; returns the folder of the run."""
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    table = write_csv(folder / "t.csv", list(columns), rows)
    training = {"epochs": 30, "optimizer": ADAM, "threads": 1, "engine": "numpy"} | (training or {})
    return train(folder, {"train": str(table), "target": "y"} | (data or {}), training, **sections).parent


def found(folder, *options):
    """The findings by check."""
    checks = done("doctor", folder, "--json", *options).document["checks"]
    assert [check["name"] for check in checks] == list(NAMES)
    return {check["name"]: check["findings"] for check in checks if check["findings"]}


def take(columns, rows):
    return {name: column[rows] for name, column in columns.items()}


def rate(learning_rate, name="adam"):
    return {"epochs": 60, "optimizer": {"name": name, "learning_rate": learning_rate}}


WIDE = {"layers": ["auto", 128, 128, "auto"]}
DEEP = {"layers": ["auto", *[16] * 8, "auto"], "activation": "sigmoid"}
LAST = {"epochs": 120, "early_stopping": None, "optimizer": {"name": "adam", "learning_rate": 0.01}}
SICK = {
    "rate": [
        (INPUTS | CLASSES, {"training": rate(0.3)}, "rises again", "learning_rate: 0.075"),
        (INPUTS | CLASSES, {"training": rate(0.1)}, "rises by more than 10%", "learning_rate: 0.025"),
        (INPUTS | CLASSES, {"training": rate(3e-5)}, "is still falling", "learning_rate: 9e-05"),
    ],
    "units": [
        (INPUTS | CLASSES, {"training": rate(1.5, "sgd")}, "are constant over all rows", "leaky_relu"),
        (
            {name: 1000 * column for name, column in INPUTS.items()} | CLASSES,
            {"model": {"activation": "tanh"}, "preprocess": {"numeric": "none"}},
            "are saturated, at an end of their tanh",
            "preprocess.numeric: standardize",
        ),
    ],
    "gradient": [
        (INPUTS | CLASSES, {"training": rate(0.01, "sgd"), "model": DEEP}, "vanishes", "model.activation: relu"),
    ],
    "fit": [
        (INPUTS | CLASSES, {"training": LAST, "model": WIDE}, "of the gain carries over", "training.early_stopping")
    ],
    "baseline": [(INPUTS | COINS, {"training": LAST}, "that of the constant baseline", "learning_rate")],
    "classes": [(INPUTS | RARE, {}, "never predicted: rare (", "training.class_weights: balanced")],
    "leaks": [
        (INPUTS | LATER | CLASSES, {}, "later alone explains", "data.drop: [later]"),
        (INPUTS | {"copy": 2 * NUMBERS["y"]} | NUMBERS, {}, "copy alone explains", "data.drop: [copy]"),
    ],
    "copies": [
        (take(INPUTS | CLASSES, np.arange(N).repeat(2)), {}, "are copies of training rows", "copies: together"),
    ],
    "calibration": [
        (INPUTS | CLASSES, {"training": LAST, "model": WIDE}, "overconfident", "temperature"),
    ],
    "drift": [
        (
            take(INPUTS | CLASSES, X[:, 3].argsort()) | DAYS,
            {"data": {"validation": {"time": "day"}}},
            "x3 (PSI",
            "data",
        ),
    ],
    "rows": [(take(INPUTS | CLASSES, np.arange(80)), {}, "16 validation rows are few", "folds")],
}


@pytest.mark.parametrize(
    ("check", "columns", "config", "fact", "remedy"),
    [(check, *case) for check, cases in SICK.items() for case in cases],
    ids=[f"{check}-{number}" for check, cases in SICK.items() for number in range(len(cases))],
)
def test_a_run_that_is_sick_on_purpose_is_found_out_with_the_key_to_change(
    tmp_path, check, columns, config, fact, remedy
):
    findings = found(run(tmp_path, columns, **config))
    assert check in findings, findings
    assert fact in " ".join(one["fact"] for one in findings[check])
    assert remedy in findings[check][0]["remedy"]
    assert findings[check][0]["why"]
    keys = set(config_from_mapping({"data": {"train": "t.csv", "target": "y"}}).origins)
    named = re.findall(
        r"\b(?:data|preprocess|model|training|postprocess)\.[a-z_.]*[a-z_]", findings[check][0]["remedy"]
    )
    assert all(any(f"{key}.".startswith(f"{name}.") for key in keys) for name in named if name != "data.drop"), named


def test_a_run_of_recipe_strong_that_memorizes_is_not_sent_to_recipe_strong(tmp_path):
    members = {"members": {"count": 2, "rows": "folds"}}
    sick = run(tmp_path, INPUTS | CLASSES, LAST, {"validation": None}, model=WIDE | members)
    assert found(sick)["fit"][0]["remedy"] == (
        "Try training.early_stopping: {patience: 10}, model.dropout: 0.2, or smaller model.layers"
    )


def test_each_check_has_a_sick_run():
    assert list(SICK) == list(NAMES)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    return run(tmp_path_factory.mktemp("healthy"), INPUTS | CLASSES)


def test_a_healthy_run_has_no_finding_and_names_what_is_well(healthy):
    ended = done("doctor", healthy, "--strict")
    assert ended.lines == [
        f"{healthy}: no finding",
        "ok   rate, units, gradient, fit, baseline, classes, leaks, copies, calibration, drift, rows",
    ]


@pytest.mark.parametrize(
    ("columns", "config"),
    [
        (INPUTS | NUMBERS, {}),
        (INPUTS | CLASSES, {"model": {"members": {"count": 3, "rows": "folds"}}, "data": {"validation": None}}),
        (INPUTS | NUMBERS, {"model": {"members": 2, "residual": True, "layer_norm": True}}),
        (INPUTS | {"y": SCORE > 0, "z": X[:, 3] > 0}, {"data": {"target": ["y", "z"]}, "task": "multilabel"}),
        (INPUTS | NUMBERS | {"z": SCORE}, {"data": {"target": ["y", "z"]}}),
        (INPUTS | NUMBERS, {"training": {"loss": {"name": "quantile", "quantile": 0.8}, "epochs": 60}}),
    ],
    ids=["number", "folds", "members", "multilabel", "two numbers", "quantile"],
)
def test_every_task_members_and_folds_are_examined(tmp_path, columns, config):
    assert found(run(tmp_path, columns, **config)) == {}


def test_strict_fails_where_something_is_found(tmp_path):
    folder = run(tmp_path, take(INPUTS | CLASSES, np.arange(80)))
    assert done("doctor", folder).lines[1].startswith("rows")
    ended = mlp("doctor", folder, "--strict")
    assert ended.code == 1
    assert ended.stderr == f"{folder}: 1 finding\n"


def test_data_that_is_gone_or_changed_is_said_and_what_needs_it_is_skipped(healthy, tmp_path):
    shutil.copytree(healthy.parent, tmp_path / "there")
    moved, table = tmp_path / "there" / "run", healthy.parent / "t.csv"
    kept = table.read_text()
    try:
        table.write_text(kept + kept.splitlines()[1] + "\n")
        ended = done("doctor", moved)
        assert "the train data differs from what" in ended.stdout.replace("\n", " ")
        assert ended.lines[1].split()[:4] == ["ok", "rate,", "fit,", "baseline"]
        table.unlink()
        assert "t.csv: no such file" in done("doctor", moved).stdout
        assert found(moved, "--data", tmp_path / "there" / "t.csv") == {}
        assert mlp("doctor", moved, "--data", moved / "history.csv").code == 2
    finally:
        table.write_text(kept)


def test_rows_from_python_cannot_be_read_again(tmp_path):
    frame = pd.DataFrame(INPUTS | CLASSES)
    mlpcli.train({"data": {"target": "y"}, "training": {"epochs": 2}}, frame).save(str(tmp_path / "a.npz"))
    assert "data passed from Python, which cannot be read again." in " ".join(
        done("doctor", tmp_path / "a.npz").stdout.split()
    )


def test_a_model_file_alone_has_no_curve(healthy, tmp_path):
    alone = shutil.copy(healthy / "weights.npz", tmp_path / "best.npz")
    document = done("doctor", alone, "--json").document
    assert document["checks"][0] == {
        "name": "rate", "state": "skipped", "reason": "a model file alone has no history.csv", "findings": [],
    }  # fmt: skip
    assert done("doctor", healthy / "weights.npz").stdout == done("doctor", healthy).stdout


def test_a_training_that_diverged_is_found_in_its_unfinished_folder(healthy, tmp_path):
    folder = shutil.copytree(healthy, tmp_path / "run.partial")
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"stop_reason": "diverged at epoch 7"}))
    (finding,) = found(tmp_path / "run")["rate"]
    assert finding["fact"] == "the training diverged at epoch 7: its loss was not finite"
    assert "learning_rate: 0.0003 (now 0.003)" in finding["remedy"]
    (folder / "weights.npz").unlink()
    ended = mlp("doctor", tmp_path / "run")
    assert ended.code == 2
    assert "has no model yet" in ended.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("history.csv", "epoch,train_loss\n1,0.5\n", "history.csv has no column"),
        ("history.csv", "not a history\n", "not the history of a run"),
        ("history.csv", "epoch,train_loss\n1\n", "not the history of a run"),
        ("history.csv", "", "not the history of a run"),
        ("history.csv", None, "cannot be read"),
    ],
)
def test_a_history_that_cannot_be_read_is_said(healthy, tmp_path, name, content, said):
    folder = shutil.copytree(healthy, tmp_path / "run")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    assert said in " ".join(done("doctor", folder).stdout.split())


@pytest.mark.parametrize("path", ["nowhere", ".", "t.csv"])
def test_what_is_no_run_is_an_error_of_one_line(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    ended = mlp("doctor", path)
    assert ended.code == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
