"""A run is complete or absent; an interrupted training resumes bit for bit."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from mlpcli.errors import ConfigError, DataError, Diverged, Interrupted, ModelFileError, OutputError
from mlpcli.storage import atomic
from mlpcli.storage.run.run_directory import RUN_FILES
from mlpcli.workflows import train as train_workflow
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.train import train
from mlpcli.workflows.training import divergence
from mlpcli.workflows.training.recording import journal
from tests.program import DATA, tree, write_csv
from tests.workflows.staging import IRIS, Watch, loaded

WEIGHTS = Path("run/weights.npz")


def interrupt(config, after, number=signal.SIGINT):
    with pytest.raises(Interrupted) as caught:
        train(config, Watch(after, number), resume_command="mlp train c.yaml --resume")
    return caught.value


@pytest.mark.parametrize(
    ("training", "model"),
    [
        ({"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True}}, {}),
        ({"optimizer": "adam", "schedule": {"name": "cosine", "warmup": 2}}, {"dropout": 0.2}),
        ({"optimizer": "adamw", "schedule": "one_cycle", "gradient_clip": 0.1}, {}),
        ({"optimizer": {"name": "rmsprop", "momentum": 0.5}, "schedule": "step"}, {"activation": "tanh"}),
        ({"optimizer": "adagrad", "schedule": "exponential", "class_weights": "balanced"}, {}),
        ({"early_stopping": {"patience": 4, "min_gain": 1.0}}, {}),  # stops itself after epoch 5
        ({"early_stopping": None, "dtype": "float64"}, {}),
        ({"schedule": {"name": "coslog", "cycles": 2}, "early_stopping": {"metric": "accuracy", "ties": "last"}}, {}),
        ({"schedule": "flat_cos", "early_stopping": {"patience": 4, "patience_factor": 2.0, "min_gain": 1.0}}, {}),
        ({"optimizer": "adamw", "averaging": "ema", "weight_decay_schedule": "cosine"}, {"learn_slopes": True}),
        ({"averaging": {"name": "swa", "start": 0.3}}, {"members": {"count": 2, "rows": "bootstrap"}}),
        (
            {"optimizer": "adamw", "dropout_schedule": "flat_cos", "rates": {"biases": 0.1, "scale": 6.0}},
            {
                "members": 3,
                "parametrization": "ntk",
                "scale_inputs": True,
                "dropout": 0.3,
                "initializer": "data_driven",
            },
        ),
        (
            {
                "batch_size": "auto",
                "loss": {"name": "cross_entropy", "label_smoothing": "auto"},
                "early_stopping": {"metric": "mcc"},
            },
            {},
        ),
    ],
)
def test_a_training_that_was_stopped_and_resumed_ends_in_the_same_bytes(folder, training, model):
    config = loaded(training={"epochs": 8, "batch_size": 16, **training}, model=model)
    whole = train(config, Watch())
    expected, metrics = WEIGHTS.read_bytes(), json.loads(Path("run/metrics.json").read_text())
    for after in (1, 5):
        interrupt(config, after)
        watch = Watch()
        train(config, watch, resume=True)
        assert watch.from_epoch == after
        assert watch.epochs == list(range(after + 1, whole.outcome.epochs + 1))
        assert WEIGHTS.read_bytes() == expected
        resumed = json.loads(Path("run/metrics.json").read_text())
        assert {**resumed, "seconds": 0} == {**metrics, "seconds": 0}
        history = Path("run/history.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in history] == ["epoch", *map(str, range(whole.outcome.epochs + 1))]


FOLDED = {"count": 4, "rows": "folds", "folds": 2}


@pytest.mark.parametrize("averaging", [None, "ema", {"name": "swa", "start": 0.2}])
def test_members_on_folds_resume_bit_for_bit(folder, averaging):
    config = loaded(
        {**IRIS, "validation": None},
        {
            "epochs": 6, "optimizer": "adamw", "schedule": {"name": "coslog", "cycles": 2}, "averaging": averaging,
            "dropout_schedule": "flat_cos", "weight_decay_schedule": "flat_cos",
            "early_stopping": {"at": "cycle_ends"},
        },
        model={
            "members": {**FOLDED, "views": "alternate", "features": 0.5, "repeat_folds": True}, "dropout": 0.2,
            "numeric_embedding": "periodic",
        },
        preprocess={"encoding": {"name": "piecewise_linear", "bins": 3}},
        postprocess={"calibration": "temperature"},
    )  # fmt: skip
    train(config, Watch())
    expected, history = WEIGHTS.read_bytes(), Path("run/history.csv").read_text()
    for after in (1, 3, 5):
        interrupt(config, after)
        train(config, Watch(), resume=True)
        assert WEIGHTS.read_bytes() == expected
        texts = history, Path("run/history.csv").read_text()
        columns = [[line.split(",")[:4] for line in text.splitlines()] for text in texts]
        assert columns[0] == columns[1]


def test_the_checkpoint_of_a_finished_training_has_the_weights_without_their_temperature(folder):
    """A temperature of members is merged into the weights of the model, not into those of the checkpoint."""
    data, model = {**IRIS, "validation": None}, {"members": FOLDED}
    flats, outcomes = [], []
    for calibration in ("none", "temperature"):
        config = loaded(
            data, {"epochs": 3, "early_stopping": None}, model=model, postprocess={"calibration": calibration}
        )
        outcomes.append(train(config, Watch()).outcome)
        with np.load("run/checkpoint.npz") as file:
            flats.append(file["m1.best"])
    np.testing.assert_array_equal(*flats)
    last = [outcome.model.ensemble.tensors()["m1.W3"] for outcome in outcomes]
    assert not np.allclose(*last)


@pytest.mark.parametrize("numeric", ["quantile", {"name": "robust", "clip": 3.0}])
@pytest.mark.parametrize("edges", ["quantile", "target"])
def test_quantiles_and_bins_are_the_same_on_resume(folder, numeric, edges):
    encoding = {"name": "piecewise_linear", "edges": edges}
    config = loaded(training={"epochs": 4}, preprocess={"numeric": numeric, "encoding": encoding})
    train(config, Watch())
    expected = WEIGHTS.read_bytes()
    interrupt(config, 2)
    train(config, Watch(), resume=True)
    assert WEIGHTS.read_bytes() == expected


def test_stopping_twice_does_not_change_the_result(folder):
    config = loaded(training={"epochs": 6, "optimizer": "adam"}, model={"dropout": 0.1})
    train(config, Watch())
    expected = WEIGHTS.read_bytes()
    interrupt(config, 2)
    with pytest.raises(Interrupted):
        train(config, Watch(4), resume=True)
    train(config, Watch(), resume=True)
    assert WEIGHTS.read_bytes() == expected


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_says_what_is_saved_and_how_to_resume(folder, number, code):
    error = interrupt(loaded(training={"epochs": 9}), 3, number)
    assert error.exit_code == code
    assert str(error) == (
        "interrupted after epoch 3. The best weights so far (epoch 3) and a checkpoint are in run.partial/. "
        "Resume with: mlp train c.yaml --resume"
    )
    assert sorted(tree(folder)) == [
        "run.partial",
        *(f"run.partial/{name}" for name in sorted(RUN_FILES)),
    ]
    metrics = json.loads(Path("run.partial/metrics.json").read_text())
    assert (metrics["stop_reason"], metrics["epochs"]) == ("interrupted", 3)
    assert metrics["validation.log_loss"] > 0


def test_scores_of_an_earlier_sitting_are_removed(folder):
    interrupt(loaded(training={"epochs": 9}), 3)

    class NoMetrics(Watch):
        def prepared(self, *_):
            assert not Path("run.partial/metrics.json").exists()

    train(loaded(training={"epochs": 9}), NoMetrics(), resume=True)
    assert json.loads(Path("run/metrics.json").read_text())["stop_reason"] == "all epochs done"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_the_final_scoring_stops_at_once_and_the_training_can_be_resumed(
    folder, monkeypatch, number, code
):
    config = loaded(training={"epochs": 3})
    train(config, Watch())
    expected = WEIGHTS.read_bytes()

    def slow(*_):
        signal.raise_signal(number)
        raise AssertionError("went on")

    with monkeypatch.context() as patch:
        patch.setattr(train_workflow, "finalize", slow)
        with pytest.raises(Interrupted) as caught:
            train(config, Watch(), resume_command="mlp train c.yaml --resume")
    assert caught.value.exit_code == code
    assert str(caught.value) == (
        "interrupted after the last epoch, before scoring. A checkpoint is in run.partial/. "
        "Resume with: mlp train c.yaml --resume"
    )
    assert WEIGHTS.read_bytes() == expected  # the last good run is still there
    train(config, Watch(), resume=True)
    assert WEIGHTS.read_bytes() == expected
    assert not Path("run.partial").exists()


def test_resuming_an_open_ended_schedule_with_more_epochs_gives_the_uninterrupted_model(folder):
    train(loaded(training={"epochs": 7, "schedule": "step"}), Watch())
    with np.load(WEIGHTS) as file:
        expected = {name: file[name] for name in file.files if name != "header"}
    interrupt(loaded(training={"epochs": 4, "schedule": "step"}), 3)
    train(loaded(training={"epochs": 7, "schedule": "step"}), Watch(), resume=True)
    with np.load(WEIGHTS) as file:
        assert all(np.array_equal(file[name], array) for name, array in expected.items())


@pytest.mark.parametrize(
    "ending",
    [
        {"dropout_schedule": "flat_cos"},
        {"weight_decay_schedule": "cosine"},
        {"averaging": "swa"},
        {"early_stopping": {"at": "cycle_ends"}},
    ],
    ids=lambda ending: next(iter(ending)),
)
def test_the_number_of_epochs_may_not_change_if_anything_depends_on_it(folder, ending):
    interrupt(loaded(training={"epochs": 4, **ending}), 2)
    with pytest.raises(ConfigError, match=r"training\.epochs: .*was written with 4, the config says 7"):
        train(loaded(training={"epochs": 7, **ending}), Watch(), resume=True)


def test_the_epochs_of_a_schedule_that_ends_may_not_change(folder):
    interrupt(loaded(training={"epochs": 4, "schedule": "cosine"}), 2)
    with pytest.raises(ConfigError, match=r"training\.epochs: .*was written with 4, the config says 7"):
        train(loaded(training={"epochs": 7, "schedule": "cosine"}), Watch(), resume=True)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"training": {"optimizer": {"name": "sgd", "learning_rate": 0.01}}}, "training.optimizer.learning_rate"),
        ({"training": {"optimizer": "adam"}}, ""),
        ({"training": {"seed": 1}}, "training.seed"),
        ({"training": {"batch_size": 7}}, "training.batch_size"),
        ({"training": {"early_stopping": {"ties": "last"}}}, "training.early_stopping.ties"),
        ({"model": {"layers": ["auto", 5, "auto"]}}, ""),
        ({"preprocess": {"numeric": "robust"}}, "preprocess.numeric"),
        ({"data": {**IRIS, "validation": 0.3}}, "data.validation"),
    ],
)
def test_resuming_with_another_config_is_refused_and_changes_nothing(folder, change, key):
    interrupt(loaded(training={"epochs": 4}), 2)
    before = tree(folder)
    training = {"epochs": 4} | change.pop("training", {})
    with pytest.raises((ConfigError, ModelFileError)) as caught:
        train(loaded(training=training, **change), Watch(), resume=True)
    assert key in str(caught.value)
    assert "--resume" in str(caught.value)
    assert tree(folder) == before


@pytest.mark.parametrize(
    "change",
    [
        {"expect": {"min": {"accuracy": 0.1}}},
        {"data": {**IRIS, "test": IRIS["train"]}},
        {"training": {"epochs": 4, "early_stopping": {"patience": 9, "patience_factor": 2.0}}},
    ],
)
def test_keys_that_do_not_affect_an_epoch_may_change(folder, change):
    interrupt(loaded(training={"epochs": 4}), 2)
    train(loaded(**{"training": {"epochs": 4}} | change), Watch(), resume=True)
    assert WEIGHTS.exists()


def weights():
    with np.load(WEIGHTS) as file:
        return {name: file[name].tobytes() for name in file.files if name != "header"}


@pytest.mark.parametrize("members", [1, 3])
def test_resuming_with_another_number_of_threads_gives_the_same_model(folder, monkeypatch, members):
    """For threads that train members, and for threads that share the matrix products of one network."""
    monkeypatch.setattr("mlpcli.training.threads.MIN_CHUNK_WORK", 20)

    def config(threads):
        training = {"epochs": 4, "threads": threads, "engine": "numpy"}
        return loaded(training=training, model={"members": members, "layers": ["auto", 16, "auto"]})

    train(config(1), Watch())
    expected = weights()
    for before, after in ((1, 3), (2, "auto")):
        interrupt(config(before), 2)
        train(config(after), Watch(), resume=True)
        assert weights() == expected


def test_resuming_on_other_data_is_refused_and_changes_nothing(folder):
    table = folder / "t.csv"
    table.write_bytes((DATA / "iris.csv").read_bytes())
    config = loaded({"train": "t.csv", "target": "species"}, {"epochs": 4})
    interrupt(config, 2)
    table.write_bytes(table.read_bytes().replace(b"5.1,", b"5.2,", 1))
    before = tree(folder)
    with pytest.raises(DataError, match=r"the train data differs from what .*checkpoint\.npz was trained on"):
        train(config, Watch(), resume=True)
    assert tree(folder) == before


def test_a_fresh_training_replaces_an_unfinished_one_and_says_so(folder):
    config = loaded(training={"epochs": 4})
    interrupt(config, 2)
    watch = Watch()
    train(config, watch)
    assert any("was replaced. To continue one instead: --resume" in note for note in watch.notes)
    assert watch.from_epoch == 0


def test_a_training_stopped_in_its_first_epoch_has_nothing_to_resume(folder, monkeypatch):
    class Asked(train_workflow.Interruption):
        def __enter__(self):
            super().__enter__()
            self._handle_signal(signal.SIGTERM, None)
            return self

    with monkeypatch.context() as patch:
        patch.setattr(train_workflow, "Interruption", Asked)
        with pytest.raises(Interrupted, match="before the first epoch was done: nothing to resume") as caught:
            train(loaded(), Watch())
    assert caught.value.exit_code == 143
    watch = Watch()
    train(loaded(), watch, resume=True)
    assert any("nothing to resume" in note for note in watch.notes)


def test_divergence_in_the_first_epoch_keeps_no_weights_and_says_so(folder):
    config = loaded(training={"optimizer": {"name": "sgd", "learning_rate": 1e30}, "batch_size": 8})
    watch = Watch()
    with pytest.raises(Diverged) as caught:
        train(config, watch)
    assert str(caught.value).startswith("training diverged at epoch 1: the training loss is not finite. ")
    assert not list(folder.rglob("weights.npz"))
    assert watch.has_ended


@pytest.mark.parametrize("rate", [1e9, 3.0, 0.2, 0.05])
def test_the_rate_advised_after_a_divergence_is_within_a_factor_of_five_of_the_limit(folder, monkeypatch, rate):
    tried = []

    def stable_steps(_prepared, rate, _epochs, _must_stop):
        tried.append(rate)
        return 10 * (rate <= 0.042)

    monkeypatch.setattr(divergence, "_stable_steps", stable_steps)
    prepared = prepare(loaded(training={"optimizer": {"name": "sgd", "learning_rate": rate}}))
    found, n_steps = divergence.highest_stable_rate(prepared, 1, lambda: False)
    assert 0.042 / 5 <= found <= 0.042
    assert (n_steps, len(tried) <= 9, len(tried) == len(set(tried))) == (10, True, True)


def test_divergence_from_unscaled_inputs_advises_to_scale_them(folder):
    rows = [(i * 1e6, i % 7 * 1e5, i % 5) for i in range(40)]
    table = write_csv(folder / "t.csv", ["a", "b", "y"], rows)
    config = loaded({"train": str(table), "target": "y"}, task="regression", preprocess={"numeric": "none"})
    with pytest.raises(Diverged, match=r"The inputs reach 3\.9e\+07, .* --set preprocess\.numeric=standardize"):
        train(config, Watch())


@pytest.mark.parametrize("failing", ["weights.npz", "metrics.json", "checkpoint.npz"])
def test_a_full_disk_neither_loses_the_old_run_nor_leaves_an_incomplete_file(folder, monkeypatch, failing):
    train(loaded(), Watch())
    before = tree(folder / "run")
    replace = atomic.os.replace

    def full(source, target):
        if str(target).endswith(failing):
            raise OSError(28, "No space left on device")
        return replace(source, target)

    monkeypatch.setattr(atomic.os, "replace", full)
    with pytest.raises(OutputError, match="the disk is full"):
        train(loaded(training={"seed": 3}), Watch())
    assert tree(folder / "run") == before
    assert not [name for name in tree(folder) if name.endswith(".tmp")]


class PowerCut(BaseException):
    """An exception that the program does not catch."""


def test_a_killed_training_resumes_from_its_last_checkpoint(folder, monkeypatch):
    monkeypatch.setattr(journal, "CHECKPOINT_SECONDS", 0.0)

    class CutOff(Watch):
        def epoch(self, report, state):
            if report.epoch == 2:
                monkeypatch.setattr(journal, "CHECKPOINT_SECONDS", 1e9)
            if report.epoch == 4:
                raise PowerCut

    with pytest.raises(PowerCut):
        train(loaded(training={"epochs": 5}), CutOff())
    assert Path("run.partial/history.csv").read_text().count("\n") == 6
    watch = Watch()
    train(loaded(training={"epochs": 5}), watch, resume=True)
    assert (watch.from_epoch, watch.epochs) == (2, [3, 4, 5])
    history = Path("run/history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in history[1:]] == ["0", "1", "2", "3", "4", "5"]
    resumed = WEIGHTS.read_bytes()
    train(loaded(training={"epochs": 5}), Watch())
    assert WEIGHTS.read_bytes() == resumed


def test_an_edited_history_is_an_error_and_training_continues_without_it(folder):
    interrupt(loaded(training={"epochs": 5}), 3)
    history = Path("run.partial/history.csv")
    history.write_text(history.read_text().replace("train_accuracy", "hits"))
    with pytest.raises(ModelFileError, match=r"history\.csv: not the history of this run. Remove it and resume again"):
        train(loaded(training={"epochs": 5}), Watch(), resume=True)
    history.unlink()
    train(loaded(training={"epochs": 5}), Watch(), resume=True)
    rows = Path("run/history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "4", "5"]


@pytest.mark.parametrize("error", [BrokenPipeError, MemoryError, RuntimeError])
def test_any_exception_leaves_a_checkpoint_of_the_last_complete_epoch(folder, error):
    class Broken(Watch):
        def epoch(self, report, state):
            if report.epoch == 3:
                raise error

    with pytest.raises(error):
        train(loaded(training={"epochs": 5}), Broken())
    watch = Watch()
    train(loaded(training={"epochs": 5}), watch, resume=True)
    assert watch.epochs == [4, 5]


def test_the_previous_signal_handlers_are_restored(folder):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(loaded(), Watch())
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("mean", [1e-3, 1e2, 1e6])
def test_the_training_of_counts_does_not_depend_on_their_unit(folder, mean):
    x = np.linspace(-2.0, 2.0, 200)
    table = write_csv(folder / "t.csv", ["a", "k"], zip(x, mean * np.exp(0.5 * x), strict=True))
    training = {"loss": "poisson", "epochs": 30, "optimizer": {"name": "sgd", "learning_rate": 0.05}}
    result = train(loaded({"train": str(table), "target": "k"}, training, task="regression"), Watch())
    assert result.outcome.scores["validation"]["r2"] > 0.95


def test_training_does_not_diverge_with_the_recommended_learning_rate(folder):
    table = write_csv(folder / "t.csv", ["a", "y"], [(i / 10, (i * 7) % 11) for i in range(60)])
    data = {"train": str(table), "target": "y", "validation": None}

    def with_rate(rate):
        training = {"optimizer": {"name": "sgd", "learning_rate": rate}, "batch_size": 1000, "epochs": 30}
        return loaded(data, training, task="regression", model={"layers": ["auto", "auto"]})

    with pytest.raises(
        Diverged, match=r"at (\S+), \d+ steps did not diverge. Try --set \S+learning_rate=\1$"
    ) as caught:
        train(with_rate(1e9), Watch())
    train(with_rate(float(str(caught.value).rsplit("=", 1)[1])), Watch())
