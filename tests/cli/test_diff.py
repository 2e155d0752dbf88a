"""`mlp diff`: where two model files part, and a model file as text for git."""

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mlpcli.storage.model.model_file import load_model
from mlpcli.workflows.diff import Change, diff_models
from tests.program import DATA, ROOT, done, mlp, train

IRIS = {"train": str(DATA / "iris.csv"), "target": "species"}


@pytest.fixture(scope="module")
def shorter(tmp_path_factory):
    """The model of the fixture `iris`, after half the epochs."""
    training = {"epochs": 10, "optimizer": {"name": "sgd", "learning_rate": 0.5}, "batch_size": 10}
    model = {"layers": [4, 8, 3], "activation": "sigmoid"}
    return train(tmp_path_factory.mktemp("shorter"), IRIS, training, model=model)


def test_two_equal_models_do_not_differ(iris):
    ended = done("diff", iris, iris, "--exit-code")
    assert ended.lines[1:] == ["the same model: no value and no array differs"]
    assert done("diff", iris, iris, "--json").document["same"] is True


def test_what_differs_is_shown_with_both_values_and_nothing_else(iris, shorter):
    document = done("diff", iris, shorter, "--json").document
    assert document["changes"]["config"] == {"training.epochs": {"old": 20, "new": 10}}
    assert document["changes"]["training"]["epochs"] == {"old": 20, "new": 10}
    assert set(document["changes"]) <= {"config", "scores", "training"}
    assert document["same"] is False
    words = [line.split() for line in done("diff", iris, shorter).lines]
    assert ["config", "training.epochs", "20", "10"] in words


def test_the_distance_of_a_layer_is_the_relative_frobenius_norm_of_its_change(iris, shorter):
    arrays = done("diff", iris, shorter, "--json").document["arrays"]
    assert set(arrays) == {"W1", "W2", "b1", "b2"}
    with np.load(iris) as old, np.load(shorter) as new:
        for name, found in arrays.items():
            change = new[name].astype(np.float64) - old[name]
            assert found["distance"] == pytest.approx(np.sqrt((change**2).sum() / (old[name].astype(float) ** 2).sum()))
            assert found["largest_change"] == pytest.approx(np.abs(change).max())


def made(folder):
    folder.mkdir()
    return folder


def test_tensors_of_members_are_one_row_with_the_largest_differences(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    model = {"layers": [4, 8, 3], "members": 3}
    first, second = (train(made(folder / str(seed)), IRIS, {"epochs": 1, "seed": seed}, model=model) for seed in (1, 2))
    arrays = done("diff", first, second, "--json").document["arrays"]
    lines = done("diff", first, second).lines
    rows = {line.split()[0]: line.split() for line in lines if re.match(r"(m\d|m\*)", line)}
    assert rows.keys() == {"m*.W1", "m*.b1", "m*.W2", "m*.b2"}
    of_kind = [array for name, array in arrays.items() if name.endswith(".W1")]
    assert len(of_kind) == 3
    for column, key in ((-2, "distance"), (-1, "largest_change")):
        assert float(rows["m*.W1"][column]) == pytest.approx(max(array[key] for array in of_kind), rel=1e-3)
    assert "m*: the largest of all members" in " ".join(" ".join(lines).split())


def test_how_often_each_member_counts_is_named(folder):
    model = load_model(str(train(folder, IRIS, model={"layers": [4, 8, 3], "members": 2})))
    chosen = [replace(model, ensemble=replace(model.ensemble, counts=counts)) for counts in ((3, 1), (1, 3))]
    assert diff_models("old", model, "new", model).is_same
    assert diff_models("old", *chosen[:1], "new", *chosen[1:]).changes == (Change("network", "counts", [3, 1], [1, 3]),)


def test_models_of_other_shapes_members_and_columns_are_told_apart_too(folder, iris, penguins):
    several = train(folder, IRIS, model={"layers": [4, 8, 3], "members": 2})
    arrays = done("diff", iris, several, "--json").document["arrays"]
    assert (arrays["W1"]["old_shape"], arrays["W1"]["new_shape"]) == ([8, 4], None)
    assert (arrays["m2.W1"]["old_shape"], arrays["m2.W1"]["new_shape"]) == (None, [8, 4])
    assert arrays["W1"]["distance"] is None
    assert any(line.split() == ["network", "members", "1", "2"] for line in done("diff", iris, several).lines)
    changes = done("diff", iris, penguins, "--json").document["changes"]
    assert changes["columns"]["sepal_length"]["new"] is None
    assert changes["target"].keys() == {"labels"}


def test_the_order_of_columns_alone_is_a_difference(folder):
    (folder / "one").mkdir()
    one = train(folder / "one", {**IRIS, "features": ["sepal_length", "petal_length"]})
    two = train(folder, {**IRIS, "features": ["petal_length", "sepal_length"]})
    assert done("diff", one, two, "--json").document["same"] is False


def test_the_exit_code_speaks_only_when_asked(iris, shorter):
    assert mlp("diff", iris, shorter).code == 0
    ended = mlp("diff", iris, shorter, "--exit-code")
    assert ended.code == 1
    assert "differ: config" in ended.stderr
    assert mlp("diff", iris, "no such file.npz", "--exit-code").code == 2


def test_one_file_is_written_out_line_by_line_the_same_each_time(iris):
    text = done("diff", iris)
    assert done("diff", iris).stdout == text.stdout
    assert text.lines[0].startswith("sha256: ")
    assert "config.training.epochs: 20" in text.lines
    assert "network.sizes: [4, 8, 3]" in text.lines
    assert any(line.startswith("W1: 8 x 4 float32, norm ") for line in text.lines)
    assert done("diff", iris, "--json").document["network.sizes"] == "[4, 8, 3]"


def test_git_shows_the_text_of_a_model_as_its_difference(folder, iris, shorter):
    if shutil.which("git") is None:
        pytest.skip("git is not here")

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *map(str, arguments)]
        return subprocess.run(command, cwd=folder, capture_output=True, check=True, encoding="utf-8").stdout

    git("init", "-q")
    (folder / ".gitattributes").write_text("*.npz diff=mlp\n")
    program = f"env PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m mlpcli diff"
    git("config", "diff.mlp.textconv", program)
    shutil.copy(iris, folder / "weights.npz")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    shutil.copy(shorter, folder / "weights.npz")
    shown = git("diff")
    assert "\n-config.training.epochs: 20\n+config.training.epochs: 10\n" in shown
    assert "Binary files" not in shown


def test_values_that_differ_look_different_and_what_is_equal_is_left_out(folder):
    for name in ("a", "b"):
        (folder / name).mkdir()
    models = [
        train(folder / name, IRIS, {"epochs": 2, "optimizer": {"name": "sgd", "learning_rate": rate}}, **others)
        for name, rate, others in (
            ("a", 0.0401, {}),
            ("b", 0.0402, {"preprocess": {"numeric": {"name": "robust", "clip": 3}}, "model": {"dropout": 0.1}}),
        )
    ]
    lines = done("diff", *models).lines
    table = lines[2 : lines.index("")]
    values = {key: (old, new) for *_, key, old, new in (re.split(r" {3,}", line.strip()) for line in table[:-3])}
    assert values["training.optimizer.learning_rate"] == ("0.0401", "0.0402")
    assert values["sepal_length"] == ("-", "clip 3.0")
    assert values["layer 3"] == ("dense, width 64, start.name he_uniform", "dropout, rate 0.1")
    assert all(old != new for old, new in values.values())


@pytest.mark.parametrize("width", ["50", "60", "80"])
def test_old_and_new_are_both_there_on_a_narrow_terminal(iris, shorter, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    old, new = (done("inspect", one, "--json").document["record"]["config"]["training"] for one in (iris, shorter))
    (line,) = (line for line in done("diff", iris, shorter).lines if "training.epochs" in line)
    assert [int(text) for text in re.findall(r"\d+", line)] == [old["epochs"], new["epochs"]]


def test_of_a_column_that_one_config_names_only_what_it_says_of_it_is_shown(iris, folder):
    named = {"columns": {"sepal_width": "number", "sepal_length": {"role": "number", "decimal": "."}}}
    other = train(folder, {"train": str(DATA / "iris.csv"), "target": "species"} | named)
    changes = done("diff", iris, other, "--json").document["changes"]["config"]
    assert {key.removeprefix("data.columns.") for key in changes if key.startswith("data.columns.")} == {
        "sepal_width.role", "sepal_length.role", "sepal_length.decimal",
    }  # fmt: skip
