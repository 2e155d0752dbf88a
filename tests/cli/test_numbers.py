"""Numbers at the limits of what a computer holds: trained on, refused with their line, or stopped with advice."""

import json

import numpy as np
import pytest

from tests.program import done, mlp, tree, write_config, write_csv

CLASSES = {"train": "t.csv", "target": "y"}


def table(folder, amounts, target=None):
    """Sixty rows of an odd column and a plain one; the class, or the target, goes with the odd one."""
    rows = [(amounts[i % len(amounts)], i % 7, "uv"[i % 2] if target is None else target(i)) for i in range(60)]
    return write_csv(folder / "t.csv", ["a", "b", "y"], rows)


def are_finite(ended):
    """Whether every number in the answers is finite."""
    cells = [cell for row in ended.rows for name, cell in row.items() if name not in ("y", "species")]
    return bool(cells) and all(np.isfinite(float(cell)) for cell in cells)


LIMITS = {
    "float32's largest": ("3.4e38", "-3.4e38", "0", "1"),
    "beyond float32": ("1e39", "-1e39", "0", "1"),
    "float64's largest": ("1.7e308", "-1.7e308", "0", "1"),
    "float32's smallest": ("1e-45", "0", "2e-45", "-1e-45"),
    "float64's smallest": ("5e-324", "0", "1e-323", "-5e-324"),
    "both ends": ("1e38", "1e-45", "-1e38", "-1e-45"),
}


@pytest.mark.parametrize("numeric", ["standardize", "robust", "none"])
@pytest.mark.parametrize("case", LIMITS)
def test_inputs_at_the_limits_are_trained_on_refused_or_diverge_with_advice(folder, case, numeric):
    table(folder, LIMITS[case])
    config = write_config(folder / "c.yaml", CLASSES, {"epochs": 2}, preprocess={"numeric": numeric}, output="run")
    ended = mlp("train", config, "--quiet")
    if ended.code == 0:
        assert ended.stderr == ""
        with np.load(folder / "run" / "weights.npz") as arrays:
            assert all(np.isfinite(arrays[name]).all() for name in arrays.files)
        assert are_finite(done("predict", "run/weights.npz", "t.csv", "--quiet", "--proba"))
    else:
        assert (ended.code, ended.stdout) in ((2, ""), (3, ""))
        assert len(ended.stderr.splitlines()) == 1
        advice = "too large to compute with" if ended.code == 2 else "Try --set preprocess.numeric=standardize"
        assert advice in ended.stderr
        assert not (folder / "run").exists()


@pytest.mark.parametrize("transform", ["standardize", "none", "quantile"])
def test_a_target_whose_square_overflows_is_refused_with_its_line_by_every_verb(folder, transform):
    table(folder, ["1", "2"], lambda i: i % 5)
    config = write_config(
        folder / "c.yaml", CLASSES, {"epochs": 2}, task="regression", preprocess={"target": transform}, output="run"
    )
    done("train", config, "--quiet")
    table(folder, ["1", "2"], lambda i: "-1e200" if i == 7 else i % 5)
    before = tree(folder)
    for arguments in (("train", config), ("check", config), ("eval", "run/weights.npz", "t.csv")):
        ended = mlp(*arguments, "--quiet")
        assert (ended.code, ended.stdout) == (2, "")
        assert "t.csv:9: the target y is -1e+200: its square is too large to compute with." in ended.stderr
    assert tree(folder) == before


def test_a_target_of_denormal_numbers_trains(folder):
    table(folder, ["1", "2"], lambda i: f"{i % 5}e-45")
    config = write_config(folder / "c.yaml", CLASSES, {"epochs": 2}, task="regression", output="run")
    done("train", config, "--quiet")
    assert json.loads((folder / "run" / "metrics.json").read_text())["train.rmse"] < 1e-44


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("rate", ["1e3", "1e30"])
def test_a_learning_rate_far_too_high_never_leaves_a_weight_that_is_not_finite(folder, optimizer, rate):
    table(folder, ["1", "2"], lambda i: i % 5)
    training = {"epochs": 20, "optimizer": {"name": optimizer, "learning_rate": float(rate)}, "early_stopping": None}
    config = write_config(folder / "c.yaml", CLASSES, training, task="regression", output="run")
    ended = mlp("train", config, "--quiet")
    assert ended.code in (0, 3), ended
    if ended.code == 3:
        assert "Try --set training.optimizer.learning_rate=" in ended.stderr
    for path in folder.glob("run*/weights.npz"):
        with np.load(path) as arrays:
            assert all(np.isfinite(arrays[name]).all() for name in arrays.files)


def test_a_run_no_better_than_the_constant_baseline_says_so(folder):
    rng = np.random.default_rng(0)
    rows = [(rng.normal(), rng.normal(), rng.normal()) for _ in range(80)]
    write_csv(folder / "t.csv", ["a", "b", "y"], rows)
    training = {"epochs": 200, "optimizer": "adam", "early_stopping": None}
    config = write_config(folder / "c.yaml", CLASSES, training, output="run")
    assert "in rmse the model is no better than the constant baseline" in done("train", config).stderr


@pytest.mark.parametrize("cell", ["1e39", "-1e308", "1e-45"])
def test_an_input_far_from_all_that_was_trained_on_gets_a_finite_answer_or_is_refused(folder, iris, cell):
    write_csv(folder / "new.csv", ["sepal_length", "sepal_width", "petal_length", "petal_width"], [(cell, 3, 1, 0.2)])
    ended = mlp("predict", iris, "new.csv", "--quiet", "--proba")
    if ended.code == 0:
        assert ended.stderr == ""
        assert are_finite(ended)
    else:
        assert ended.code == 2
        assert "new.csv:2: column sepal_length" in ended.stderr


@pytest.mark.parametrize(("loss", "transform"), [("auto", "log"), ("poisson", "auto")])
def test_an_answer_beyond_all_bounds_is_an_error_with_its_line_in_every_verb(folder, loss, transform):
    write_csv(folder / "t.csv", ["x", "y"], [[i, i * i % 50 + i] for i in range(60)])
    write_csv(folder / "far.csv", ["x", "y"], [[3, 1], [1e9, 1]])
    training = {"epochs": 3, "loss": loss, "optimizer": {"name": "adam", "learning_rate": 0.01}}
    data = {"train": "t.csv", "target": "y"}
    done("train", write_config(folder / "c.yaml", data, training, preprocess={"target": transform}, output="run"), "-q")
    for verb, *more in (["predict"], ["predict", "--json"], ["eval"], ["explain"], ["explain", "--rows"]):
        ended = mlp(verb, "run/weights.npz", "far.csv", *more, "-q")
        assert (ended.code, ended.stdout) == (2, "")
        assert ended.stderr.startswith("far.csv:3: the numbers of this row are too large: the ")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["1", "2", "1e31"], "t.csv:4: the weight w is 1e+31. Weights must be at most 1e30."),
        (["1e-40"], "t.csv: every weight w is below 1e-30."),
    ],
)
def test_weights_whose_powers_are_no_numbers_are_refused(folder, weights, message):
    write_csv(folder / "t.csv", ["x", "w", "y"], [[i, weights[i % len(weights)], i % 7] for i in range(60)])
    data = {"train": "t.csv", "target": "y", "weight": "w"}
    ended = mlp("train", write_config(folder / "c.yaml", data, {"epochs": 2}, task="regression"), "-q")
    assert ended.code == 2
    assert message in ended.stderr
