"""`--from`: a training that continues from a model, on new rows."""

import json
import shutil

import numpy as np
import pytest

from mlpcli.errors import Interrupted
from mlpcli.storage.model.model_file import load_model
from mlpcli.workflows.examining.run import read_run
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.preparing.warm_start import load_warm_start
from mlpcli.workflows.train import train
from mlpcli.workflows.training.initial_state import initial_state
from tests.program import done, mlp, write_csv
from tests.workflows.staging import Watch, loaded

TRAINING = {"epochs": 6, "optimizer": {"name": "adam", "learning_rate": 0.01}}


def rows(n, seed, cities=("Bonn", "Kiel"), shift=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)).round(3)
    city = rng.choice(cities, n)
    y = np.where(x[:, 0] + 0.5 * (city == cities[0]) + shift * x[:, 1] + 0.3 * rng.normal(size=n) > 0, "yes", "no")
    return [(*a, c, b) for a, c, b in zip(x.tolist(), city, y, strict=True)]


def config(table, **changes):
    data = {"train": table, "target": "y"} | changes.pop("data", {})
    return loaded(data, TRAINING | changes.pop("training", {}), **changes)


@pytest.fixture
def first(folder):
    """The model of the first day, in first.npz."""
    names = ["a", "b", "city", "y"]
    write_csv(folder / "first.csv", names, rows(300, 0))
    write_csv(folder / "second.csv", names, rows(200, 1))
    train(config("first.csv"), Watch())
    shutil.copy(folder / "run" / "weights.npz", folder / "first.npz")
    return folder / "first.npz"


def test_a_warm_start_begins_with_the_weights_and_the_preprocessing_of_the_model(first):
    model = load_model(str(first))
    prepared = prepare(config("second.csv"), start=load_warm_start(str(first)))
    state = initial_state(prepared)
    assert all(np.array_equal(a.flat, b) for a, b in zip(state.members, model.ensemble.flats, strict=True))
    assert prepared.preprocessor.columns == model.preprocessor.columns
    assert all(
        np.array_equal(prepared.preprocessor.state[key], model.preprocessor.state[key])
        for key in model.preprocessor.state
    )
    assert prepared.spec.update.optimizer.learning_rate == pytest.approx(0.001)
    table_of_first = prepare(config("first.csv"), start=load_warm_start(str(first)))
    plain = prepare(config("first.csv"))
    assert np.array_equal(table_of_first.train.samples.X, plain.train.samples.X)


def test_a_warm_start_predicts_as_the_model_before_the_first_step_and_then_learns_the_new_rows(first, folder):
    write_csv(folder / "third.csv", ["a", "b", "city", "y"], rows(600, 2, shift=3.0))
    before = done("eval", first, "third.csv", "--json").document["scores"]["log_loss"]
    watch = Watch()
    result = train(config("third.csv", training={"epochs": 60}), watch, start=str(first))
    assert result.outcome.scores["train"]["log_loss"] < 0.7 * before
    assert watch.notes[0].startswith(f"continues from {first}, trained on 240 rows")
    new = load_model("run/weights.npz")
    assert new.record["from"] == load_warm_start(str(first)).sha256
    assert [layer.name for layer in new.ensemble.first.layers] == [
        layer.name for layer in load_model(str(first)).ensemble.first.layers
    ]


def test_new_levels_and_drifted_columns_are_noted_and_new_classes_refused(first, folder):
    names = ["a", "b", "city", "y"]
    write_csv(
        folder / "new.csv", [*names[:3], "extra", "y"], [(*r[:3], 7, r[3]) for r in rows(200, 3, ("Ulm", "Kiel"))]
    )
    watch = Watch()
    train(config("new.csv"), watch, start=str(first))
    text = "\n".join(watch.notes)
    assert "such levels have no input. To add inputs, train from scratch." in text
    assert "columns that the model does not have are left out: extra." in text
    assert "drifted from the training data: city" in text
    write_csv(folder / "odd.csv", names, [*rows(50, 4), (0.1, 0.2, "Kiel", "maybe")])
    ended = mlp("train", *written(folder, "odd.csv"), "--from", first)
    assert ended.code == 2
    assert "y is 'maybe', a class that did not occur in training" in ended.stderr
    write_csv(folder / "less.csv", ["a", "city", "y"], [(r[0], *r[2:]) for r in rows(50, 5)])
    ended = mlp("train", *written(folder, "less.csv"), "--from", first)
    assert ended.code == 2
    assert "column b is missing" in ended.stderr


ALL_YES = [row for row in rows(90, 6) if row[3] == "yes"]


@pytest.mark.parametrize(
    ("data", "sections"),
    [
        ({}, {}),
        ({"validation": {"group": "city", "fraction": 0.5}}, {}),
        ({"validation": None}, {"model": {"members": {"count": 2, "rows": "folds"}}}),
    ],
)
def test_new_rows_of_a_single_class_are_trained_on_with_a_note(folder, data, sections):
    names = ["a", "b", "city", "y"]
    write_csv(folder / "first.csv", names, rows(300, 0))
    train(config("first.csv", data=data, **sections), Watch())
    shutil.copy(folder / "run" / "weights.npz", folder / "first.npz")
    write_csv(folder / "quiet.csv", names, ALL_YES)
    watch = Watch()
    weighted = config("quiet.csv", data=data, training={"class_weights": "balanced"}, **sections)
    result = train(weighted, watch, start="first.npz")
    assert "1 class of the model has no training rows: no. Long training" in "\n".join(watch.notes)
    assert load_model("run/weights.npz").target.labels == ("no", "yes")
    scores = result.outcome.scores
    assert scores["validation"]["accuracy"] > 0.5
    assert 0.0 < scores["validation"]["log_loss"] < 0.7
    assert not result.far_worse, "a constant answer is right in every row, and says nothing"


def written(folder, table):
    (folder / "c.yaml").write_text(json.dumps({"data": {"train": table, "target": "y"}, "training": TRAINING}))
    return [folder / "c.yaml", "-o", "again"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.layers=[auto,5,auto]"], "was trained with [auto, 64, 64, auto], the config says [auto, 5, auto]"),
        (["preprocess.numeric=minmax"], "was trained with standardize, the config says minmax"),
        (["data.target=city"], "predicts y. Name the same target."),
        (["task=regression"], "is for classification."),
    ],
)
def test_a_config_of_another_model_is_an_error(first, folder, settings, message):
    words = [word for setting in settings for word in ("--set", setting)]
    ended = mlp("train", *written(folder, "second.csv"), *words, "--from", first)
    assert ended.code == 2
    assert message in ended.stderr
    assert not (folder / "again").exists()


def test_a_warm_start_is_resumed_bit_for_bit_and_only_with_the_same_model(first, folder):
    training_table = config("second.csv", training={"epochs": 8})
    train(training_table, Watch(), start=str(first))
    whole = (folder / "run" / "weights.npz").read_bytes()
    with pytest.raises(Interrupted):
        train(training_table, Watch(stop_after=3), start=str(first))
    ended = mlp("train", *written(folder, "second.csv"), "-o", "run", "--set", "training.epochs=8",
                "--set", "training.threads=1", "--resume")  # fmt: skip
    assert ended.code == 2
    assert "the model of --from differs from what run.partial/checkpoint.npz was trained on" in ended.stderr
    train(training_table, Watch(), resume=True, start=str(first))
    assert (folder / "run" / "weights.npz").read_bytes() == whole


def test_if_changed_compares_the_initial_model_and_repro_says_that_it_cannot_reproduce(first, folder):
    words = ["train", *written(folder, "second.csv"), "--from", first, "--if-changed"]
    done(*words)
    assert "is up to date" in done(*words).stdout
    first.write_bytes((folder / "again" / "weights.npz").read_bytes())
    assert "is up to date" not in done(*words).stdout
    ended = mlp("repro", folder / "again" / "weights.npz")
    assert ended.code == 2
    assert "was trained with --from another model" in ended.stderr


def test_another_target_is_an_error_before_missing_columns_are_reported(first, folder):
    write_csv(folder / "other.csv", ["a", "b", "city", "z"], rows(50, 2))
    ended = mlp("train", *written(folder, "other.csv"), "--set", "data.target=z", "--from", first)
    assert ended.code == 2
    assert "--set data.target=z: --from" in ended.stderr
    assert "predicts y. Name the same target." in ended.stderr


def test_doctor_reads_the_rows_as_the_training_did(first, folder):
    done("train", *written(folder, "second.csv"), "--from", first)
    examined = read_run("again", ())
    prepared = prepare(config("second.csv"), start=load_warm_start(str(first)))
    assert not isinstance(examined.rows, str)
    assert np.array_equal(examined.rows.train.samples.X, prepared.train.samples.X)
    assert np.array_equal(examined.rows.held_out.samples.X, prepared.splits[-1].samples.X)
    ended = mlp("doctor", "again", "--data", "first.csv")
    assert ended.code == 2
    assert "data differs from what again/weights.npz was trained on" in ended.stderr


def test_rows_of_both_trainings_are_recognized_as_trained_rows(first, folder):
    train(config("second.csv"), Watch(), start=str(first))
    for table in ("first.csv", "second.csv"):
        assert "were trained on" in done("eval", "run/weights.npz", table).stderr


def test_regression_keeps_the_scale_of_its_targets(folder):
    rng = np.random.default_rng(0)
    for name, shift in (("one.csv", 0.0), ("two.csv", 5.0)):
        x = rng.normal(size=200).round(3)
        write_csv(folder / name, ["x", "y"], np.column_stack([x, 30 * x + 100 + shift]).round(3).tolist())
    train(config("one.csv", training={"epochs": 60}), Watch())
    shutil.copy(folder / "run" / "weights.npz", folder / "one.npz")
    result = train(config("two.csv", training={"epochs": 60}), Watch(), start="one.npz")
    before, after = load_model("one.npz"), result.outcome.model
    assert np.array_equal(before.target_state["target_center"], after.target_state["target_center"])
    assert (
        result.outcome.scores["validation"]["rmse"]
        < done("eval", "one.npz", "two.csv", "--json").document["scores"]["rmse"]
    )


@pytest.mark.parametrize(
    ("table", "changes", "said"),
    [
        ("first.csv", {"data": {"validation": 0.2}}, "first.csv: 100% of the rows that judge this training"),
        ("first.csv", {"data": {"validation": None}, "intervals": {"rows": 0.2}}, "first.csv: 100% of the rows that"),
        ("second.csv", {"data": {"validation": "first.csv"}}, "data.validation: first.npz was trained on this file"),
        ("second.csv", {"data": {"test": "first.csv"}}, "data.test: first.npz was trained on this file"),
        ("second.csv", {"data": {"validation": 0.2}}, ""),
        ("first.csv", {"data": {"validation": None}}, ""),
    ],
)
def test_held_out_rows_that_the_model_was_trained_on_are_noted(first, folder, monkeypatch, table, changes, said):
    monkeypatch.chdir(folder)
    training = {"early_stopping": None} if changes["data"].get("validation", 0) is None else {}
    every = config("first.csv", data={"validation": None}, training={"early_stopping": None})
    train(every, Watch(), replaces_any=True)
    shutil.copy(folder / "run" / "weights.npz", folder / "first.npz")
    notes = prepare(config(table, training=training, **changes), start=load_warm_start("first.npz")).notes
    found = [note for note in notes if "so the scores are optimistic" in note]
    assert len(found) == bool(said)
    assert all(note.startswith(said) for note in found)
