"""`mlp train`: a run folder, or a reason why there is none."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from mlpcli.config.loading import load_config
from mlpcli.workflows.preparing.resolution import TASK_LOSSES
from mlpcli.workflows.scoring.main_metrics import MAIN_METRICS
from tests.program import DATA, done, mlp, start, train, tree, write_config, write_csv

IRIS = {"train": str(DATA / "iris.csv"), "target": "species"}
DIABETES = {"train": str(DATA / "diabetes.csv"), "target": "progression"}
RUN_FILES = ["checkpoint.npz", "config.yaml", "history.csv", "metrics.json", "weights.npz"]


@pytest.fixture
def config(folder):
    return write_config(folder / "iris.yaml", IRIS)


def scores(run):
    return json.loads((run / "metrics.json").read_text())


def test_a_run_folder_holds_five_files_and_nothing_is_left_beside_it(folder, config):
    done("train", config)
    assert sorted(path.name for path in (folder / "runs" / "iris").iterdir()) == RUN_FILES
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["iris"]


def test_the_config_in_the_run_is_resolved_and_trains_the_same_bytes(folder, config):
    done("train", config, "--set", "training.batch_size=7", "--seed", 5)
    run = folder / "runs" / "iris"
    resolved = load_config(str(run / "config.yaml")).config
    assert resolved == load_config(str(config), ["training.batch_size=7", "training.seed=5"]).config
    assert yaml.safe_load((run / "config.yaml").read_text())["training"]["batch_size"] == 7
    before = (run / "weights.npz").read_bytes()
    (run / "config.yaml").rename("iris.yaml")
    done("train", "iris.yaml")
    assert (run / "weights.npz").read_bytes() == before


def test_the_history_has_a_row_per_epoch(folder, config):
    done("train", config, "--set", "training.epochs=5")
    with (folder / "runs" / "iris" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    metrics = [f"{part}_{name}" for name in MAIN_METRICS["classification"] for part in ("train", "validation")]
    columns = ["epoch", "train_loss", "validation_loss", *metrics, "learning_rate", "seconds"]
    assert list(rows[0]) == columns
    assert all(row[name] for row in rows for name in metrics)
    assert float(rows[-1]["train_accuracy"]) > float(rows[0]["train_accuracy"])
    assert float(rows[-1]["train_loss"]) < float(rows[1]["train_loss"])
    assert all(float(row["seconds"]) >= 0 for row in rows[1:])


def test_without_a_temperature_the_last_row_of_the_history_is_what_the_table_and_the_metrics_say(folder, config):
    # The last epoch is kept, and a sample of so few training rows is all of them.
    metrics = done("train", config, "--set", "training.early_stopping=null", "--json").document["metrics"]
    with (folder / "runs" / "iris" / "history.csv").open() as file:
        *_, last = csv.DictReader(file)
    for part in ("train", "validation"):
        for name in MAIN_METRICS["classification"]:
            assert float(last[f"{part}_{name}"]) == pytest.approx(metrics[f"{part}.{name}"], rel=1e-6)


def test_a_score_at_a_temperature_of_its_own_stands_in_a_column_that_says_so(folder, config):
    done("train", config, "--set", "postprocess.calibration=temperature", "--set", "training.epochs=30")
    with (folder / "runs" / "iris" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["validation_calibrated_log_loss"]) < 0.99 * float(rows[-1]["validation_log_loss"])
    for row in rows[1:]:
        assert float(row["validation_calibrated_log_loss"]) <= float(row["validation_log_loss"])
        assert float(row["validation_log_loss"]) == pytest.approx(float(row["validation_loss"]), rel=1e-5)


def test_epoch_0_of_the_history_is_of_the_fresh_weights(folder, config):
    lazy = ["--set", "training.epochs=2", "--set", "training.optimizer.learning_rate=1e-30"]
    done("train", config, *lazy)
    with (folder / "runs" / "iris" / "history.csv").open() as file:
        fresh, after, _ = csv.DictReader(file)
    assert {name for name, cell in fresh.items() if not cell} == {"train_loss", "learning_rate", "seconds"}
    for name in set(fresh) - {"epoch", "train_loss", "learning_rate", "seconds"}:
        assert float(fresh[name]) == pytest.approx(float(after[name]))
    done("train", config, *lazy, "--set", "data.validation=null")
    with (folder / "runs" / "iris" / "history.csv").open() as file:
        fresh = next(csv.DictReader(file))
    metrics = [f"train_{name}" for name in MAIN_METRICS["classification"]]
    assert [name for name, cell in fresh.items() if cell] == ["epoch", *metrics]


def test_metrics_are_flat_and_have_every_part(folder):
    test = write_csv(folder / "test.csv", ["species", "sepal_length", "petal_width", "sepal_width", "petal_length"],
                     [("virginica", 6.0, 2.0, 3.0, 5.0), ("setosa", 5.0, 0.2, 3.4, 1.4)])  # fmt: skip
    train(folder, {**IRIS, "test": str(test)})
    metrics = scores(folder / "run")
    assert {key.partition(".")[0] for key in metrics if "." in key} == {"train", "validation", "test", "constant"}
    assert metrics.pop("missed_gates") == []
    assert metrics.pop("chosen_on_validation") == ["epoch"]
    assert all(value is None or isinstance(value, str | int | float) for value in metrics.values())
    assert metrics["epochs"] == 2
    ended = done("eval", folder / "run" / "weights.npz", test, "--json")
    assert ended.document["scores"]["accuracy"] == metrics["test.accuracy"]


def test_the_conversation_is_on_standard_error_and_the_answer_on_standard_output(folder, config):
    ended = done("train", config)
    said = ended.stderr.splitlines()
    assert said[0] == "data      150 rows: 120 train, 30 validation · 4 columns -> 4 inputs · 3 classes"
    assert said[1].startswith("network   4 -> 64 -> 64 -> 3 · relu, softmax · ")
    assert said[2].startswith("training  sgd 0.05 · batch 32 · cross_entropy")
    assert [line.split()[1] for line in said if line.startswith("epoch")] == ["1/2", "2/2"]
    assert said[-2:] == [
        "Next: mlp eval runs/iris/weights.npz NEW.csv",
        "  or: mlp predict runs/iris/weights.npz NEW.csv",
    ]
    words = [line.split() for line in ended.lines if line]
    assert words[0] == ["train", "validation*", "constant"]
    assert words[1][0] == "accuracy"
    assert len(words[1]) == 4
    assert ended.lines[-1] == "runs/iris/weights.npz · metrics.json · history.csv"
    assert "\x1b" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("loss", "shown"),
    [
        ("cross_entropy", r"validation: log_loss [\d.]+$"),
        ("{name: cross_entropy, label_smoothing: 0.1}", r"validation: loss [\d.]+, log_loss [\d.]+$"),
        ("squared_error", r"validation: loss [\d.]+, log_loss [\d.]+$"),
    ],
)
def test_the_validation_loss_is_not_said_twice(config, loss, shown):
    judged = ["--set", "training.early_stopping={metric: log_loss}", "--set", f"training.loss={loss}"]
    lines = [line for line in done("train", config, *judged).stderr.splitlines() if line.startswith("epoch")]
    assert lines
    assert all(re.search(shown, line) for line in lines)


def test_many_epochs_are_a_few_plain_lines(config):
    ended = done("train", config, "--set", "training.epochs=200")
    assert len([line for line in ended.stderr.splitlines() if line.startswith("epoch")]) <= 12


def test_quiet_leaves_the_answer_alone(config):
    ended = done("train", config, "--quiet")
    assert ended.stderr == ""
    assert "accuracy" in ended.stdout


def test_json_is_one_document_on_standard_output(folder, config):
    ended = done("train", config, "--json")
    assert ended.document["output"] == "runs/iris"
    assert ended.document["weights"] == "runs/iris/weights.npz"
    assert ended.document["layers"] == [4, 64, 64, 3]
    assert ended.document["passed"] is True
    assert ended.document["metrics"] == scores(folder / "runs" / "iris")
    assert "epoch" in ended.stderr


def test_on_a_terminal_there_is_one_live_line_that_disappears(config):
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "mlpcli", "train", str(config), "--set", "training.epochs=100"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # what Linux says when the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    assert process.communicate()[0].count(b"accuracy") == 2
    assert process.returncode == 0
    assert b"100/100" in shown
    assert re.search(rb"\r\x1b\[2Kepoch  100/100", shown)  # the line is written over itself ...
    assert re.search(rb"epoch  100/100[^\r\n]*\r?\n?\r?\x1b\[\?25h", shown)  # ... and taken away at the end
    assert b"\x1b[3" not in shown  # no colour


def test_a_gate_of_the_config_decides_the_exit_code_and_the_run_is_kept(folder, config):
    good = write_config(folder / "good.yaml", IRIS, expect={"min": {"accuracy": 0.1}, "max": {"log_loss": 9}})
    ended = mlp("train", good)
    assert ended.code == 0
    assert [line.split()[-1] for line in ended.lines if line.startswith("gate")] == ["pass", "pass"]
    bad = write_config(folder / "bad.yaml", IRIS, expect={"max": {"log_loss": 0.0}})
    ended = mlp("train", bad, "--json")
    assert ended.code == 1
    assert ended.document["passed"] is False
    assert "1 of 1 gate missed: log_loss <= 0" in ended.stderr
    assert (folder / "runs" / "bad" / "weights.npz").exists()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(folder, config):
    weights = folder / "runs" / "iris" / "weights.npz"
    found = []
    for seed in (1, 1, 2):
        done("train", config, "--seed", seed, "--quiet", "--set", "model.dropout=0.2")
        found.append((weights.read_bytes(), np.load(weights)["W1"]))
    assert found[0][0] == found[1][0]
    assert not np.array_equal(found[1][1], found[2][1])


def test_a_second_training_into_one_folder_is_refused_while_the_first_goes_on(folder, config):
    with start("train", config, "--set", "training.epochs=1000000", "-q", cwd=folder) as process:
        wait_for(folder / "runs" / "iris.partial" / "history.csv", process)
        ended = mlp("train", config)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert (ended.code, ended.stdout) == (2, "")
    assert "runs/iris" in ended.stderr.splitlines()[-1]
    assert process.returncode == 143


def wait_for(path, process, n_bytes=1):
    """Until a file has grown to some bytes."""
    for _ in range(10_000):
        if path.exists() and path.stat().st_size >= n_bytes:
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    raise AssertionError(f"{path} has not come")


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_training_that_was_interrupted_and_resumed_ends_in_the_same_bytes(folder, config, signal_number, code):
    settings = ("training.optimizer=adam", "model.dropout=0.1", "training.threads=1", "training.engine=numpy")
    options = [word for setting in settings for word in ("--set", setting)]
    done("train", config, *options, "--quiet")
    run = folder / "runs" / "iris"
    before = tree(run)
    with start("train", config, *options, "--set", "training.epochs=1000000", cwd=folder) as process:
        wait_for(folder / "runs" / "iris.partial" / "history.csv", process, n_bytes=2000)
        process.send_signal(signal_number)
        stderr = process.communicate()[1].decode()
    assert process.returncode == code
    epoch = int(re.search(r"^interrupted after epoch (\d+)\.", stderr, re.MULTILINE)[1])
    words = shlex.split(stderr.partition("Resume with: ")[2])
    assert words == ["mlp", "train", str(config), *options, "--set", "training.epochs=1000000", "--resume"]
    # The last good run is still there, and the weights so far can be used.
    assert tree(run) == before
    done("inspect", folder / "runs" / "iris.partial" / "weights.npz")

    ended = done(*words[1:-1], "--set", f"training.epochs={epoch + 2}", "--resume")
    assert f"resumed   after epoch {epoch}" in ended.stderr
    assert not (folder / "runs" / "iris.partial").exists()
    resumed = tree(run)
    done("train", config, *options, "--set", f"training.epochs={epoch + 2}", "--quiet")
    whole = tree(run)
    assert resumed["weights.npz"] == whole["weights.npz"]
    assert losses(resumed["history.csv"]) == losses(whole["history.csv"])
    one, other = (json.loads(files["metrics.json"]) | {"seconds": 0} for files in (resumed, whole))
    assert one == other


def losses(history):
    """A history without its clock."""
    return [
        [cell for name, cell in row.items() if name != "seconds"]
        for row in csv.DictReader(history.decode().splitlines())
    ]


def test_a_job_that_is_queued_again_runs_the_same_line_each_time(folder, config):
    first = mlp("train", config, "--resume")
    assert first.code == 0
    assert "nothing to resume, the training starts from the beginning." in first.stderr
    weights = (folder / "runs" / "iris" / "weights.npz").read_bytes()
    again = mlp("train", config, "--resume")
    assert again.code == 0
    assert "nothing to resume" in again.stderr
    assert (folder / "runs" / "iris" / "weights.npz").read_bytes() == weights


def test_a_training_that_diverges_ends_with_3_keeps_the_best_weights_and_says_what_to_try(folder):
    # Plain descent on a quadratic bowl, with a step that leaves it a little higher each time.
    training = {"epochs": 200, "batch_size": 1000}
    config = write_config(folder / "d.yaml", DIABETES, training, model={"layers": ["auto", "auto"]})
    done("train", config)
    before = tree(folder / "runs" / "d")
    ended = mlp("train", config, "--set", "training.optimizer.learning_rate=3", "--json")
    assert (ended.code, ended.stdout) == (3, "")
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("training diverged at epoch ")
    assert "loss is not finite. Best weights so far (epoch 1) are in runs/d.partial/. " in last
    advice = re.search(r"Try --set (training\.optimizer\.learning_rate=[0-9.]+)$", last)
    assert tree(folder / "runs" / "d") == before
    assert done("inspect", "runs/d.partial/weights.npz", "--json").document["record"]["epoch"] == 1
    done("train", config, "--set", advice[1])


def test_a_run_that_fails_leaves_the_old_one(folder, config):
    done("train", config)
    before = tree(folder)
    for options in (["--set", "data.target=nothing"], ["--set", "model.layers=[5,3]"], ["--set", "training.epochs=0"]):
        ended = mlp("train", config, *options)
        assert (ended.code, ended.stdout) == (2, "")
        assert tree(folder) == before


def test_the_training_data_can_come_from_standard_input(folder):
    config = write_config(folder / "c.yaml", {**IRIS, "train": "-"})
    done("train", config, "--quiet", stdin=(DATA / "iris.csv").read_bytes())
    from_file = train(folder, IRIS)
    with np.load(folder / "runs" / "c" / "weights.npz") as piped, np.load(from_file) as direct:
        assert all(np.array_equal(piped[name], direct[name]) for name in direct.files if name != "header")


def test_the_answer_is_compared_with_the_constant_baseline(folder):
    rng = np.random.default_rng(0)
    table = write_csv(folder / "t.csv", ["x", "y"], rng.normal(size=(60, 2)).round(3))
    config = write_config(folder / "c.yaml", {"train": str(table), "target": "y"}, {"epochs": 1})
    ended = done("train", config, "--set", "training.optimizer.learning_rate=1", "--set", "task=regression")
    metrics = scores(folder / "runs" / "c")
    is_worse = metrics["validation.rmse"] >= metrics["constant.rmse"]
    is_far_worse = metrics["validation.rmse"] > 2 * metrics["constant.rmse"]
    assert ("no better than the constant baseline" in ended.stderr) == (is_worse and not is_far_worse)
    assert ("far worse than the constant baseline" in ended.stderr) == is_far_worse


HIDDEN = ["identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "softplus", "silu", "gelu", "mish"]
INITIALIZERS = ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "normal",
                "uniform", "auto"]  # fmt: skip
SCHEDULES = ["constant", "step", "exponential", "cosine", "one_cycle"]
SCALERS = [
    "standardize", "robust", "{name: robust, clip: 3}", "minmax", "quantile", "{name: quantile, points: 5}", "none",
    "{name: divide, by: 10}",
]  # fmt: skip


@pytest.mark.parametrize(
    "setting",
    [
        *(f"model.activation={name}" for name in HIDDEN),
        *(f"model.output_activation={name}" for name in [*HIDDEN, "softmax", "exp", "auto"]),
        *(f"model.initializer={name}" for name in INITIALIZERS),
        *(f"training.optimizer={name}" for name in ("sgd", "adam", "adamw", "rmsprop", "adagrad")),
        "training.optimizer={name: sgd, momentum: 0.9, nesterov: true, weight_decay: 0.01}",
        *(f"training.schedule={name}" for name in SCHEDULES),
        *(f"training.schedule={{name: {name}, warmup: 1}}" for name in SCHEDULES),
        *(f"training.loss={name}" for name in TASK_LOSSES["classification"]),
        "training.loss={name: cross_entropy, label_smoothing: 0.1}",
        "training.gradient_clip=0.5",
        "training.dtype=float64",
        "training.class_weights=balanced",
        "training.class_weights={setosa: 2, virginica: 0.5}",
        "training.early_stopping=null",
        "training.early_stopping={metric: f1_macro, patience: 3}",
        "model.dropout=0.3",
        "model.layers=[auto, auto]",
        "model.layers=[4, 6, 5, 4, 3]",
        *(f"preprocess.numeric={name}" for name in SCALERS),
        *(f"preprocess.encoding={name}" for name in ("none", "piecewise_linear", "{name: piecewise_linear, bins: 3}")),
        "preprocess.categorical={binary: one}",
        *(f"preprocess.missing={name}" for name in ("median", "mean", "error")),
        "data.validation=null",
    ],
)  # fmt: skip
def test_every_choice_trains(config, setting):
    ended = done("train", config, "--set", setting, "--set", "training.optimizer.learning_rate=0.01", "--json", "-q")
    assert np.isfinite(ended.document["metrics"]["train.accuracy"])


@pytest.mark.parametrize("loss", TASK_LOSSES["regression"])
@pytest.mark.parametrize("output", ["auto", "softplus", "exp"])
def test_every_loss_of_amounts_trains(folder, loss, output):
    config = write_config(folder / "d.yaml", DIABETES, {"epochs": 2, "loss": loss, "optimizer": "adam"},
                          model={"output_activation": output})  # fmt: skip
    ended = done("train", config, "--json", "-q")
    assert np.isfinite(ended.document["metrics"]["validation.rmse"])


@pytest.mark.parametrize("loss", TASK_LOSSES["multilabel"])
def test_several_yes_no_columns_train(folder, loss):
    rows = [(i % 10 / 10, i % 2, int(i % 3 == 0)) for i in range(60)]
    table = write_csv(folder / "t.csv", ["x", "a", "b"], rows)
    config = write_config(folder / "m.yaml", {"train": str(table), "target": ["a", "b"]}, {"epochs": 2, "loss": loss})
    ended = done("train", config, "--json", "-q")
    assert 0 <= ended.document["metrics"]["validation.subset_accuracy"] <= 1


def test_a_run_of_another_config_is_kept_and_named_and_the_same_config_replaces(folder, config):
    done("train", config)
    first = tree(folder / "runs" / "iris")
    done("train", config)
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["iris"]
    ended = done("train", config, "--set", "training.seed=1")
    assert "note  the run of another config that was in runs/iris is now runs/iris.1.\n" in ended.stderr
    assert tree(folder / "runs" / "iris.1")["weights.npz"] == first["weights.npz"]
    document = done("train", config, "--set", "training.seed=2", "--json").document
    assert document["kept"] == "runs/iris.2"
    document = done("train", config, "--set", "training.seed=3", "--force", "--json").document
    assert document["kept"] is None
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["iris", "iris.1", "iris.2"]
    seeds = {run["name"]: run["differs"].get("training.seed") for run in done("runs", "--json").document["runs"]}
    assert len(seeds) == 3
    assert len({*seeds.values()}) == 3
