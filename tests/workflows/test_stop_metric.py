"""The metric that chooses the epoch, for several targets, and if it cannot distinguish epochs."""

import numpy as np
import pytest

from mlpcli.evaluation.uncertainty.paired import Prediction, Truth, compare_scores
from mlpcli.workflows.compare import worse_targets
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.scoring.main_metrics import main_metrics
from tests.program import done, mlp, train, write_csv
from tests.workflows.staging import loaded
from tests.workflows.test_fitting import fitted

BOTH = {"train": "t.csv", "target": ["euros", "rate"]}


@pytest.fixture
def two_units(folder):
    return write_two_units(folder / "t.csv", 1)


def write_two_units(path, seed):
    """Two targets: an unpredictable amount of money, and a predictable rate that is a hundred million times smaller."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, 3)).round(3)
    rate = 0.01 * np.sin(1.5 * x[:, 0]) + 0.0005 * rng.normal(size=200)
    rows = np.c_[x, (1e6 * rng.normal(size=200)).round(), rate.round(6)]
    return write_csv(path, ["a", "b", "c", "euros", "rate"], rows.tolist())


def adam(epochs=40, **early_stopping):
    return {
        "epochs": epochs,
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "early_stopping": early_stopping,
    }


@pytest.mark.parametrize(
    ("loss", "transform", "metric"),
    [
        ("squared_error", "auto", "r2"),
        ("squared_error", "none", "r2"),
        ("absolute_error", "auto", "loss"),
        ("absolute_error", "none", "r2"),
        ("huber", "quantile", "loss"),
        ("quantile", "auto", "loss"),
    ],
)
def test_of_several_targets_a_metric_without_a_unit_chooses_the_epoch(two_units, loss, transform, metric):
    assert prepare(loaded(BOTH, {"loss": loss}, preprocess={"target": transform})).metric == metric


def test_the_kept_epoch_does_not_depend_on_the_unit_of_a_target(two_units, folder):
    outcome, _ = fitted(prepare(loaded(BOTH, adam())))
    lines = [line.split(",") for line in two_units.read_text().splitlines()]
    rows = [[*cells[:3], float(cells[3]) / 1024, float(cells[4]) * 1024] for cells in lines[1:]]
    write_csv(folder / "t.csv", lines[0], rows)
    other, _ = fitted(prepare(loaded(BOTH, adam())))
    assert outcome.best_epoch == other.best_epoch > 5
    assert outcome.best_score == pytest.approx(other.best_score, abs=1e-4)
    assert outcome.scores["validation"]["r2[rate]"] > 0.5


def test_a_metric_in_mixed_units_is_noted_and_that_of_one_target_is_not(two_units):
    def notes(metric="auto", **sections):
        return [note for note in prepare(loaded(BOTH, adam(metric=metric), **sections)).notes if "unit" in note]

    assert notes() == notes("r2") == notes("rmse[rate]") == []
    (note,) = notes("rmse")
    assert note.startswith("rmse is a mean in the units of the targets, so euros (deviation 9")
    assert note.endswith("Take r2, which has no unit, or name one target: rmse[rate]")
    assert notes(expect={"max": {"mae": 1.0}})[0].startswith("mae is a mean in the units")
    assert notes(expect={"max": {"mae[rate]": 1.0}}) == []
    (note,) = notes(preprocess={"target": "none"})
    assert note.endswith("Write preprocess.target: standardize")


def test_each_target_is_displayed_and_a_gate_may_name_one(two_units, folder):
    config = {"target": ["euros", "rate"], "train": str(two_units)}
    weights = train(folder, config, adam(), model={"layers": ["auto", 16, "auto"]})
    for shown in (done("inspect", weights), mlp("compare", weights, weights, two_units)):
        names = [line.split()[0] for line in shown.lines if line.strip()]
        assert [name for name in names if "[" in name] == ["rmse[euros]", "r2[euros]", "rmse[rate]", "r2[rate]"]
        assert "r2" in names
        assert "rmse" not in names
    assert done("compare", weights, weights, two_units).lines[-1].split()[1] == "r2"
    assert done("eval", weights, two_units, "--min", "r2[rate]=0.3").code == 0
    assert mlp("eval", weights, two_units, "--min", "r2[euros]=0.9").code == 1


def test_a_model_of_several_targets_is_worse_if_the_target_of_small_unit_is_worse(two_units, folder):
    config = {"target": ["euros", "rate"], "train": str(two_units)}
    few, many = (folder / name for name in ("few", "many"))
    few.mkdir()
    many.mkdir()
    train(few, config, adam(2))
    train(many, config, adam(60, metric="r2[rate]"))
    few, many = (run / "run" / "weights.npz" for run in (few, many))
    ended = mlp("compare", many, few, two_units, "--json")
    assert (ended.code, ended.document["metric"], ended.document["metrics"]["r2"]["verdict"]) == (1, "r2", "worse")


def test_a_single_target_that_is_worse_is_named_if_the_mean_is_not():
    rng = np.random.default_rng(0)
    y, noise = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    old, new = (Prediction(y + noise * spread) for spread in ([1.0, 0.3], [0.5, 0.8]))
    truth = Truth("regression", y, ("euros", "rate"))
    found = compare_scores(truth, old, new, main_metrics("regression", truth.names), 0.95, {})
    assert worse_targets(found, "r2") == [
        "r2, the mean of the targets, decides; r2[rate] got worse. --metric 'r2[rate]' decides by it"
    ]
    assert worse_targets(found, "r2[rate]") == []
    poor = Prediction(y + 2.0 * noise)
    found = compare_scores(truth, old, poor, main_metrics("regression", truth.names), 0.95, {})
    assert [one.verdict for one in found if one.metric == "r2"] == ["worse"]
    assert worse_targets(found, "r2") == []


def test_compare_says_why_the_mean_of_the_targets_is_not_defined(two_units, folder):
    weights = train(folder, {"target": ["euros", "rate"], "train": str(two_units)}, adam(2))
    lines = two_units.read_text().splitlines()
    write_csv(folder / "flat.csv", lines[0].split(","), [[*line.split(",")[:4], 0.5] for line in lines[1:]])
    ended = mlp("compare", weights, weights, folder / "flat.csv")
    assert ended.code == 2
    assert "r2 is not defined on these rows (rate is 0.5 in every row). Choose another --metric." in ended.stderr


def write_late(folder, name, lost, value):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 2)).round(3)
    rows = [(a, b, "yes" if a > 0 else "no", say, value or b) for (a, b), say in zip(x.tolist(), lost, strict=True)]
    return str(write_csv(folder / name, ["a", "b", "late", "lost", "z"], rows))


@pytest.fixture
def one_sided(folder):
    """Validation rows in which one boolean target is always no and the number is always 7."""
    write_late(folder, "t.csv", ["yes", "no"] * 30, None)
    write_late(folder, "v.csv", ["no"] * 60, 7)
    return {"train": "t.csv", "validation": "v.csv"}


def test_a_metric_that_cannot_distinguish_epochs_is_replaced_with_a_note(one_sided):
    data = one_sided | {"target": ["late", "lost"], "drop": ["z"]}
    prepared = prepare(loaded(data, adam(10, metric="roc_auc")))
    assert prepared.metric == "log_loss"
    assert (
        "roc_auc cannot distinguish epochs on the validation rows (lost is no in every row): "
        "log_loss chooses the epoch instead." in prepared.notes
    )
    outcome, reports = fitted(prepared)
    assert outcome.best_score == min(report.score for report in reports)


@pytest.mark.parametrize(("target", "sound"), [("z", "rmse"), (["z", "b"], "loss")])
def test_r2_of_a_constant_truth_chooses_no_epoch(one_sided, target, sound):
    data = one_sided | {"target": target, "drop": ["late", "lost"]}
    prepared = prepare(loaded(data, adam(10, metric="r2")))
    assert prepared.metric == sound
    assert any("(z is 7 in every row)" in note for note in prepared.notes)


def test_no_gate_passes_on_r2_of_a_constant_truth(one_sided, folder):
    data = {"train": str(folder / "t.csv"), "target": "z", "drop": ["late", "lost"]}
    weights = train(folder, data, adam(10))
    for gate in ("r2=-9", "r2.low=-9"):
        assert mlp("eval", weights, folder / "v.csv", "--min", gate).code == 1
    why = "note  gate r2 >= -9: r2 is not defined on these rows: z is 7 in every row."
    assert why in mlp("eval", weights, folder / "v.csv", "--min", "r2=-9").stderr
    config = folder / "config.yaml"
    judged = mlp("train", config, "-o", "again", "--set", f"data.test={folder}/v.csv", "--set", "expect.min={r2: -9}")
    assert judged.code == 1
    assert why in judged.stderr
    document = mlp("eval", weights, folder / "v.csv", "--json").document
    assert document["scores"]["r2"] is None
    assert set(document["intervals"]["r2"].values()) <= {None} or document["intervals"]["r2"]["low"] is None


def test_a_class_without_validation_rows_leaves_the_ranking_undefined(folder):
    rows = [(i % 7, "abc"[i % 3]) for i in range(60)]
    write_csv(folder / "t.csv", ["x", "y"], rows)
    write_csv(folder / "v.csv", ["x", "y"], [row for row in rows if row[1] != "c"])
    prepared = prepare(loaded({"train": "t.csv", "target": "y", "validation": "v.csv"}, adam(2, metric="roc_auc")))
    assert prepared.metric == "log_loss"
    assert any("(no row is of class c)" in note for note in prepared.notes)


def test_a_metric_that_cannot_distinguish_thresholds_leaves_one_half_with_a_note(folder):
    rows = [(i % 7, "no" if i % 3 else "yes") for i in range(60)]
    write_csv(folder / "t.csv", ["x", "y"], rows)
    write_csv(folder / "v.csv", ["x", "y"], [row for row in rows if row[1] == "no"])
    data = {"train": "t.csv", "target": "y", "validation": "v.csv"}
    said = "f1 cannot distinguish thresholds on the validation rows (no row is of class yes): the threshold stays 0.5."
    prepared = prepare(loaded(data, adam(2), postprocess={"threshold": "f1"}))
    assert said in prepared.notes
    assert fitted(prepared)[0].model.threshold.tolist() == [0.5]
    assert said not in prepare(loaded(data, adam(2), postprocess={"threshold": "accuracy"})).notes
