"""`mlp cv`, through the command line: what folds are, what they score, and what is left of one that was cut off."""

import json
import os
import re
import signal
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlpcli.data.reading.read import read_table
from mlpcli.nn.ensemble import Ensemble
from mlpcli.storage.model.model_file import load_model
from tests.program import DATA, done, mlp, start, tree, write_config, write_csv

TRAINING = {"epochs": 4, "optimizer": {"name": "adam", "learning_rate": 0.02}}


def birds(folder, **sections):
    data = {"train": str(DATA / "penguins.csv"), "target": "species", "drop": ["year"]}
    return write_config(folder / "birds.yaml", data, TRAINING, **sections)


def read(folder):
    return pd.read_csv(folder / "out_of_fold.csv"), json.loads((folder / "cv.json").read_text())


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
    """A cross-validation of the penguins: its folder and how the program ended."""
    folder = tmp_path_factory.mktemp("birds")
    ended = done("cv", birds(folder), "--folds", 4, "--id", "island,year", "-o", folder / "cv")
    return folder / "cv", ended


def test_every_row_is_held_out_once_and_the_scores_are_those_of_the_answers_in_the_file(crossed):
    rows, document = read(crossed[0])
    birds = pd.read_csv(DATA / "penguins.csv", keep_default_na=False)
    assert rows["row"].tolist() == list(range(1, len(birds) + 1))
    assert rows[["island", "year", "species"]].astype(str).equals(birds[["island", "year", "species"]].astype(str))
    assert sorted(set(rows["fold"])) == [1, 2, 3, 4]
    is_right = rows["species"] == rows["predicted_species"]
    accuracy = is_right.groupby(rows["fold"]).mean().tolist()
    assert document["scores"]["accuracy"]["folds"] == pytest.approx(accuracy)
    assert document["scores"]["accuracy"]["mean"] == pytest.approx(np.mean(accuracy))
    own = pd.Series([-np.log(row[f"p_{row['species']}"]) for row in rows.to_dict("records")])
    log_loss = own.groupby(rows["fold"]).mean().tolist()
    assert document["scores"]["log_loss"]["folds"] == pytest.approx(log_loss, rel=1e-3)
    shares = pd.crosstab(rows["fold"], rows["species"])
    assert (shares.max() - shares.min() <= 1).all()  # stratified


def test_the_answer_has_a_row_per_metric_with_mean_deviation_and_what_the_interval_covers(crossed):
    ended = crossed[1]
    assert ended.lines[0].split() == ["fold", "1", "2", "3", "4", "mean", "±", "sd", "95%", "interval", "constant"]
    assert ended.lines[1].split()[0] == "accuracy"
    text = " ".join(ended.stdout.split())
    assert "mean score of models trained on 258 rows like these" in text
    assert "Nadeau & Bengio 2003" in text
    assert f"{crossed[0]}/out_of_fold.csv" in text
    assert "344 rows · 4 trainings" in ended.stderr


def test_the_json_is_what_the_folder_holds(folder):
    config = birds(folder)
    ended = done("cv", config, "--folds", 2, "--repeats", 2, "--json", "-o", "out")
    rows, document = read(folder / "out")
    assert {key: value for key, value in ended.document.items() if key != "gates"} == document
    assert [(one["repeat"], one["fold"]) for one in document["trainings"]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert rows.groupby("repeat").size().tolist() == [344, 344]
    first, second = (rows[rows["repeat"] == repeat]["fold"].tolist() for repeat in (1, 2))
    assert first != second
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "config.yaml", "cv.json", "out_of_fold.csv", "plan.json",
    ]  # fmt: skip


def test_gates_are_judged_on_the_mean_and_the_ends_of_its_interval(folder):
    config = birds(folder, expect={"min": {"accuracy": 0.3}})
    ended = mlp("cv", config, "--folds", 3, "--min", "accuracy.low=0.99999", "-o", "out", "--json")
    assert ended.code == 1
    gates = {gate["metric"]: gate for gate in ended.document["gates"]}
    assert gates["accuracy"]["passed"]
    assert not gates["accuracy.low"]["passed"]
    assert ended.document["missed_gates"] == ["accuracy.low >= 0.99999"]
    assert gates["accuracy.low"]["score"] == ended.document["scores"]["accuracy"]["low"]
    assert "1 of 2 gates missed" in ended.stderr
    assert mlp("cv", config, "--min", "acuracy=1").stderr.startswith("gate acuracy >= 1: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--folds", 1), "--folds 1: must be from 2 to 1000."),
        (("--repeats", 0), "--repeats 0: must be from 1 to 1000."),
        (("--folds", 300), "penguins.csv: 300 folds need at least 600 rows, not 344."),
        (("--confidence", 1), "--confidence 1: must be between 0 and 1"),
        (("--id", "nmae"), "--id nmae: no such column."),
        (("--group", "iland"), "--group iland: no column 'iland'"),
        (("--time", "island"), "--time island: column island of "),
        (("--gap", 3), "--gap 3: requires --time, or data.validation: {time: COLUMN}."),
        (
            ("--time", "year", "--repeats", 2),
            "--repeats 2: folds by time are not random, so that all repeats are equal.",
        ),
        (("--hash", "island", "--group", "sex"), "--hash and --group cannot be combined."),
        (("--jobs", "many"), "--jobs many: must be an integer of 1 or more."),
        (
            ("--set", "data.validation=val.csv", "--group", "island"),
            "names the validation rows: --group needs a fraction or null.",
        ),
        (("--set", "data.validation=null", "--set", "postprocess.calibration=temperature"), "postprocess.calibration"),
    ],
)
def test_what_makes_no_folds_is_refused_before_anything_is_written(folder, options, message):
    config = birds(folder)
    before = tree(folder)
    ended = mlp("cv", config, *options)
    assert ended.code == 2
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) <= 4
    assert tree(folder) == before


def test_a_class_that_a_fold_cannot_learn_is_named_with_the_fold(folder):
    rows = [("n", i % 7, "ab"[i % 2]) for i in range(40)] + [("m", 3, "rare")]
    write_csv(folder / "t.csv", ["g", "x", "y"], rows)
    config = write_config(folder / "c.yaml", {"train": "t.csv", "target": "y", "validation": None}, TRAINING)
    ended = mlp("cv", config, "--folds", 4)
    assert ended.code == 2
    assert "t.csv:42: y is 'rare', a class that did not occur in training" in ended.stderr
    assert ended.stderr.lstrip().splitlines()[-2].startswith(("fold ", "note", "t.csv")) or "fold " in ended.stderr


def grown(folder, n_groups=30, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (f"g{group}", group + round(float(rng.uniform(0, 4)), 2), round(float(rng.normal()), 3))
        for group in range(n_groups) for _ in range(4)
    ]  # fmt: skip
    order = rng.permutation(len(rows))
    write_csv(folder / "t.csv", ["g", "t", "x", "y"], [(*rows[i], rows[i][2] * 2 + rows[i][1]) for i in order])
    data = {"train": "t.csv", "target": "y"}
    return write_config(folder / "c.yaml", data, TRAINING, output="run")


def test_folds_by_group_hold_whole_groups_out(folder):
    config = grown(folder)
    done("cv", config, "--group", "g", "--id", "g")
    rows, document = read(folder / "run-cv")
    assert (rows.groupby("g")["fold"].nunique() == 1).all()
    assert rows.groupby("fold").size().tolist() == [24] * 5
    assert document["task"] == "regression"
    errors = (rows["y"] - rows["predicted_y"]) ** 2
    assert document["scores"]["rmse"]["folds"] == pytest.approx(np.sqrt(errors.groupby(rows["fold"]).mean()).tolist())


@pytest.mark.parametrize("way", [["--time", "t"], ["--time", "t", "--gap", 1], ["--time", "t", "--group", "g"]])
def test_folds_by_time_are_trained_on_earlier_rows_alone(folder, way):
    config = grown(folder)
    done("cv", config, *way, "--folds", 4, "--id", "g,t")
    rows, document = read(folder / "run-cv")
    assert document["trained_ahead_of_test"] is True
    spans = [rows[rows["fold"] == fold] for fold in range(1, 5)]
    everything = pd.read_csv(folder / "t.csv")
    for span, training in zip(spans, document["trainings"], strict=True):
        begins = span["t"].min()
        firsts = everything.groupby("g")["t"].transform("min")
        earlier = everything["t"] <= begins - (1 if "--gap" in way else 1e-9)
        if "--group" in way:
            earlier &= firsts < begins
        assert training["n_train"] + training["n_validation"] <= earlier.sum()
        assert training["n_train"] + training["n_validation"] >= 0.5 * earlier.sum()
    if "--group" not in way:
        assert all(a["t"].max() < b["t"].min() for a, b in pairwise(spans))
    else:
        assert (rows.groupby("g")["fold"].nunique() == 1).all()


def test_rows_that_are_scored_do_not_touch_what_is_fitted(folder):
    """Preprocessing, targets and training alike: wild cells in one row change no answer to others of its fold."""
    rng = np.random.default_rng(1)
    rows = [[round(float(v), 3) for v in rng.normal(size=3)] for _ in range(90)]
    data = {"train": "t.csv", "target": "y"}
    config = write_config(
        folder / "c.yaml", data, TRAINING, output="run",
        preprocess={"encoding": {"name": "piecewise_linear", "edges": "target"}, "target": "quantile"},
    )  # fmt: skip
    found = []
    for wild in (False, True):
        table = [[*row, round(row[0] - row[1], 3)] for row in rows]
        if wild:
            table[10] = [77.5, -60.0, 99.0, 40.0]
        write_csv(folder / "t.csv", ["a", "b", "c", "y"], table)
        done("cv", config, "--folds", 3, "--force")
        found.append(read(folder / "run-cv")[0])
    plain, odd = found
    assert plain["fold"].equals(odd["fold"])
    is_same = (plain["predicted_y"] == odd["predicted_y"]).groupby(plain["fold"]).sum()
    own = plain["fold"][10]
    assert is_same[own] == (plain["fold"] == own).sum() - 1
    assert all(n < 30 for fold, n in is_same.items() if fold != own)


def test_noise_scores_as_noise(folder):
    scores = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        rows = [[*rng.normal(size=8).round(3).tolist(), y] for y in rng.permutation(["yes", "no"] * 60).tolist()]
        write_csv(folder / "t.csv", [*(f"x{i}" for i in range(8)), "y"], rows)
        config = write_config(
            folder / "c.yaml", {"train": "t.csv", "target": "y"}, TRAINING,
            preprocess={"encoding": {"name": "piecewise_linear", "edges": "target"}},
        )  # fmt: skip
        ended = done("cv", config, "--folds", 3, "--json", "-o", f"cv{seed}")
        scores.append(ended.document["scores"]["roc_auc"]["mean"])
    assert np.mean(scores) < 0.5 + 2.5 * np.std(scores, ddof=1) / np.sqrt(len(scores))


def test_a_fold_that_fails_in_a_process_is_named_as_in_this_one(folder):
    config = slow(folder)
    rate = ("--set", "training.optimizer.learning_rate=1e30")
    for jobs in (1, 2):
        ended = mlp("cv", config, "--folds", 2, "--jobs", jobs, *rate)
        assert ended.code == 3
        assert re.match("fold [12]: training diverged at epoch 1", ended.stderr.splitlines()[-1])


def slow(folder):
    rng = np.random.default_rng(0)
    write_csv(
        folder / "t.csv", ["a", "b", "y"], np.column_stack([rng.normal(size=(400, 2)), rng.normal(size=400)]).tolist()
    )
    return write_config(
        folder / "c.yaml", {"train": "t.csv", "target": "y"}, {"epochs": 150, "batch_size": 8}, output="run"
    )


def wait_for(folder: Path, pattern: str, process) -> Path:
    """The first file of the folder that matches."""
    for _ in range(1200):
        if found := sorted(folder.glob(pattern)):
            return found[0]
        assert process.poll() is None, process.communicate()
        time.sleep(0.025)
    raise AssertionError(f"{pattern} did not come")


@pytest.mark.parametrize(("jobs", "number"), [(1, signal.SIGKILL), (2, signal.SIGINT)])
def test_what_is_cut_off_goes_on_to_the_same_bytes_in_this_process_and_in_others(folder, jobs, number):
    config = slow(folder)
    words = ("cv", config, "--folds", 6, "--jobs", jobs)
    process = start(*words, cwd=folder)
    first = wait_for(folder / "run-cv.partial", "fold_?.npz", process)
    os.kill(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert b"interrupted after " in stderr
        assert b"Resume with: mlp cv " in stderr
    assert not (folder / "run-cv").exists()
    kept = first.stat().st_mtime_ns
    changed = mlp(*words, "--resume", "--set", "training.epochs=151")
    assert changed.code == 2
    assert "training.epochs was 150, and is 151. Undo the change, or omit --resume." in changed.stderr
    assert first.stat().st_mtime_ns == kept
    torn = "fold_2.npz" if first.name == "fold_3.npz" else "fold_3.npz"
    (folder / "run-cv.partial" / torn).write_bytes(b"PK\3\4 torn")  # is trained again
    resumed = done(*words, "--resume")
    assert re.search("6 trainings, [1-6] of them done already|^$", resumed.stderr)
    done("cv", config, "--folds", 6, "-o", "whole")
    for name in ("out_of_fold.csv", "plan.json"):
        assert (folder / "run-cv" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    assert not list(folder.glob("*.partial"))


def test_a_folder_of_something_else_is_not_taken_and_one_of_another_config_is_kept(folder):
    config = birds(folder)
    done("train", config, "-o", "run", "-q")
    ended = mlp("cv", config, "-o", "run")
    assert ended.code == 2
    assert "run: is a folder with other files, not a cross-validation of mlp (no cv.json)." in ended.stderr
    done("cv", config, "--folds", 2, "-o", "cv", "-q")
    ended = done("cv", config, "--folds", 2, "-o", "cv", "--set", "training.epochs=2")
    assert "is now cv.1" in ended.stderr
    assert (folder / "cv.1" / "cv.json").exists()


def test_two_cross_validations_are_compared_over_the_same_folds(folder):
    config = birds(folder)
    done("cv", config, "--folds", 4, "-o", "good", "-q")
    done("cv", config, "--folds", 4, "-o", "poor", "-q", "--set", "training.optimizer.learning_rate=0.0001")
    done("cv", config, "--folds", 4, "-o", "other", "-q", "--seed", 1)
    document = done("compare", "poor", "good", "--json").document
    scores = [json.loads((folder / name / "cv.json").read_text())["scores"]["log_loss"] for name in ("poor", "good")]
    found = document["metrics"]["log_loss"]
    assert (found["old"], found["new"]) == pytest.approx((scores[0]["mean"], scores[1]["mean"]))
    values = np.subtract(scores[1]["folds"], scores[0]["folds"])
    reach = 3.182446305284263 * values.std(ddof=1) * np.sqrt(1 / 4 + 1 / 3)
    assert found["high"] - found["low"] == pytest.approx(2 * reach, rel=0.02)
    assert found["verdict"] == "better"
    ended = mlp("compare", "good", "poor")
    assert ended.code == 1
    assert "344 rows · scores of 4 folds" in ended.stdout
    assert "poor is worse than good: log_loss" in ended.stderr
    assert done("compare", "good", "poor", "--margin", 10).code == 0
    ended = mlp("compare", "good", "other")
    assert ended.code == 2
    assert "were made with different folds" in ended.stderr
    ended = mlp("compare", "good", "nothing")
    assert ended.code == 2
    assert "nothing: TEST is missing. Only folders of mlp cv" in ended.stderr
    assert mlp("compare", "good", "poor", "--metric", "acc").code == 2
    (folder / "poor" / "cv.json").write_text("{}")
    ended = mlp("compare", "good", "poor")
    assert (ended.code, "damaged" in ended.stderr) == (2, True)


def test_kept_folds_are_one_model_that_answers_with_their_mean_and_is_no_run(folder):
    config = birds(folder, postprocess={"calibration": "temperature"})
    done("cv", config, "--folds", 3, "--keep", "-o", "kept/cv", "-q")
    model = load_model("kept/cv/weights.npz")
    document = json.loads((folder / "kept/cv/cv.json").read_text())
    assert len(model.ensemble.networks) == 3
    assert model.scores["test.log_loss"] == document["scores"]["log_loss"]["mean"]
    assert document["weights"] == "kept/cv/weights.npz"
    rows = read(folder / "kept/cv")[0]
    answered = done("predict", "kept/cv/weights.npz", DATA / "penguins.csv", "--proba", "--on-drift", "ignore").rows
    mean = np.array([float(row["p_Adelie"]) for row in answered])
    alone = [
        answers_of(replace(model, ensemble=Ensemble((network,), (flat,))))
        for network, flat in zip(model.ensemble.networks, model.ensemble.flats, strict=True)
    ]
    assert mean == pytest.approx(np.mean(alone, axis=0)[:, 0], abs=1e-5)
    for fold in range(3):  # each row was answered out of fold by a model much like the member that has not seen it
        is_own = (rows["fold"] == fold + 1).to_numpy()
        assert np.abs(rows["p_Adelie"].to_numpy()[is_own] - alone[fold][is_own, 0]).mean() < 0.02
    assert "no runs in kept" in mlp("runs", "kept").stdout
    for verb in (["repro"], ["doctor"], ["predict", DATA / "penguins.csv", "--set", 0.9]):
        ended = mlp(verb[0], "kept/cv/weights.npz", *verb[1:])
        assert (ended.code, "combines the folds of a cross-validation" in ended.stderr) == (2, True)


@pytest.mark.parametrize("jobs", [1, 2])
def test_folds_that_are_kept_score_as_those_that_are_not(folder, jobs):
    """Wild cells in every row of a fold change what all rows teach, and nothing of the scores that are shown."""
    rng = np.random.default_rng(2)
    rows = [[*rng.normal(size=3).round(3), y, fold] for fold in range(3) for y in rng.permutation([0.0, 1.0] * 15)]
    for row in rows[60:]:
        row[0], row[3] = row[0] * 1000 + 500, row[3] + 50
    write_csv(folder / "t.csv", ["a", "b", "c", "y", "fold"], rows)
    config = write_config(folder / "c.yaml", {"train": "t.csv", "target": "y"}, TRAINING)
    found = []
    for more in ([], ["--keep"]):
        done("cv", config, "--group", "fold", "--folds", 3, "--jobs", jobs, "-q", "-o", f"cv{len(found)}", *more)
        document = json.loads((folder / f"cv{len(found)}/cv.json").read_text())
        found.append(((folder / f"cv{len(found)}/out_of_fold.csv").read_bytes(), document["scores"]))
    assert found[0] == found[1]
    assert (folder / "cv1/weights.npz").exists()


def answers_of(model):
    table = model.cast(read_table(str(DATA / "penguins.csv")))
    return model.predict(table)[0]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"preprocess": {"encoding": {"name": "piecewise_linear", "edges": "target"}}},
            "these bins depend on the targets",
        ),
        ({"postprocess": {"calibration": "temperature"}, "model": {"members": 2}}, "a temperature for single networks"),
    ],
)
def test_folds_that_cannot_be_one_model_are_refused_before_they_are_trained(folder, sections, message):
    ended = mlp("cv", birds(folder, **sections), "--keep")
    assert ended.code == 2
    assert message in ended.stderr


def test_a_search_and_a_test_file_in_the_config_are_left_alone_and_a_note_says_so(folder):
    space = {"trials": 2, "space": {"training.optimizer.learning_rate": {"log": [0.001, 0.1]}}}
    data = {"train": str(DATA / "penguins.csv"), "target": "species", "test": str(DATA / "penguins.csv")}
    config = write_config(folder / "birds.yaml", data, TRAINING, search=space)
    ended = done("cv", config, "--folds", 2)
    assert "data.test is not used: each fold is scored on its own rows." in ended.stderr
    assert "mlp search" in ended.stderr
    plan = json.loads((folder / "runs" / "birds-cv" / "plan.json").read_text())
    assert plan["config"]["search"] is None


def test_an_address_that_is_none_touches_no_unfinished_cross_validation(folder):
    config = birds(folder)
    unfinished = folder / "runs" / "birds-cv.partial"
    unfinished.mkdir(parents=True)
    (unfinished / "plan.json").write_text("{}")
    ended = mlp("cv", config, "--cluster", "local:2x")
    assert (ended.code, ended.stdout) == (2, "")
    assert "must be tcp://HOST:PORT" in ended.stderr
    assert (unfinished / "plan.json").read_text() == "{}"
