"""Every example config runs as it is, from the root of the project."""

import numpy as np
import pytest
import yaml

from tests.program import DATA, ROOT, done, mlp

CONFIGS = sorted(path.name for path in (ROOT / "configs").glob("*.yaml"))


def test_there_is_a_config_per_situation():
    names = ["breast_cancer", "diabetes", "digits", "iris", "own_cost", "penguins", "search", "wine"]
    assert [name.removesuffix(".yaml") for name in CONFIGS] == names


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_trains_predicts_and_is_judged(name, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    ended = mlp("train", f"configs/{name}", "--set", "training.epochs=2", "-o", tmp_path / "run", "--json")
    has_gates = "expect" in yaml.safe_load((ROOT / "configs" / name).read_text("utf-8"))
    assert ended.code in ((0, 1) if has_gates else (0,)), ended.stderr
    assert np.isfinite(ended.document["metrics"]["train.log_loss" if name != "diabetes.yaml" else "train.rmse"])
    weights = tmp_path / "run" / "weights.npz"
    table = yaml.safe_load((ROOT / "configs" / name).read_text("utf-8"))["data"]["train"]
    n_rows = len((ROOT / table).read_text("utf-8").splitlines()) - 1
    assert len(done("predict", weights, table).rows) == n_rows
    assert done("eval", weights, table, "--json").document["n_rows"] == n_rows
    done("inspect", weights)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_names_its_own_number_and_command(name):
    lines = (ROOT / "configs" / name).read_text("utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert f" of {len(CONFIGS)}. " in lines[0]
    assert f"#     mlp train configs/{name}" in "\n".join(lines[:5])


def test_the_samples_have_a_config_each():
    used = {yaml.safe_load((ROOT / "configs" / name).read_text("utf-8"))["data"]["train"] for name in CONFIGS}
    assert used == {f"data/{path.name}" for path in DATA.glob("*.csv")}
