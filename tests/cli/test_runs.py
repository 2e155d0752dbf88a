"""`mlp runs` and `mlp help`."""

import json
import os
import shutil
import socket

import pytest
from typer.main import get_command

from mlpcli.cli.main import app
from mlpcli.messages import display_width
from tests.program import DATA, done, mlp, tree, write_config

IRIS = {"train": str(DATA / "iris.csv"), "target": "species"}
DIABETES = {"train": str(DATA / "diabetes.csv"), "target": "progression"}


@pytest.fixture
def config(folder):
    return write_config(folder / "iris.yaml", IRIS)


def found(*arguments):
    return {one["name"]: one for one in done("runs", *arguments, "--json").document["runs"]}


def test_each_run_has_its_state_scores_time_and_differences(folder, config):
    done("train", config)
    options = ["--set", "training.epochs=20", "--set", "training.optimizer=adam", "--set", "training.seed=3"]
    done("train", config, "-o", "runs/more", *options)
    better, worse = done("runs", "--json").document["runs"]
    assert (better["name"], worse["name"]) == ("more", "iris")
    assert better["scores"]["log_loss"] < worse["scores"]["log_loss"]
    metrics = json.loads((folder / "runs" / "more" / "metrics.json").read_text())
    assert better["scores"] == {name: metrics[f"validation.{name}"] for name in better["scores"]}
    assert (better["state"], better["epochs"], better["seconds"]) == ("complete", 20, metrics["seconds"])
    assert better["differs"] == {}
    assert worse["differs"] == {"training.epochs": 2, "training.optimizer": "sgd", "training.seed": 0}
    text = done("runs").stdout
    assert "training.epochs 2, training.seed 0, training.optimizer sgd" in text
    assert "*" not in text


@pytest.mark.parametrize("metric", ["log_loss", "f1_macro"])
def test_a_run_of_calibrated_members_is_complete_and_of_one_that_was_killed_the_best_is_shown(folder, config, metric):
    """Their epochs are judged by a score of its own, such as `expected_calibrated_log_loss`."""
    members = ["--set", "data.validation=null", "--set", "model.members={count: 4, rows: folds, folds: 2}"]
    judged = ["--set", f"training.early_stopping.metric={metric}", "--set", "postprocess.calibration=temperature"]
    done("train", config, *members, *judged)
    whole = found()["iris"]
    assert (whole["state"], whole["epochs"]) == ("complete", 2)
    run = folder / "runs" / "killed.partial"
    shutil.copytree(folder / "runs" / "iris", run)
    for name in ("weights.npz", "metrics.json"):
        (run / name).unlink()
    header, _, *epochs = (run / "history.csv").read_text().splitlines()
    columns = [name for name in header.split(",") if name.startswith("validation_") and name.endswith(metric)]
    assert any("expected" in name for name in columns)
    values = [float(line.split(",")[header.split(",").index(columns[0])]) for line in epochs]
    killed = found()["killed"]
    assert killed["state"] == "interrupted"
    assert killed["scores"][metric] == (min(values) if metric == "log_loss" else max(values))


def test_runs_on_other_data_stand_in_tables_of_their_own(folder, config):
    done("train", config)
    done("train", write_config(folder / "d.yaml", DIABETES), "-o", "runs/deep/er/d")
    documents = found()
    assert documents["iris"]["differs"] == documents["deep/er/d"]["differs"] == {}
    assert set(documents["deep/er/d"]["scores"]) == {"rmse", "mae", "r2"}
    text = done("runs").stdout
    rows = "1 run · scores of the validation rows (chosen on these rows)"
    assert f"{IRIS['train']} -> species: {rows} · sorted by log_loss" in text
    assert f"{DIABETES['train']} -> progression: {rows} · sorted by rmse" in text


def test_scores_are_of_the_test_rows_where_every_run_has_them(folder, config):
    done("train", config, "--set", f"data.test={IRIS['train']}")
    assert found()["iris"]["scored_on"] == "test"
    done("train", config, "-o", "runs/other")
    assert {one["scored_on"] for one in found().values()} == {"validation"}


def test_a_run_that_diverged_has_failed(folder):
    # Plain descent on a quadratic bowl, with a step that leaves it a little higher each time.
    training = {"epochs": 200, "batch_size": 1000, "optimizer": {"name": "sgd", "learning_rate": 3}}
    config = write_config(folder / "d.yaml", DIABETES, training, model={"layers": ["auto", "auto"]})
    assert mlp("train", config).code == 3
    run = found()["d"]
    assert run["state"] == "failed"
    assert run["is_best_so_far"]
    assert run["stop_reason"].startswith("diverged at epoch ")
    assert run["scores"]["rmse"] > 0
    assert "failed" in done("runs").stdout


@pytest.fixture
def killed(folder, config):
    """A run as a kill leaves it: no weights, no metrics, a checkpoint."""
    done("train", config, "--set", "training.epochs=5", "--set", "training.early_stopping.metric=accuracy")
    run = folder / "runs" / "killed.partial"
    shutil.copytree(folder / "runs" / "iris", run)
    for name in ("weights.npz", "metrics.json"):
        (run / name).unlink()
    return run


def test_of_a_run_that_was_killed_the_best_so_far_is_shown(folder, killed):
    run = found()["killed"]
    assert (run["state"], run["epochs"], run["is_best_so_far"]) == ("interrupted", 5, True)
    rows = [line.split(",") for line in (killed / "history.csv").read_text().splitlines()]
    column = rows[0].index("validation_accuracy")
    assert run["scores"]["accuracy"] == max(float(row[column]) for row in rows[2:])
    assert run["seconds"] > 0
    assert f"{run['scores']['accuracy']:.3f}*" in done("runs").stdout


@pytest.mark.parametrize(
    ("owner", "state"),
    [
        (f"{os.getpid()}\n{socket.gethostname()}\n", "running"),
        (f"1\nnot-{socket.gethostname()}\n", "running"),
        ("", "running"),
        (f"{2**22 + 1}\n{socket.gethostname()}\n", "interrupted"),
        (f"x\n{socket.gethostname()}\n", "interrupted"),
    ],
    ids=["this process", "another machine", "nobody named", "no such process", "no number"],
)
def test_a_run_whose_lock_is_held_by_a_live_process_is_running(folder, killed, owner, state):
    (folder / "runs" / "killed.lock").write_text(owner)
    before = tree(folder)
    assert found()["killed"]["state"] == state
    assert tree(folder) == before


def test_an_unfinished_run_beside_a_complete_one_keeps_its_ending(folder, killed):
    killed.rename(folder / "runs" / "iris.partial")
    assert {name: one["state"] for name, one in found().items()} == {"iris": "complete", "iris.partial": "interrupted"}


def test_a_run_that_a_crash_left_between_two_names_is_brought_to_its_place(folder, config):
    done("train", config)
    (folder / "runs" / "iris").rename(folder / "runs" / "iris.complete")
    assert found()["iris"]["state"] == "complete"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", "{"),
        ("metrics.json", "[]"),
        ("metrics.json", "[" * 100_000),
        ("metrics.json", '{"seconds": "long"}'),
        ("metrics.json", '{"seconds": 1e999}'),
        ("metrics.json", '{"validation.accuracy": 1%s}' % ("0" * 400)),
        ("config.yaml", "{"),
        ("config.yaml", ""),
        ("history.csv", "a\n1\n"),
        ("history.csv", "epoch,seconds\n1,1e999\n"),
        ("history.csv", "epoch,validation_joy,seconds\n0,,\n1,2,3\n"),
    ],
)
def test_a_run_with_a_damaged_file_is_named_and_hides_no_other(folder, config, name, content):
    done("train", config)
    shutil.copytree("runs/iris", "runs/other")
    (folder / "runs" / "iris" / name).write_text(content)
    ended = done("runs")
    assert "damaged" in ended.stdout
    assert ended.stderr.startswith("note  runs/iris: ")
    assert {key: one["state"] for key, one in found().items()} == {"iris": "damaged", "other": "complete"}


@pytest.mark.parametrize("name", ["metrics.json", "config.yaml", "history.csv"])
def test_a_named_pipe_in_place_of_a_file_is_not_waited_for(folder, config, name):
    done("train", config)
    (folder / "runs" / "iris" / name).unlink()
    os.mkfifo(folder / "runs" / "iris" / name)
    assert done("runs").stderr == f"note  runs/iris: {name} is no file\n"


def test_a_folder_without_runs_is_no_error_and_no_folder_is_one(folder):
    (folder / "empty").mkdir()
    assert done("runs", "empty").stdout == "no runs in empty. mlp train CONFIG makes one.\n"
    assert done("runs", "empty", "--json").document == {"folder": "empty", "runs": []}
    ended = mlp("runs")
    assert (ended.code, ended.stdout) == (2, "")
    assert (
        ended.stderr == "runs: no such folder. Name the folder of your runs: mlp runs FOLDER (mlp train makes runs/)\n"
    )
    (folder / "file").write_text("")
    assert "file: is a file." in mlp("runs", "file").stderr


def test_the_folder_of_one_run_shows_that_run(folder, config):
    done("train", config)
    assert list(found("runs/iris")) == ["iris"]


@pytest.mark.parametrize("width", ["60", "80", "120"])
def test_no_line_is_wider_than_the_terminal(folder, config, width, monkeypatch):
    name = "a-rather-long-name-for-a-run-of-this-kind"
    done("train", config, "-o", f"runs/{name}", "--set", "model.layers=[auto, 8, 8, 8, auto]")
    done("train", config, "--set", "preprocess.numeric={name: robust, clip: 3}", "--set", "training.seed=123456789")
    monkeypatch.setenv("COLUMNS", width)
    lines = done("runs").lines
    assert max(map(display_width, lines)) <= int(width)
    assert any("complete" in line for line in lines)


@pytest.mark.parametrize("verb", sorted(get_command(app).commands))
def test_help_of_a_verb_is_what_its_option_shows(verb):
    assert done("help", verb).stdout == done(verb, "--help").stdout


def test_help_alone_is_that_of_the_program_and_a_wrong_verb_is_named():
    assert done("help").stdout == done("--help").stdout
    ended = mlp("help", "trian")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == "No such command 'trian'. Did you mean: mlp help train\n"
