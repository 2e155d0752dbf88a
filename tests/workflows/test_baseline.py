"""The note on a model that is far worse than the constant baseline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.workflows.scoring.baseline import FAR, far_worse, far_worse_run
from tests.program import DATA, done, train

IRIS = {"train": str(DATA / "iris.csv"), "target": "species"}
DIABETES = {"train": str(DATA / "diabetes.csv"), "target": "progression"}
SENTENCE = "far worse than the constant baseline, which ignores the inputs"
scores = st.floats(1e-3, 1e3)


@given(scores, scores, st.sampled_from(["log_loss", "rmse"]))
def test_a_score_is_far_worse_beyond_a_multiple_of_the_baseline(own, constant, metric):
    said = far_worse({metric: own}, {metric: constant}, "these rows")
    assert bool(said) == (own > FAR * constant)


@pytest.mark.parametrize(
    ("own", "constant"),
    [(None, 1.0), (5.0, None), (5.0, 0.0), (5.0, 2.3e-16), (float("nan"), 1.0), (5.0, float("nan"))],
)
def test_an_undefined_score_is_not_far_worse(own, constant):
    assert far_worse({"rmse": own}, {"rmse": constant}, "these rows") == ""


def test_the_last_split_of_a_run_is_compared_and_each_of_several_targets():
    flat = {"train.log_loss": 9.0, "validation.log_loss": 1.0, "constant.log_loss": 1.0}
    assert far_worse_run(flat) == ""
    assert "on the test rows" in far_worse_run({**flat, "test.log_loss": 3.0})
    several = {"test.rmse": 9.0, "test.rmse[a]": 1.0, "test.rmse[b]": 8.0, "constant.rmse[a]": 1, "constant.rmse[b]": 1}
    assert "rmse[b] is 8.000, the baseline's 1.000" in far_worse_run(several)
    assert "rmse[a]" not in far_worse_run(several)
    assert far_worse_run({}) == ""


@pytest.fixture(params=["classes", "numbers"])
def poor(request, folder):
    """A useless model: a far too large learning rate, with the weights of the last epoch."""
    training = {"epochs": 2, "optimizer": {"name": "adam", "learning_rate": 3.0}, "early_stopping": None}
    data = IRIS if request.param == "classes" else DIABETES
    sections = {"model": {"activation": "tanh", "layers": ["auto", 64, 64, "auto"]}}
    if request.param == "numbers":
        training["loss"] = "absolute_error"
        training["optimizer"]["learning_rate"] = 0.7
    train(folder, data, training, ["-o", "runs/poor"], **sections)
    return data["train"]


def test_every_verb_that_shows_a_far_worse_model_says_so(poor):
    weights = "runs/poor/weights.npz"
    assert SENTENCE in done("train", "config.yaml", "-o", "runs/poor").stderr
    assert SENTENCE in done("eval", weights, poor).stderr
    assert SENTENCE in done("inspect", weights).stderr
    assert SENTENCE in done("runs").stderr
    said = done("compare", weights, weights, poor).stderr
    assert f"old model: on these rows the model is {SENTENCE}" in said
    assert f"new model: on these rows the model is {SENTENCE}" in said
    assert done("inspect", weights, "--json").document["far_worse_than_constant"]
    assert done("runs", "--json").document["runs"][0]["far_worse_than_constant"]


def test_a_good_model_gets_no_note(iris):
    rows = str(DATA / "iris.csv")
    for arguments in (["eval", iris, rows], ["inspect", iris], ["compare", iris, iris, rows]):
        assert SENTENCE not in done(*arguments).stderr


def test_rows_of_a_single_class_are_not_compared_with_a_perfect_constant(folder, iris):
    header, *rows = (DATA / "iris.csv").read_text().splitlines()
    (folder / "one.csv").write_text("\n".join([header, *(row for row in rows if "virginica" in row)]) + "\n")
    assert SENTENCE not in done("eval", iris, "one.csv").stderr
