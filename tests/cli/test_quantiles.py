"""A network with an output for each of three quantiles: the middle one answers, the others make its intervals."""

import json

import numpy as np
import pandas as pd
import pytest

from mlpcli.storage.model.model_file import load_model
from tests.program import done, mlp, train, write_csv

LEVELS = [0.1, 0.5, 0.9]
TRAINING = {
    "epochs": 30,
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "loss": {"name": "quantile", "quantile": LEVELS},
}
FOLDS = {"layers": ["auto", 16, "auto"], "members": {"count": 5, "rows": "folds"}}


def table(path, n_rows, seed):
    """A number whose noise is ten times as large where x is above 0, and its size."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, n_rows)
    y = 10.0 + 3.0 * x + np.where(x > 0, 1.0, 0.1) * (rng.exponential(size=n_rows) - 1.0)
    return write_csv(
        path, ["x", "y", "z"], [(f"{a:.4f}", f"{b:.4f}", f"{np.exp(b):.3f}") for a, b in zip(x, y, strict=True)]
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantiles")
    table(folder / "train.csv", 1500, 1)
    table(folder / "new.csv", 3000, 2)
    return folder


def model_of(place, name, target="y", training=TRAINING, **sections):
    (place / name).mkdir()
    validation = {"validation": None} if "model" in sections else {}
    data = {"train": str(place / "train.csv"), "target": target, "features": ["x"], **validation}
    return train(place / name, data, training, **sections)


@pytest.fixture(scope="module")
def split(place):
    return model_of(place, "split")


@pytest.fixture(scope="module")
def folds(place):
    return model_of(place, "folds", model=FOLDS)


def predicted(weights, source, *options):
    return pd.DataFrame(list(map(json.loads, done("predict", weights, source, "--json", *options).stdout.splitlines())))


@pytest.mark.parametrize("name", ["split", "folds"])
@pytest.mark.parametrize("level", [0.6, 0.8, 0.95])
def test_intervals_hold_as_often_as_asked_and_are_wide_where_rows_vary(place, name, level, request):
    new = pd.read_csv(place / "new.csv")
    found = predicted(request.getfixturevalue(name), place / "new.csv", "--interval", level)
    is_held, width = (found.y_low <= new.y) & (new.y <= found.y_high), found.y_high - found.y_low
    error = 3 * np.sqrt(level * (1 - level) * (1 / (300 if name == "split" else 1500) + 1 / len(new)))
    assert level - error <= is_held.mean() <= level + error + 0.05
    assert ((found.y_low <= found.y) & (found.y <= found.y_high)).all()
    assert width[new.x > 0.2].mean() > 3 * width[new.x < -0.2].mean()
    if level == 0.8:
        assert is_held.groupby(new.x > 0).mean().min() > 0.7


def test_the_answer_is_the_middle_quantile_and_the_outputs_are_all_three(place, split):
    new = pd.read_csv(place / "new.csv")
    plain, raw = predicted(split, place / "new.csv"), predicted(split, place / "new.csv", "--raw")
    assert abs((new.y <= plain.y).mean() - 0.5) < 0.06
    assert list(raw) == ["raw_y_0.1", "raw_y_0.5", "raw_y_0.9"]
    model = load_model(str(split))
    scale, center = model.target_state["target_scale"][0], model.target_state["target_center"][0]
    np.testing.assert_allclose(raw["raw_y_0.5"] * scale + center, plain.y, rtol=1e-5)
    for level in LEVELS:
        assert abs((new.y <= raw[f"raw_y_{level}"] * scale + center).mean() - level) < 0.06


def test_eval_scores_the_answer_as_the_middle_quantile(place, split):
    scores = done("eval", split, place / "new.csv", "--interval", 0.8, "--json").document["scores"]
    new, found = pd.read_csv(place / "new.csv"), predicted(split, place / "new.csv")
    assert scores["pinball"] == pytest.approx(scores["mae"] / 2)
    assert scores["mae"] == pytest.approx(np.abs(new.y - found.y).mean(), rel=1e-5)


def test_the_baseline_has_the_loss_of_the_constant_quantile(place, split):
    scores = load_model(str(split)).scores
    assert scores["constant.pinball"] == pytest.approx(scores["constant.mae"] / 2)
    assert scores["validation.pinball"] < 0.6 * scores["constant.pinball"]


def test_quantiles_make_better_intervals_than_an_answer_alone(place, split, tmp_path):
    plain = model_of(place, "plain", training=TRAINING | {"loss": "auto"})
    scores = [
        done("eval", weights, place / "new.csv", "--interval", 0.8, "--json").document["scores"]["interval_score"]
        for weights in (split, plain)
    ]
    assert scores[0] < 0.8 * scores[1]


@pytest.mark.parametrize("transform", ["log", "quantile"])
def test_several_targets_have_quantiles_in_their_own_units(place, transform):
    weights = model_of(place, transform, ["y", "z"], preprocess={"target": transform})
    new, found = pd.read_csv(place / "new.csv"), predicted(weights, place / "new.csv", "--interval", 0.8)
    assert list(found) == ["y", "y_low", "y_high", "z", "z_low", "z_high"]
    for name in ("y", "z"):
        is_held = (found[f"{name}_low"] <= new[name]) & (new[name] <= found[f"{name}_high"])
        assert abs(is_held.mean() - 0.8) < 0.09
        assert (found[f"{name}_low"] <= found[name]).all()


def test_every_verb_that_looks_at_answers_takes_the_middle_one(place, split):
    predictions = predicted(split, place / "new.csv").y
    for line in done("explain", split, place / "new.csv", "--rows", "--sample", 5, "--json").stdout.splitlines():
        reason = json.loads(line)
        row = int(reason["row"].rpartition(":")[2]) - 2
        assert reason["value"] == pytest.approx(predictions[row], rel=1e-5)
        assert reason["value"] - reason["typical"] == pytest.approx(sum(reason["by"].values()))
    assert done("explain", split, place / "new.csv", "--sample", 200).code == 0
    assert done("doctor", split.parent).code == 0
    assert done("inspect", split, "--json").document["target"]["fitted"] == LEVELS
    assert "quantiles 0.1, 0.5, 0.9, of which 0.5 is the prediction" in done("inspect", split).stdout


def test_a_training_goes_on_with_the_same_quantiles_alone(place, split, folder):
    config = split.parent / "config.yaml"
    again = done("train", config, "--from", split, "--set", f"output={folder / 'again'}")
    assert again.code == 0
    for loss in ("{name: quantile, quantile: [0.2, 0.5, 0.8]}", "{name: quantile, quantile: 0.5}"):
        ended = mlp("train", config, "--from", split, "--set", f"training.loss={loss}")
        assert ended.code == 2
        assert f"--from {split} has outputs for the quantiles [0.1, 0.5, 0.9]" in ended.stderr


@pytest.mark.parametrize(
    ("quantile", "message"),
    [
        ("[0.9, 0.5, 0.1]", "[0.9, 0.5, 0.1] is not increasing. Write it like [0.05, 0.5, 0.95]."),
        ("[0.5, 0.5, 0.9]", "[0.5, 0.5, 0.9] is not increasing. Write it like [0.05, 0.5, 0.95]."),
        ("[0.1, 0.9]", "must be a list of 3 numbers greater than 0 and below 1, got the list [0.1, 0.9]"),
        ("[0.1, 0.5, 1.0]", "must be a number greater than 0 and below 1, got 1.0"),
    ],
)
def test_quantiles_that_are_none_are_refused(place, split, quantile, message):
    ended = mlp("check", split.parent / "config.yaml", "--set", f"training.loss.quantile={quantile}")
    assert ended.code == 2
    assert message in ended.stderr


def test_an_explicit_number_of_outputs_is_that_of_all_quantiles(place, split):
    ended = mlp("check", split.parent / "config.yaml", "--set", "model.layers=[auto, 8, 1]")
    assert ended.code == 2
    assert "3 quantiles of 1 target need 3 outputs, the last size is 1" in ended.stderr
    assert done("check", split.parent / "config.yaml", "--set", "model.layers=[auto, 8, 3]").code == 0
