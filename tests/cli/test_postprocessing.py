"""Temperature, threshold and clamp, from the config to what is printed."""

import numpy as np
import pytest

from tests.program import DATA, done, train, write_config, write_csv

RARE = {"train": "rare.csv", "target": "late"}


@pytest.fixture
def rare(folder):
    """400 rows of which 6 percent are late."""
    rng = np.random.default_rng(0)
    late = np.arange(400) % 16 == 0
    x = rng.normal(late * 2.0, 1.0)
    return write_csv(folder / "rare.csv", ["x", "late"], [(x[i], ("no", "yes")[int(late[i])]) for i in range(400)])


def test_predict_and_eval_decide_by_the_same_threshold(folder, rare):
    postprocess = {"calibration": "temperature", "threshold": "balanced_accuracy"}
    weights = train(folder, RARE, {"epochs": 20}, postprocess=postprocess)
    document = done("inspect", weights, "--json").document
    (threshold,) = document["threshold"]
    assert document["temperature"][0] > 0
    rows = done("predict", weights, rare, "--proba", "--keep", "late").rows
    truth, predicted = ([row[name] for row in rows] for name in ("late", "predicted_late"))
    assert predicted == [("no", "yes")[float(row["p_yes"]) > threshold] for row in rows]
    assert predicted != [("no", "yes")[float(row["p_yes"]) > 0.5] for row in rows]
    scored = done("eval", weights, rare, "--json").document
    found = sum(one == other for one, other in zip(truth, predicted, strict=True)) / len(truth)
    assert scored["scores"]["accuracy"] == pytest.approx(found)
    confusion = np.array(scored["confusion"])
    assert confusion[1, 1] == sum(one == other == "yes" for one, other in zip(truth, predicted, strict=True))
    assert confusion.trace() / confusion.sum() == pytest.approx(found)


def test_what_was_fitted_is_shown_after_the_training_and_by_inspect(folder, rare):
    path = write_config(
        folder / "c.yaml", RARE, postprocess={"calibration": "temperature", "threshold": "f1"}, output="run"
    )
    lines = done("train", path).lines
    start = "* chosen on these rows: the epoch, "
    (fitted,) = [line for line in lines if line.startswith(start + "temperature ")]
    assert ", threshold " in fitted
    inspected = done("inspect", "run/weights.npz").lines
    assert fitted in inspected
    shown = (
        fitted.removeprefix(start)
        .removesuffix("; such scores are optimistic. Probabilities are calibrated")
        .replace(", ", " · ")
    )
    assert f"predictions  {shown}" in inspected


def test_clamped_and_bent_amounts_are_shown_and_predicted(folder):
    data = {"train": str(DATA / "diabetes.csv"), "target": "progression"}
    weights = train(folder, data, preprocess={"target": "log"}, postprocess={"clamp": True})
    y = np.loadtxt(DATA / "diabetes.csv", delimiter=",", skiprows=1, usecols=10)
    (line,) = [line for line in done("inspect", weights).lines if line.startswith("predictions")]
    assert line.startswith("predictions  log · clamped to ")
    clamp = done("inspect", weights, "--json").document["clamp"]
    amounts = np.array([float(row["progression"]) for row in done("predict", weights, DATA / "diabetes.csv").rows])
    assert y.min() <= clamp["low"][0] <= amounts.min()
    assert amounts.max() <= clamp["high"][0] <= y.max()


def test_a_model_without_postprocessing_says_nothing_of_it(iris):
    assert not [line for line in done("inspect", iris).lines if line.startswith("predictions")]
    document = done("inspect", iris, "--json").document
    assert (document["temperature"], document["threshold"]) == (None, None)


def test_a_rare_class_is_named_from_init_to_eval(folder, rare):
    done("init", rare, "--target", "late", "-o", "c.yaml")
    (line,) = [line for line in (folder / "c.yaml").read_text().splitlines() if "class_weights" in line]
    assert line == "  # class_weights: balanced     # raises the recall of the rare class yes (6.2%)"
    warnings = done("check", "c.yaml", "--json").document["warnings"]
    assert any(warning.startswith("the rarest class is yes (6.2%): accuracy does not show it.") for warning in warnings)
    weighted = done("check", "c.yaml", "--json", "--set", "training.class_weights=balanced").document["warnings"]
    assert not any("rarest" in warning for warning in weighted)
    lines = done("train", "c.yaml", "--set", "training.epochs=2").lines
    shown = [line.split()[0] for line in lines if line]
    assert {"balanced_accuracy", "average_precision"} <= set(shown)
    assert {"balanced_accuracy", "average_precision", "f1[yes]"} <= set(
        done("eval", "runs/c/weights.npz", rare, "--json").document["scores"]
    )


def test_no_class_is_rare_among_equals(folder):
    done("init", DATA / "digits.csv", "-o", "c.yaml")
    assert "class_weights" not in (folder / "c.yaml").read_text()
