"""`mlp train --max-...`: a training that reaches a limit of time, memory or epochs keeps its best model so far."""

import itertools
import json

import numpy as np
import pytest

from mlpcli.workflows.training import budget
from mlpcli.workflows.training.estimates import memory
from tests.program import DATA, done, mlp, tree, write_config

IRIS = {"train": str(DATA / "iris.csv"), "target": "species"}
MB = 10**6


@pytest.fixture
def config(folder):
    """A training of 4 steps an epoch."""
    return write_config(folder / "iris.yaml", IRIS, {"epochs": 20, "batch_size": 30, "engine": "numpy"})


@pytest.fixture
def ticking(monkeypatch):
    """A clock that advances by one second with each reading."""
    monkeypatch.setattr(budget, "monotonic", itertools.count().__next__)


def metrics_of(folder):
    return json.loads((folder / "runs" / "iris" / "metrics.json").read_text())


def weights_of(folder):
    with np.load(folder / "runs" / "iris" / "weights.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name != "header"}


def test_seconds_end_a_training_with_the_best_model_of_the_whole_epochs_so_far(folder, config, ticking):
    ended = done("train", config, "--max-seconds", 10)
    # The first reading starts the clock, 9 allow a step each: two epochs, and one unused step of the third.
    ending = "Stopped after epoch 2: the budget of 10 s is used up. Best epoch 2."
    assert any(line.startswith(ending) for line in ended.lines)
    metrics = metrics_of(folder)
    assert (metrics["epochs"], metrics["stop_reason"]) == (2, "the budget of 10 s is used up")
    stopped = weights_of(folder)
    done("train", config, "--set", "training.epochs=2")
    for name, array in weights_of(folder).items():
        np.testing.assert_array_equal(stopped[name], array)


def test_in_the_first_epoch_the_current_weights_are_kept(folder, config, ticking):
    ended = done("train", config, "--max-seconds", 3)
    expected = "Stopped in the first epoch: the budget of 3 s is used up. The weights of the last step are kept."
    assert any(line.startswith(expected) for line in ended.lines)
    metrics = metrics_of(folder)
    assert (metrics["epochs"], metrics["best_epoch"]) == (0, 0)
    done("predict", "runs/iris/weights.npz", IRIS["train"])
    ended = mlp("repro", "runs/iris/weights.npz")
    assert ended.code == 2
    assert "stopped within the first epoch, which cannot be reproduced" in ended.stderr


def test_a_budget_that_reading_has_used_up_is_an_error_and_trains_nothing(folder, config, ticking):
    ended = mlp("train", config, "--max-seconds", 0.001)
    assert ended.code == 2
    assert "the budget of 0.001 s is used up before the first step" in ended.stderr
    assert not any(tree(folder / "runs"))


def test_a_budget_that_lets_only_some_members_begin_is_an_error_that_says_so(folder, config, ticking):
    ended = mlp("train", config, "--max-seconds", 3, "--set", "model.members=2")
    assert ended.code == 2
    assert "the budget of 3 s is used up before the first step of every member" in ended.stderr


def test_reading_counts(folder, config, monkeypatch):
    spent = []
    real = budget.Budget.__init__

    def recording(self, loaded, seconds, *more):
        spent.append(seconds)
        real(self, loaded, seconds, *more)

    monkeypatch.setattr(budget.Budget, "__init__", recording)
    done("train", config)
    assert spent[0] > 0


def test_a_budget_that_is_not_used_up_changes_no_byte(folder, config):
    done("train", config)
    before = (folder / "runs" / "iris" / "weights.npz").read_bytes()
    done("train", config, "--max-seconds", 1e6, "--max-memory", "100TB")
    assert metrics_of(folder)["stop_reason"] == "all epochs done"
    assert (folder / "runs" / "iris" / "weights.npz").read_bytes() == before


def test_a_stopped_training_can_be_repeated_from_its_record(folder, config, ticking):
    done("train", config, "--max-seconds", 10)
    assert "2 epochs reproduced bit for bit" in done("repro", "runs/iris/weights.npz").stdout


def test_seconds_of_earlier_sittings_count(config, monkeypatch):
    from mlpcli.config.loading import load_config

    loaded = load_config(str(config), ["budget.seconds=10"])
    now = [100.0]
    monkeypatch.setattr(budget, "monotonic", lambda: now[0])
    fresh, resumed = budget.Budget(loaded), budget.Budget(loaded, seconds=8.0)
    now[0] = 103.0
    assert (fresh.is_exhausted(), resumed.is_exhausted()) == (False, True)
    now[0] = 110.0
    assert fresh.is_exhausted()


def test_epochs_without_gain_end_a_training_also_where_the_config_lets_patience_grow(folder):
    stopping = {"patience": 90, "patience_factor": 3.0, "min_gain": 100.0}
    config = write_config(folder / "iris.yaml", IRIS, {"epochs": 50, "early_stopping": stopping})
    ended = done("train", config, "--max-epochs-without-gain", 4)
    assert any(
        line.startswith("Stopped after epoch 5: no improvement in log_loss for 4 epochs.") for line in ended.lines
    )
    assert metrics_of(folder)["stop_reason"] == "no improvement in log_loss for 4 epochs"
    assert metrics_of(folder)["best_epoch"] == 1


def test_epochs_without_gain_need_validation_rows(folder):
    config = write_config(folder / "iris.yaml", {**IRIS, "validation": None})
    ended = mlp("train", config, "--max-epochs-without-gain", 4)
    assert ended.code == 2
    assert "needs validation rows" in ended.stderr


def test_memory_that_grows_above_its_budget_ends_a_training_with_the_best_model_so_far(folder, config, monkeypatch):
    measured = itertools.chain([90 * MB, 95 * MB], itertools.repeat(130 * MB))
    monkeypatch.setattr(budget, "peak_memory", measured.__next__)
    monkeypatch.setattr(memory, "peak_memory", lambda: 80 * MB)
    monkeypatch.setattr(memory, "held_memory", lambda: 70 * MB)
    done("train", config, "--max-memory", "100MB")
    # Memory is measured every 16 steps; the third measurement, after 32 steps, exceeds the budget.
    assert metrics_of(folder)["epochs"] == 8
    assert metrics_of(folder)["stop_reason"] == "the process took 130 MB, its budget is 100 MB"


def test_a_training_that_would_need_too_much_memory_does_not_start(folder, config, monkeypatch):
    monkeypatch.setattr(memory, "peak_memory", lambda: 80 * MB)
    monkeypatch.setattr(memory, "held_memory", lambda: 70 * MB)
    before = tree(folder)
    for verb in ("train", "check"):
        wide = ("--set", "model.layers=[auto, 3000, 3000, auto]", "--set", "budget.memory=100MB")
        ended = mlp(verb, config, *wide)
        assert (ended.code, ended.stdout) == (2, "")
        assert "--set budget.memory=100MB: the training needs about " in ended.stderr
        assert "the budget is 100 MB" in ended.stderr
    ended = mlp("train", config, "--max-memory", "50MB")
    assert ended.code == 2
    assert "--max-memory 50MB: the program itself takes about 150 MB. Raise it." in ended.stderr
    assert tree(folder) == before


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--max-memory", "2XB"], "'2XB' is not an amount of memory. Write 500MB, 2GB or 2GiB."),
        (["--max-memory", "0GB"], "'0GB' is not an amount of memory."),
        (["--max-memory", "-1"], "--max-memory -1: "),
        (["--max-seconds", "0"], "--max-seconds 0"),
        (["--max-seconds", "nan"], "must be a number greater than 0"),
        (["--max-epochs-without-gain", "0"], "--max-epochs-without-gain"),
        (["--set", "budget.memory=[1]"], "budget.memory"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(folder, config, options, hint):
    ended = mlp("train", config, *options)
    assert (ended.code, ended.stdout) == (2, "")
    assert hint in ended.stderr
    assert not (folder / "runs").exists()


def test_the_command_that_resumes_carries_the_budget():
    from mlpcli.cli.overrides import Limits, resume_command

    arguments = Limits(2.5, 7, "2 GB").arguments()
    assert resume_command("c.yaml", None, None, 3, arguments) == (
        "mlp train c.yaml --seed 3 --resume --max-seconds 2.5 --max-epochs-without-gain 7 --max-memory '2 GB'"
    )
