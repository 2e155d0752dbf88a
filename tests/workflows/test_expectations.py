"""The gates of `expect`: rows that chose something have no intervals, and their scores are marked."""

import json
from pathlib import Path

import pytest

from mlpcli.errors import ConfigError
from mlpcli.evaluation.uncertainty.intervals import DEFAULT_OPTIONS
from mlpcli.evaluation.uncertainty.proportions import wilson
from mlpcli.storage.model.model_file import load_model
from mlpcli.workflows.preparing.expectations import SELECTION_KEYS, chosen_on_validation
from mlpcli.workflows.preparing.preparation import prepare
from tests.program import DATA, done, mlp, train, write_config
from tests.workflows.staging import IRIS, loaded
from tests.workflows.test_fitting import fitted

CANCER = {"train": str(DATA / "breast_cancer.csv"), "target": "diagnosis"}
ENDS = {"min": {"accuracy.low": 0.5}}
FOLDS = {"members": {"count": 4, "rows": "folds", "folds": 2}}
NOTHING = {"early_stopping": None}


@pytest.mark.parametrize(
    ("chosen", "sections"),
    [
        (("epoch",), {}),
        ((), {"training": {"epochs": 1}}),
        ((), {"training": {"epochs": 9, "early_stopping": {"at": "cycle_ends"}}}),
        ((), {"training": NOTHING}),
        ((), {"training": NOTHING, "postprocess": {"threshold": 0.3}}),
        (("temperature", "threshold"), {
            "training": NOTHING, "postprocess": {"calibration": "temperature", "threshold": "f1"},
        }),
        (("epoch",), {"model": FOLDS}),
        ((), {"model": FOLDS, "training": NOTHING}),
        (("bin edges",), {
            "model": FOLDS, "training": NOTHING,
            "preprocess": {"encoding": {"name": "piecewise_linear", "edges": "target"}},
        }),
    ],
)  # fmt: skip
def test_scores_of_rows_that_chose_something_have_no_interval_and_other_scores_have_one(chosen, sections):
    data = CANCER | {"validation": None if "model" in sections else 0.2}
    config = loaded(data, **sections)
    assert chosen_on_validation(config) == chosen
    config = loaded(data, **sections, expect=ENDS)
    if not chosen:
        prepare(config)
        return
    with pytest.raises(
        ConfigError, match=r"accuracy\.low: there is no confidence interval on rows that chose the"
    ) as refused:
        prepare(config)
    assert all(f"{what} ({SELECTION_KEYS[what]})" in str(refused.value) for what in chosen)
    prepare(loaded(data | {"test": CANCER["train"]}, **sections, expect=ENDS))


def test_the_error_names_the_reason_and_the_key_to_change(folder):
    write_config(folder / "c.yaml", CANCER, expect={"max": {"log_loss.high": 1.0}})
    ended = mlp("train", "c.yaml")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.strip() == (
        "c.yaml:1: expect.max: log_loss.high: there is no confidence interval on rows that chose the epoch "
        "(training.early_stopping): their scores are optimistic. Use rows that choose nothing, data.test: FILE, "
        "or gate the score itself: log_loss"
    )


def test_a_gate_on_the_score_itself_is_checked_with_a_note_on_its_rows(folder):
    write_config(folder / "c.yaml", CANCER, expect={"min": {"accuracy": 0.1}}, output="run")
    ended = done("train", "c.yaml", "--json")
    assert (
        "note  the gates of expect are checked on the validation rows, which choose the epoch: their scores are "
        "optimistic. Use other rows with data.test: FILE" in ended.stderr
    )
    assert ended.document["judged_on"] == "validation"
    assert ended.document["metrics"]["chosen_on_validation"] == ["epoch"]
    assert done("train", "c.yaml", "--json", "--if-changed").document["judged_on"] == "validation"
    assert ended.document["gates"][0]["passed"]


def test_every_view_says_which_scores_are_chosen_on_their_rows(folder):
    remark = "* chosen on these rows: the epoch, temperature "
    write_config(folder / "c.yaml", CANCER, postprocess={"calibration": "temperature"}, output="first")
    trained = done("train", "c.yaml").lines
    assert ["train", "validation*", "constant"] in [line.split() for line in trained]
    assert any(
        line.startswith(remark) and line.endswith("; such scores are optimistic. Probabilities are calibrated")
        for line in trained
    )
    weights = Path("first") / "weights.npz"
    assert json.loads(Path("first/metrics.json").read_text())["chosen_on_validation"] == ["epoch", "temperature"]
    inspected = done("inspect", weights).lines
    assert ["train", "validation*", "constant"] in [line.split() for line in inspected]
    assert any(line.startswith(remark) for line in inspected)
    chosen = {"validation": ["epoch", "temperature"]}
    assert load_model(str(weights)).record["chosen"] == chosen
    assert done("inspect", weights, "--json").document["record"]["chosen"] == chosen
    other = train(folder, CANCER, {"epochs": 2, "seed": 1, **NOTHING})
    compared = done("diff", weights, other)
    said = "validation scores of the old model are chosen on these rows (epoch, temperature): they are optimistic"
    assert said in " ".join(compared.stdout.split())
    assert "new model are chosen" not in compared.stdout
    assert done("diff", weights, other, "--json").document["chosen_on_these_rows"] == {"old": chosen, "new": {}}


def test_scores_of_rows_that_chose_nothing_have_no_star(folder):
    write_config(folder / "c.yaml", IRIS, {"epochs": 2, **NOTHING}, output="run")
    for shown in (done("train", "c.yaml"), done("inspect", "run/weights.npz")):
        assert "*" not in shown.stdout
        assert "chosen on" not in shown.stdout
    assert json.loads(Path("run/metrics.json").read_text())["chosen_on_validation"] == []


def test_the_validation_file_is_no_test_file(folder):
    data = IRIS | {"validation": str(DATA / "iris.csv"), "test": str(DATA / "iris.csv")}
    said = "data.test has the rows of data.validation, which choose the epoch: its scores are optimistic as well."
    assert said in prepare(loaded(data)).notes
    assert said not in prepare(loaded(data, NOTHING)).notes
    with pytest.raises(ConfigError, match=r"data\.test: has the rows of data\.validation"):
        prepare(loaded(data, expect=ENDS))


def test_rows_of_folds_have_wider_intervals_than_rows_that_are_independent():
    """Members share training rows: k folds count as fewer rows, Nadeau & Bengio 2003."""
    for n_folds, factor in ((2, 3.0), (4, 7 / 3), (10, 19 / 9)):
        assert DEFAULT_OPTIONS.of_folds(n_folds).z == pytest.approx(DEFAULT_OPTIONS.z * factor**0.5)
    data, training = CANCER | {"validation": None}, {"epochs": 5, **NOTHING}
    ends = {"min": {"accuracy.low": 0.5}, "max": {"accuracy.high": 1.0}}
    prepared = prepare(loaded(data, training, model=FOLDS, expect=ends))
    outcome, _ = fitted(prepared)
    low, high = (result.score for result in outcome.gate_results)
    accuracy = outcome.scores["validation"]["accuracy"]
    n_rows = len(prepared.train.truth)
    independent = wilson(accuracy, n_rows, DEFAULT_OPTIONS.z)
    wide = wilson(accuracy, n_rows, DEFAULT_OPTIONS.of_folds(2).z)
    assert low == pytest.approx(wide.low)
    assert high == pytest.approx(wide.high)
    assert low < independent.low < accuracy < independent.high < high
